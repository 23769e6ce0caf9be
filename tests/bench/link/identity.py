"""The generator as the module `bench`, so that the hub knows it by the kernel and keeps it to its rules.

With systemd it is a transient unit of a module's name. Without, what the hub reads of systemd is made here: a control
group of the same path, and the link that names the unit's run. The file with the rules is `auroractl`'s in both cases.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODULE = "bench"
UNIT = f"aurora@{MODULE}.service"
SLICE = f"aurora-{MODULE}.slice"
RULES = '{"publish":["bench/#"],"subscribe":["bench/#"]}'
GROUPS = Path("/sys/fs/cgroup")
_INVOCATION = "5" * 32
_FILES_MAX = 65536


def has_systemd() -> bool:
    """As of sd_booted(3)."""
    return Path("/run/systemd/system").is_dir()


@contextmanager
def known() -> Iterator[None]:
    """The module may publish and subscribe bench/#; without systemd there is a control group for it."""
    rules = Path("/run/aurora/link") / f"{MODULE}.json"
    rules.parent.mkdir(parents=True, exist_ok=True)
    rules.write_text(RULES)
    if has_systemd():
        yield
        return
    if not GROUPS.is_dir():
        subprocess.run(["mount", "-t", "tmpfs", "sys", "/sys"], check=True)
        GROUPS.mkdir(parents=True)
        subprocess.run(["mount", "-t", "cgroup2", "cgroup", str(GROUPS)], check=True)
    unit = _group()
    made = [one for one in (unit.parents[1], unit.parent, unit) if not one.exists()]
    for one in made:
        one.mkdir()
    run = Path(f"/run/systemd/units/invocation:{UNIT}")
    run.parent.mkdir(parents=True, exist_ok=True)
    run.symlink_to(_INVOCATION)
    try:
        yield
    finally:
        run.unlink()
        for one in reversed(made):
            one.rmdir()


def as_module(command: list[str], cpu: int | None) -> list[str]:
    """What runs `command` as the module, on one CPU when one is named."""
    if has_systemd():
        pinned = [] if cpu is None else [f"--property=CPUAffinity={cpu}"]
        unit = [f"--unit={UNIT}", f"--slice={SLICE}", f"--property=LimitNOFILE={_FILES_MAX}", *pinned]
        return ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", *unit, "--", *command]
    pinned = [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]
    return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(_group() / "cgroup.procs"), *pinned, *command]


def _group() -> Path:
    return GROUPS / "aurora.slice" / SLICE / UNIT


def cpus() -> tuple[int | None, int | None]:
    """One for the broker and another for the generator; none where there is one alone."""
    found = sorted(os.sched_getaffinity(0))
    return (found[0], found[1]) if len(found) > 1 else (None, None)
