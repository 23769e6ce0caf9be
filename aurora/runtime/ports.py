"""A running module stays held to its ports, whatever becomes of systemd's own hold on it.

For SocketBindAllow= and SocketBindDeny= systemd attaches two programs to the unit's cgroup, and keeps them there by
descriptors. systemd 257 loses these at a daemon-reload: it writes them down under a key that it does not know when it
reads it, and the unit goes on running, held to no ports. So a second pair that decides alike holds the cgroup around
it, attached in the way that lasts as long as the cgroup does: the module's slice, before anything of the module runs
in it (units/aurora-ports@.service); the unit itself where it is run in the foreground.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from aurora.errors import HostError
from aurora.host.bpf import Attach, replace_programs
from aurora.host.ports import PortRule, port_program
from aurora.host.systemd import Systemd
from aurora.names import slice_name, unit_name
from aurora.paths import Paths

__all__ = ["hold_module", "hold_unit"]

_WHAT = "hold a module to its ports"
_FAMILIES = ((Attach.BIND4, socket.AF_INET), (Attach.BIND6, socket.AF_INET6))


def hold_module(paths: Paths, systemd: Systemd, module: str) -> None:
    """Hold the module's slice to what its unit is held to now, drop-ins included, and to nothing else.

    Called from within that slice, which is there for as long as the caller is. HostError when it cannot be done.
    """
    text = Path(f"{paths.prefix}/proc/{os.getpid()}/cgroup").read_text()
    group = next((line.removeprefix("0::") for line in text.splitlines() if line.startswith("0::")), "/")
    parent = group.rpartition("/")[0]
    if parent.rpartition("/")[2] != slice_name(module):
        raise HostError(
            _WHAT,
            f"it is in the cgroup {group}, outside the slice of {module}",
            where="auroractl hold-ports",
            remedy=f"auroractl restart {module}",
        )
    hold_unit(paths, systemd, unit_name(module), parent)


def hold_unit(paths: Paths, systemd: Systemd, unit: str, group: str) -> None:
    """Hold the cgroup, a path below /sys/fs/cgroup, to the ports of that service; HostError when it cannot be done.

    ValueError for the cgroup that all are in.
    """
    if group in ("", "/"):
        raise ValueError(f"{unit} would hold the whole machine to its ports")
    allow, deny = (_rules(systemd, unit, name) for name in ("SocketBindAllow", "SocketBindDeny"))
    folder = f"{paths.prefix}/sys/fs/cgroup{group}"
    try:
        for attach, family in _FAMILIES:
            replace_programs(folder, attach, [port_program(family, allow, deny)] if deny else [])
    except (OSError, ValueError) as error:
        raise HostError(_WHAT, str(error), where=unit, remedy="auroractl doctor") from error


def _rules(systemd: Systemd, unit: str, name: str) -> list[PortRule]:
    found = systemd.get(unit, "Service", name, "a(iiqq)")
    if not isinstance(found, list):
        raise HostError(_WHAT, f"systemd does not give its {name}", where=unit)
    return [(int(row[0]), int(row[1]), int(row[2]), int(row[3])) for row in found]
