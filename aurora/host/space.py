"""What is mounted where, and what it holds. On the path of `auroractl status`: it imports little."""

from __future__ import annotations

import os

from aurora.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Space", "is_mounted", "space_of"]


class Space(Value):
    """What a mounted volume holds."""

    used_bytes: int
    free_bytes: int
    read_only: bool
    """Also where it was mounted to be written to, and the kernel found it damaged or could not write."""


def is_mounted(place: str | Path) -> bool:
    """Whether something is mounted on `place`, as this process sees it; False where it may not look."""
    return os.path.ismount(place)


def space_of(place: str | Path) -> Space | None:
    """What the volume that is mounted on `place` holds; None where none is, or this process may not look."""
    if not is_mounted(place):
        return None
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return Space(
        (found.f_blocks - found.f_bfree) * found.f_frsize,
        found.f_bavail * found.f_frsize,
        bool(found.f_flag & os.ST_RDONLY),
    )
