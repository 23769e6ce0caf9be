"""A full disk, played: from one chosen call on that needs room, none of them finds any."""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NEEDS_ROOM = ("fsync", "link", "mkdir", "rename", "replace", "symlink", "write")
"""Beside opening a file for writing. A directory may need another block for a name; what was written may find its room
only when it is made durable.
"""


class Disk:
    """Counts calls that need room on the disk, and has none left from the chosen one on."""

    def __init__(self, at: int, below: str) -> None:
        self.at = at
        self._below = below
        self.calls: list[str] = []

    @property
    def was_full(self) -> bool:
        """Whether a call found no room."""
        return len(self.calls) > self.at

    def __call__(self, name: str, place: object) -> None:
        path = _path(place)
        if not path.startswith(self._below) or path.startswith(f"{self._below}/run/"):
            return  # another disk, or memory
        self.calls.append(name)
        if self.was_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))


def _path(place: Any) -> str:
    """Of a path or a handle, as os takes them."""
    return str(Path(f"/proc/self/fd/{place}").readlink()) if isinstance(place, int) else os.fsdecode(place)


def _guarded(disk: Disk, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **more: Any) -> Any:
        # The name that is made: of links and renames the second.
        place = args[1] if name in ("link", "rename", "replace", "symlink") else args[0]
        folder = more.get("dst_dir_fd", more.get("dir_fd"))
        # A folder that is there already is told to be there, whatever the room.
        if name != "mkdir" or folder is not None or not os.path.lexists(place):
            disk(f"os.{name}", place if folder is None else folder)
        return real(*args, **more)

    return call


def _os_open(disk: Disk, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(path: Any, flags: int, *args: Any, **more: Any) -> Any:
        if flags & os.O_CREAT:
            folder = more.get("dir_fd")
            disk("os.open", path if folder is None else folder)
        return real(path, flags, *args, **more)

    return call


def _open(disk: Disk, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if set(mode) & set("wax+"):
            disk("open", file)
        return real(file, mode, *args, **more)

    return call


@contextmanager
def full_from(at: int, *, below: str) -> Iterator[Disk]:
    """Run the body; from its call number `at` that needs room on, there is none below the root `below` until it ends.

    Its /run is in memory, and has room.
    """
    disk = Disk(at, below)
    with pytest.MonkeyPatch.context() as patch:
        for name in NEEDS_ROOM:
            patch.setattr(os, name, _guarded(disk, name, getattr(os, name)))
        patch.setattr(os, "open", _os_open(disk, os.open))
        patch.setattr(io, "open", _open(disk, io.open))
        patch.setattr(builtins, "open", _open(disk, builtins.open))
        yield disk
