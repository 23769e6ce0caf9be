"""Machines that outlive the command which booted them, found again by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.vm import cache
from tests.vm.disk import chain, overlay
from tests.vm.errors import RigError
from tests.vm.image import Image
from tests.vm.layer import backing_disk
from tests.vm.machine import Machine, end_in
from tests.vm.package import Packages
from tests.vm.progress import say

_CONTENT = "content.json"
"""In a kept machine's directory once it came up: what it runs."""


def ensure(name: str, image: Image, packages: Packages | None) -> Machine:
    """The kept machine `name`, running `image` with `packages` installed: the one that runs, or a new one.

    One that runs with other packages gets these installed over them; one of another image is ended first.
    Without packages given, whatever is installed stays.
    """
    with cache.locked(f"kept-{name}"):
        machine = _found(name, image)
        if machine is None:
            if _end(name):
                say(f"vm {name}: it ran another image, or never came up; ended it")
            return _start(name, image, packages)
        _bring_up(machine, name)
        _bring_up_to_date(machine, packages)
        return machine


def running(name: str, image: Image) -> bool:
    """Whether the kept machine `name` came up, runs `image`, and is switched on."""
    machine = _found(name, image)
    return machine is not None and machine.alive()


def stop(name: str) -> bool:
    """End the kept machine `name` and remove its disk; whether there was one."""
    with cache.locked(f"kept-{name}"):
        return _end(name)


def directory_of(name: str) -> Path:
    """Where the kept machine `name` lives; it need not exist."""
    if not name.replace("-", "").isalnum():
        raise RigError(f"keep a machine called {name!r}", "its name may have letters, digits and - only")
    return cache.root() / "run" / f"kept-{name}"


def _start(name: str, image: Image, packages: Packages | None) -> Machine:
    base = backing_disk(image, packages)
    directory = directory_of(name)
    directory.mkdir(parents=True)
    machine = Machine(image, directory, kept=True)
    try:
        overlay(base, directory / "disk.qcow2")
        machine.boot(f"booting {name}")
    except BaseException:
        machine.close()
        raise
    _remember(machine, packages.key if packages else "")
    return machine


def _found(name: str, image: Image) -> Machine | None:
    """The kept machine `name`, on or off, if it once came up and the disks below its own are still there."""
    machine = Machine.attach(image, directory_of(name))
    if machine is None:
        return None
    content = _content(machine.directory)
    fits = content.get("image") == image.key and content.get("below", _below(machine)) == _below(machine)
    return machine if fits else None


def _bring_up(machine: Machine, name: str) -> None:
    try:
        if machine.alive():
            machine.reconnect()
            return
    except RigError:
        if machine.alive():
            raise
    machine.boot(f"{name} went off; booting its disk again")


def _bring_up_to_date(machine: Machine, packages: Packages | None) -> None:
    if packages is None or _content(machine.directory).get("packages") == packages.key:
        return
    _remember(machine, "")  # until it is installed whole, it is none we know
    machine.install(packages.debs)
    _remember(machine, packages.key)


def _end(name: str) -> bool:
    directory = directory_of(name)
    if not directory.exists():
        return False
    end_in(directory)
    shutil.rmtree(directory)
    return True


def _content(directory: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((directory / _CONTENT).read_text())
    except FileNotFoundError:
        return {}
    return found


def _remember(machine: Machine, packages_key: str) -> None:
    part = machine.directory / f"{_CONTENT}.part"
    part.write_text(json.dumps({"image": machine.image.key, "below": _below(machine), "packages": packages_key}))
    part.rename(machine.directory / _CONTENT)


def _below(machine: Machine) -> str:
    """Names the disks that the machine's own is laid over; empty when one of them is gone."""
    try:
        return cache.key_of([cache.identity(entry) for entry in chain(machine.disk)[1:]])
    except FileNotFoundError:
        return ""
