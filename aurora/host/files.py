"""Files, written so that a power cut leaves the old content or the new, whole."""

from __future__ import annotations

import fcntl
import grp
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from aurora.errors import Denied, HostError, InputError, Problem, Refused

__all__ = [
    "COPY_CHUNK_BYTES",
    "FOLDER_MAX_BYTES",
    "FOLDER_MAX_DEPTH",
    "FOLDER_MAX_ENTRIES",
    "NEVER_STAGED",
    "Entry",
    "folder_entries",
    "locked",
    "ownership_problem",
    "read_bounded",
    "remove_tree",
    "remove_unfinished",
    "replace_link",
    "sync_folder",
    "write_atomic",
]

FOLDER_MAX_ENTRIES = 20_000
"""A module with more files and folders is refused."""
FOLDER_MAX_BYTES = 1 << 30
"""A module that is larger is refused."""
FOLDER_MAX_DEPTH = 32
"""A module with folders nested deeper is refused."""
COPY_CHUNK_BYTES = 1 << 20
NEVER_STAGED = ("__pycache__", ".git")
"""Folders of these names are no part of a module."""


class Entry(NamedTuple):
    """A file or folder of a module."""

    path: str
    """Relative to the module's folder."""
    is_folder: bool
    size_bytes: int
    executable: bool


@contextmanager
def descended(top: int, names: Iterable[str]) -> Iterator[int]:
    """The folder `names` below the open folder `top`, reached through no link. OSError when it cannot be opened.

    Whoever owns a part of it may swap that for a link meanwhile, and gets nobody out of it.
    """
    here = os.dup(top)
    try:
        for name in names:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (fsync(2) on a directory); HostError when that fails, as on a full disk."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise HostError("make the names in a folder durable", str(error), where=str(folder)) from error


def write_atomic(
    path: Path, data: bytes | Iterable[bytes], *, mode: int = 0o644, durable: bool = True, group: str = ""
) -> None:
    """Replace the content of `path`, with bytes or with chunks as they come.

    Readers, and a machine after a power cut, see all of it or none.

    `durable=False` leaves out fsync, for what does not outlive a reboot. The file is given to `group` where that is
    there and the caller may. Denied or HostError when it fails.
    """
    beside = path.with_name(f".{path.name}.{os.urandom(4).hex()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines([data] if isinstance(data, bytes) else data)
                file.flush()
                if group:
                    with suppress(KeyError, PermissionError):
                        os.fchown(file.fileno(), -1, grp.getgrnam(group).gr_gid)
                if durable:
                    os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)
    except PermissionError as error:
        raise Denied("write a file", str(error), where=str(path), remedy="sudo") from error
    except OSError as error:
        raise HostError("write a file", str(error), where=str(path)) from error


def remove_unfinished(folder: Path) -> None:
    """Remove what an interrupted `write_atomic` left in `folder`. Call when nobody writes there."""
    try:
        for file in folder.glob(".*"):
            file.unlink()
    except OSError as error:
        raise HostError("remove a file", str(error), where=str(folder)) from error


