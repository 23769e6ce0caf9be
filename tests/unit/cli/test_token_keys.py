"""Keys in tokens, from the words of the command line on, with SoftHSM as the token."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pystemd", reason="pystemd is in the build tree")
pytest.importorskip("PyKCS11", reason="python3-pykcs11 is in the build tree")

import PyKCS11

from aurora.host import token as host_token  # after what they need is known to be there
from tests.unit.cli.test_sign import Said, apt, auroractl, deb, typed
from tests.unit.runtime.rig import Rig
from tests.unit.update.softhsm import MODULE, PIN, SoftHsm, softhsm

__all__ = ["apt", "auroractl", "deb", "softhsm"]

AURORA = f"pkcs11:token=aurora?module-path={MODULE}"
Auroractl = Callable[..., Said]


def new(auroractl: Auroractl, monkeypatch: pytest.MonkeyPatch, *more: str, uri: str = AURORA) -> Said:
    typed(monkeypatch, PIN)
    return auroractl("key", "new", "release", "--in", uri, *more)


def files(rig: Rig) -> dict[str, bytes]:
    """All that stands anywhere, but for what the token keeps."""
    return {
        str(file): file.read_bytes()
        for file in rig.folder.rglob("*")
        if file.is_file() and "softhsm" not in file.parts and ".lock" not in file.name
    }


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa-p256"])
def test_a_package_signed_in_a_token_is_accepted_where_its_key_is_trusted(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path, kind: str
) -> None:
    status, out, err = new(auroractl, monkeypatch, "--kind", kind)
    assert (status, out) == (0, "")
    assert f"the {kind} key was made in the token aurora" in err
    assert "release.toml, for auroractl key trust" in err
    prompts = typed(monkeypatch, PIN)
    assert auroractl("sign", str(deb))[0] == 0
    assert prompts == ["PIN of the token aurora: "]
    status, _, err = auroractl("verify", str(deb))
    assert (status, "it is not in the keyring" in err) == (69, True)
    assert auroractl("key", "trust", "../config/aurora/keys/release.toml")[0] == 0
    status, out, _ = auroractl("verify", str(deb))
    assert (status, "is accepted: signed by release (release)" in out) == (0, True)
    assert auroractl("key", "revoke", "release")[0] == 0
    assert auroractl("verify", str(deb))[0] == 69


def test_the_keys_file_says_where_it_is_and_holds_no_secret(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert new(auroractl, monkeypatch)[0] == 0
    folder = rig.folder / "config/aurora/keys"
    assert sorted(file.name for file in folder.iterdir()) == ["release.key", "release.toml"]
    first, key, uri = (folder / "release.key").read_text().splitlines()
    public = json.loads(auroractl("key", "list", "--json")[1])["own"][0]["public"]
    assert (first, key) == ("aurora-core token key 1", f"key {public}")
    assert uri.startswith("uri pkcs11:token=aurora;manufacturer=SoftHSM%20project;serial=")
    assert uri.endswith(f";object=release?module-path={MODULE}")
    assert PIN.encode() not in b"".join(files(rig).values())


def test_a_list_of_keys_says_in_which_token_one_is(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert auroractl("key", "new", "plain", "--no-passphrase")[0] == 0
    assert new(auroractl, monkeypatch)[0] == 0
    _, out, _ = auroractl("key", "list")
    plain, release = out.splitlines()[-2:]
    assert plain.split()[-2:] == ["no", str(rig.folder / "config/aurora/keys/plain.key")]
    assert "in a token" in release
    assert "pkcs11:token=aurora;" in release
    assert "module-path" not in release
    own = json.loads(auroractl("key", "list", "--json")[1])["own"]
    assert [(one["name"], one["sealed"], (one["uri"] or "")[:19]) for one in own] == [
        ("plain", False, ""),
        ("release", True, "pkcs11:token=aurora"),
    ]


def test_signers_with_keys_in_files_and_in_tokens_sign_one_package(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    assert auroractl("key", "new", "plain", "--no-passphrase")[0] == 0
    assert new(auroractl, monkeypatch, "--kind", "ecdsa-p256")[0] == 0
    for name in ("plain", "release"):
        assert auroractl("key", "trust", f"../config/aurora/keys/{name}.toml")[0] == 0
        typed(monkeypatch, PIN)
        assert auroractl("sign", str(deb), "--key", name)[0] == 0
    rig.paths.owner_trust.write_text('[[rule]]\npackages = ["*"]\nsigners = { release = 2 }\n')
    status, out, _ = auroractl("verify", str(deb))
    assert (status, sorted(line.split()[0] for line in out.splitlines()[1:3])) == (0, ["plain", "release"])
    assert "is accepted: signed by" in out


def test_a_key_that_can_be_taken_out_is_said_to_be_so_whenever_it_is_used(
    auroractl: Auroractl, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    softhsm.put("loose", b"\x01", EXTRACTABLE=True)
    uri = AURORA.replace("?", ";object=loose?")
    status, _, err = new(auroractl, monkeypatch, "--existing", uri=uri)
    assert (status, "the key can be taken out of the token aurora" in err) == (0, True)
    assert "the ecdsa-p256 key is in the token aurora" in err
    typed(monkeypatch, PIN)
    status, _, err = auroractl("sign", str(deb))
    assert (status, "the key can be taken out of the token aurora" in err) == (0, True)


def test_a_key_that_no_uri_has_room_for_is_not_taken(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    softhsm.put("x" * 200, b"\x01")
    before = files(rig)
    status, _, err = new(auroractl, monkeypatch, "--existing")
    assert (status, "object= is longer than the 128 bytes" in err) == (64, True), err
    assert files(rig) == before


def test_a_pin_comes_from_the_file_that_the_uri_names(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    file = rig.folder / "pin"
    file.write_text(f"{PIN}\n")
    file.chmod(0o600)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    status, _, err = auroractl("key", "new", "release", "--in", AURORA)
    assert (status, "no terminal to ask for the PIN on" in err, "pin-source=file:/PATH" in err) == (64, True, True)
    assert auroractl("key", "new", "release", "--in", f"{AURORA}&pin-source=file:{file}")[0] == 0
    status, out, err = auroractl("sign", str(deb))
    assert (status, PIN in out + err) == (0, False)


def test_a_wrong_pin_signs_nothing_and_is_not_tried_again(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    assert new(auroractl, monkeypatch)[0] == 0
    before = files(rig)
    prompts = typed(monkeypatch, "000000")
    status, out, err = auroractl("sign", str(deb))
    assert (status, out) == (65, "")
    assert "cannot sign with pkcs11:token=aurora;" in err
    assert "the PIN is wrong" in err
    assert "000000" not in err
    assert len(prompts) == 1
    assert files(rig) == before
    typed(monkeypatch, PIN)
    status, _, err = auroractl("sign", str(deb))
    assert (status, "was given wrong PINs, and locks itself after a few" in err) == (0, True)


def test_where_no_pin_is_typed_none_is_given_to_the_token(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ctrl_d(_prompt: str) -> str:
        raise EOFError

    before = files(rig)
    typed(monkeypatch, "")
    status, _, err = auroractl("key", "new", "release", "--in", AURORA)
    assert (status, "no PIN was typed" in err) == (64, True)
    monkeypatch.setattr("getpass.getpass", ctrl_d)
    status, _, err = auroractl("key", "new", "release", "--in", AURORA)
    assert (status, "no PIN was typed" in err) == (64, True)
    assert files(rig) == before
    with softhsm.loaded() as library:
        flags = [library.getTokenInfo(slot).flags for slot in library.getSlotList(tokenPresent=True)]
    assert not any(flag & PyKCS11.CKF_USER_PIN_COUNT_LOW for flag in flags)


def test_a_wrong_pin_makes_no_key_and_no_file(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(rig)
    typed(monkeypatch, "000000")
    status, _, err = auroractl("key", "new", "release", "--in", AURORA)
    assert (status, "the PIN is wrong" in err) == (65, True)
    assert files(rig) == before
    assert softhsm.labels() == []


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["--in", "pkcs11:token=lost"], 66, "no token fits"),
        (["--in", f"{AURORA}&pin-value={PIN}"], 64, "a PIN does not belong into a URI"),
        (["--in", "pkcs11:slot-id=0"], 64, "slot-id=, which is not supported"),
        (["--in", "pkcs11:token"], 64, "no attribute such as token=aurora"),
        (["--in", AURORA, "--no-passphrase"], 64, "the token's PIN"),
        (["--existing"], 64, "are for keys in tokens"),
        (["--kind", "ecdsa-p256"], 64, "are for keys in tokens"),
        (["--in", AURORA, "--kind", "rsa"], 64, "rsa"),
    ],
)
def test_what_cannot_be_asked_for_so_is_told_and_nothing_is_written(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, words: list[str], status: int, why: str
) -> None:
    before = files(rig)
    found, out, err = auroractl("key", "new", "release", *words)
    assert (found, out, why in err) == (status, "", True), err
    assert PIN not in err
    assert files(rig) == before
    assert softhsm.labels() == []


def test_a_uri_does_not_sign_without_a_name(auroractl: Auroractl, softhsm: SoftHsm, deb: Path) -> None:
    status, _, err = auroractl("sign", str(deb), "--key", f"{AURORA}&pin-value={PIN}")
    assert (status, "--existing, and then --key NAME" in err, PIN in err) == (64, True, False)


def test_a_name_that_is_taken_is_told_before_the_pin_is_asked(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert auroractl("key", "new", "release", "--no-passphrase")[0] == 0
    prompts = typed(monkeypatch)
    status, _, err = auroractl("key", "new", "release", "--in", AURORA)
    assert (status, "there is one of that name" in err, prompts) == (69, True, [])
    assert softhsm.labels() == []


def test_a_keys_file_that_was_edited_wrongly_is_told(
    auroractl: Auroractl, rig: Rig, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    assert new(auroractl, monkeypatch)[0] == 0
    file = rig.folder / "config/aurora/keys/release.key"
    good = file.read_text()
    for wrong, why in (
        (good.replace("module-path", "pin-value"), "a PIN does not belong into a URI"),
        (good.replace("uri ", "uri  "), "the three lines of a key in a token"),
        (good + "x\n", "the three lines of a key in a token"),
    ):
        file.write_text(wrong)
        status, _, err = auroractl("sign", str(deb), "--key", "release")
        assert (status, why in err) == (65, True), err
        assert why in auroractl("key", "list")[2]


def test_without_pykcs11_a_key_in_a_token_signs_nothing_and_others_do(
    auroractl: Auroractl, softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch, deb: Path
) -> None:
    assert new(auroractl, monkeypatch)[0] == 0
    assert auroractl("key", "new", "plain", "--no-passphrase")[0] == 0
    monkeypatch.setattr(host_token, "PyKCS11", None)
    status, _, err = auroractl("sign", str(deb), "--key", "release")
    assert status == 71
    assert "cannot sign with pkcs11:token=aurora;" in err
    assert "because python3-pykcs11 is not installed; try apt install python3-pykcs11" in err
    assert auroractl("sign", str(deb), "--key", "plain")[0] == 0
