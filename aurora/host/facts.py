"""What this machine can enforce, read from the kernel."""

from __future__ import annotations

import os
from pathlib import Path

from aurora.plan import Facts, Feature
from aurora.policy import Owner

__all__ = ["read_facts"]

_CONTROLLERS = {"memory": Feature.MEMORY, "cpu": Feature.CPU, "pids": Feature.PIDS, "io": Feature.IO}


def read_facts(owner: Owner, *, root: Path = Path("/")) -> Facts:
    """The features that are there (cgroup-v2 kernel document, apparmor(7), seccomp(2)), and what is accepted.

    A controller counts when the root cgroup offers it. The IP filter needs BPF on cgroups, which every kernel
    with the bpf(2) call that Debian has built since Linux 4.15 includes; its sysctl shows that the call is there.
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


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
