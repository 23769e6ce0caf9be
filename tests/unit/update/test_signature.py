from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.update.ar import SIGNATURE_MAX_BYTES, SIGNATURE_NAME
from aurora.update.signature import (
    BrokenSignature,
    Signature,
    member_name,
    parse_signature,
    signature_bytes,
    signed_bytes,
    statement_bytes,
)
from tests.unit.fuzz.budget import tries
from tests.unit.update.signing import FACTS, SAID

KEY = "0123456789abcdef" * 4
SIGNATURE = Signature(SAID, KEY, bytes(range(64)))
WRITTEN = signature_bytes(SIGNATURE)
MEMBER = member_name(KEY)


def parsed(data: bytes) -> Signature:
    return parse_signature(data, member=MEMBER)


def test_a_statement_is_these_bytes() -> None:
    """A vector: a change of it is another kind of signature, and needs another first line."""
    assert statement_bytes(SAID) == (
        b"aurora-core package signature 1\npackage aurora-module-hello\nversion 1.2\narchitecture all\n"
        b"expires 2027-06-15\nlowest 1.0\n"
        b"part debian-binary " + b"a" * 64 + b"\npart control.tar.gz " + b"b" * 64 + b"\npart data.tar " + b"c" * 64
        + b"\n"
    )  # fmt: skip


def test_what_is_signed_begins_what_is_written_and_is_read_back() -> None:
    assert WRITTEN.startswith(statement_bytes(SAID))
    assert parsed(WRITTEN) == SIGNATURE
    assert len(WRITTEN) <= SIGNATURE_MAX_BYTES


SECOND = Signature(SAID, f"ecdsa-p256:03{KEY}", bytes(range(64)))


def test_what_a_key_of_the_second_kind_signs_ends_with_its_own_line() -> None:
    """A vector, as that of the statement is."""
    assert signed_bytes(SAID, KEY) == statement_bytes(SAID)
    assert signed_bytes(SAID, SECOND.key) == statement_bytes(SAID) + b"key ecdsa-p256:03" + KEY.encode() + b"\n"
    written = signature_bytes(SECOND)
    assert written == signed_bytes(SAID, SECOND.key) + b"signature " + bytes(range(64)).hex().encode() + b"\n"
    assert parse_signature(written, member=member_name(SECOND.key)) == SECOND
    assert member_name(SECOND.key) == "_aurora01234567"


@pytest.mark.parametrize(
    "kind", [b"", b"ed25519:", b"ecdsa-p256:", b"ecdsa-p256:04", b"ecdsa-p384:03", b"ECDSA-P256:03"]
)
def test_a_key_has_its_kind_in_one_writing(kind: bytes) -> None:
    wrong = signature_bytes(SECOND).replace(b"ecdsa-p256:03", kind)
    if kind:
        with pytest.raises(BrokenSignature):
            parsed(wrong)
    else:
        assert parsed(wrong).key == KEY


def test_a_members_name_is_one_that_dpkg_passes_over_and_can_write() -> None:
    assert MEMBER == "_aurora01234567"
    assert len(MEMBER) <= 15
    assert SIGNATURE_NAME.fullmatch(MEMBER)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"signature 1\n", b"signature 2\n"),
        (b"aurora-core package", b"aurora-core release"),
        (b"package aurora-module-hello", b"package Aurora-module-hello"),
        (b"package aurora-module-hello", b"package aurora-module-hello "),
        (b"package aurora-module-hello\n", b""),
        (b"version 1.2", b"version x"),
        (b"version 1.2", b"version 0.9"),
        (b"architecture all", b"architecture ALL"),
        (b"expires 2027-06-15", b"expires 2027-6-15"),
        (b"expires 2027-06-15", b"expires 2027-02-30"),
        (b"expires 2027-06-15", b"expires 20270615"),
        (b"lowest 1.0", b"lowest 1.3"),
        (b"lowest 1.0", b"lowest  1.0"),
        (b"part debian-binary", b"part debian.binary"),
        (b"part data.tar ", b"part data.tar.lz "),
        (b"a" * 64, b"A" * 64),
        (b"a" * 64, b"a" * 63),
        (b"key 0", b"key A"),
        (b"key 0123", b"key 1123"),
        (b"\nsignature 00", b"\nsignature  00"),
        (b"\n", b"\r\n"),
        (b"lowest", b"\xc3\xa9"),
    ],
)
def test_any_other_writing_is_refused(old: bytes, new: bytes) -> None:
    assert old in WRITTEN
    with pytest.raises(BrokenSignature):
        parsed(WRITTEN.replace(old, new))


def test_nothing_stands_before_or_behind_and_nothing_is_twice() -> None:
    lines = WRITTEN.splitlines(keepends=True)
    for at in range(len(lines)):
        for wrong in (lines[:at] + lines[at + 1 :], [*lines[:at], lines[at], *lines[at:]], [*lines[:at], b"\n"]):
            with pytest.raises(BrokenSignature):
                parsed(b"".join(wrong))
    for wrong in (b" " + WRITTEN, WRITTEN + b"\n", WRITTEN[:-1], WRITTEN + WRITTEN, b"", b"x" * 5000):
        with pytest.raises(BrokenSignature):
            parsed(wrong)


def test_a_signature_in_the_member_of_another_key_is_refused() -> None:
    with pytest.raises(BrokenSignature, match="its key wants _aurora01234567"):
        parse_signature(WRITTEN, member="_aurora11111111")


def test_a_statement_that_cannot_be_is_not_written() -> None:
    for wrong in (SAID._replace(lowest="1.3"), SAID._replace(lowest="x"),
                  SAID._replace(facts=FACTS._replace(package="a\nversion 9"))):  # fmt: skip
        with pytest.raises(ValueError, match=r"version|package"):
            statement_bytes(wrong)


@tries(300)
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_stands_there_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(BrokenSignature):
        parsed(data)


@tries(300)
@given(st.sampled_from([SIGNATURE, SECOND]), st.integers(0, len(WRITTEN)), st.binary(max_size=4), st.integers(0, 8))
def test_what_is_damaged_is_refused_or_reads_as_it_is_written(
    signature: Signature, place: int, put: bytes, gone: int
) -> None:
    written = signature_bytes(signature)
    data = written[:place] + put + written[place + gone :]
    try:
        found = parsed(data)
    except BrokenSignature:
        return
    assert signature_bytes(found) == data