def replace_link(link: Path, target: str) -> None:
    """Point the symbolic link at `target` with one rename, and make that durable."""
    beside = link.with_name(f".{link.name}.{os.urandom(4).hex()}")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        beside.symlink_to(target)
        beside.replace(link)
        sync_folder(link.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise HostError("swap a link", str(error), where=str(link)) from error


def read_bounded(path: Path, *, max_bytes: int) -> bytes:
    """The content of a regular file, at most `max_bytes` + 1 bytes of it, so that a caller can tell it was longer.

    Follows no link in the last place and never blocks on a pipe. OSError when it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is not a regular file")
        return file.read(max_bytes + 1)


def ownership_problem(path: Path, *, below: Path) -> Problem | None:
    """Why `path` cannot be trusted to hold what the machine's owner wrote, or None when it can.

    It and each folder between it and `below` must belong to the owner of `below`, which is root for a real /etc, and
    nobody else may write there. None also for what is not there, or not to be seen by the caller.
    """
    try:
        trusted = below.stat().st_uid
    except OSError:
        return None
    for place in (path, *path.parents):
        if place == below:
            break
        try:
            info = place.stat(follow_symlinks=place != path)
        except OSError:
            continue
        what = f"go by {path}"
        if info.st_uid != trusted:
            who = "root" if trusted == 0 else str(trusted)
            return Problem(what, f"it belongs to user {info.st_uid}, not to {who}", str(place), f"chown {who} {place}")
        if stat.S_IMODE(info.st_mode) & 0o022 and not stat.S_ISLNK(info.st_mode):
            return Problem(what, "others than its owner may write there", str(place), f"chmod go-w {place}")
    return None


def folder_entries(folder: Path, *, hard_links: bool = True) -> list[Entry]:
    """Every file and folder below `folder`, sorted; InputError naming all that a module may not hold.

    Refused are links, devices, sockets, pipes, setuid and setgid files, names that are not plain text, and a
    folder beyond the bounds above. Without `hard_links` so are files that have another name somewhere.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []

    def refuse(path: str, why: str, remedy: str = "") -> None:
        if len(problems) < 50:
            problems.append(Problem("take the folder as a module", why, path, remedy))

    try:
        _walk(folder, "", 0, entries, refuse, 2**63 if hard_links else 1)
    except PermissionError as error:
        raise Denied("read the folder", str(error), where=str(folder), remedy="sudo") from error
    except OSError as error:
        raise HostError("read the folder", str(error), where=str(folder)) from error
    total_bytes = sum(entry.size_bytes for entry in entries)
    if total_bytes > FOLDER_MAX_BYTES:
        refuse(str(folder), f"its files have {total_bytes} bytes, more than {FOLDER_MAX_BYTES}")
    if problems:
        raise InputError.of(problems)
    return sorted(entries)


def _walk(
    folder: Path,
    prefix: str,
    depth: int,
    entries: list[Entry],
    refuse: Callable[[str, str, str], None],
    names_max: int,
) -> None:
    if depth > FOLDER_MAX_DEPTH:
        refuse(str(folder), f"it is nested deeper than {FOLDER_MAX_DEPTH} folders", "")
        return
    for found in os.scandir(folder):
        if len(entries) >= FOLDER_MAX_ENTRIES:
            refuse(str(folder), f"it holds more than {FOLDER_MAX_ENTRIES} files and folders", "")
            return
        if found.name in NEVER_STAGED:
            continue
        path = f"{prefix}{found.name}"
        if not found.name.isprintable() or "\\" in found.name:
            refuse(f"{folder}/{found.name!r}", "the name is not plain text", "")
            continue
        info = found.stat(follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            entries.append(Entry(path, True, 0, False))
            _walk(Path(found.path), f"{path}/", depth + 1, entries, refuse, names_max)
        elif not stat.S_ISREG(info.st_mode):
            refuse(found.path, "it is a link, a device, a socket or a pipe", "a regular file in its place")
        elif info.st_mode & (stat.S_ISUID | stat.S_ISGID):
            refuse(found.path, "it is setuid or setgid", "chmod ug-s")
        elif info.st_nlink > names_max:
            refuse(found.path, "it is a hard link: what it holds has another name elsewhere", "a file of its own")
        else:
            entries.append(Entry(path, False, info.st_size, bool(info.st_mode & 0o111)))


def remove_tree(path: Path) -> None:
    """Remove a folder and all below it, following no link; nothing happens when it is not there."""
    try:
        if not os.path.lexists(path):
            return  # on a file system that is read-only to us, unlink(2) fails also for what is not there
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
            return
        for folder, folders, files in os.walk(path, topdown=False):
            for name in files:
                Path(folder, name).unlink()
            for name in folders:
                below = Path(folder, name)
                if below.is_symlink():
                    below.unlink()
                else:
                    below.rmdir()
        path.rmdir()
    except PermissionError as error:
        raise Denied("remove a folder", str(error), where=str(path), remedy="sudo") from error
    except OSError as error:
        raise HostError("remove a folder", str(error), where=str(path)) from error


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[int]:
    """Hold the lock file while the body runs (flock(2): the lock ends with its process). Gives the open file, which a
    child may be given to hold the lock as long as it runs.

    Waits for another holder; with `wait=False` raises Refused instead. Denied when the caller may not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        raise Denied("change modules", str(error), where=str(path), remedy="sudo") from error
    except OSError as error:
        raise HostError("take the lock", str(error), where=str(path)) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise Refused("take the lock", "another command holds it", where=str(path)) from error
        yield handle
    finally:
        os.close(handle)
