"""key, sign and verify, and what install makes of signatures, from the words of the command line on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

pytest.importorskip("pystemd", reason="pystemd is in the build tree")

from aurora.cli import install, key, sign  # after what they need is known to be there
from aurora.cli.main import main
from aurora.cli.sources import open_sources
from aurora.cli.verbs import VERBS
from aurora.errors import Refused
from aurora.runtime.accepted import read_accepted
from aurora.update.unpack import unpacked
from tests.unit.examples import CHECKOUT
from tests.unit.runtime.rig import Rig
from tests.unit.update.signing import plain_deb

type Said = tuple[int, str, str]


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """What apt was called with."""
    return []


@pytest.fixture
def auroractl(
    rig: Rig, apt: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Exit status, stdout and stderr of a command, run as root on the machine of the rig."""
    for module in (install, key, sign):
        monkeypatch.setattr(module, "Paths", lambda: rig.paths)
    monkeypatch.setattr(install, "_apt", apt.append)
    monkeypatch.setattr(install, "require", lambda _paths, name: name)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(rig.folder / "config"))
    monkeypatch.chdir(rig.folder / "work")

    def run(*argv: str) -> Said:
        capsys.readouterr()
        status = main(argv)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Somebody at a terminal, who answers so; what he was asked."""
    prompts: list[str] = []
    left = iter(answers)

    def answer(prompt: str) -> str:
        prompts.append(prompt)
        return next(left)

    monkeypatch.setattr("getpass.getpass", answer)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    return prompts


@pytest.fixture
def deb(rig: Rig) -> Path:
    return plain_deb(rig.folder / "work")


def new(auroractl: Callable[..., Said], *names: str, roles: str = "release") -> None:
    """Keys that are open, and trusted."""
    for name in names:
        assert auroractl("key", "new", name, "--no-passphrase")[0] == 0
        public = f"../config/aurora/keys/{name}.toml"
        assert auroractl("key", "trust", public, "--roles", roles)[0] == 0


# Keys


def test_a_new_key_is_sealed_by_a_passphrase_that_is_asked_twice(
    auroractl: Callable[..., Said], rig: Rig, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    prompts = typed(monkeypatch, "correct horse", "correct horse", "wrong one", "correct horse")
    status, out, err = auroractl("key", "new", "release")
    assert (status, out) == (0, "")
    assert "release.toml, for auroractl key trust" in err
    file = rig.folder / "config/aurora/keys/release.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "sealed yes" in file.read_text()
    status, _, err = auroractl("sign", str(deb))
    assert (status, "the passphrase is wrong" in err) == (65, True)
    assert auroractl("sign", str(deb))[0] == 0
    assert len(prompts) == 4


@pytest.mark.parametrize(
    ("answers", "why"), [(("correct horse", "correct hors"), "not the same"), (("short",), "at least 8 characters")]
)
def test_a_passphrase_that_is_mistyped_or_short_makes_no_key(
    auroractl: Callable[..., Said], rig: Rig, monkeypatch: pytest.MonkeyPatch, answers: tuple[str, ...], why: str
) -> None:
    typed(monkeypatch, *answers)
    status, _, err = auroractl("key", "new", "release")
    assert (status, why in err) == (64, True)
    assert not (rig.folder / "config").exists()


def test_where_there_is_no_terminal_a_key_is_not_left_open_unasked(
    auroractl: Callable[..., Said], rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    status, _, err = auroractl("key", "new", "release")
    assert (status, "no terminal" in err, "--no-passphrase" in err) == (64, True, True)
    assert not (rig.folder / "config").exists()


def test_a_key_without_a_passphrase_is_made_and_that_is_said(auroractl: Callable[..., Said], rig: Rig) -> None:
    status, _, err = auroractl("key", "new", "release", "--no-passphrase", "--in", str(rig.folder / "elsewhere"))
    assert status == 0
    assert "is not sealed: whoever can read it" in err
    assert (rig.folder / "elsewhere/release.key").is_file()


def test_keys_are_listed_for_people_and_for_programs(auroractl: Callable[..., Said], rig: Rig) -> None:
    assert auroractl("key", "list") == (0, "", "no key is trusted; sudo auroractl key trust NAME.toml trusts one\n")
    assert json.loads(auroractl("key", "list", "--json")[1]) == {"keyring": [], "own": []}
    new(auroractl, "ann", "bob")
    assert auroractl("key", "revoke", "bob")[0] == 0
    found = json.loads(auroractl("key", "list", "--json")[1])
    assert [(one["name"], one["counts"]) for one in found["keyring"]] == [("ann", True), ("bob", False)]
    assert found["keyring"][1]["revoked"]
    assert [(one["name"], one["sealed"]) for one in found["own"]] == [("ann", False), ("bob", False)]
    status, out, _ = auroractl("key", "list")
    assert status == 0
    assert "it was revoked on" in out
    assert found["own"][0]["public"] in out


@pytest.mark.parametrize("argv", [("key", "trust", "x.toml"), ("key", "revoke", "x")])
def test_only_root_changes_whom_the_owner_trusts(
    auroractl: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert auroractl(*argv)[0] == 77


@pytest.mark.parametrize("flag", ["--from", "--until"])
def test_a_day_that_is_none_is_a_usage_error(auroractl: Callable[..., Said], flag: str) -> None:
    status, _, err = auroractl("key", "trust", "x.toml", flag, "tomorrow")
    assert (status, "is no day such as 2027-11-30" in err) == (64, True)


# Signing


def test_a_package_that_is_signed_is_verified(auroractl: Callable[..., Said], deb: Path) -> None:
    new(auroractl, "ann")
    status, _, err = auroractl("verify", str(deb))
    assert (status, "nobody has signed it" in err) == (69, True)
    assert auroractl("sign", str(deb), "--lowest", "1.0")[0] == 0
    status, out, err = auroractl("verify", str(deb))
    assert (status, err) == (0, "")
    assert "aurora-module-hello 1.2 is accepted: signed by ann (release)" in out
    found = json.loads(auroractl("verify", str(deb), "--json")[1])
    assert (found["accepted"], found["lowest"], found["problems"]) == (True, "1.0", [])
    assert [one["name"] for one in found["signatures"]] == ["ann"]


def test_a_second_signer_signs_what_the_first_one_did(auroractl: Callable[..., Said], rig: Rig, deb: Path) -> None:
    new(auroractl, "ann", "bob")
    rig.write("etc/aurora/trust.toml", '[[rule]]\npackages = ["aurora-module-*"]\nsigners = { release = 2 }\n')
    assert auroractl("sign", str(deb), "--key", "ann", "--lowest", "1.0", "--expires", "2999-01-01")[0] == 0
    status, out, err = auroractl("verify", str(deb))
    assert (status, "2 different keys of the role release" in err, "ann" in out) == (69, True, True)
    status, _, err = auroractl("sign", str(deb), "--key", "bob")
    assert (status, "2 signatures are in it" in err, "2999-01-01" in err) == (0, True, True)
    assert auroractl("verify", str(deb))[0] == 0
    # Signing again changes nothing; another statement stands alone.
    before = deb.read_bytes()
    assert auroractl("sign", str(deb), "--key", "bob")[0] == 0
    assert deb.read_bytes() == before
    status, _, err = auroractl("sign", str(deb), "--key", "bob", "--expires", "2998-01-01")
    assert (status, "2 older signatures were over another statement" in err) == (0, True)
    found = json.loads(auroractl("verify", str(deb), "--json")[1])
    assert [one["name"] for one in found["signatures"]] == ["bob"]


def test_a_package_can_be_signed_into_another_file(auroractl: Callable[..., Said], deb: Path) -> None:
    new(auroractl, "ann")
    before = deb.read_bytes()
    assert auroractl("sign", str(deb), "-o", "signed.deb")[0] == 0
    assert deb.read_bytes() == before
    assert auroractl("verify", "signed.deb")[0] == 0


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("--lowest", "1.3"), 64), (("--lowest", "x"), 64), (("--expires", "2020-01-01"), 64),
        (("--expires", "soon"), 64), (("--key", "nobody"), 66), ((), 66),
    ],
)  # fmt: skip
def test_what_cannot_be_signed_is_left_as_it_is(
    auroractl: Callable[..., Said], deb: Path, words: tuple[str, ...], status: int
) -> None:
    new(auroractl, "ann", "bob")
    before = deb.read_bytes()
    more = () if "--key" in words or not words else ("--key", "ann")
    assert auroractl("sign", str(deb), *more, *words)[0] == status
    assert deb.read_bytes() == before


def test_nobody_signs_beside_a_signature_of_something_else(auroractl: Callable[..., Said], deb: Path) -> None:
    new(auroractl, "ann")
    auroractl("sign", str(deb))
    data = deb.read_bytes()
    deb.write_bytes(data.replace(b"\nlowest 1.2", b"\nlowest 1.1"))
    status, _, err = auroractl("sign", str(deb))
    assert (status, "is damaged, or was made for another package" in err) == (65, True)


@pytest.mark.parametrize("verb", ["sign", "verify"])
def test_what_is_no_package_is_no_input(auroractl: Callable[..., Said], deb: Path, verb: str) -> None:
    new(auroractl, "ann")
    assert auroractl(verb, "no.deb")[0] == 66
    deb.write_bytes(b"!<arch>\n")
    assert auroractl(verb, str(deb))[0] == 65


def test_a_refusal_is_data_too(auroractl: Callable[..., Said], deb: Path) -> None:
    status, out, err = auroractl("verify", str(deb), "--json")
    found = json.loads(out)
    assert (status, found["accepted"], found["expires"]) == (69, False, None)
    assert [f"auroractl: cannot trust the package, because {problem['why']}, at {deb}" for problem in
            found["problems"]] == err.splitlines()  # fmt: skip


# Installing


def word(rig: Rig, mode: str) -> None:
    rig.write("etc/aurora/core.toml", f'signatures = "{mode}"\n')


def test_by_default_no_signature_is_looked_for(
    auroractl: Callable[..., Said], rig: Rig, deb: Path, apt: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign, "admit", lambda *_words, **_more: pytest.fail("it was judged"))
    assert auroractl("install", str(deb))[0] == 0
    assert len(apt) == 1
    assert not rig.paths.accepted.exists()


def test_where_they_are_required_an_unsigned_package_never_reaches_apt(
    auroractl: Callable[..., Said], rig: Rig, deb: Path, apt: list[object]
) -> None:
    word(rig, "required")
    new(auroractl, "ann")
    before = sorted(rig.paths.root.rglob("*"))
    status, _, err = auroractl("install", str(deb))
    assert (status, "nobody has signed it" in err, str(deb) in err) == (69, True, True)
    assert apt == []
    assert sorted(rig.paths.root.rglob("*")) == before


def test_where_they_are_required_a_signed_package_is_noted_and_installed(
    auroractl: Callable[..., Said], rig: Rig, deb: Path, apt: list[object]
) -> None:
    word(rig, "required")
    new(auroractl, "ann")
    auroractl("sign", str(deb), "--lowest", "1.1")
    status, _, err = auroractl("install", str(deb))
    assert (status, "1.2 is signed by ann (release)" in err) == (0, True)
    assert len(apt) == 1
    note = read_accepted(rig.paths, "hello")
    assert note is not None
    assert (note.version, note.lowest, note.signers) == ("1.2", "1.1", ("ann",))
    with unpacked(deb) as folder:
        assert note.digest == sign.folder_digest(folder)


def signers(rig: Rig, *debs: Path) -> list[tuple[str, ...]]:
    """Whom an update would write down for each of these packages."""
    with ExitStack() as opened:
        return [one.signed_by for one in open_sources(rig.paths, opened, [str(deb) for deb in debs])[0]]


@pytest.mark.parametrize("mode", ["required", "warn", "off"])
def test_an_update_gets_the_names_of_those_whose_signatures_of_this_very_package_count(
    auroractl: Callable[..., Said], rig: Rig, mode: str
) -> None:
    word(rig, mode)
    new(auroractl, "ann", "bob")
    assert auroractl("key", "new", "eve", "--no-passphrase")[0] == 0
    first, second = (plain_deb(rig.folder / "work", version) for version in ("1.2", "1.3"))
    for deb, names in ((first, ("ann",)), (second, ("bob", "eve"))):
        for name in names:
            assert auroractl("sign", str(deb), "--key", name)[0] == 0
    assert signers(rig, first) == [("ann",)]
    assert signers(rig, second) == [("bob",)], "not those of one before"
    auroractl("key", "revoke", "bob")
    if mode == "required":
        with pytest.raises(Refused):
            signers(rig, second)
    else:
        assert signers(rig, second) == [()], "and what was accepted once is no longer"


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_an_update_of_an_unsigned_package_or_a_folder_has_no_names(
    auroractl: Callable[..., Said], rig: Rig, deb: Path, mode: str
) -> None:
    word(rig, mode)
    new(auroractl, "ann")
    assert signers(rig, deb, rig.module()) == [(), ()]


def test_where_signatures_are_off_nothing_of_them_keeps_an_update_back(
    auroractl: Callable[..., Said], rig: Rig, deb: Path
) -> None:
    new(auroractl, "ann")
    auroractl("sign", str(deb), "--key", "ann")
    data = deb.read_bytes()
    deb.write_bytes(data.replace(b"expires ", b"expired ", 1))
    assert deb.read_bytes() != data
    assert signers(rig, deb) == [()]
    (rig.paths.owner_keyring / "odd.toml").write_text("{")
    deb.write_bytes(data)
    assert signers(rig, deb) == [()]


def test_the_lowest_version_is_remembered_and_only_rises(
    auroractl: Callable[..., Said], rig: Rig, apt: list[object]
) -> None:
    word(rig, "required")
    new(auroractl, "ann")
    debs = {version: plain_deb(rig.folder / "work", version) for version in ("1.0", "1.1", "1.2", "1.3")}
    for version, lowest in (("1.0", "1.0"), ("1.1", "1.1"), ("1.2", "1.1"), ("1.3", "1.0")):
        assert auroractl("sign", str(debs[version]), "--lowest", lowest)[0] == 0
    for version, expected in (("1.2", 0), ("1.1", 0), ("1.3", 0), ("1.0", 69)):
        status, _, err = auroractl("install", str(debs[version]))
        assert status == expected, (version, err)
    assert "its version 1.0 is below 1.1, the lowest to go back to" in err
    assert len(apt) == 3
    assert auroractl("install", str(debs["1.1"]))[0] == 0


def test_who_wants_only_to_be_warned_is_and_it_is_installed(
    auroractl: Callable[..., Said], rig: Rig, deb: Path, apt: list[object]
) -> None:
    word(rig, "warn")
    status, _, err = auroractl("install", str(deb))
    assert (status, "would be refused were signatures required: nobody has signed it" in err) == (0, True)
    assert len(apt) == 1
    assert read_accepted(rig.paths, "hello") is None


def test_a_signed_package_with_a_hostile_module_is_refused_whoever_signed_it(
    auroractl: Callable[..., Said], rig: Rig, apt: list[object]
) -> None:
    from tests.unit.update import deb as raw  # noqa: PLC0415  # its name is that of a fixture here

    word(rig, "required")
    new(auroractl, "ann")
    evil = raw.tar(*raw.GOOD, raw.Item("./etc/cron.d/x"))
    file = plain_deb(rig.folder / "work", "6.6", data=evil)
    assert auroractl("sign", str(file))[0] == 0
    assert auroractl("verify", str(file))[0] == 0
    status, _, err = auroractl("install", str(file))
    assert (status, "outside /usr/lib/aurora/modules" in err) == (65, True)
    assert apt == []


def test_no_verb_but_those_that_sign_and_trust_imports_the_cryptography_library() -> None:
    modules = sorted({verb.code.partition(":")[0] for verb in VERBS} - {"aurora.cli.key", "aurora.cli.sign"})
    program = f"import sys, importlib; [importlib.import_module(one) for one in {modules!r}]; print(*sys.modules)"
    line = [sys.executable, "-B", "-c", program]
    done = subprocess.run(line, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert "aurora.cli.install" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith("cryptography")]
