"""What this machine can enforce, read from the kernel."""

from __future__ import annotations

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
    if _read(root / "sys/module/apparmor/parameters/enabled").strip() == "Y":
        features.add(Feature.APPARMOR)
    if "errno" in _read(root / "proc/sys/kernel/seccomp/actions_avail").split():
        features.add(Feature.SECCOMP)
    if (root / "proc/sys/kernel/unprivileged_bpf_disabled").exists():
        features.add(Feature.IP_FILTER)
    return Facts(features=frozenset(features), accepted=frozenset(Feature(name) for name in owner.accept_unenforced))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
