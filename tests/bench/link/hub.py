"""The hub on sockets of its own: what aurora-link.service runs, with systemd's part done here.

    python3 -I hub.py UNIX_SOCKET PORT CONNECTIONS

CONNECTIONS raises the bounds on connections; 0 leaves them.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.modules["ssl"] = None  # as aurora.link.main has it

import asyncio
import logging
import socket
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from aurora.link.bounds import Bounds
from aurora.link.loop import TurnLoop
from aurora.link.main import SOCKET_NAME, WEBSOCKET_NAME, serve, ways_of
from aurora.paths import Paths

BACKLOG = 1024
SOCK_DIAG = 4
RECEIVE_BYTES = 32 * 1024
"""These three as in units/aurora-link.socket and aurora-link-websocket.socket."""
STAY_SEC = 86_400.0


def main(place: str, port: int, connections: int) -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger("websockets").setLevel(logging.WARNING)
    lines = socket.socket(socket.AF_UNIX)
    frames = socket.socket(socket.AF_INET)
    frames.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    frames.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    frames.bind(("127.0.0.1", port))
    frames.listen(BACKLOG)
    lines.bind(place)
    lines.listen(BACKLOG)
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)
    handles = {SOCKET_NAME: [lines.detach()], WEBSOCKET_NAME: [frames.detach(), kernel.detach()]}
    bounds = Bounds()
    if connections:
        bounds = replace(bounds, clients_max=connections, clients_of_one_max=connections)
    with ways_of(handles, Paths(), bounds) as ways:
        asyncio.run(serve(ways, Paths(), {}, STAY_SEC, bounds), loop_factory=TurnLoop)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
