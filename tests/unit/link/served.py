"""A hub on a real socket in a temporary folder, in a thread of its own, and clients that talk with it."""

from __future__ import annotations

import asyncio
import json
import select
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

from websockets.sync.client import ClientConnection, connect

from aurora.link.bounds import Bounds
from aurora.link.framing import Framing
from aurora.link.identity import Identified
from aurora.link.loop import TurnLoop
from aurora.link.main import hand_over, take_over
from aurora.link.peer import Peer
from aurora.link.router import Router
from aurora.link.rules import ModuleRules, Rules
from aurora.link.server import Server
from aurora.link.session import Client
from aurora.link.ways import RefusedHandshakes, Way, unix_way
from aurora.link.websocket import WebSocket
from aurora.link.writer import Writer
from aurora.paths import Paths

from .talking import ALL, ROOT

DEADLINE_SEC = 20.0
"""For everything that a test waits for."""


class Served:
    """The hub; whoever connects is the first of `peers`, and the last of them again and again."""

    def __init__(
        self, place: Path, *peers: Peer, idle_sec: float = 3600, bounds: Bounds | None = None,
        identify: Callable[[socket.socket], Identified] | None = None, port: int = 0,
        left: socket.socket | None = None, **rules: ModuleRules,
    ) -> None:  # fmt: skip
        self.place = str(place / "link.sock")
        self._peers = list(peers or (ROOT,))
        self._rules = rules
        self._bounds = bounds or Bounds()
        self._idle_sec = idle_sec
        self._left = left
        """By a hub before, as `hand_over` gives it."""
        self.store = Store(place)
        self.pin: Callable[[socket.socket], int] = lambda _handle: -1
        self.goes_on: Callable[[Peer], bool] = lambda _peer: True
        """Asked once, of those whom the hub before has left."""
        self.ways_max = 2
        """With one of them there is no WebSocket."""
        self.writer: Writer | None = None
        """Of its disk, where it has one."""
        self._identify = identify or self._next_peer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.place)
        self._listener.listen(128)
        self._tcp = socket.create_server(("127.0.0.1", port))
        self.port: int = self._tcp.getsockname()[1]
        self.gated: tuple[str, ...] = ()
        self.origins: tuple[str, ...] = ()
        """Web pages that are let in."""
        self._up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(), loop_factory=TurnLoop), daemon=True)
        self.server: Server

    async def _serve(self) -> None:
        ways = [
            unix_way(self._listener, Paths(), self._bounds)._replace(identify=self._identify, pin=self.pin),
            Way(self._tcp, self._identify, self._websocket, RefusedHandshakes().turn_away),
        ]
        router = Router(Rules(), self._bounds)
        self.server = Server(
            ways[: self.ways_max],
            lambda name: self._rules.get(name, ALL),
            router,
            idle_sec=self._idle_sec,
            gated=lambda: self.gated,
        )
        if self._left is not None:
            take_over(self.server, self._left, self.store.environment)
            self.store.is_told_to_forget()
            self.server.look_around(self.goes_on)
        self.server.start()
        self._up.set()
        await self.server.done.wait()
        if self.server.is_leaving and not await hand_over(self.server, self.writer, self.store.environment):
            self.server.stop()
            await self.server.done.wait()

    def _websocket(self) -> Framing:
        return WebSocket(self._bounds.message_max_bytes, lambda: self.origins)

    def _next_peer(self, _handle: socket.socket) -> Identified:
        return Identified(self._peers.pop(0) if len(self._peers) > 1 else self._peers[0], -1)

    def __enter__(self) -> Served:
        self._thread.start()
        assert self._up.wait(DEADLINE_SEC)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self.server.loop.call_soon_threadsafe(self.server.stop)
        self.wait_until_it_ends()
        self._listener.close()
        self._tcp.close()

    @contextmanager
    def disk(self, place: Path) -> Iterator[None]:
        """Let it keep what is durable in a file in `place`."""
        loop = self.server.loop
        writer = Writer(place / "link.db", self._bounds, lambda act: loop.call_soon_threadsafe(self.server.do, act))
        self.server.router.keeping.store = self.writer = writer
        yield
        writer.close()

    def hand_over(self) -> socket.socket:
        """Have it leave all to the next hub, and end; what systemd holds meanwhile."""
        self.leave()
        self.wait_until_it_ends()
        return self.store.kept()

    def leave(self) -> None:
        """Tell it that the next hub comes."""
        self.server.loop.call_soon_threadsafe(self.server.leave)

    def wait_until_it_ends(self) -> None:
        self._thread.join(DEADLINE_SEC)
        assert not self._thread.is_alive()

    def client(self, *messages: dict[str, Any]) -> Wire:
        """A client that has said `messages` and was answered a ping after them."""
        wire = Wire(self.place)
        wire.say(*messages, {"type": "ping", "id": "up"})
        wire.until(lambda one: one.get("id") == "up")
        return wire

    def clients(self) -> Iterator[Client]:
        """Those that are connected, as the hub knows them; asked in its thread."""
        return iter(self.server._connections)

    def wait_for_clients(self, count: int) -> None:
        """Until so many are connected."""
        self.wait_for(lambda: len(self.server), count)

    def wait_for[T](self, question: Callable[[], T], answer: T) -> None:
        """Until the question finds the answer."""
        until = monotonic() + DEADLINE_SEC
        while (found := self.ask(question)) != answer:
            assert monotonic() < until, found

    def websocket(self) -> ClientConnection:
        """A client by WebSocket."""
        return connect(f"ws://127.0.0.1:{self.port}", compression=None, proxy=None)

    def ping_of_another(self) -> None:
        """Return when the hub has read what was sent before, as far as it reads that."""
        for _ in range(3):
            self.client().close()

    def run[T](self, what: Coroutine[Any, Any, T]) -> T:
        """Have it run in the hub's own thread."""
        return asyncio.run_coroutine_threadsafe(what, self.server.loop).result(DEADLINE_SEC)

    def ask[T](self, question: Callable[[], T]) -> T:
        """What the question finds, asked in the hub's own thread."""

        async def asked() -> T:
            return question()

        return self.run(asked())


