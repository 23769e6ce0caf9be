"""The command lines of tests/vm/run and tests/vm/chroot."""

from __future__ import annotations

import argparse
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from tests.vm import chroot, debiandir, flavours, hostpackages, kept, layer
from tests.vm.errors import RigError
from tests.vm.image import Image, image
from tests.vm.machine import Machine
from tests.vm.package import Packages, packages
from tests.vm.progress import say

EXIT_RIG = 125
"""The rig itself failed: COMMAND did not run, or did not end. podman and timeout use it alike."""


def run_main(arguments: Sequence[str]) -> int:
    """tests/vm/run."""
    options, command = _split(arguments)
    parser = _run_parser()
    chosen = parser.parse_args(options)
    if not (command or chosen.shell or chosen.stop or chosen.build):
        parser.error("no COMMAND given; put it after --")
    return guarded(lambda: _run(chosen, " ".join(command)))


def chroot_main(arguments: Sequence[str]) -> int:
    """tests/vm/chroot."""
    options, command = _split(arguments)
    parser = argparse.ArgumentParser(
        prog="tests/vm/chroot",
        usage="%(prog)s [--rw] -- COMMAND…",
        description="Run COMMAND in a Debian 13 tree that has all that building and testing needs. "
        "The checkout is its /src, and the current directory.",
    )
    parser.add_argument("--rw", action="store_true", help="let COMMAND change the checkout")
    chosen = parser.parse_args(options)
    if not command:
        parser.error("no COMMAND given; put it after --")
    return guarded(lambda: chroot.run(command, writable=chosen.rw))


def guarded(action: Callable[[], int]) -> int:
    """`action`'s status; a RigError is printed and becomes EXIT_RIG. A signal ends what was started first."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit_on_signal)
    try:
        return action()
    except RigError as error:
        say(f"{error}")
        return EXIT_RIG
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _exit_on_signal(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    words = list(arguments)
    if "--" not in words:
        return words, []
    at = words.index("--")
    return words[:at], words[at + 1 :]


def _run_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests/vm/run",
        usage="%(prog)s [options] -- COMMAND…",
        description="Run COMMAND as root in a Debian 13 virtual machine with this tree's package installed, "
        f"and end with its status ({EXIT_RIG} if the rig itself fails). Stdin, stdout, stderr are COMMAND's.",
    )
    parser.add_argument("--share", type=Path, metavar="DIR", help="first copy DIR to /mnt/share there, afresh")
    parser.add_argument("--keep", action="store_true", help="leave the machine running for the next call")
    parser.add_argument("--stop", action="store_true", help="end the kept machine, and nothing else")
    parser.add_argument("--shell", action="store_true", help="open a shell there instead of running COMMAND")
    parser.add_argument("--build", action="store_true", help="build and print the packages, and nothing else")
    parser.add_argument(
        "--image", default="default", metavar="NAME", help=f"kind of machine: {', '.join(flavours.FLAVOURS)}"
    )
    parser.add_argument(
        "--power-cut-after",
        type=float,
        metavar="SECONDS",
        help="take the power away that long after COMMAND's start, or at its end if earlier, "
        "and boot again; the status is 0 if it came up",
    )
    parser.add_argument("--fresh-boot", action="store_true", help="really boot a machine that is not kept")
    parser.add_argument("--name", default="default", help="of the kept machine, when several are wanted")
    parser.add_argument("--no-deb", action="store_true", help="a bare Debian, without this tree's package")
    parser.add_argument("--source", type=Path, default=debiandir.CHECKOUT, metavar="DIR", help="instead of this tree")
    return parser


def _run(chosen: argparse.Namespace, command: str) -> int:
    if chosen.stop:
        say(f"vm {chosen.name}: {'ended' if kept.stop(chosen.name) else 'none was running'}")
        return 0
    hostpackages.ensure_packages()
    source = chosen.source.resolve()
    flavour = flavours.flavour(chosen.image)
    built = None if chosen.no_deb else packages(source)
    if chosen.build:
        sys.stdout.writelines(f"{deb}\n" for deb in built.debs) if built else None
        return 0
    with _machine(image(flavour, source), built, chosen) as machine:
        if chosen.share is not None:
            machine.share(chosen.share)
        if chosen.shell:
            return machine.shell()
        if chosen.power_cut_after is not None:
            return _run_and_cut(machine, command, chosen.power_cut_after)
        return _run_to_end(machine, command)


@contextlib.contextmanager
def _machine(base: Image, built: Packages | None, chosen: argparse.Namespace) -> Iterator[Machine]:
    """The kept machine if one is wanted or runs, else a throw-away one."""
    if chosen.keep or kept.running(chosen.name, base):
        yield kept.ensure(chosen.name, base, built)
        return
    if chosen.fresh_boot or chosen.power_cut_after is not None:
        with layer.throw_away(base, built) as machine:
            machine.boot()
            yield machine
        return
    with layer.ready(base, built) as machine:
        yield machine


def _run_to_end(machine: Machine, command: str) -> int:
    process = machine.stream(command)
    status = _wait(process)
    machine.check_line(command, status)
    return status


def _run_and_cut(machine: Machine, command: str, after_sec: float) -> int:
    process = machine.stream(command)
    started = time.monotonic()
    try:
        status = process.wait(after_sec)
        elapsed_sec = time.monotonic() - started
        when = f"at the command's end, {elapsed_sec:.1f} s after its start (its status was {status})"
    except subprocess.TimeoutExpired:
        when = f"{time.monotonic() - started:.1f} s after the command's start"
    machine.cut()
    say(f"vm: power cut {when}")
    process.wait()
    started = time.monotonic()
    machine.boot("booting after the power cut")
    say(f"vm: up again after {time.monotonic() - started:.0f} s")
    return 0


def _wait(process: subprocess.Popen[bytes]) -> int:
    try:
        status = process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise
    return 128 - status if status < 0 else status
