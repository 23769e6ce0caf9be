"""Running commands, timing them, and reading the kernel's figures."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

WORK = Path("/var/tmp/bench")
"""Everything that the benchmark writes is below it, but for units in /run/systemd/system."""

_NOT_LOADED_STATUS = 5  # systemctl(1), of a unit that is not loaded


class Failed(Exception):
    """Something did not do what is to be measured; the message has its own words."""


def say(text: str) -> None:
    """One line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(argv: Sequence[str], *, timeout_sec: float = 900) -> str:
    """Run to the end; its output, or Failed with the end of what it said."""
    try:
        done = subprocess.run(
            argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_sec
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(str(error)) from error
    if done.returncode != 0:
        words = (done.stdout + done.stderr).strip()
        raise Failed(f"{' '.join(argv[:4])} ended with {done.returncode}: {words[-600:]}")
    return done.stdout


def stop_units(units: Sequence[str]) -> None:
    """Stop units; those that systemd does not know are stopped already."""
    done = subprocess.run(["systemctl", "stop", *units], check=False, capture_output=True, text=True)
    if done.returncode not in (0, _NOT_LOADED_STATUS):
        raise Failed(f"systemctl stop ended with {done.returncode}: {done.stderr.strip()[-600:]}")


def cpu_sec(argv: Sequence[str]) -> float:
    """The CPU time, user and system, that a command and all its children took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(os.devnull, "r+b") as null:  # noqa: PTH123  # a device
        actions = [(os.POSIX_SPAWN_DUP2, null.fileno(), number) for number in (0, 1, 2)]
        pid = os.posix_spawnp(argv[0], list(argv), os.environ, file_actions=actions)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if status != 0:
        raise Failed(f"{' '.join(argv)} ended with {status}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wait_until(holds: Callable[[], bool], what: str, deadline_sec: float = 120) -> None:
    """Look every 50 ms until it holds; Failed after the deadline. For what gives no signal; never timed."""
    deadline = time.monotonic() + deadline_sec
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"{what} did not happen within {deadline_sec:g} s")
        time.sleep(0.05)


def pss_kib(pid: int) -> int:
    """Resident memory of a process, what it shares divided by those who share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise Failed(f"process {pid} has no Pss")


def processes() -> list[int]:
    """All process numbers."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208  # names are all we want


def comm(pid: int) -> str:
    """The name of a process' program; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def unit_property(unit: str, name: str) -> str:
    """One property of a unit, as systemctl prints it."""
    return run(["systemctl", "show", f"--property={name}", "--value", unit]).strip()
