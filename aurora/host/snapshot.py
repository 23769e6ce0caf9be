"""A copy of a folder and all that is in it, and back: by cp(1), which shares blocks where the file system can.

Owners, modes, times, links, holes and extended attributes are copied along. What is copied must not be written to
meanwhile.
"""

from __future__ import annotations

import os
from pathlib import Path

from aurora.errors import HostError
from aurora.host.files import remove_tree, sync_folder
from aurora.host.process import run

__all__ = ["fill_from", "free_bytes", "take_copy"]

_COPY_TIMEOUT_SEC = 6 * 3600.0


def free_bytes(folder: Path) -> int:
    """What root can still write on the file system of `folder`; HostError when that cannot be told."""
    try:
        found = os.statvfs(folder)
    except OSError as error:
        raise HostError("look at a disk", str(error), where=str(folder)) from error
    return found.f_bfree * found.f_frsize


def take_copy(folder: Path, copy: Path, *, lock: int) -> None:
    """Have in `copy` what is in `folder`, nothing where that is not there: whole, and on disk, from one moment on.

    Interrupted, or with a HostError, `copy` is not there. What was there under that name is gone. `lock` is a file that
    the caller holds locked: cp holds it on, should the caller be killed.
    """
    beside = copy.with_name(f".{copy.name}.new")
    for old in (beside, copy):
        remove_tree(old)
    try:
        # What is below is as private as it was: it has the modes of what was copied.
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.mkdir(mode=0o700)
        if folder.is_dir():
            _copy(folder, beside, lock)
        beside.rename(copy)
        for place in copy.parents[:3]:  # the first two may be new
            sync_folder(place)
    except OSError as error:
        raise HostError("copy a folder", str(error), where=str(folder)) from error
    finally:
        remove_tree(beside)


def fill_from(copy: Path, folder: Path, *, lock: int) -> None:
    """Have in `folder` what is in `copy` and nothing else, on disk when this returns. Done again, it is the same.

    Interrupted, `folder` holds a part. HostError when it cannot be done. `lock` is as for `take_copy`.
    """
    try:
        here = list(folder.iterdir()) if folder.is_dir() else []
        for found in here:
            remove_tree(found)
        filled = any(copy.iterdir())
    except OSError as error:
        raise HostError("put a folder back", str(error), where=str(folder)) from error
    if filled:
        _copy(copy, folder, lock)
    elif here:
        _sync(folder)


def _copy(source: Path, target: Path, lock: int) -> None:
    """What is in `source` into `target`, which is made if it is not there, and all of it to disk."""
    argv = ["cp", "-a", "--reflink=auto", "-T", "--", str(source), str(target)]
    run(argv, timeout_sec=_COPY_TIMEOUT_SEC, keeps=[lock])
    _sync(target)


def _sync(folder: Path) -> None:
    run(["sync", "-f", "--", str(folder)], timeout_sec=_COPY_TIMEOUT_SEC)
