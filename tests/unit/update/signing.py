"""Keys, statements and packages to sign, for the tests of trust."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aurora.update.ecdsa import canonical, public_text
from aurora.update.keyring import Key
from aurora.update.keys import PrivateKey, new_key, sign
from aurora.update.signature import Facts, Signature, Statement, signed_bytes
from aurora.update.signed import read_signed, write_signed
from tests.unit.update import deb

TODAY = date(2026, 6, 15)
EXPIRES = date(2027, 6, 15)
FACTS = Facts(
    "aurora-module-hello",
    "1.2",
    "all",
    (("debian-binary", "a" * 64), ("control.tar.gz", "b" * 64), ("data.tar", "c" * 64)),
)
SAID = Statement(FACTS, EXPIRES, "1.0")


@cache
def private(name: str) -> PrivateKey:
    """A signer's key, the same one for the same name throughout a run."""
    return new_key()


def key(name: str, *roles: str, **more: date) -> Key:
    """The signer's key, as the owner has it in the keyring."""
    return Key(name, private(name).key, roles or ("release",), **more)


def signed(name: str, statement: Statement = SAID) -> Signature:
    """A signer's signature."""
    return Signature(statement, private(name).key, sign(private(name), signed_bytes(statement, private(name).key)))


@cache
def _in_token(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def token_key(name: str) -> str:
    """The text of a signer's key of the second kind."""
    return public_text(_in_token(name).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def token_sign(name: str, data: bytes) -> bytes:
    """The data signed by it, as a token would."""
    r, s = decode_dss_signature(_in_token(name).sign(data, ec.ECDSA(SHA256())))
    return canonical(r.to_bytes(32) + s.to_bytes(32))


def token_signed(name: str, statement: Statement = SAID) -> Signature:
    """A signature of it."""
    public = token_key(name)
    return Signature(statement, public, token_sign(name, signed_bytes(statement, public)))


def plain_deb(place: Path, version: str = "1.2", *, data: bytes = deb.tar(*deb.GOOD)) -> Path:
    """A package of the module hello."""
    control = deb.CONTROL.replace(b"Version: 1\n", f"Version: {version}\n".encode())
    owner = deb.Item("./conffiles", deb.OWNER[1:].encode() + b"\n")
    made = deb.write_deb(place, data, deb.tar(deb.folder("."), deb.Item("./control", control), owner))
    return made.rename(place / f"hello-{version}.deb")


def signed_deb(place: Path, *names: str, version: str = "1.2", lowest: str = "1.0", expires: date = EXPIRES) -> Path:
    """The same, signed by these."""
    file = plain_deb(place, version)
    said = Statement(read_signed(file).facts, expires, lowest)
    write_signed(file, file, [signed(name, said) for name in names])
    return file
