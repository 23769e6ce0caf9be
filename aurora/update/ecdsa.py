"""ECDSA with the curve P-256 and SHA-256 (FIPS 186-5), of whose many ways to write a signature one is taken.

A signature is r and s, each 32 bytes, the first byte the highest, as PKCS #11 has it; no DER, whose readers differ. Of
s and n - s, which both verify, it has the lower one: who has no key cannot make a second signature of the first.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from aurora.update.kinds import Kind

__all__ = ["SIGNATURE_BYTES", "canonical", "is_signed_by", "public_text"]

SIGNATURE_BYTES = 64
_HALF = SIGNATURE_BYTES // 2
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""n, how many points P-256 has (SP 800-186, section 3.2.1.3)."""


def public_text(point: bytes) -> str:
    """The text of the key with that point, compressed or not; ValueError when it is none of the curve."""
    key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    return f"{Kind.ECDSA_P256}:{key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex()}"


def canonical(signature: bytes) -> bytes:
    """The one form of a signature that a token has made; ValueError when it is none."""
    if len(signature) != SIGNATURE_BYTES:
        raise ValueError(f"a signature has {SIGNATURE_BYTES} bytes, and this one has {len(signature)}")
    s = int.from_bytes(signature[_HALF:])
    return signature[:_HALF] + min(s, (_ORDER - s) % _ORDER).to_bytes(_HALF)


def is_signed_by(point: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the owner of the key with that point has signed the data, and it is written in the one form."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature[:_HALF]), int.from_bytes(signature[_HALF:])
    if not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        return False
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
        key.verify(encode_dss_signature(r, s), data, ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True
