"""Who has connected, by the kernel alone: no word of the client's own counts.

SO_PEERCRED names the process and its user, SO_PEERPIDFD pins that process. /proc/PID/cgroup is read while the pidfd
says that it has not ended, so no other process can have its number: the control group is that of who connected. systemd
names control groups after units, and only root can move a process into another one. A module is known by the whole
path from aurora.slice down; a unit of the same name under a user's own systemd is none.

The pidfd stays open with the connection: it is readable once the process has ended, and the connection is then ended
(`connection`). systemd ends all processes of a unit's run with it, so a connection does not outlive the run, even where
the socket was handed to somebody else.
"""

from __future__ import annotations

import grp
import os
import pwd
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from aurora.link.peer import Peer, Role
from aurora.link.refusal import Code, LinkError
from aurora.names import module_of_unit, slice_name
from aurora.paths import Paths

__all__ = [
    "OPERATORS",
    "Identified",
    "has_ended",
    "identify",
    "module_of_group",
    "peer_of",
    "pin",
    "run_of",
    "run_of_module",
    "unified_group",
    "unit_of_group",
    "user_name",
]

OPERATORS = "aurora"
"""The group whose members are operators. It is the owner's to make."""
SO_PEERGROUPS = 59
SO_PEERPIDFD = 77  # Linux 6.5; socket has no name for it
GROUPS_MAX_BYTES = 1024
"""What getsockopt can be asked for: 256 groups. Who has more is no operator by one of them."""
FILE_MAX_BYTES = 8192
_UCRED = struct.Struct("iII")


class Identified(NamedTuple):
    """Who has connected."""

    peer: Peer
    pidfd: int
    """Of the process; whoever gets it closes it."""


def identify(handle: socket.socket, paths: Paths) -> Identified:
    """Who is at the other end of a connected unix socket; LinkError when that cannot be known."""
    try:
        pid, uid, gid = _UCRED.unpack(handle.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    except OSError:
        raise _unknown("the process that connected has ended") from None
    pidfd = pin(handle)
    try:
        peer = _identify(handle, paths, pid, uid, gid)
        if has_ended(pidfd):
            raise _unknown("the process that connected has ended")
    except BaseException:
        os.close(pidfd)
        raise
    return Identified(peer, pidfd)


def pin(handle: socket.socket) -> int:
    """A pidfd of the process that connected by a unix socket; LinkError when that has ended."""
    try:
        return int(struct.unpack("i", handle.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, 4))[0])
    except OSError:
        raise _unknown("the process that connected has ended") from None


def _identify(handle: socket.socket, paths: Paths, pid: int, uid: int, gid: int) -> Peer:
    try:
        with (paths.root / "proc" / str(pid) / "cgroup").open("rb") as file:
            group = unified_group(file.read(FILE_MAX_BYTES).decode(errors="surrogateescape"))
    except OSError:
        raise _unknown("its control group cannot be read") from None
    module = module_of_group(group)
    if module is None and uid:
        return peer_of(group, uid=uid, operator=_is_operator(handle, gid), name=user_name)
    return peer_of(group, uid=uid, invocation=run_of(paths, group))


def _unknown(why: str) -> LinkError:
    return LinkError(Code.DENIED, "connect", f"it is not known who does: {why}", remedy="again")


def has_ended(pidfd: int) -> bool:
    """Whether the process is no more."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def unified_group(text: str) -> str:
    """The control group of version 2 that /proc/PID/cgroup names; empty when it names none."""
    # Not splitlines(): a name may hold other line ends than the kernel's own.
    return next((line.removeprefix("0::") for line in text.split("\n") if line.startswith("0::/")), "")


def module_of_group(group: str) -> str | None:
    """The module whose unit the control group is, or is below; None when it is no module's."""
    levels = group.split("/")
    if len(levels) < 4 or levels[:2] != ["", "aurora.slice"]:
        return None
    module = module_of_unit(levels[3])
    return module if module is not None and levels[2] == slice_name(module) else None


def unit_of_group(group: str) -> str:
    """What to call a control group in a message: its last unit that is no slice."""
    units = [level for level in group.split("/") if level.endswith((".service", ".scope"))]
    return units[-1] if units else group or "no unit"


def run_of(paths: Paths, group: str) -> str:
    """The InvocationID of a module's unit: systemd keeps it as a link for journald; empty when it does not."""
    module = module_of_group(group)
    return "" if module is None else run_of_module(paths, module)


def run_of_module(paths: Paths, module: str) -> str:
    """The same by the module's name."""
    try:
        return str((paths.root / f"run/systemd/units/invocation:aurora@{module}.service").readlink())
    except OSError:
        return ""


def peer_of(
    group: str, *, uid: int, operator: bool = False, invocation: str = "", name: Callable[[int], str] = str
) -> Peer:
    """Who somebody in a control group is: a module by that alone, others by their user.

    `name` gives an operator's name by the number; others are called by it.
    """
    module = module_of_group(group)
    if module is not None:
        return Peer(name=module, role=Role.MODULE, module=module, invocation=invocation)
    if uid == 0:
        return Peer(name="user:root", role=Role.ADMIN)
    if operator:
        return Peer(name=f"user:{name(uid)}", role=Role.OPERATOR)
    return Peer(name=f"user:{uid} ({unit_of_group(group)})", role=Role.OTHER)


def user_name(uid: int) -> str:
    """A user's name; the number where it has none."""
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _is_operator(handle: socket.socket, gid: int) -> bool:
    """Whether the groups that it had when it connected have the operators' among them."""
    try:
        wanted = grp.getgrnam(OPERATORS).gr_gid
    except KeyError:
        return False
    try:
        packed = handle.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_MAX_BYTES)
    except OSError:
        packed = b""
    return wanted == gid or wanted in struct.unpack(f"{len(packed) // 4}I", packed)
