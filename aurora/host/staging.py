"""Modules, copied to where they are staged: whole, durable, and without writing what is there already."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from aurora.errors import AuroraError, Denied, HostError
from aurora.host.files import COPY_CHUNK_BYTES, Entry, descended, folder_entries, remove_tree, sync_folder

__all__ = ["SYNC_TOGETHER_MAX", "copy_folder", "sync_together"]

SYNC_TOGETHER_MAX = 64
"""So many files are open at once while they are made durable."""


def copy_folder(
    source: Path, target: Path, *, check: Callable[[Path], object] | None = None, alike: Path | None = None
) -> None:
    """Copy a module to `target`, owned by the caller, read-only for everyone else, and durable; replaces `target`.

    What `folder_entries` refuses is refused before a byte is written. Until the copy is whole and `check` has nothing
    against it nobody else can look into it: one who swaps the folder for another while root copies does not get to
    read that one. When `check` raises, or the copy fails, nothing is left of it. Files that are the same in the folder
    `alike`, an earlier copy on the same disk, get another name instead of being written once more.
    """
    entries = folder_entries(source)
    remove_tree(target)
    try:
        _fill(source, target, entries, alike)
        if check is not None:
            check(target)
        _publish(target, entries)
    except PermissionError as error:
        remove_tree(target)
        raise Denied("stage the module", str(error), where=str(target), remedy="sudo") from error
    except OSError as error:
        remove_tree(target)
        raise HostError("stage the module", str(error), where=str(target)) from error
    except AuroraError:
        remove_tree(target)
        raise


def _fill(source: Path, target: Path, entries: Sequence[Entry], alike: Path | None) -> None:
    written: list[int] = []
    top = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir(mode=0o700)
        for entry in entries:
            place = f"{target}/{entry.path}"  # a Path would cost more than writing a small file
            if entry.is_folder:
                Path(place).mkdir()
                Path(place).chmod(0o755)
            elif alike is None or not _linked(top, entry, alike, place):
                _copy_file(top, entry, place, written)
            if len(written) >= SYNC_TOGETHER_MAX:
                sync_together(written)
        sync_together(written)
    finally:
        os.close(top)
        for handle in written:
            os.close(handle)


def sync_together(written: list[int]) -> None:
    """Make the files of these handles durable and close them: first have all of them written out, then wait for each.

    So the file system commits them together, and each is asked whether it could be written all the same. Memory lets go
    of them (POSIX_FADV_DONTNEED, which also begins to write what is not written yet): whoever compares them with what
    they were copied from reads the disk.
    """
    for handle in written:
        _let_go(handle)
    while written:
        os.fsync(written[-1])
        _let_go(written[-1])
        os.close(written.pop())


def _let_go(handle: int) -> None:
    with suppress(OSError):
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)


def _linked(top: int, entry: Entry, alike: Path, target: str) -> bool:
    """Give a file of `alike` the name `target`, if it is the file that would be copied, byte for byte, on the disk."""
    same = f"{alike}/{entry.path}"
    try:
        with open(_open_below(top, entry.path), "rb") as ours, open(same, "rb", opener=_opened) as theirs:
            info = os.fstat(theirs.fileno())
            mode = 0o755 if entry.executable else 0o644
            if (info.st_size, info.st_mode, info.st_uid) != (entry.size_bytes, stat.S_IFREG | mode, os.geteuid()):
                return False
            _let_go(theirs.fileno())
            while (chunk := ours.read(COPY_CHUNK_BYTES)) == theirs.read(COPY_CHUNK_BYTES):
                if not chunk:
                    os.link(same, target)
                    return True
    except OSError:  # whoever copies it says what is wrong with it
        return False
    return False


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _publish(target: Path, entries: Sequence[Entry]) -> None:
    target.chmod(0o755)
    for entry in entries:
        if entry.is_folder:
            sync_folder(target / entry.path)
    sync_folder(target)
    sync_folder(target.parent)


def _open_below(top: int, path: str) -> int:
    """Open a regular file below the folder `top` for reading, following no link anywhere on the way.

    The folder may belong to a user who swaps a part of it for a link while root copies: that must not make root
    copy a file of its own. OSError when there is a link, or something else than a file.
    """
    *folders, name = path.split("/")
    with descended(top, folders) as here:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(f"{path} is not a regular file any more")
    return file


def _copy_file(top: int, entry: Entry, target: str, written: list[int]) -> None:
    """Copy a file; its handle is added to those that are `written`, to be made durable."""
    mode = 0o755 if entry.executable else 0o644
    left_bytes = entry.size_bytes
    read = _open_below(top, entry.path)
    try:
        write = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        written.append(write)
        while chunk := os.read(read, COPY_CHUNK_BYTES):
            left_bytes -= len(chunk)
            if left_bytes < 0:
                raise OSError(f"{entry.path} grew while it was copied")
            _write_all(write, chunk)
        os.fchmod(write, mode)
    finally:
        os.close(read)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
