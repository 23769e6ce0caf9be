"""What this machine can enforce, read from the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from stat import S_ISBLK, S_ISCHR

from aurora.plan import Facts, Feature
from aurora.policy import Owner

__all__ = ["read_device_groups", "read_facts", "read_groups"]

_CONTROLLERS = {"memory": Feature.MEMORY, "cpu": Feature.CPU, "pids": Feature.PIDS, "io": Feature.IO}


def read_facts(owner: Owner, *, root: Path = Path("/")) -> Facts:
    """The features that are there (cgroup-v2 kernel document, apparmor(7), seccomp(2)), and what is accepted.

    A controller counts when the root cgroup offers it. The IP filter needs BPF on cgroups, which every kernel
    with the bpf(2) call that Debian has built since Linux 4.15 includes; its sysctl shows that the call is there.
    aurora-core.service has the loop module loaded before it looks, as its own /dev shows it no devices.
    """
    features: set[Feature] = set()
    for word in _read(root / "sys/fs/cgroup/cgroup.controllers").split():
        if word in _CONTROLLERS:
            features.add(_CONTROLLERS[word])
    disk = _disk_below(root / "var/lib", root)
    if disk is None:
        features.discard(Feature.IO)
    elif Feature.IO in features and _heeds_weights(disk, root):
        features.add(Feature.IO_WEIGHT)
    if _read(root / "sys/module/apparmor/parameters/enabled").strip() == "Y":
        features.add(Feature.APPARMOR)
    if "errno" in _read(root / "proc/sys/kernel/seccomp/actions_avail").split():
        features.add(Feature.SECCOMP)
    if (root / "proc/sys/kernel/unprivileged_bpf_disabled").exists():
        features.add(Feature.IP_FILTER)
    if (root / "sys/module/loop").exists():
        features.add(Feature.LOOP)
    return Facts(features=frozenset(features), accepted=frozenset(Feature(name) for name in owner.accept_unenforced))


def _disk_below(path: Path, root: Path) -> Path | None:
    """The disk that holds `path`, in /sys; None where its file system is on none that the kernel can hold back.

    Such are btrfs over several disks, overlayfs and tmpfs: their device number (stat(2)) belongs to no block device.
    """
    try:
        device = path.stat().st_dev
        found = (root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve(strict=True)
    except OSError:
        return None
    return found.parent if (found / "partition").exists() else found


def _heeds_weights(disk: Path, root: Path) -> bool:
    """Whether the disk's scheduler heeds io.weight: bfq does, and io.cost where it is switched on (cgroup-v2)."""
    if "[bfq]" in _read(disk / "queue/scheduler"):
        return True
    number = _read(disk / "dev").strip()
    lines = _read(root / "sys/fs/cgroup/io.cost.qos").splitlines()
    return any(line.split()[:2] == [number, "enable=1"] for line in lines)


def read_groups(*, root: Path = Path("/")) -> frozenset[str]:
    """The names in group(5)."""
    return frozenset(_group_names(root).values())


def read_device_groups(devices: Iterable[str], *, root: Path = Path("/")) -> dict[str, str]:
    """The group of each of the devices that is there; one whose group has no name counts as root's."""
    names = _group_names(root)
    found = {}
    for device in devices:
        try:
            status = (root / device.lstrip("/")).stat()
        except OSError:
            continue
        if S_ISCHR(status.st_mode) or S_ISBLK(status.st_mode):
            found[device] = names.get(status.st_gid, "root")
    return found


def _group_names(root: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for line in _read(root / "etc/group").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[2].isdecimal():
            found.setdefault(int(fields[2]), fields[0])
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
