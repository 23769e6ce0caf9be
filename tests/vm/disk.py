"""Disks over disks: each machine writes to a qcow2 file of its own, laid over one that others use too."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tests.vm.tools import must


def overlay(backing: Path, target: Path) -> None:
    """A disk at `target` that starts as `backing` and keeps its own changes."""
    # Relative, so that a cache that was moved still works.
    relative = os.path.relpath(backing.resolve(), target.resolve().parent)
    must(
        "lay over a disk",
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", relative, str(target)],
    )


def chain(disk: Path) -> list[Path]:
    """The cache entries that `disk`, a qcow2 file, needs: its own directory, then those of the disks below it."""
    found = [disk.parent]
    with disk.open("rb") as file:
        offset, size = struct.unpack(">8x Q I", file.read(20))  # docs/interop/qcow2.txt: the name of the disk below
        if offset:
            file.seek(offset)
            found += chain((disk.parent / file.read(size).decode()).resolve())
    return found
