"""Which feature of the machine enforces which directive, and what brings a missing one back."""

from __future__ import annotations

from collections.abc import Mapping

from aurora.directives import Value
from aurora.plan.model import Feature

__all__ = ["FEATURE_OF", "REMEDY", "relied_on"]

FEATURE_OF: Mapping[str, Feature] = {
    "AppArmorProfile": Feature.APPARMOR,
    "MemoryMax": Feature.MEMORY,
    "MemoryHigh": Feature.MEMORY,
    "MemorySwapMax": Feature.MEMORY,
    "CPUQuota": Feature.CPU,
    "CPUWeight": Feature.CPU,
    "TasksMax": Feature.PIDS,
    "IOWeight": Feature.IO_WEIGHT,
    "IOReadBandwidthMax": Feature.IO,
    "IOWriteBandwidthMax": Feature.IO,
    "IOReadIOPSMax": Feature.IO,
    "IOWriteIOPSMax": Feature.IO,
    "SystemCallFilter": Feature.SECCOMP,
    "SystemCallArchitectures": Feature.SECCOMP,
    "RestrictAddressFamilies": Feature.SECCOMP,
    "RestrictNamespaces": Feature.SECCOMP,
    "RestrictRealtime": Feature.SECCOMP,
    "RestrictSUIDSGID": Feature.SECCOMP,
    "LockPersonality": Feature.SECCOMP,
    "MemoryDenyWriteExecute": Feature.SECCOMP,
    "IPAddressDeny": Feature.IP_FILTER,
    "SocketBindDeny": Feature.IP_FILTER,
}
"""A directive that is not here is enforced by what every kernel of Debian has."""

REMEDY: Mapping[Feature, str] = {
    Feature.APPARMOR: "a kernel started with apparmor=1 security=apparmor",
    Feature.SECCOMP: "a kernel with CONFIG_SECCOMP_FILTER",
    Feature.MEMORY: "a kernel started with cgroup_enable=memory (Raspberry Pi OS: /boot/firmware/cmdline.txt)",
    Feature.CPU: "a kernel with the cpu controller of cgroup v2",
    Feature.PIDS: "a kernel with the pids controller of cgroup v2",
    Feature.IO: "a kernel with the io controller of cgroup v2, and /var/lib on a disk of its own or the root's",
    Feature.IO_WEIGHT: "bfq as the disk's scheduler (/sys/block/DISK/queue/scheduler)",
    Feature.IP_FILTER: "a kernel with CONFIG_CGROUP_BPF",
    Feature.LOOP: "a kernel with loop devices (modprobe loop), which a container may be denied",
}
"""What to try where the machine lacks it."""


def relied_on(directives: Mapping[str, Value]) -> set[Feature]:
    """The features without which some of these directives would not be enforced."""
    return {
        FEATURE_OF[name]
        for name, value in directives.items()
        # What is switched off relies on nothing; 0 is a limit.
        if name in FEATURE_OF and value is not False and value != ()
    }
