"""The ways to the hub: lines on a unix socket, WebSocket on loopback. Each knows who comes, and how to say no.

The code for WebSocket is read when the first one comes by it: until then a hub is 4 MB smaller.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from aurora.link.bounds import Bounds
from aurora.link.envelope import say
from aurora.link.framing import Framing, Lines
from aurora.link.identity import Identified, identify, pin
from aurora.link.loopback import Groups, Sockets, identify_loopback
from aurora.link.refusal import LinkError
from aurora.paths import Paths

__all__ = ["TURNED_AWAY_MAX", "RefusedHandshakes", "Way", "unix_way", "websocket_ways"]

TURNED_AWAY_MAX = 64
"""Those who are told over WebSocket why they are refused, at one time; further ones are cut."""
TURNED_AWAY_SEC = 2.0
"""How long each of them has to ask, and to read the answer."""
_REQUEST_MAX_BYTES = 16 * 1024


class Way(NamedTuple):
    """A way to the hub."""

    listener: socket.socket
    identify: Callable[[socket.socket], Identified]
    """Who is at the other end of a connection; LinkError when that cannot be known."""
    framing: Callable[[], Framing]
    """For one connection."""
    turn_away: Callable[[socket.socket, LinkError], None]
    """Tell somebody who is not let in why, without waiting. It takes the socket over."""
    pin: Callable[[socket.socket], int] = lambda _handle: -1
    """A pidfd of the process that connected, -1 where there is none to pin; LinkError when it has ended."""


def unix_way(listener: socket.socket, paths: Paths, bounds: Bounds) -> Way:
    """Lines on a unix socket."""
    return Way(listener, partial(identify, paths=paths), partial(Lines, bounds.message_max_bytes), _say_no, pin)


def _say_no(handle: socket.socket, error: LinkError) -> None:
    """One line."""
    with handle, suppress(OSError):  # it may be gone already
        handle.send(say("error", code=str(error.code), text=str(error)))


def websocket_ways(listeners: Sequence[socket.socket], sockets: Sockets, paths: Paths, bounds: Bounds) -> list[Way]:
    """WebSocket on each of these TCP sockets, which listen on loopback alone; `sockets` knows who connects."""
    known = partial(identify_loopback, sockets=sockets, groups=Groups(paths), paths=paths)
    no = RefusedHandshakes()
    return [Way(one, known, partial(_websocket, paths, bounds.message_max_bytes), no.turn_away) for one in listeners]


def _websocket(paths: Paths, max_bytes: int) -> Framing:
    from aurora.link.websocket import WebSocket  # noqa: PLC0415  # see above

    def origins() -> tuple[str, ...]:
        from aurora.link import origins  # noqa: PLC0415  # only where a web page comes

        return origins.origins(paths)

    return WebSocket(max_bytes, origins)


class RefusedHandshakes:
    """Those who asked for a WebSocket and are refused: answered in HTTP once they have sent their request.

    Closed with the request unread, the kernel would take the answer back.
    """

    def __init__(self) -> None:
        self._timers: dict[socket.socket, asyncio.TimerHandle] = {}

    def turn_away(self, handle: socket.socket, error: LinkError) -> None:
        """See `Way`."""
        if len(self._timers) >= TURNED_AWAY_MAX:
            handle.close()
            return
        loop = asyncio.get_running_loop()
        self._timers[handle] = loop.call_later(TURNED_AWAY_SEC, self._end, handle)
        loop.add_reader(handle, self._answer, handle, error)

    def _answer(self, handle: socket.socket, error: LinkError) -> None:
        from aurora.link.websocket import turned_away  # noqa: PLC0415  # see above

        if not self._has_said_more(handle):
            return
        try:
            handle.send(turned_away(error))
            handle.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return
        except OSError:
            self._end(handle)
            return
        asyncio.get_running_loop().add_reader(handle, self._has_said_more, handle)

    def _has_said_more(self, handle: socket.socket) -> bool:
        """Read what it says, which does not count; once it says nothing more, or is gone, it is ended."""
        try:
            if handle.recv(_REQUEST_MAX_BYTES):
                return True
        except BlockingIOError:
            return False
        except OSError:
            pass
        self._end(handle)
        return False

    def _end(self, handle: socket.socket) -> None:
        self._timers.pop(handle).cancel()
        asyncio.get_running_loop().remove_reader(handle)
        handle.close()
