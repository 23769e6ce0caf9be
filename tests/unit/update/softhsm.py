"""Tokens for tests: SoftHSM is a PKCS #11 library as those of real tokens are, and keeps its tokens in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PyKCS11 = pytest.importorskip("PyKCS11", reason="python3-pykcs11 is in the build tree")

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "424242"
SO_PIN = "12345678"
P256 = bytes.fromhex("06082a8648ce3d030107")


class SoftHsm:
    """A machine's tokens."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "tokens"
        self.folder.mkdir(parents=True)
        self.settings = place / "softhsm2.conf"
        lines = (f"directories.tokendir = {self.folder}", "objectstore.backend = file", "log.level = ERROR")
        self.settings.write_text("".join(f"{line}\n" for line in lines))

    @contextmanager
    def loaded(self) -> Iterator[Any]:
        """Its library, as PyKCS11 has it."""
        library = PyKCS11.PyKCS11Lib()
        library.load(MODULE)
        try:
            yield library
        finally:
            library.unload()

    def add(self, label: str = "aurora", pin: str = PIN) -> str:
        """A new token; its URI, with its library, is the answer."""
        with self.loaded() as library:
            (free,) = [one for one in library.getSlotList() if not _has(library, one, PyKCS11.CKF_TOKEN_INITIALIZED)]
            before = set(library.getSlotList())
            library.initToken(free, SO_PIN, label.ljust(32))
            serial = library.getTokenInfo(free).serialNumber.strip()
            assert before <= set(library.getSlotList())
            session = library.openSession(free, PyKCS11.CKF_RW_SESSION)
            session.login(SO_PIN, PyKCS11.CKU_SO)
            session.initPin(pin)
            session.logout()
            session.closeSession()
        return f"pkcs11:token={label};serial={serial}?module-path={MODULE}"

    @contextmanager
    def session(self, label: str = "aurora") -> Iterator[Any]:
        """The token of that label, opened with its PIN, to do with it what we never do."""
        with self.loaded() as library:
            (slot,) = [one for one in library.getSlotList(tokenPresent=True)
                       if library.getTokenInfo(one).label.strip(" \0") == label]  # fmt: skip
            session = library.openSession(slot, PyKCS11.CKF_RW_SESSION)
            session.login(PIN)
            try:
                yield session
            finally:
                session.closeSession()

    def put(self, label: str, id_: bytes, *, params: bytes = P256, **more: bool) -> None:
        """Make a key as another program might, such as one that can be taken out."""
        both = [(PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_LABEL, label), (PyKCS11.CKA_ID, id_)]
        settings = {"SENSITIVE": True, "EXTRACTABLE": False, "SIGN": True, "PRIVATE": True, **more}
        private = [(getattr(PyKCS11, f"CKA_{name}"), value) for name, value in settings.items()]
        public = [(PyKCS11.CKA_EC_PARAMS, params), (PyKCS11.CKA_VERIFY, True)]
        with self.session() as session:
            mechanism = PyKCS11.Mechanism(PyKCS11.CKM_EC_KEY_PAIR_GEN, None)
            session.generateKeyPair([*both, *public], [*both, *private], mechanism)

    def labels(self) -> list[str]:
        """Of all that is in the token, which of a key are two."""
        with self.session() as session:
            return sorted(session.getAttributeValue(one, [PyKCS11.CKA_LABEL])[0] for one in session.findObjects())

    def files(self) -> dict[str, bytes]:
        """All that the tokens keep."""
        return {str(file): file.read_bytes() for file in self.folder.rglob("*") if file.is_file()}


def _has(library: Any, slot: int, flag: int) -> bool:
    return bool(library.getTokenInfo(slot).flags & flag)


@pytest.fixture
def softhsm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """A machine with a token called aurora."""
    made = SoftHsm(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.settings))
    made.add()
    return made
