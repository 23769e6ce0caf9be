"""What a module uses and what it is held to, read from its cgroup (cgroup-v2 kernel document)."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Usage", "read_usage"]


class Usage(NamedTuple):
    """Figures of one cgroup; None where the kernel gives none or sets no limit."""

    memory_bytes: int | None
    memory_max_bytes: int | None
    cpu_usec: int | None
    """CPU time used since the unit was started."""
    cpu_share_usec: int | None
    """CPU time it may use per second."""
    tasks: int | None
    tasks_max: int | None
    oom_kills: int | None


_NOTHING = Usage(None, None, None, None, None, None, None)


def read_usage(control_group: str, *, root: str = "") -> Usage:
    """The figures of the cgroup with that path below ROOT/sys/fs/cgroup; all None when it is gone or empty."""
    if not control_group.startswith("/") or control_group == "/":
        return _NOTHING
    folder = f"{root}/sys/fs/cgroup{control_group}/"
    quota, _, period = _read(folder + "cpu.max").partition(" ")
    return Usage(
        memory_bytes=_number(_read(folder + "memory.current")),
        memory_max_bytes=_number(_read(folder + "memory.max")),
        cpu_usec=_field(_read(folder + "cpu.stat"), "usage_usec"),
        cpu_share_usec=int(quota) * 1_000_000 // int(period) if quota.isdigit() and period.isdigit() else None,
        tasks=_number(_read(folder + "pids.current")),
        tasks_max=_number(_read(folder + "pids.max")),
        oom_kills=_field(_read(folder + "memory.events"), "oom_kill"),
    )


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123  # on the light path
            return file.read().strip()
    except OSError:
        return ""


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None  # "max" is no number: no limit


def _field(text: str, name: str) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return _number(value)
    return None
