"""What a module uses and what it is held to, read from its cgroup (cgroup-v2 kernel document)."""

from __future__ import annotations

import os

from aurora.value import Value

__all__ = ["Pressure", "Usage", "read_held_memory", "read_pressure", "read_run", "read_usage"]


class Usage(Value):
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


class Pressure(Value):
    """The share of the last ten seconds in which some task of a cgroup waited, in percent; None where unknown."""

    cpu: float | None
    memory: float | None
    io: float | None

    @property
    def all(self) -> tuple[float | None, float | None, float | None]:
        """The three, in that order."""
        return (self.cpu, self.memory, self.io)


_FILE_MAX_BYTES = 16 * 1024
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


def read_pressure(control_group: str, *, root: str = "") -> Pressure:
    """The pressure of the same (PSI, the kernel's document on it); unknown where the kernel does not measure it."""
    if not control_group.startswith("/") or control_group == "/":
        return Pressure(None, None, None)
    folder = f"{root}/sys/fs/cgroup{control_group}/"
    return Pressure(*(_avg10(_read(f"{folder}{kind}.pressure")) for kind in Pressure._fields))


def read_held_memory(control_group: str, *, root: str = "") -> int | None:
    """Bytes that the same holds and that cannot be had back by dropping caches; None when it is gone or empty."""
    if not control_group.startswith("/") or control_group == "/":
        return None
    text = _read(f"{root}/sys/fs/cgroup{control_group}/memory.stat")
    parts = [_field(text, name) for name in ("anon", "shmem")]
    return sum(part for part in parts if part is not None) if any(part is not None for part in parts) else None


def read_run(control_group: str, *, root: str = "") -> int:
    """A number that is another one each time the cgroup is made anew; 0 when it is gone."""
    try:
        return os.stat(f"{root}/sys/fs/cgroup{control_group}").st_ino  # noqa: PTH116  # on the light path
    except OSError:
        return 0


def _avg10(text: str) -> float | None:
    words = text.partition("\n")[0].split()  # some avg10=0.00 avg60=0.00 avg300=0.00 total=0
    if len(words) < 2 or words[0] != "some" or not words[1].startswith("avg10="):
        return None
    number = words[1].removeprefix("avg10=")
    return float(number) if number.replace(".", "", 1).isdigit() else None


def _read(path: str) -> str:
    # Not open(): its decoder and buffer cost more than these files, of which a status reads dozens.
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(handle, _FILE_MAX_BYTES).decode("ascii").strip()  # the kernel gives it all at once
    except OSError:  # the cgroup has just gone
        return ""
    finally:
        os.close(handle)


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None  # "max" is no number: no limit


def _field(text: str, name: str) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return _number(value)
    return None
