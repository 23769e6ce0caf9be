"""The kinds of keys that sign, and what a public key of each is in text: one form for each key, its kind in it. Pure.

    ed25519       3f0e…               32 bytes, as RFC 8032, section 5.1.2, writes a point: 64 hexadecimal digits
    ecdsa-p256    ecdsa-p256:02ab…    33 bytes, as SEC 1 (version 2.0), section 2.3.3, writes a compressed point

A key in a file is of the first kind, whose text was there before there was another. The second one is for tokens:
hardly any TPM, and not every smart card, can do Ed25519. As the kind is in the key's text, nobody but who writes the
keyring can say how a signature of that key is verified.
"""

from __future__ import annotations

import re
from enum import StrEnum

__all__ = ["PUBLIC", "PUBLIC_RULE", "Kind", "brief", "first_digits", "kind_of", "point_of"]


class Kind(StrEnum):
    """How a key signs."""

    ED25519 = "ed25519"
    """RFC 8032: 64 bytes, the same each time."""
    ECDSA_P256 = "ecdsa-p256"
    """FIPS 186-5, curve P-256, SHA-256: r and s, 32 bytes each, of the two s that verify the lower one."""


PUBLIC = r"[0-9a-f]{64}|ecdsa-p256:0[23][0-9a-f]{64}"
"""A regular expression for the text of a public key."""
PUBLIC_RULE = "64 hexadecimal digits in lower case, or ecdsa-p256: and 66 of them that begin with 02 or 03"
_PUBLIC = re.compile(PUBLIC, re.ASCII)


def kind_of(public: str) -> Kind | None:
    """The kind of the key with that text; None when it is no key's."""
    if not _PUBLIC.fullmatch(public):
        return None
    return Kind.ECDSA_P256 if public.startswith(Kind.ECDSA_P256) else Kind.ED25519


def point_of(public: str) -> bytes:
    """The bytes of a key whose text this is."""
    return bytes.fromhex(public.rpartition(":")[2])


def first_digits(public: str) -> str:
    """Eight digits that stand for a key in the name of its signature's member: without what all of a kind share."""
    return public[:8] if kind_of(public) is Kind.ED25519 else public.rpartition(":")[2][2:10]


def brief(public: str) -> str:
    """A key for people, who tell it by its beginning."""
    kind, colon, digits = public.rpartition(":")
    return f"{kind}{colon}{digits[:16]}…"
