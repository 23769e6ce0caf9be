"""Slots, looked into and mended through open folders: no link is followed below the folder of all modules.

What is there may be anything: a dying card gives other bytes, errors, or an inode that is now a link out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from aurora.host.files import COPY_CHUNK_BYTES, NEVER_STAGED, descended
from aurora.plan.inventory import Found, Item, Kind

__all__ = ["EXTRA_MAX", "SCRATCH", "Mender", "Seen", "look", "open_folder", "own_folder"]

EXTRA_MAX = 200
"""More files that were not staged are not named, and not removed by one repair."""
SCRATCH = ".repair"
"""Beside a module's slots: where a file is written until it is whole. Swept with all else that is no slot."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {stat.S_IFREG: Kind.FILE, stat.S_IFDIR: Kind.FOLDER, stat.S_IFLNK: Kind.LINK}


class Seen(NamedTuple):
    """What stands in a slot."""

    found: dict[str, Found]
    """By path, of the items asked for; one that is not there is not in it."""
    extra: tuple[str, ...]
    """What nobody asked for, at most EXTRA_MAX; a folder without what is in it."""


@contextmanager
def open_folder(base: Path, *names: str) -> Iterator[int]:
    """The folder `names` below `base`; only `base` may be reached through links. OSError when it cannot be opened."""
    top = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with descended(top, names) as here:
            yield here
    finally:
        os.close(top)


def own_folder(base: Path, name: str) -> None:
    """Have a folder of that name below `base`, and nothing else, such as a link out, in its place. OSError."""
    with open_folder(base) as here:
        if _own(here, name, 0o755):
            os.fsync(here)


def _own(here: int, name: str, mode: int) -> bool:
    """Have a folder there; whether it is new."""
    state = _stat(here, name)
    if state is not None and state.kind is Kind.FOLDER:
        return False
    if state is not None:
        os.unlink(name, dir_fd=here)
    os.mkdir(name, mode, dir_fd=here)
    return True


def look(top: int, slot: str, items: Sequence[Item], *, read: Collection[str] | None, extra: bool) -> Seen:
    """What stands where `items` stood in `slot` of the open folder `top`; with `extra` also what else is there.

    Files named in `read` are read, all where that is None: from the disk, not from what memory kept of them, as far as
    the kernel lets go of that (POSIX_FADV_DONTNEED). Never fails: what cannot be read is found so.
    """
    found: dict[str, Found] = {}
    more: list[str] = []
    children: dict[str, list[Item]] = {}
    for item in items:
        children.setdefault(item.path.rpartition("/")[0], []).append(item)

    def folder(here: int, name: str, path: str) -> None:
        state = _stat(here, name)
        if state is None:
            return
        found[path] = state
        if state.kind is not Kind.FOLDER:
            return
        try:
            below = os.open(name, _FOLDER, dir_fd=here)
        except OSError as error:
            found[path] = state._replace(unreadable=_words(error))
            return
        try:
            inside(below, path)
        finally:
            os.close(below)

    def inside(here: int, path: str) -> None:
        wanted = children.get(path, [])
        for item in wanted:
            name = item.path.rpartition("/")[2]
            if item.is_folder:
                folder(here, name, item.path)
            elif (state := _file(here, name, item, read=read is None or item.path in read)) is not None:
                found[item.path] = state
        if extra:
            known = {item.path.rpartition("/")[2] for item in wanted}
            more.extend(_others(here, path, known, EXTRA_MAX - len(more)))

    folder(top, slot, "")
    return Seen(found, tuple(sorted(more)))


def _others(here: int, path: str, known: Collection[str], count: int) -> Iterator[str]:
    try:
        with os.scandir(here) as entries:
            for entry in entries:
                if count <= 0:
                    return
                if entry.name not in known and entry.name not in NEVER_STAGED:
                    count -= 1
                    yield f"{path}/{entry.name}" if path else entry.name
    except OSError:
        return  # what cannot be listed shows in what cannot be opened


def _stat(here: int, name: str) -> Found | None:
    try:
        info = os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Found(Kind.OTHER, 0, unreadable=_words(error))
    return Found(_KINDS.get(stat.S_IFMT(info.st_mode), Kind.OTHER), stat.S_IMODE(info.st_mode), info.st_size)


def _file(here: int, name: str, item: Item, *, read: bool) -> Found | None:
    state = _stat(here, name)
    if state is None or state.kind is not Kind.FILE or state.size_bytes != item.size_bytes or not read:
        return state
    try:
        handle = os.open(name, _FILE, dir_fd=here)
        try:
            with suppress(OSError):
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            digest = hashlib.sha256()
            while chunk := os.read(handle, COPY_CHUNK_BYTES):
                digest.update(chunk)
        finally:
            os.close(handle)
    except OSError as error:
        return state._replace(unreadable=_words(error))
    return state._replace(sha256=digest.hexdigest())


