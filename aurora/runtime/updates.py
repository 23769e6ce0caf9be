"""Updates on disk: one file a transaction, and one a module with what is known of its versions.

Each is replaced by one rename. A transaction that has ended stays as a row of the history; at the bound the oldest
goes. Of a module its owner's hold is kept, the versions that are refused, and the version to go back to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from aurora.errors import HostError, Problem, Refused
from aurora.host.files import read_bounded, sync_folder, write_atomic
from aurora.paths import Paths
from aurora.plan.update import TRANSACTION_MAX_BYTES, Transaction, Version

__all__ = [
    "HISTORY_MAX",
    "REFUSED_MAX",
    "RESERVE_BYTES",
    "Known",
    "RefusedVersion",
    "busy_modules",
    "check_not_busy",
    "forget_versions",
    "kept_folders",
    "next_id",
    "open_transaction",
    "read_known",
    "read_transaction",
    "read_transactions",
    "reserve_room",
    "use_reserve",
    "write_known",
    "write_transaction",
]

HISTORY_MAX = 50
"""Transactions that have ended and are kept."""
REFUSED_MAX = 20
"""Versions of a module that are refused; the oldest is forgotten."""
KNOWN_MAX_BYTES = 256 * 1024
RESERVE_BYTES = 256 * 1024
"""Room for writing down how an update ends, each file in blocks of its own. Reasons of great length, and state that is
put back, may need more; and once it is given up, whoever fills the disk may take it first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RefusedVersion:
    """A version that is not tried by itself."""

    version: str
    digest: str
    why: str
    when_usec: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of a module's versions."""

    held: bool = False
    """Whether its owner lets no other version in."""
    refused: tuple[RefusedVersion, ...] = ()
    """Oldest first."""
    previous: Version | None = None
    """What it can go back to; only what its slot holds says whether it is still there."""

    @property
    def refused_digests(self) -> frozenset[str]:
        """Of the versions that are refused."""
        return frozenset(one.digest for one in self.refused)

    def refusing(self, one: RefusedVersion) -> Known:
        """With one more that is refused."""
        others = [other for other in self.refused if other.digest != one.digest]
        return replace(self, refused=tuple([*others, one][-REFUSED_MAX:]))

    def trusting(self, digest: str) -> Known:
        """With one of them refused no more."""
        return replace(self, refused=tuple(one for one in self.refused if one.digest != digest))


def read_transactions(paths: Paths) -> tuple[list[Transaction], list[Problem]]:
    """All of them, oldest first, and the problems of files that cannot be read: they do not hide the others."""
    found: list[Transaction] = []
    problems: list[Problem] = []
    for file in sorted(paths.updates.glob("[0-9]*.json")):
        try:
            found.append(_transaction(file))
        except HostError as error:
            problems += error.problems
    return found, problems


def read_transaction(paths: Paths, name: str) -> Transaction:
    """The transaction with that id; HostError when it cannot be read."""
    return _transaction(_file(paths, name))


def _file(paths: Paths, name: str) -> Path:
    return paths.updates / f"{name}.json"


def _transaction(file: Path) -> Transaction:
    try:
        data = read_bounded(file, max_bytes=TRANSACTION_MAX_BYTES)
        document = json.loads(data)
        if len(data) > TRANSACTION_MAX_BYTES or not isinstance(document, dict):
            raise ValueError("it is too long, or no transaction")
        return Transaction.from_json(document)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        why = f"it is damaged, or of another version ({error})"
        raise HostError("read an update", why, where=str(file), remedy="removing that file") from error


def open_transaction(paths: Paths) -> Transaction | None:
    """The transaction that has not ended; there is at most one."""
    return next((one for one in read_transactions(paths)[0] if one.open), None)


def next_id(paths: Paths) -> str:
    """A name that is behind all others, whatever the clock says."""
    last = max((int(file.stem) for file in paths.updates.glob("[0-9]*.json") if file.stem.isdecimal()), default=0)
    return f"{last + 1:08d}"


