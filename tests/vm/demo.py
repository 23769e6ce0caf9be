"""`make demo`: what it does, shown in a virtual machine, phase by phase."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence

from tests.vm import cli, debiandir, flavours, hostpackages, layer
from tests.vm.errors import CommandFailed
from tests.vm.image import image
from tests.vm.machine import Machine
from tests.vm.package import packages
from tests.vm.scenes import SCENES, SHOWN, Scene


class Stage:
    """Numbers the phases and prints what happens in them."""

    def __init__(self) -> None:
        self._number = 0
        self._started = time.monotonic()

    @contextlib.contextmanager
    def phase(self, title: str, why: str) -> Iterator[None]:
        """One phase: its title, what it is to show, what the body prints, and how long it took."""
        self._number += 1
        print(f"\n{self._number}. {title}\n   {why}\n", flush=True)
        started = time.monotonic()
        yield
        print(f"\n   ({time.monotonic() - started:.1f} s)", flush=True)

    def command(self, machine: Machine, command: str) -> None:
        """Type `command` in the machine, for all to see; CommandFailed unless it succeeds."""
        print(f"   # {command}", flush=True)
        line = machine.line.remote(f"exec 2>&1\n{command}")
        with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            for said in process.stdout or ():
                print(f"   {said}", end="", flush=True)
        if process.returncode != 0:
            raise CommandFailed(f"show `{command}`", f"it ended with status {process.returncode}")

    def end(self) -> None:
        """The last line."""
        print(f"\n{self._number} phases in {time.monotonic() - self._started:.0f} s", flush=True)


def main(arguments: Sequence[str]) -> int:
    """tests/vm/demo."""
    del arguments
    return cli.guarded(_show)


def _show() -> int:
    hostpackages.ensure_packages()
    source = debiandir.CHECKOUT
    stage = Stage()
    with stage.phase("Build", "The Debian package of this tree, and a Debian 13 virtual machine to install it on."):
        built = packages(source)
        base = image(flavours.flavour("default"), source)
        print("   " + ", ".join(deb.name for deb in built.debs))
    with layer.throw_away(base, None) as machine:
        with stage.phase("Boot", "The machine starts from its disk; systemd is PID 1, AppArmor is on."):
            machine.boot()
            stage.command(machine, "uname -sr; systemctl --version | head -1; aa-enabled")
            for deb in built.debs:
                machine.push(deb, f"/var/lib/aurora-test/deb/{deb.name}")
            machine.push(source / "tests/vm/modules", SHOWN)
        for scene in SCENES:
            with stage.phase(scene.title, scene.why):
                play(stage, machine, scene)
    stage.end()
    return 0


def play(stage: Stage, machine: Machine, scene: Scene) -> None:
    """Type the scene's commands; before the second, wait for what it waits for."""
    first, *others = scene.commands
    if not scene.until:
        others, first = [first, *others], ""
    if first:
        stage.command(machine, first)
        machine.wait_until(scene.until, scene.deadline_sec)
    for command in others:
        stage.command(machine, command)
