"""Which grant would allow what was refused: a table, read top down. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from aurora.runtime.evidence import Denial

__all__ = ["allowing_grant", "syscall_name"]


class _Row(NamedTuple):
    operation: str
    """Pattern for the whole operation."""
    subject: str
    """Pattern for the whole subject; its groups fill the grant."""
    asked: str
    """Letters of which one must have been asked; empty: any."""
    grants: tuple[str, ...]
    """Those that allow it, the narrowest first; the first that this machine has is taken."""


_FILE = r"open|mknod|mkdir|create|unlink|rename_src|rename_dest|link|truncate|chmod|chown|getattr|file_.*|exec"
_SOCKET = r"create|connect|bind|listen|accept|sendmsg|recvmsg|getsockopt|setsockopt|socket.*"

_ROWS = (
    _Row(_SOCKET, r"inet6?", "", ("network.loopback", "network.lan", "network.internet")),
    _Row(_SOCKET, r"netlink", "", ("network.internet",)),
    _Row(r"capable", r"([a-z_]+)", "", ("cap:CAP_{0}",)),
    _Row(_FILE, r"/dev/gpio(chip|mem).*", "", ("device:gpio",)),
    _Row(_FILE, r"/dev/i2c-.*", "", ("device:i2c",)),
    _Row(_FILE, r"/dev/spidev.*", "", ("device:spi",)),
    _Row(_FILE, r"/dev/tty(USB|ACM|AMA|S)\d+", "", ("device:serial",)),
    _Row(_FILE, r"/dev/(video|media)\d+", "", ("device:camera", "device:video")),
    _Row(_FILE, r"/dev/(dri/.*|fb\d+)", "", ("device:video",)),
    _Row(_FILE, r"/dev/bus/usb/.*", "", ("device:usb",)),
    _Row(_FILE, r"(/dev/.+)", "", ("device:{0}",)),
    _Row(_FILE, r"/proc/(loadavg|meminfo|stat|uptime|diskstats|cpuinfo|net/.*|vmstat|swaps)", "r", ("host.figures",)),
    _Row(_FILE, r"/etc/(fstab|mtab|os-release)", "r", ("host.figures",)),
    _Row(_FILE, r"/proc/.*", "r", ("proc", "host.figures")),
    _Row(_FILE, r"/sys/(class|devices|block|bus)/.*", "r", ("host.figures",)),
    _Row(_FILE, r"/run/dbus/system_bus_socket", "", ("dbus:NAME",)),
    _Row(_FILE, r"(/(?!proc/|sys/|dev/).+)", "wcda", ("write:{0}",)),
    _Row(_FILE, r"(/(?!proc/|sys/|dev/).+)", "r", ("read:{0}",)),
    _Row(r"mlock.*", r"", "", ("cap:CAP_IPC_LOCK",)),
    _Row(r"(clock_)?settime(ofday)?|adjtimex|clock_adjtime", r"", "", ("cap:CAP_SYS_TIME",)),
    _Row(r"mount|umount2|pivot_root|fsopen|move_mount", r"", "", ("cap:CAP_SYS_ADMIN",)),
    _Row(r"(f|l)?chown(32)?|fchownat", r"", "", ("cap:CAP_CHOWN",)),
    _Row(r"sched_setscheduler|setpriority", r"", "", ("cap:CAP_SYS_NICE",)),
)  # fmt: skip


def allowing_grant(denial: Denial, *, known: Collection[str]) -> str | None:
    """The narrowest grant of this machine that would allow it; None where there is none.

    `known` are the names of the machine's grants; one that takes a value counts by what stands before its colon.
    """
    families = {name.partition(":")[0] for name in known}
    for row in _ROWS:
        found = re.fullmatch(row.subject, denial.subject)
        if found is None or re.fullmatch(row.operation, denial.operation) is None:
            continue
        if row.asked and not set(row.asked) & set(denial.asked):
            continue
        for grant in row.grants:
            if grant in known or (":" in grant and grant.partition(":")[0] in families):
                value = found[1] if found.re.groups else ""
                return grant.format(value.upper() if grant.startswith("cap:") else value)
    return None


# The calls that policies take out, under their numbers (asm/unistd_64.h and asm-generic/unistd.h); others are shown
# by number. Audit records name the machine: AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 of linux/audit.h.
_X86_64 = {
    56: "clone", 92: "chown", 101: "ptrace", 105: "setuid", 106: "setgid", 141: "setpriority",
    144: "sched_setscheduler", 149: "mlock", 151: "mlockall", 155: "pivot_root", 157: "prctl", 159: "adjtimex",
    161: "chroot", 163: "acct", 164: "settimeofday", 165: "mount", 166: "umount2", 167: "swapon", 169: "reboot",
    170: "sethostname", 172: "iopl", 173: "ioperm", 175: "init_module", 227: "clock_settime", 238: "set_mempolicy",
    246: "kexec_load", 248: "add_key", 249: "request_key", 250: "keyctl", 272: "unshare", 298: "perf_event_open",
    303: "name_to_handle_at", 304: "open_by_handle_at", 305: "clock_adjtime", 308: "setns", 310: "process_vm_readv",
    313: "finit_module", 321: "bpf", 323: "userfaultfd", 325: "mlock2", 425: "io_uring_setup", 428: "open_tree",
    429: "move_mount", 430: "fsopen", 435: "clone3", 442: "mount_setattr",
}  # fmt: skip
_AARCH64 = {
    39: "umount2", 40: "mount", 41: "pivot_root", 51: "chroot", 54: "fchownat", 97: "unshare", 104: "kexec_load",
    105: "init_module", 112: "clock_settime", 117: "ptrace", 119: "sched_setscheduler", 140: "setpriority",
    142: "reboot", 161: "sethostname", 167: "prctl", 170: "settimeofday", 171: "adjtimex", 217: "add_key",
    218: "request_key", 219: "keyctl", 220: "clone", 224: "swapon", 228: "mlock", 230: "mlockall",
    237: "set_mempolicy", 241: "perf_event_open", 265: "open_by_handle_at", 266: "clock_adjtime", 268: "setns",
    270: "process_vm_readv", 273: "finit_module", 280: "bpf", 282: "userfaultfd", 284: "mlock2",
    425: "io_uring_setup", 428: "open_tree", 429: "move_mount", 430: "fsopen", 435: "clone3", 442: "mount_setattr",
}  # fmt: skip
_NAMES = {"c000003e": _X86_64, "c00000b7": _AARCH64}


def syscall_name(arch: str, number: int) -> str:
    """The call that an audit record of that architecture (hexadecimal) means; its number where it is not known."""
    return _NAMES.get(arch, {}).get(number, f"system call {number}")
