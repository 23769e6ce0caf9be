"""Who has connected over loopback, by the kernel alone: no word of the client's own counts.

The kernel is asked for the other end's socket: in which control group it was made, and whose it is. That is asked
twice, with all that follows from it in between: when both answers are of the same open socket, what was found out is
of whoever has it. A socket that was made by one and is used by another counts as the first one's, as a file would.

There is no process to pin here. systemd ends all processes of a unit's run with it, and their sockets; for one that was
handed to somebody else, the hub looks every few seconds whether the run goes on (`goes_on`).
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from aurora.link.identity import OPERATORS, Identified, module_of_group, peer_of, run_of, run_of_module, user_name
from aurora.link.peer import Peer
from aurora.link.refusal import Code, LinkError
from aurora.link.sockdiag import ANSWER_MAX_BYTES, ESTABLISHED, Endpoint, Seen, answer, question
from aurora.paths import Paths

__all__ = ["Groups", "Kernel", "Sockets", "goes_on", "identify_loopback"]

STALE_MAX = 64
"""Answers to a hub before this one that may lie in the netlink socket, which systemd holds."""
GROUPS_MAX = 8192
"""Control groups that are looked at: as many below aurora.slice, and as many of all others, the upper ones first."""
KNOWN_MAX = 1024
_MODULES = "/aurora.slice"


class Sockets(Protocol):
    """What is known of this machine's sockets."""

    def look_up(self, local: Endpoint, remote: Endpoint) -> Seen | None:
        """The socket between these two; None when there is none."""


class Kernel:
    """The kernel, asked over a netlink socket of the family sock_diag, in the network namespace of that socket."""

    def __init__(self, handle: socket.socket) -> None:
        """`handle` stays the caller's; what lies in it is dropped."""
        self._handle = handle
        self._sequence = int.from_bytes(os.urandom(3))
        handle.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(STALE_MAX):
                handle.recv(ANSWER_MAX_BYTES)

    def look_up(self, local: Endpoint, remote: Endpoint) -> Seen | None:
        """Netlink answers at once; LinkError when it does not."""
        self._sequence += 1
        try:
            self._handle.sendto(question(local, remote, self._sequence), (0, 0))
            for _ in range(STALE_MAX):
                data, (port, _) = self._handle.recvfrom(ANSWER_MAX_BYTES)
                if port == 0:  # the kernel's
                    with suppress(ValueError):
                        return answer(data, local, remote, self._sequence)
        except OSError as error:
            raise _unknown(f"the kernel does not answer ({error})") from None
        raise _unknown("the kernel does not answer")


class Groups:
    """Control groups by their ids, which are their inode numbers (cgroups(7)) and are never given twice."""

    def __init__(self, paths: Paths) -> None:
        self._top = str(paths.root / "sys/fs/cgroup")
        self._known: dict[int, str] = {}
        """Where one was found; at the bound all are forgotten."""
        self._missing: set[int] = set()
        """Those that were looked for and not found, once and for all: a later group has another number."""

    def path(self, number: int) -> str:
        """Its path from the top, beginning with a slash; empty when it is not there any more."""
        known = self._known.get(number)
        if known is None and number not in self._missing:
            known = next((path for path, inode in self._all() if inode == number), None)
            for kept in (self._known, self._missing):
                if len(kept) >= KNOWN_MAX:
                    kept.clear()
            if known is None:
                self._missing.add(number)
            else:
                self._known[number] = known
        if known is None:
            return ""
        try:
            there = Path(self._top + known).stat().st_ino == number
        except OSError:
            there = False
        if not there:
            del self._known[number]
        return known if there else ""

    def _all(self) -> Iterator[tuple[str, int]]:
        """Modules' first: only root makes groups there, so nobody else can make so many that they are not found."""
        yield from self._below(_MODULES)
        with suppress(OSError):
            yield "/", Path(self._top).stat().st_ino
        yield from self._below("")

    def _below(self, top: str) -> Iterator[tuple[str, int]]:
        level, left = [top], GROUPS_MAX
        while level:
            next_level: list[str] = []
            for path in level:
                with suppress(OSError), os.scandir(self._top + path) as entries:  # it may go meanwhile
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            left -= 1
                            if left < 0:
                                return
                            next_level.append(f"{path}/{entry.name}")
                            yield next_level[-1], entry.inode()
            level = next_level


def identify_loopback(handle: socket.socket, *, sockets: Sockets, groups: Groups, paths: Paths) -> Identified:
    """Who is at the other end of a connected TCP socket of this machine; LinkError when that cannot be known."""
    try:
        theirs, ours = _endpoint(handle, handle.getpeername()), _endpoint(handle, handle.getsockname())
    except OSError:
        raise _unknown("its connection has ended") from None
    seen = sockets.look_up(theirs, ours)
    if seen is None or seen.state != ESTABLISHED or not seen.inode:
        raise _unknown("its end of the connection is not there, or closed")
    group = groups.path(seen.group) if seen.group else ""
    if not group:
        raise _unknown("its control group is not there")
    run = run_of(paths, group)
    if module_of_group(group) is not None and not run:
        raise _unknown("its unit does not run")
    if sockets.look_up(theirs, ours) != seen or run_of(paths, group) != run:
        raise _unknown("it has ended, or changed hands")
    operator = module_of_group(group) is None and _is_operator(seen.uid)
    return Identified(peer_of(group, uid=seen.uid, operator=operator, invocation=run, name=user_name), -1)


def goes_on(paths: Paths, peer: Peer) -> bool:
    """Whether the run of a module that connected goes on; users have none."""
    return not peer.invocation or run_of_module(paths, peer.module) == peer.invocation


def _endpoint(handle: socket.socket, address: tuple[str, int]) -> Endpoint:
    return Endpoint(socket.inet_pton(handle.family, address[0].partition("%")[0]), address[1])


def _is_operator(uid: int) -> bool:
    """By the user database: what groups a process has, nobody can say over TCP."""
    try:
        operators, user = grp.getgrnam(OPERATORS), pwd.getpwuid(uid)
    except KeyError:
        return False
    return user.pw_gid == operators.gr_gid or user.pw_name in operators.gr_mem


def _unknown(why: str) -> LinkError:
    return LinkError(Code.DENIED, "connect", f"it is not known who does: {why}", remedy="again")
