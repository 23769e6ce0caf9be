"""How much the kernel takes of what there is for a connection, before its other end has read anything of it.

What it takes is counted as the hub's memory, and so is little; but each write costs the hub a call and its reader a
wake-up, whatever it has. So a few connections at a time, for which there was more than one write took, and whose other
end reads, have room for several.
"""

from __future__ import annotations

import socket
from typing import NamedTuple, Protocol

__all__ = ["NARROW", "WIDE", "WIDE_MAX", "Settable", "Width", "Widths"]


class Width(NamedTuple):
    """Of one connection."""

    kernel_bytes: int
    """SO_SNDBUF: what the kernel keeps for it; it takes twice as much memory (socket(7))."""
    write_bytes: int
    """Asked of the router at once, about: as much as an empty socket takes whole."""


NARROW = Width(32 * 1024, 24 * 1024)
WIDE = Width(128 * 1024, 112 * 1024)
WIDE_MAX = 32
"""Connections that have it at one time: all together take 8 MiB of the kernel's memory."""


class Settable(Protocol):
    """A socket, or what stands for one."""

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        """As of any socket."""


class Widths:
    """Who has which."""

    __slots__ = ("_wide",)

    def __init__(self) -> None:
        self._wide: dict[object, None] = {}

    def __len__(self) -> int:
        """How many are wide."""
        return len(self._wide)

    def widen(self, who: object, handle: Settable) -> Width:
        """Have it be wide, while there are not yet WIDE_MAX; what it is now."""
        if who not in self._wide:
            if len(self._wide) >= WIDE_MAX:
                return NARROW
            self._wide[who] = None
            _set(handle, WIDE)
        return WIDE

    def narrow(self, who: object, handle: Settable | None) -> Width:
        """Have it be narrow again; without a socket, as it is gone."""
        if self._wide.pop(who, self) is None and handle is not None:
            _set(handle, NARROW)
        return NARROW


def _set(handle: Settable, width: Width) -> None:
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, width.kernel_bytes)
