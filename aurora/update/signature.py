"""What a signature says and how it stands in a package: strict and canonical, so that there is one form of each. Pure.

A signature is a member of the .deb, `_aurora` and eight digits of its key, the first ones. Its text, read by `ar p`:

    aurora-core package signature 1
    package aurora-module-hello
    version 1.0.0
    architecture all
    expires 2027-11-30
    lowest 1.0.0
    part debian-binary 5d2d…
    part control.tar.xz 0c17…
    part data.tar.xz 91ab…
    key 3f0e…
    signature 77c1…

What is signed is the statement: all lines up to `key`, the first of which says what it is, so that it can be taken
for nothing else that the key may sign. A key that is not Ed25519 signs the line `key` as well, which names its kind:
a signature is then good for one key and one way to verify it, and never for one that was made to fit.

A digest (SHA-256) is that of a part as it stands in the archive, with its header and padding: no bit of the package
is left out. All signatures of a package are over the same statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from aurora.update.ar import SIGNATURE_MAX_BYTES
from aurora.update.kinds import PUBLIC, Kind, first_digits, kind_of
from aurora.update.versions import is_older, is_version

__all__ = [
    "BrokenSignature",
    "Facts",
    "Signature",
    "Statement",
    "day_of",
    "facts_fault",
    "member_name",
    "parse_signature",
    "signature_bytes",
    "signed_bytes",
    "statement_bytes",
    "statement_fault",
]

DOMAIN = "aurora-core package signature 1"
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}", re.ASCII)
_ARCHITECTURE = re.compile(r"[a-z0-9][a-z0-9-]{1,30}", re.ASCII)
_PART = re.compile(r"debian-binary|(control|data)\.tar(\.(gz|xz|zst))?", re.ASCII)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_LAYOUT = re.compile(
    rf"(?P<statement>{DOMAIN}\npackage (?P<package>[^\n]+)\nversion (?P<version>[^\n]+)\n"
    r"architecture (?P<architecture>[^\n]+)\nexpires (?P<expires>[^\n]+)\nlowest (?P<lowest>[^\n]+)\n"
    r"(?P<parts>(?:part [a-z.-]{1,16} [0-9a-f]{64}\n){3}))"
    rf"key (?P<key>{PUBLIC})\n"
    r"signature (?P<signature>[0-9a-f]{128})\n",
    re.ASCII,
)


class BrokenSignature(ValueError):
    """It is not in the one form that a signature has; the text reads after "because"."""


class Facts(NamedTuple):
    """What a package is, read from the package itself."""

    package: str
    version: str
    architecture: str
    parts: tuple[tuple[str, str], ...]
    """Name and digest of each member that is no signature, as they stand in it."""


class Statement(NamedTuple):
    """What is signed."""

    facts: Facts
    expires: date
    """The last day, in UTC, on which the package may be installed."""
    lowest: str
    """The lowest version that may be gone back to once this one was accepted; not above this one."""


class Signature(NamedTuple):
    """A statement that somebody's key has signed; whether it has is `trust`'s to find out."""

    statement: Statement
    key: str
    """The text of the public key."""
    signature: bytes


def facts_fault(facts: Facts) -> str | None:
    """Why a package cannot be signed or judged: its control file names what no package is; None when it can."""
    if not _PACKAGE.fullmatch(facts.package):
        return f"{facts.package[:64]!a} is no name of a package"
    if not is_version(facts.version):
        return f"{facts.version[:64]!a} is no version of a package"
    if not _ARCHITECTURE.fullmatch(facts.architecture):
        return f"{facts.architecture[:64]!a} is no architecture"
    return None


def statement_fault(statement: Statement) -> str | None:
    """Why a statement cannot be made, or None."""
    if fault := facts_fault(statement.facts):
        return fault
    if not is_version(statement.lowest):
        return f"{statement.lowest[:64]!a} is no version of a package"
    if is_older(statement.facts.version, statement.lowest):
        return f"the lowest version to go back to, {statement.lowest}, is above its own, {statement.facts.version}"
    return None


def statement_bytes(statement: Statement) -> bytes:
    """The statement's lines; ValueError when it cannot be made."""
    if fault := statement_fault(statement):
        raise ValueError(fault)
    return "".join(f"{line}\n" for line in _lines(statement)).encode("ascii")


def signed_bytes(statement: Statement, key: str) -> bytes:
    """What a key of that text signs; ValueError when the statement cannot be made."""
    tail = b"" if kind_of(key) is Kind.ED25519 else f"key {key}\n".encode("ascii")
    return statement_bytes(statement) + tail


def _lines(statement: Statement) -> Iterator[str]:
    facts = statement.facts
    yield DOMAIN
    yield f"package {facts.package}"
    yield f"version {facts.version}"
    yield f"architecture {facts.architecture}"
    yield f"expires {statement.expires.isoformat()}"
    yield f"lowest {statement.lowest}"
    for name, digest in facts.parts:
        yield f"part {name} {digest}"


def signature_bytes(signature: Signature) -> bytes:
    """The content of a signature's member."""
    tail = f"key {signature.key}\nsignature {signature.signature.hex()}\n"
    return statement_bytes(signature.statement) + tail.encode("ascii")


def member_name(key: str) -> str:
    """The name of the member with the signature of a key."""
    return f"_aurora{first_digits(key)}"


def parse_signature(data: bytes, *, member: str) -> Signature:
    """The signature in a member of that name; BrokenSignature unless it is in its one form to the last byte."""
    if len(data) > SIGNATURE_MAX_BYTES:
        raise BrokenSignature(f"it has more than {SIGNATURE_MAX_BYTES} bytes")
    try:
        match = _LAYOUT.fullmatch(data.decode("ascii"))
    except UnicodeDecodeError as error:
        raise BrokenSignature("it is not ASCII") from error
    if match is None:
        raise BrokenSignature("its lines are not those of a signature")
    parts = tuple((line.split(" ")[1], line.split(" ")[2]) for line in match["parts"].splitlines())
    if not all(_PART.fullmatch(name) for name, _ in parts):
        raise BrokenSignature("it names a part that packages do not have")
    try:
        expires = day_of(match["expires"])
    except ValueError as error:
        raise BrokenSignature(str(error)) from error
    facts = Facts(match["package"], match["version"], match["architecture"], parts)
    statement = Statement(facts, expires, match["lowest"])
    if fault := statement_fault(statement):
        raise BrokenSignature(fault)
    found = Signature(statement, match["key"], bytes.fromhex(match["signature"]))
    if member != member_name(found.key):
        raise BrokenSignature(f"its member is named {member}, and its key wants {member_name(found.key)}")
    return found


def day_of(text: str) -> date:
    """A day as YYYY-MM-DD; ValueError, with a reason, for anything else."""
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise ValueError(f"{text[:32]!a} is no day such as 2027-11-30")
