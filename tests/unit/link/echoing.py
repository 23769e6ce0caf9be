"""A WebSocket server that echoes, made of the hub's own framing, connections and server: what test suites talk with.

It is the hub but for its router: text need not be JSON, and comes back as it is. Binary messages are refused as ever.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from aurora.link.bounds import Bounds
from aurora.link.identity import Identified
from aurora.link.loop import TurnLoop
from aurora.link.router import Router
from aurora.link.rules import ModuleRules, Rules
from aurora.link.server import Server
from aurora.link.session import Client
from aurora.link.ways import RefusedHandshakes, Way
from aurora.link.websocket import WebSocket

from .talking import ROOT

ROOM_BYTES = 256 * 1024 * 1024
"""For messages of 16 MiB, such as the Autobahn test suite sends."""


class Echo(Router):
    """Gives each its own messages back."""

    def receive(self, client: Client, line: bytes) -> bool:
        self._core.timers.cancel(client.first_line_timer)
        self._core.answer(client, line + b"\n")
        return True


async def _serve() -> None:
    bounds = Bounds(
        message_max_bytes=ROOM_BYTES,
        queues_max_bytes=ROOM_BYTES,
        queues_of_one_max_bytes=ROOM_BYTES,
        control_max_bytes=ROOM_BYTES,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    way = Way(
        listener,
        lambda _handle: Identified(ROOT, -1),
        lambda: WebSocket(ROOM_BYTES, tuple),
        RefusedHandshakes().turn_away,
    )
    server = Server([way], lambda _name: ModuleRules(), Echo(Rules(), bounds), idle_sec=3600)
    server.start()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.done.wait()


if __name__ == "__main__":
    asyncio.run(_serve(), loop_factory=TurnLoop)
