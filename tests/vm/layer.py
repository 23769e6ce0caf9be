"""Disks on which a tree's packages are already installed, and the directories of machines."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.vm import cache, state
from tests.vm.disk import overlay
from tests.vm.image import Image
from tests.vm.machine import Machine, closing, end_in
from tests.vm.package import Packages
from tests.vm.progress import step


def installed(image: Image, packages: Packages) -> Path:
    """A disk: `image` with `packages` installed by apt, cleanly switched off; made when not in the cache.

    What is on it depends neither on the kernel's command line nor on a TPM: flavours that differ there alone share it.
    """
    plain = image.plain

    def build(directory: Path) -> None:
        with step(f"vm: preparing a disk of image {plain.flavour.name} with the package"):
            saved = state.booted(plain, plain.disk)
            overlay(saved.disk, directory / "disk.qcow2")
            with closing(Machine(plain, directory)) as machine:
                machine.resume(saved.memory)
                machine.install(packages.debs)
                machine.power_off()

    return cache.entry("layer", cache.key_of([plain.key, packages.key, "resumed"]), build) / "disk.qcow2"


def backing_disk(image: Image, packages: Packages | None) -> Path:
    """The disk that a new machine starts from."""
    return image.disk if packages is None else installed(image, packages)


@contextmanager
def throw_away(image: Image, packages: Packages | None) -> Iterator[Machine]:
    """A machine of its own, not yet switched on, of which nothing is left when the body ends."""
    with _laid_over(backing_disk(image, packages), image) as machine:
        yield machine


@contextmanager
def ready(image: Image, packages: Packages | None) -> Iterator[Machine]:
    """The same, booted some time ago and resumed now: quick, and good for all that is not about booting.

    One with a TPM boots now: what a TPM remembers is its own, and is not saved with the machine's memory.
    """
    if image.flavour.tpm:
        with throw_away(image, packages) as machine:
            machine.boot()
            yield machine
        return
    saved = state.booted(image, backing_disk(image, packages))
    with _laid_over(saved.disk, image) as machine:
        machine.resume(saved.memory)
        yield machine


@contextmanager
def _laid_over(backing: Path, image: Image) -> Iterator[Machine]:
    runs = cache.root() / "run"
    runs.mkdir(exist_ok=True)
    with cache.locked("runs"):
        _sweep(runs)
        directory = Path(tempfile.mkdtemp(prefix=ONCE, dir=runs))
        owner = cache.hold(directory)
    try:
        overlay(backing, directory / "disk.qcow2")
        with closing(Machine(image, directory)) as machine:
            yield machine
    finally:
        os.close(owner)
        shutil.rmtree(directory, ignore_errors=True)


ONCE = "once-"
"""How the directory of a throw-away machine is called."""


def _sweep(runs: Path) -> None:
    """Remove the directories of throw-away machines whose owner was killed."""
    for directory in runs.glob(f"{ONCE}*"):
        if cache.is_free(directory):
            end_in(directory)
            shutil.rmtree(directory, ignore_errors=True)
