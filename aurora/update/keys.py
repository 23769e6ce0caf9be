"""Keys in files, which are Ed25519, made, used and kept; and whether a key of any kind has signed something.

A private key lies in a file of our own, of six lines. It is sealed by a passphrase: scrypt (64 MiB of memory, a part
of a second) makes a key of it for ChaCha20-Poly1305, which authenticates all other lines as well. PKCS #8, as the
library writes it, would let a passphrase be tried a thousand times faster (2048 rounds of PBKDF2).
"""

from __future__ import annotations

import hashlib
import os
import re
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from aurora.update import ecdsa
from aurora.update.kinds import Kind, kind_of, point_of

__all__ = [
    "PRIVATE_MAX_BYTES",
    "BrokenKey",
    "PrivateKey",
    "WrongPassphrase",
    "is_sealed",
    "is_signed",
    "new_key",
    "private_bytes",
    "read_private",
    "sign",
]

PRIVATE_MAX_BYTES = 1024
"""A longer file is no private key of ours."""
DOMAIN = "aurora-core private key 1"
SCRYPT = {"n": 1 << 16, "r": 8, "p": 1, "maxmem": (1 << 16) * 8 * 128 + (1 << 20), "dklen": 32}
"""Fixed for this version of the file: one that names more of it cannot eat the memory."""
_LAYOUT = re.compile(
    rf"(?P<head>{DOMAIN}\nkey (?P<key>[0-9a-f]{{64}})\nsealed (?P<sealed>yes|no)\n"
    r"salt (?P<salt>[0-9a-f]{32})\nnonce (?P<nonce>[0-9a-f]{24})\n)secret (?P<secret>[0-9a-f]{64,96})\n",
    re.ASCII,
)


class BrokenKey(ValueError):
    """The file is no private key; the text reads after "because"."""


class WrongPassphrase(ValueError):
    """The passphrase does not open the key, or the file was changed: the two cannot be told apart."""


class PrivateKey(NamedTuple):
    """A key that signs."""

    key: str
    """The public key, in hexadecimal digits."""
    secret: bytes

    def __repr__(self) -> str:
        return f"PrivateKey({self.key})"  # the secret is to stand in no traceback


def new_key() -> PrivateKey:
    """A new key, from the kernel's randomness."""
    return _of(Ed25519PrivateKey.generate().private_bytes_raw())


def _of(secret: bytes) -> PrivateKey:
    return PrivateKey(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex(), secret)


def sign(private: PrivateKey, data: bytes) -> bytes:
    """The signature of the data, 64 bytes, the same each time."""
    return Ed25519PrivateKey.from_private_bytes(private.secret).sign(data)


def is_signed(key: str, data: bytes, signature: bytes) -> bool:
    """Whether the public key's owner has signed the data, in the way of its kind; False also for what is no key."""
    kind = kind_of(key)
    if kind is None:
        return False
    if kind is Kind.ECDSA_P256:
        return ecdsa.is_signed_by(point_of(key), data, signature)
    try:
        Ed25519PublicKey.from_public_bytes(point_of(key)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def private_bytes(private: PrivateKey, passphrase: bytes | None) -> bytes:
    """The file of a private key, sealed by a passphrase, or open to who can read it (None)."""
    salt, nonce = os.urandom(16), os.urandom(12)
    sealed = "no" if passphrase is None else "yes"
    head = f"{DOMAIN}\nkey {private.key}\nsealed {sealed}\nsalt {salt.hex()}\nnonce {nonce.hex()}\n"
    secret = private.secret
    if passphrase is not None:
        secret = ChaCha20Poly1305(_stretched(passphrase, salt)).encrypt(nonce, secret, head.encode())
    return f"{head}secret {secret.hex()}\n".encode()


def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase, salt=salt, **SCRYPT)


def _match(data: bytes) -> re.Match[str]:
    match = _LAYOUT.fullmatch(data.decode("ascii", errors="replace")) if len(data) <= PRIVATE_MAX_BYTES else None
    if match is None or len(match["secret"]) != (96 if match["sealed"] == "yes" else 64):
        raise BrokenKey("it is not a private key that auroractl key new made")
    return match


def is_sealed(data: bytes) -> bool:
    """Whether a passphrase is needed to read the private key; BrokenKey when it is none."""
    return _match(data)["sealed"] == "yes"


def read_private(data: bytes, passphrase: bytes | None) -> PrivateKey:
    """The private key in a file; BrokenKey or WrongPassphrase."""
    match = _match(data)
    secret = bytes.fromhex(match["secret"])
    if match["sealed"] == "yes":
        if passphrase is None:
            raise WrongPassphrase("it is sealed by a passphrase")
        try:
            stretched = _stretched(passphrase, bytes.fromhex(match["salt"]))
            secret = ChaCha20Poly1305(stretched).decrypt(bytes.fromhex(match["nonce"]), secret, match["head"].encode())
        except InvalidTag as error:
            raise WrongPassphrase("the passphrase is wrong, or the file was changed") from error
    found = _of(secret)
    if found.key != match["key"]:
        raise BrokenKey("its public key is not that of its secret")
    return found