def _words(error: OSError) -> str:
    return error.strerror or str(error)


class Mender:
    """Mends one slot of the module whose folder is open as `top`. OSError when the disk does not take it.

    Each place is mended by one rename, or one change of its mode: a power cut leaves it as it was or mended. Call
    `close` at the end: it makes the renames durable.
    """

    def __init__(self, top: int, slot: str) -> None:
        self._top = top
        self._slot = slot
        self._touched: set[str] = set()
        """Folders of the slot in which names were changed."""
        _own(top, SCRATCH, 0o700)
        self._scratch = os.open(SCRATCH, _FOLDER, dir_fd=top)

    def close(self) -> None:
        """Make what was done durable, and take the scratch folder away."""
        try:
            for path in sorted(self._touched):
                with self._folder(path) as handle:
                    os.fsync(handle)
            os.fsync(self._top)
        finally:
            os.close(self._scratch)
        shutil.rmtree(SCRATCH, dir_fd=self._top)

    def file(self, source: Path, names: Sequence[str], item: Item) -> bool:
        """Put the file of `item` there as it stands in the folder `names` below `source`; False when that is not it."""
        *folders, name = item.path.split("/")
        try:
            with open_folder(source, *names, *folders) as there:
                handle = os.open(name, _FILE, dir_fd=there)
        except OSError:
            return False
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode) or not self._copied(handle, item):
                return False
        finally:
            os.close(handle)
        with self._parent(item.path) as (here, name):
            self._clear(here, name, folder=False)
            os.replace("file", name, src_dir_fd=self._scratch, dst_dir_fd=here)
        return True

    def _copied(self, source: int, item: Item) -> bool:
        """Whether the open file is the item; it is whole and durable in the scratch folder then."""
        with suppress(FileNotFoundError):
            os.unlink("file", dir_fd=self._scratch)
        target = os.open("file", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=self._scratch)
        try:
            digest, left_bytes = hashlib.sha256(), item.size_bytes
            while chunk := _read(source):
                left_bytes -= len(chunk)
                if left_bytes < 0:
                    return False
                digest.update(chunk)
                view = memoryview(chunk)
                while view:
                    view = view[os.write(target, view) :]
            if left_bytes or digest.hexdigest() != item.sha256:
                return False
            os.fchmod(target, item.mode)
            os.fsync(target)
        finally:
            os.close(target)
        return True

    def folder(self, item: Item) -> None:
        """Have a folder there, as it was staged, and nothing else in its place."""
        with self._parent(item.path) as (here, name):
            self._clear(here, name, folder=True)
            with suppress(FileExistsError):
                os.mkdir(name, item.mode, dir_fd=here)
            handle = os.open(name, _FOLDER, dir_fd=here)
        _set_mode(handle, item.mode)

    def mode(self, item: Item) -> None:
        """Give a file its mode."""
        with self._parent(item.path) as (here, name):
            handle = os.open(name, _FILE, dir_fd=here)
        _set_mode(handle, item.mode)

    def drop(self, path: str) -> None:
        """Take away what was not staged, following no link."""
        with self._parent(path) as (here, name):
            state = _stat(here, name)
            if state is not None:
                _remove(here, name, state.kind)

    def _clear(self, here: int, name: str, *, folder: bool) -> None:
        """Take away what a rename or a mkdir cannot replace."""
        state = _stat(here, name)
        if state is not None and (state.kind is Kind.FOLDER) is not folder:
            _remove(here, name, state.kind)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        if not path:
            yield self._top, self._slot
            return
        folder, _, name = path.rpartition("/")
        self._touched.add(folder)
        with self._folder(folder) as here:
            yield here, name

    def _folder(self, path: str) -> AbstractContextManager[int]:
        return descended(self._top, [self._slot, *(path.split("/") if path else ())])


def _set_mode(handle: int, mode: int) -> None:
    """Durably; the handle is closed."""
    try:
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(here: int, name: str, kind: Kind) -> None:
    if kind is Kind.FOLDER:
        shutil.rmtree(name, dir_fd=here)
    else:
        os.unlink(name, dir_fd=here)


def _read(source: int) -> bytes:
    """The next piece; nothing where the source is damaged as well."""
    try:
        return os.read(source, COPY_CHUNK_BYTES)
    except OSError:
        return b""
