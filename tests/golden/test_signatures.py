"""Keys and signatures as the first version wrote them, which every later one must take and write the same.

What is in signatures/ is never written anew: packages so signed and keys so kept are with people. The keys are those
of tests 1 and 2 of RFC 8032, section 7.1; the second one is sealed by the passphrase "correct horse".
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from aurora.update.keyring import Rule, key_bytes, parse_key, parse_public, public_bytes
from aurora.update.keys import read_private, sign
from aurora.update.signature import Signature, signature_bytes, statement_bytes
from aurora.update.signed import read_signed, write_signed
from aurora.update.trust import Known, judge

KEPT = Path(__file__).parent / "signatures"
DEB = KEPT / "hello-1.2.deb"
TODAY = date(2026, 6, 15)
RULES = (Rule(("*",), {"release": 1}),)
PASSPHRASES = {"maker": None, "tester": b"correct horse"}


def test_an_old_signature_is_accepted() -> None:
    old = read_signed(DEB)
    keyring = [parse_key((KEPT / "keyring-maker.toml").read_bytes(), file="maker.toml", stem="maker")]
    verdict = judge(old.facts, old.signatures, keyring, RULES, today=TODAY, known=Known())
    assert verdict.reasons == ()
    assert [(one.name, one.fault) for one in verdict.signers if one.name] == [("maker", "")]
    assert len(old.signatures) == 2


def test_signed_again_by_the_same_keys_it_is_the_same_to_the_last_byte(tmp_path: Path) -> None:
    old = read_signed(DEB)
    again = []
    for name, passphrase in PASSPHRASES.items():
        private = read_private((KEPT / f"{name}.key").read_bytes(), passphrase)
        statement = old.signatures[0].statement
        again.append(Signature(statement, private.key, sign(private, statement_bytes(statement))))
    assert sorted(again, key=lambda one: one.key) == sorted(old.signatures, key=lambda one: one.key)
    shutil.copyfile(DEB, tmp_path / "hello.deb")
    write_signed(DEB, tmp_path / "hello.deb", again)
    assert (tmp_path / "hello.deb").read_bytes() == DEB.read_bytes()


def test_what_an_old_key_signs_are_the_lines_before_it(tmp_path: Path) -> None:
    for one in read_signed(DEB).signatures:
        written = signature_bytes(one)
        assert written in DEB.read_bytes()
        assert written.startswith(statement_bytes(one.statement) + b"key ")


@pytest.mark.parametrize("name", ["maker.toml", "keyring-maker.toml"])
def test_an_old_public_key_is_written_as_it_was_read(name: str) -> None:
    data = (KEPT / name).read_bytes()
    if name == "maker.toml":
        assert public_bytes(parse_public(data, file=name)) == data
    else:
        assert key_bytes(parse_key(data, file=name, stem="maker")) == data
