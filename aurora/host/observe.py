"""What the kernel and systemd really hold a unit to, read and not judged."""

from __future__ import annotations

import grp
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aurora.host.bpf import Attach, count_programs
from aurora.host.mounts import Mount, parse_mounts
from aurora.paths import Paths

__all__ = [
    "CGROUP_FILES",
    "NAMESPACES",
    "Process",
    "numbers_of",
    "read_cgroup",
    "read_drop_ins",
    "read_loops",
    "read_process",
    "read_programs",
    "real_places",
]

CGROUP_FILES = (
    "memory.max",
    "memory.high",
    "memory.swap.max",
    "cpu.max",
    "cpu.weight",
    "io.weight",
    "io.max",
    "pids.max",
)
"""The files of a cgroup that hold limits."""

_SECTOR_BYTES = 512
"""The kernel counts the lengths of all block devices in these."""

NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
"""Kinds of namespaces, as /proc/PID/ns names them."""

DROP_IN_MAX_BYTES = 64 * 1024
"""Of a longer drop-in only so much is read."""
TABLE_MAX_BYTES = 4 * 1024 * 1024
"""Of a longer table of mounts only so much is read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Process:
    """One process; a field is None where it may not be read."""

    pid: int
    status: Mapping[str, str] | None
    """/proc/PID/status, by its keys."""
    label: str | None
    """/proc/PID/attr/apparmor/current, such as `aurora.hello (enforce)`."""
    mounts: tuple[Mount, ...] | None
    namespaces: Mapping[str, str] | None
    """Kind -> identity."""
    limits: Mapping[str, str] | None
    """/proc/PID/limits: name -> soft and hard value."""
    cgroup: str | None
    """Its path below /sys/fs/cgroup."""
    personality: str | None


def read_process(paths: Paths, pid: int) -> Process | None:
    """What /proc says of a process; None when there is none."""
    folder = paths.root / "proc" / str(pid)
    if not folder.is_dir():
        return None
    mounts = _read(folder / "mountinfo")
    status = _read(folder / "status")
    limits = _read(folder / "limits")
    group = _read(folder / "cgroup")
    personality = _read(folder / "personality")
    label = _read(folder / "attr/apparmor/current")
    return Process(
        pid=pid,
        status=None if status is None else _pairs(status),
        label=None if label is None else label.strip("\0\n "),
        mounts=None if mounts is None else parse_mounts(mounts),
        namespaces=_namespaces(folder),
        limits=None if limits is None else _limits(limits),
        cgroup=None if group is None else group.strip().removeprefix("0::"),
        personality=None if personality is None else personality.strip(),
    )


def _pairs(text: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


def _limits(text: str) -> dict[str, str]:
    """`Max core file size  0  0  bytes`: the name takes 26 columns, the two values 21 each."""
    return {line[:26].strip(): " ".join(line[26:68].split()) for line in text.splitlines()[1:]}


def _namespaces(folder: Path) -> dict[str, str] | None:
    try:
        return {kind: str((folder / "ns" / kind).readlink()) for kind in NAMESPACES}
    except OSError:
        return None


def read_cgroup(paths: Paths, group: str) -> dict[str, str]:
    """The files of CGROUP_FILES that the cgroup has, by name; empty when there is no such cgroup."""
    folder = paths.root / f"sys/fs/cgroup{group}"
    return {name: text.strip() for name in CGROUP_FILES if (text := _read(folder / name)) is not None}


def read_programs(paths: Paths, group: str) -> dict[Attach, int | None]:
    """How many BPF programs of each kind are attached to the cgroup; None where that cannot be asked."""
    return {attach: count_programs(f"{paths.root}/sys/fs/cgroup{group}", attach) for attach in Attach}


def read_drop_ins(paths: Paths, files: list[str]) -> dict[str, str]:
    """The text of each drop-in, in the order in which systemd read them; empty text where it cannot be read."""
    return {file: _read(paths.root / file.lstrip("/"), max_bytes=DROP_IN_MAX_BYTES) or "" for file in files}


def _read(path: Path, *, max_bytes: int = TABLE_MAX_BYTES) -> str | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with open(handle, "rb") as file:  # noqa: PTH123  # a descriptor, not a path
            return file.read(max_bytes).decode(errors="replace")
    except OSError:
        return None


def numbers_of(paths: Paths, names: Sequence[str]) -> dict[str, int]:
    """Users and groups of these names -> their numbers; those that do not exist are left out.

    A dynamic user exists while its unit runs; systemd keeps it below /run (it need not be in any database).
    """
    found = {}
    for name in names:
        number = _dynamic_user(paths, name)
        if number is None:
            with suppress(KeyError):
                number = grp.getgrnam(name).gr_gid
        if number is not None:
            found[name] = number
    return found


def read_loops(paths: Paths, mounts: Iterable[Mount]) -> dict[str, tuple[str, int]]:
    """Loop devices among what is mounted, as MAJOR:MINOR -> the file behind each, and its length in bytes."""
    found = {}
    for device in {mount.device for mount in mounts}:
        folder = paths.root / "sys/dev/block" / device
        file, sectors = _read(folder / "loop/backing_file"), _read(folder / "size")
        if file is not None and sectors is not None and sectors.strip().isdecimal():
            found[device] = (file.removesuffix("\n"), int(sectors) * _SECTOR_BYTES)
    return found


def _dynamic_user(paths: Paths, name: str) -> int | None:
    try:
        target = (paths.root / "run/systemd/dynamic-uid" / f"direct:{name}").readlink().name
    except OSError:
        return None
    return int(target) if target.isdecimal() else None


def real_places(paths: Paths, names: Sequence[str]) -> dict[str, str]:
    """Paths -> where they are once links are followed; those that are not there are left out."""
    root = str(paths.root).rstrip("/")
    return {name: os.path.realpath(root + name).removeprefix(root) for name in names if os.path.lexists(root + name)}
