"""A key that lives in a token, as bytes: the file that stands for it, and how tokens write its public part. Pure.

NAME.key of such a key holds no secret:

    aurora-core token key 1
    key ecdsa-p256:02ab…
    uri pkcs11:token=aurora;serial=…;id=%01%a0;object=release

Its `uri` may be edited, as to name another library or a file with the PIN; its `key` says which signatures are right.
"""

from __future__ import annotations

import re

from aurora.update import ecdsa
from aurora.update.kinds import PUBLIC, Kind
from aurora.update.tokenuri import URI_MAX_CHARS, BrokenUri, TokenUri, parse_uri, uri_text

__all__ = [
    "CURVES",
    "TOKEN_FILE_MAX_BYTES",
    "BrokenTokenFile",
    "is_token_file",
    "parse_token_file",
    "public_of",
    "token_file_bytes",
]

DOMAIN = "aurora-core token key 1"
TOKEN_FILE_MAX_BYTES = URI_MAX_CHARS + 256
"""A longer file is none of these."""
_LAYOUT = re.compile(rf"{DOMAIN}\nkey (?P<key>{PUBLIC})\nuri (?P<uri>[!-~]+)\n", re.ASCII)

CURVES = {
    b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07": Kind.ECDSA_P256,
    b"\x13\x0cedwards25519": Kind.ED25519,
    b"\x06\x03\x2b\x65\x70": Kind.ED25519,
}
"""CKA_EC_PARAMS in DER -> kind: the curve's object identifier (RFC 5480, section 2.1.1.1, and RFC 8410, section 3), or
its name in a PrintableString (PKCS #11 3.0, section 2.3.5)."""
_OCTETS, _BITS = 0x04, 0x03
_ED25519_BYTES, _POINT_BYTES, _PACKED_BYTES = 32, 65, 33


class BrokenTokenFile(ValueError):
    """The file is not that of a key in a token; the text reads after "because"."""


def token_file_bytes(public: str, uri: TokenUri) -> bytes:
    """The file of a key in a token; ValueError when its URI is one that would not be read again."""
    text = uri_text(uri)
    if parse_uri(text) != uri:  # BrokenUri where the token calls its key by what a URI has no room for
        raise ValueError("its URI would mean another key")
    return f"{DOMAIN}\nkey {public}\nuri {text}\n".encode("ascii")


def is_token_file(data: bytes) -> bool:
    """Whether the file of a key is that of one in a token."""
    return data.startswith(b"aurora-core token key ")


def parse_token_file(data: bytes) -> tuple[str, TokenUri]:
    """The public key and where the private one is; BrokenTokenFile for anything else."""
    match = _LAYOUT.fullmatch(data.decode("ascii", errors="replace")) if len(data) <= TOKEN_FILE_MAX_BYTES else None
    if match is None:
        raise BrokenTokenFile("it does not have the three lines of a key in a token")
    try:
        return match["key"], parse_uri(match["uri"])
    except BrokenUri as error:
        raise BrokenTokenFile(f"of its uri {error}") from error


def public_of(kind: Kind, point: bytes) -> str:
    """The text of a public key, of what a token has in CKA_EC_POINT; ValueError when that is no key of the kind.

    It is to be an OCTET STRING in DER with the point in it. Some tokens have the bare point, and for Ed25519 some have
    a BIT STRING: PKCS #11 3.0, section 2.3.5, says both.
    """
    if kind is Kind.ECDSA_P256:
        bare = _unwrapped(point, (_POINT_BYTES, _PACKED_BYTES))
        return ecdsa.public_text(bare)
    return _unwrapped(point, (_ED25519_BYTES,)).hex()


def _unwrapped(point: bytes, sizes: tuple[int, ...]) -> bytes:
    for size in sizes:
        if len(point) == size:
            return point
        if point[:2] == bytes((_OCTETS, size)) and len(point) == size + 2:
            return point[2:]
        if point[:3] == bytes((_BITS, size + 1, 0)) and len(point) == size + 3:
            return point[3:]
    raise ValueError(f"the {len(point)} bytes that the token has for its public key are no point of its curve")
