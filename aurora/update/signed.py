"""A .deb with signatures in it: what it is, who says what of it, and putting signatures there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from aurora.errors import HostError, InputError, Problem, Refused
from aurora.host.files import write_atomic
from aurora.host.process import run
from aurora.paths import Paths
from aurora.update.ar import SIGNATURES_MAX, BrokenDeb, Part, member_bytes, parts_of
from aurora.update.members import CONTROL_MAX_BYTES
from aurora.update.signature import (
    BrokenSignature,
    Facts,
    Signature,
    facts_fault,
    member_name,
    parse_signature,
    signature_bytes,
)
from aurora.update.tar import Kind, Member
from aurora.update.unpack import check_outside, streamed

__all__ = ["Signed", "installed_version", "read_control", "read_signed", "write_signed"]

CHUNK_BYTES = 1 << 20
_WHAT = "read the package"
_FIELDS = (b"package", b"version", b"architecture")


class Signed(NamedTuple):
    """A package and the signatures that it carries; whether they are good is for `trust` to say."""

    facts: Facts
    signatures: tuple[Signature, ...]


def read_signed(deb: Path, *, shown: str | None = None) -> Signed:
    """What a package is, and its signatures. Nothing is written; `shown` is the name that errors give the file.

    NotFound when there is no such file; InputError with all that is against it when it is no package, or a signature
    in it is not in the one form that signatures have.
    """
    where = shown if shown is not None else str(deb)
    check_outside(deb, where)
    try:
        with deb.open("rb") as file:
            parts = _parts(file)
            digests = tuple((part.name, _digest(file, part)) for part in parts if not part.is_signature)
            carried = [(part.name, _content(file, part)) for part in parts if part.is_signature]
    except OSError as error:
        raise HostError(_WHAT, str(error), where=where) from error
    except BrokenDeb as error:
        raise InputError(_WHAT, str(error), where=where) from error
    problems: list[Problem] = []
    signatures: list[Signature] = []
    for name, content in carried:
        try:
            signatures.append(parse_signature(content, member=name))
        except BrokenSignature as error:
            why = f"its signature is damaged: {error}"
            problems.append(Problem(_WHAT, why, f"{where}, member {name}", "the package as its maker gave it"))
    if problems:
        raise InputError.of(problems)
    facts = Facts(*read_control(deb, shown=where), digests)
    if fault := facts_fault(facts):
        raise InputError(_WHAT, fault, where=f"{where}, control")
    return Signed(facts, tuple(signatures))


def _parts(file: IO[bytes]) -> tuple[Part, ...]:
    size_bytes = os.fstat(file.fileno()).st_size
    return parts_of(lambda place, count: os.pread(file.fileno(), count, place), size_bytes)


def _content(file: IO[bytes], part: Part) -> bytes:
    return os.pread(file.fileno(), part.size_bytes, part.content)


def _digest(file: IO[bytes], part: Part) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(file, part.place, part.end):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """The bytes between two places; the padding that the last part may lack is added."""
    place = start
    while place < end:
        chunk = os.pread(file.fileno(), min(CHUNK_BYTES, end - place), place)
        if not chunk:
            if end - place > 1:
                raise BrokenDeb("it changed while it was read")
            chunk = b"\n"
        place += len(chunk)
        yield chunk


def read_control(deb: Path, *, shown: str) -> tuple[str, str, str]:
    """Package, version and architecture, as the control file says, which has each once; InputError otherwise.

    Nothing of it is judged. `shown` is the name that errors give the file.
    """
    files: list[bytes] = []

    def take(found: Iterator[tuple[Member, Iterator[bytes]]]) -> None:
        for member, content in found:
            if member.name.removeprefix(b"./") == b"control" and member.kind is Kind.FILE:
                files.append(b"".join(content))

    streamed(deb, "--ctrl-tarfile", CONTROL_MAX_BYTES, shown, take)
    if len(files) != 1:
        raise InputError(_WHAT, "it does not have one control file", where=shown)
    values: dict[bytes, list[str]] = {name: [] for name in _FIELDS}
    for line in files[0].splitlines():
        name, _, value = line.partition(b":")
        if name.lower() in values:
            values[name.lower()].append(value.strip().decode(errors="replace"))
    if any(len(found) != 1 for found in values.values()):
        raise InputError(
            _WHAT, "it does not name package, version and architecture once each", where=f"{shown}, control"
        )
    package, version, architecture = (values[name][0] for name in _FIELDS)
    return package, version, architecture


def write_signed(deb: Path, target: Path, signatures: Sequence[Signature]) -> None:
    """Write the package with these signatures and no others to `target`, by one rename.

    Refused when they cannot stand side by side: there are too many, or two of their keys begin alike.
    """
    if len({member_name(one.key) for one in signatures}) != len(signatures) or len(signatures) > SIGNATURES_MAX:
        why = f"it can have {SIGNATURES_MAX} signatures, by keys that begin with different digits"
        raise Refused("sign the package", why, where=str(target))
    try:
        with deb.open("rb") as file:
            end = max(part.end for part in _parts(file) if not part.is_signature)
            members = sorted((member_name(one.key), signature_bytes(one)) for one in signatures)
            mode = target.stat().st_mode & 0o777 if target.exists() else 0o644

            def content() -> Iterator[bytes]:
                yield from _chunks(file, 0, end)
                for name, data in members:
                    yield member_bytes(name, data)

            write_atomic(target, content(), mode=mode)
    except OSError as error:
        raise HostError("sign the package", str(error), where=str(deb)) from error
    except BrokenDeb as error:
        raise InputError("sign the package", str(error), where=str(deb)) from error


def installed_version(paths: Paths, package: str) -> str | None:
    """The version of a package that dpkg has installed; None when it has not."""
    form = "${db:Status-Status} ${Version}\\n"
    line = ["dpkg-query", f"--admindir={paths.root / 'var/lib/dpkg'}", "--show", f"--showformat={form}", package]
    done = run(line, check=False)
    status, _, version = done.stdout.partition("\n")[0].partition(" ")
    return version if done.status == 0 and status == "installed" else None