def write_transaction(paths: Paths, one: Transaction) -> None:
    """Put a transaction in the place of what was known of it; once it has ended, the oldest rows go."""
    _make_durable(paths.updates)
    write_atomic(_file(paths, one.id), (json.dumps(one.to_json(), indent=1) + "\n").encode())
    if one.open:
        return
    ended = [other for other in read_transactions(paths)[0] if not other.open]
    for old in ended[:-HISTORY_MAX]:
        _file(paths, old.id).unlink(missing_ok=True)


def reserve_room(paths: Paths) -> None:
    """Keep RESERVE_BYTES of the disk, for updates to be ended by where others fill it; HostError where they have."""
    file = paths.update_reserve
    _make_durable(paths.updates)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, RESERVE_BYTES)
            os.fsync(handle)
        except OSError:
            file.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
    except OSError as error:
        what, remedy = "keep room to end an update by", "a disk with room"
        raise HostError(what, str(error), where=str(file), remedy=remedy) from error


def use_reserve(paths: Paths) -> None:
    """Where the disk has less room than was reserved, give that up: an update is ended now.

    What counts is the room that everybody has: of what is called free beyond it, ext4 keeps a part to itself, and not
    even root gets that.
    """
    with suppress(OSError):
        disk = os.statvfs(paths.updates)
        if disk.f_bavail * disk.f_frsize < RESERVE_BYTES:
            paths.update_reserve.unlink()


def _make_durable(folder: Path) -> None:
    """Have a folder whose name is there after a power cut, and not only what is in it."""
    if folder.is_dir():
        return
    try:
        for place in (folder.parent, folder):
            place.mkdir(exist_ok=True, parents=True)
            sync_folder(place.parent)
    except OSError as error:
        raise HostError("make a folder", str(error), where=str(folder)) from error


def read_known(paths: Paths, module: str) -> Known:
    """What is known of a module's versions; nothing where the file is not there or damaged."""
    try:
        document = json.loads(read_bounded(paths.known_versions / f"{module}.json", max_bytes=KNOWN_MAX_BYTES))
        return _known(document)
    except (OSError, ValueError, TypeError, KeyError):
        return Known()


def _known(document: Mapping[str, object]) -> Known:
    refused, previous = document["refused"], document["previous"]
    if not isinstance(refused, list) or not (previous is None or isinstance(previous, dict)):
        raise TypeError("it is damaged")
    return Known(
        held=bool(document["held"]),
        refused=tuple(RefusedVersion(**one) for one in refused),
        previous=None if previous is None else Version(**previous),
    )


def write_known(paths: Paths, module: str, known: Known) -> None:
    """Put it in the place of what was known."""
    if known != read_known(paths, module):
        _make_durable(paths.known_versions)
        data = (json.dumps(asdict(known), indent=1) + "\n").encode()
        write_atomic(paths.known_versions / f"{module}.json", data)


def forget_versions(paths: Paths, module: str) -> None:
    """Remove what is known of a module that is removed."""
    file = paths.known_versions / f"{module}.json"
    try:
        file.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError("remove a file", str(error), where=str(file)) from error
    sync_folder(file.parent)


def busy_modules(paths: Paths) -> frozenset[str]:
    """Modules whose update has not ended."""
    one = open_transaction(paths)
    return frozenset(one.modules) if one is not None else frozenset()


def check_not_busy(paths: Paths, what: str, modules: Collection[str]) -> None:
    """Refused when one of them is being updated, or such an update was interrupted."""
    if busy := sorted(busy_modules(paths) & set(modules)):
        raise Refused(
            what,
            f"an update of {', '.join(busy)} has not ended",
            remedy="auroractl update status; an interrupted one is ended by auroractl apply",
        )


def kept_folders(paths: Paths) -> set[str]:
    """Slots that are not swept: those of a transaction that has not ended, and versions to go back to."""
    one = open_transaction(paths)
    moves = one.moves if one is not None else ()
    kept = {f"{paths.modules_text}/{m.module}/{version.slot}" for m in moves for version in (m.before, m.after)}
    with suppress(FileNotFoundError):
        for file in paths.known_versions.iterdir():
            previous = None if file.name.startswith(".") else read_known(paths, file.stem).previous
            if previous is not None:
                kept.add(f"{paths.modules_text}/{file.stem}/{previous.slot}")
    return kept
