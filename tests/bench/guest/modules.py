"""The modules that are measured: minimal programs, so that what is timed is the supervising.

Installed once, in one process: `auroractl install --no-start` does the same, a Python start-up each time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.guest.tools import WORK, Failed, run, stop_units

RESTART_DELAY_SEC = 0.2


class Kind(NamedTuple):
    """A kind of module."""

    name: str
    file: str
    program: str
    readiness: str


EXEC = Kind("exec", "run.sh", "#!/bin/sh\nexec sleep infinity\n", "exec")
NOTIFY = Kind(
    "notify",
    "run.py",
    "import os, signal, socket\n"
    "with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:\n"
    "    speaker.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])\n"
    "signal.pause()\n",
    "notify",
)

_MANIFEST = """\
[module]
name = "{name}"
version = "1"
entry = "{kind.file}"
[start]
readiness = "{kind.readiness}"
timeout = "10min"
[restart]
policy = "always"
delay = "{delay_ms}ms"
steps = 0
"""

_INSTALL = """\
import sys
from pathlib import Path
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.install import install_folder
systemd = connect()
for folder in sys.argv[1:]:
    install_folder(Paths(), systemd, Path(folder), start=False)
"""

_KERNEL = Path("/sys/kernel/security/apparmor")


def names(kind: Kind, count: int) -> list[str]:
    """The names of the first `count` modules of a kind."""
    return [f"{kind.name}{number:03}" for number in range(1, count + 1)]


def unit(name: str) -> str:
    """The unit of a module."""
    return f"aurora@{name}.service"


def slice_of(name: str) -> str:
    """The slice of a module, whose stop makes systemd forget the unit. Names here have no hyphen."""
    return f"aurora-{name}.slice"


def install(kind: Kind, wanted: Sequence[str]) -> None:
    """Install those of the modules that are not, without starting them."""
    folders = []
    for name in wanted:
        if Path("/var/lib/aurora-core/records", name).exists():
            continue  # again would mean another slot, so another plan than that of its neighbours
        folder = WORK / "modules" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / kind.file).write_text(kind.program)
        text = _MANIFEST.format(name=name, kind=kind, delay_ms=int(RESTART_DELAY_SEC * 1000))
        (folder / "module.toml").write_text(text)
        folders.append(str(folder))
    if folders:
        run(["python3", "-c", _INSTALL, *folders])


def forget(wanted: Sequence[str]) -> None:
    """Stop modules and make systemd forget their units; profiles stay in the kernel."""
    stop_units([slice_of(name) for name in wanted])


def unload(wanted: Sequence[str]) -> None:
    """Take the profiles out of the kernel and empty /run, as a reboot does. None of the modules may run."""
    for name in _loaded() & {f"aurora.{name}" for name in wanted}:
        (_KERNEL / ".remove").write_bytes(name.encode())
    for folder in Path("/run/aurora").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)


def drop_compiled() -> None:
    """Remove everything compiled, as it is right after the core's own installation."""
    for entry in Path("/var/cache/aurora-core").iterdir():
        shutil.rmtree(entry)


def ensure_loaded(wanted: Sequence[str]) -> None:
    """Make sure that the kernel has the modules' profiles, and auroractl knows that it has."""
    missing = [name for name in wanted if f"aurora.{name}" not in _loaded()]
    if missing:
        try:
            run(["auroractl", "start", *missing])
        finally:
            forget(missing)


def _loaded() -> set[str]:
    return {line.rpartition(" (")[0] for line in (_KERNEL / "profiles").read_text().splitlines()}


def must_be_up(units: Sequence[str]) -> None:
    """Failed unless all these units are active."""
    states = run(["systemctl", "show", "--property=ActiveState", "--value", *units]).split()
    if states != ["active"] * len(units):
        raise Failed(f"of {len(units)} units only {states.count('active')} are active")


def floor_unit(name: str) -> str:
    """The bare unit beside a module."""
    return f"floor-{name}.service"


def write_floor(wanted: Sequence[str]) -> None:
    """Write the plan's own text as unit files of other names, and let systemd read them.

    One plan is printed and carries the others: they differ in nothing but the name, which the last one proves.
    """
    first, last = wanted[0], wanted[-1]
    text = run(["auroractl", "plan", first, "--unit"])
    if run(["auroractl", "plan", last, "--unit"]) != text.replace(first, last):
        raise Failed("two plans differ in more than their name")
    for name in wanted:
        Path("/run/systemd/system", floor_unit(name)).write_text(text.replace(first, name))
    run(["systemctl", "daemon-reload"])
