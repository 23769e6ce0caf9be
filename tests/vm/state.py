"""Machines that have already booted, saved with their memory: resuming one takes 4 s where a boot takes 20.

For work that does not care how the machine came up. Tests of booting, rebooting and power cuts really boot.
A resumed machine has the random state of its twins, and its clock is set by us.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.vm import accel, cache
from tests.vm.disk import chain, overlay
from tests.vm.image import Image
from tests.vm.machine import Machine, closing
from tests.vm.progress import step


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A machine that stands still just after it has booted."""

    disk: Path
    """To be laid over."""
    memory: Path
    """What QEMU reads to go on."""


def booted(image: Image, backing: Path) -> Saved:
    """A machine of `image` that has booted from a disk laid over `backing`; made when the cache has none."""

    def build(directory: Path) -> None:
        overlay(backing, directory / "disk.qcow2")
        with (
            step("vm: saving a machine that has booted"),
            closing(Machine(image, directory)) as machine,
        ):
            machine.boot()
            machine.run("journalctl --sync; sync")
            machine.save(directory / "memory")

    version = subprocess.run(["qemu-system-x86_64", "--version"], check=True, capture_output=True, text=True).stdout
    recipe = [
        image.key,
        [cache.identity(entry) for entry in chain(backing)],
        version,
        accel.accelerator(image.kernel, image.initrd),
        cache.source_digest("qemu.py"),
    ]
    directory = cache.entry("state", cache.key_of(recipe), build)
    return Saved(disk=directory / "disk.qcow2", memory=directory / "memory")