class Store:
    """systemd, as far as it keeps file descriptors for a hub."""

    def __init__(self, folder: Path, most: int = 1) -> None:
        place = str(folder / f"notify-{most}")
        Path(place).unlink(missing_ok=True)  # of a hub that was here before
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.settimeout(DEADLINE_SEC)
        self._notified.bind(place)
        self.environment = {"NOTIFY_SOCKET": place, "FDSTORE": str(most)}

    def is_told_to_forget(self) -> None:
        """Return when it is."""
        assert self._notified.recv(4096) == b"FDSTOREREMOVE=1\nFDNAME=handover"

    def is_empty(self) -> bool:
        """Whether it was told nothing."""
        return not select.select([self._notified], [], [], 0)[0]

    def kept(self) -> socket.socket:
        """What it was given."""
        said, handles, _, _ = socket.recv_fds(self._notified, 4096, 2)
        assert said == b"FDSTORE=1\nFDNAME=handover\nFDPOLL=0"
        (handle,) = handles
        return socket.socket(fileno=handle)


class Wire:
    """The client's end of a connection."""

    def __init__(self, place: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_SEC)
        self.socket.connect(place)
        self._file = self.socket.makefile("rb")

    def say(self, *messages: dict[str, Any] | bytes) -> None:
        lines = (one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in messages)
        self.socket.sendall(b"".join(lines))

    def read(self) -> dict[str, Any] | None:
        """The next message; None at the end of the connection."""
        try:
            line = self._file.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line else None

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """All that comes, to the first that is wanted."""
        found: list[dict[str, Any]] = []
        while not (found and wanted(found[-1])):
            message = self.read()
            assert message is not None, f"the connection ended after {found[-3:]}"
            found.append(message)
        return found

    def rest(self) -> list[dict[str, Any]]:
        """All that comes until the connection ends."""
        found = []
        while (message := self.read()) is not None:
            found.append(message)
        return found

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def descriptors() -> int:
    """How many file descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))
