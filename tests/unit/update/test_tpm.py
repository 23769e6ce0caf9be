"""The same keys in a TPM 2.0: an emulated one (swtpm), which tpm2-pkcs11 makes a token as it does a real one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("PyKCS11", reason="python3-pykcs11 is in the build tree")

import PyKCS11  # after it is known to be there

from aurora.errors import AuroraError, HostError, InputError, Refused
from aurora.update.keys import is_signed
from aurora.update.kinds import Kind, kind_of
from aurora.update.tokens import existing_in_token, made_in_token, sign_in_token
from aurora.update.tokenuri import TokenUri, parse_uri
from tests.unit.update.softhsm import PIN, SO_PIN
from tests.unit.update.test_tokens import Asked, nobody

TRIES = 3
"""As many wrong PINs does this TPM take before it locks itself."""
MODULE = "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so.1"
AURORA = parse_uri(f"pkcs11:token=aurora?module-path={MODULE}")

pytestmark = [
    pytest.mark.skipif(shutil.which("swtpm") is None, reason="swtpm is in the build tree"),
    pytest.mark.skipif(not Path(MODULE).exists(), reason="libtpm2-pkcs11-1 is in the build tree"),
]


@contextmanager
def running(place: Path) -> Iterator[str]:
    """A TPM of its own, until the block ends; where tpm2-pkcs11 finds it."""
    socket, pid = place / "tpm", place / "pid"
    (place / "state").mkdir(parents=True)
    line = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={place / 'state'}", "--daemon", "--pid", f"file={pid}",
            "--server", f"type=unixio,path={socket}", "--ctrl", f"type=unixio,path={socket}.ctrl",
            "--flags", "not-need-init,startup-clear"]  # fmt: skip
    subprocess.run(line, check=True)
    try:
        yield f"swtpm:path={socket}"
    finally:
        os.kill(int(pid.read_text()), signal.SIGTERM)


@pytest.fixture
def tpm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A TPM with a token called aurora in it."""
    store = tmp_path / "store"  # what tpm2-pkcs11 keeps there, the TPM has sealed
    store.mkdir()
    monkeypatch.setenv("TPM2_PKCS11_STORE", str(store))
    monkeypatch.setenv("TSS2_LOG", "all+NONE")
    with running(tmp_path / "one") as place:
        monkeypatch.setenv("TPM2_PKCS11_TCTI", place)
        _new_token()
        yield


def _new_token() -> None:
    library = PyKCS11.PyKCS11Lib()
    library.load(MODULE)
    (slot,) = library.getSlotList()
    library.initToken(slot, SO_PIN, "aurora".ljust(32))
    session = library.openSession(slot, PyKCS11.CKF_RW_SESSION)
    session.login(SO_PIN, PyKCS11.CKU_SO)
    session.initPin(PIN)
    session.closeSession()
    library.unload()


def made(uri: TokenUri = AURORA, kind: Kind | None = None) -> tuple[str, TokenUri]:
    with made_in_token(uri, "release", kind, Asked()) as key:
        assert (key.stays, key.always_stayed) == (True, True)
        return key.public, key.uri


def test_a_key_is_made_in_the_tpm_and_signs_there(tpm: None) -> None:
    public, uri = made()
    assert kind_of(public) is Kind.ECDSA_P256
    assert uri.object == "release"
    for text in (b"text", b"another"):
        signature, key = sign_in_token(public, uri, text, Asked())
        assert is_signed(public, text, signature)
        assert key.stays
    assert existing_in_token(AURORA._replace(object="release"), Asked()).public == public


def test_a_tpm_has_no_ed25519_and_that_is_said(tpm: None) -> None:
    with pytest.raises(Refused, match=r"makes no keys of the kind ed25519; try --kind ecdsa-p256"):
        made(kind=Kind.ED25519)


def test_a_wrong_pin_signs_nothing_and_is_counted_by_the_tpm(tpm: None) -> None:
    public, uri = made()
    asked = [Asked("000000") for _ in range(TRIES)]
    for number, wrong in enumerate(asked, 1):
        why = "the PIN is wrong" if number < TRIES else "wrong|has locked its PIN, as too many wrong ones were given"
        with pytest.raises(AuroraError, match=why):
            sign_in_token(public, uri, b"text", wrong)
    assert [one.times for one in asked] == [1] * TRIES
    with pytest.raises(Refused, match=r"has locked its PIN.*a TPM opens again by itself after some time"):
        sign_in_token(public, uri, b"text", Asked())


def test_a_right_pin_after_a_wrong_one_signs(tpm: None) -> None:
    public, uri = made()
    with pytest.raises(InputError, match="the PIN is wrong"):
        sign_in_token(public, uri, b"text", Asked("000000"))
    assert is_signed(public, b"text", sign_in_token(public, uri, b"text", Asked())[0])


def test_a_key_does_not_sign_where_its_tpm_is_not(tpm: None, monkeypatch: pytest.MonkeyPatch) -> None:
    public, uri = made()
    monkeypatch.setenv("TPM2_PKCS11_TCTI", "swtpm:path=/nowhere")
    with pytest.raises(HostError, match=r"library does not start: .*CKR_GENERAL_ERROR.*tss is a TPM's group"):
        sign_in_token(public, uri, b"text", nobody)


def test_what_the_disk_keeps_of_a_key_signs_nothing_with_another_tpm(
    tpm: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, uri = made()
    with running(tmp_path / "other") as place:
        monkeypatch.setenv("TPM2_PKCS11_TCTI", place)
        with pytest.raises(HostError, match="as a TPM does that was cleared, or is not the one"):
            sign_in_token(public, uri, b"text", Asked())
