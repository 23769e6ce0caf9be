"""The hub at its listening sockets: who comes is identified, refused or taken in; what a turn brings is written once.

A turn is one round of the event loop: all that is there is read and routed, then each client that has something to read
is written to. All connections of one peer have a share of each turn (`share`): what they have sent beyond it waits for
the next one, so that nobody keeps the others waiting, whatever they send. When no client is connected for `idle_sec`,
the server ends; whoever connects at that moment waits in the listening socket, which is systemd's, and is served by the
next hub.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from weakref import WeakValueDictionary

import msgspec

from aurora.link.connection import Connection
from aurora.link.fdstore import close_cleanly
from aurora.link.framing import Framing
from aurora.link.handover import State, Wire, fitting
from aurora.link.house import READ_BYTES, SIP_BYTES
from aurora.link.loop import TurnLoop
from aurora.link.peer import Peer
from aurora.link.refusal import Code, LinkError
from aurora.link.router import Router
from aurora.link.rules import ModuleRules, Rules
from aurora.link.session import Client
from aurora.link.share import SHARE_SEC, Share
from aurora.link.ways import Way
from aurora.link.width import NARROW, Widths

__all__ = ["HANDOVER_MAX_BYTES", "Server"]

ACCEPTED_AT_ONCE = 64
"""Connections taken in one turn, and no longer than a share takes; further ones wait in the listening socket."""
ACCEPT_PAUSE_SEC = 1.0
"""How long nobody is taken in when there are no file descriptors left."""
RECEIVE_BYTES = 32 * 1024
"""What the kernel keeps of what a client sends while the hub does not read, which over TCP is counted as the hub's
memory. So that the kernel promises no more before a connection is taken in, aurora-link-websocket.socket has it as
ReceiveBuffer=. For what the hub sends see `width`."""
STOP_SEC = 5.0
"""How long clients have to read what there is for them when the hub stops."""

HANDOVER_MAX_BYTES = 32 * 1024 * 1024
"""Messages that are left to the next hub, with retained values; connections that have no room end, those of peers for
which most waits before others."""

_log = logging.getLogger("aurora.link")


class Server:
    """All connections of the hub."""

    def __init__(
        self,
        ways: Sequence[Way],
        rules_of: Callable[[str], ModuleRules],
        router: Router,
        *,
        idle_sec: float,
        gated: Callable[[], tuple[str, ...]] = tuple,
        runs: Callable[[], Mapping[str, str] | None] = dict,
    ) -> None:
        """`rules_of` says what a module may do, by its name; it is asked when the module connects.

        `gated` says where an approval is needed; it is asked then, and once in a while. `runs` says which modules run,
        None when that is not known; it is asked once in a while.
        """
        loop = asyncio.get_running_loop()
        if not isinstance(loop, TurnLoop):
            raise TypeError("the hub needs asyncio.run(…, loop_factory=TurnLoop)")
        self.loop = loop
        self.router = router
        self.clock = self.loop.time
        self.buffer = bytearray(READ_BYTES)
        self.sip = memoryview(self.buffer)[:SIP_BYTES]
        self.turns = 0
        self.widths = Widths()
        self.done = asyncio.Event()
        """The server has ended."""
        self.progress: Callable[[], None] = lambda: None
        """Called again and again while much is to be done, between two things of which each takes little."""
        router.approvals.record = lambda answer: _log.info("%s", answer)
        self._ways = ways
        self._rules_of = rules_of
        self._gated = gated
        self._runs = runs
        self._idle_sec = idle_sec
        self._connections: dict[Client, Connection] = {}
        self._joining: set[asyncio.Task[None]] = set()
        """Of connections that have no transport yet; each takes a turn or two."""
        self._writing: dict[Connection, None] = {}
        self._shares: WeakValueDictionary[str, Share] = WeakValueDictionary()
        """By their peers; connections hold them."""
        self._waiting: dict[Share, None] = {}
        """Those that connections wait for."""
        self._turned = False
        self._stopping = False
        self.is_leaving = False
        """The server has ended for the next hub to go on, if that can be."""
        self._idle: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None
        self._due_msec: int | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def start(self) -> None:
        """Take connections in."""
        for way in self._ways:
            way.listener.setblocking(False)
            self.loop.add_reader(way.listener, self._accept, way)
        self._maybe_idle()

    def stop(self) -> None:
        """Take no more connections in, and end those that there are once they have read what there is for them."""
        if self._stopping:
            return
        self._stopping = True
        self.is_leaving = False
        self.done.clear()
        for way in self._ways:
            self.loop.remove_reader(way.listener)
        if not self._connections:
            self.done.set()
            return
        self.turn()
        for connection in list(self._connections.values()):
            connection.end()
        self.loop.call_later(STOP_SEC, self.done.set)

    # --- from one hub to the next -------------------------------------------------------------------------

    def leave(self) -> None:
        """End, and leave all connections to the next hub: whoever waits for `done` does that, or stops the server."""
        if not self._stopping:
            self.is_leaving = True
            self.done.set()

    async def quiet(self) -> None:
        """Take no more connections in, and read from none; nothing else changes."""
        for way in self._ways:
            self.loop.remove_reader(way.listener)
        while self._joining:
            await asyncio.wait(self._joining)
        for connection in self._connections.values():
            connection.pause()

    def state(self) -> tuple[State, list[int]]:
        """All that the next hub has to know, and the sockets of the connections that it goes on with, in their order.

        Nothing may happen between this and `abandon`.
        """
        self.turn()
        self._finish_turn()
        known = self.router.state()
        found = {client.number: connection.wire() for client, connection in self._connections.items()}
        wires = {number: wire for number, wire in found.items() if wire is not None}
        clients = [
            msgspec.structs.replace(one, wire=wires[one.number][0]) if one.number in wires else one
            for one in known.clients
        ]
        fitted = fitting(State(hub=known.hub, clients=clients), HANDOVER_MAX_BYTES)
        handles = [wires[one.number][1] for one in fitted.clients if one.wire is not None]
        if len(handles) < len(wires):
            why = f"{HANDOVER_MAX_BYTES} bytes of messages are left to the next hub at most"
            _log.warning("%d connections end: %s", len(wires) - len(handles), why)
        return fitted, handles

    def abandon(self) -> None:
        """Let all connections go, which are the next hub's now."""
        left, self._connections = self._connections, {}
        for connection in left.values():
            connection.abandon()

    def take_over(self, state: State, handles: Sequence[socket.socket | None]) -> None:
        """Go on where the hub before was, before anything else; ValueError when `handles` are not those of `state`."""
        if len(handles) != sum(one.wire is not None for one in state.clients):
            raise ValueError(f"it has {len(handles)} sockets")
        self.turn()
        clients = self.router.resume(state)
        modules = {client.peer.module for client in clients} - {""}
        rules = Rules(modules={name: self._rules_of(name) for name in sorted(modules)}, gated=self._gated())
        self.router.change(rules)
        left = iter(handles)
        gone = []
        for one, client in zip(state.clients, clients, strict=True):
            self.progress()
            handle = None if one.wire is None else next(left)
            if one.wire is None or handle is None or not self._go_on(client, one.wire, handle):
                gone.append(client)
        for client in gone:  # once all are there who have to be told
            self.router.disconnect(client)

    def _go_on(self, client: Client, wire: Wire, handle: socket.socket) -> bool:
        """Go on with one connection; False when the hub has no such way any more."""
        is_unix = handle.family == socket.AF_UNIX
        way = next((way for way in self._ways if (way.listener.family == socket.AF_UNIX) is is_unix), None)
        if way is None:
            close_cleanly([handle])
            return False
        handle.setblocking(False)
        with suppress(OSError):  # the hub before may have widened it; what is no socket is found out below
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW.kernel_bytes)
        try:
            pidfd, has_ended = way.pin(handle), False
        except LinkError:
            pidfd, has_ended = -1, True
        connection = self._connect(handle, client, pidfd, way.framing())
        connection.resume(wire)
        if has_ended:
            connection.orphan()
        return True

    def look_around(self, goes_on: Callable[[Peer], bool]) -> None:
        """Once in a while: end connections of runs that do not go on, and those whose other end does not answer."""
        self.turn()
        self.router.gate(self._gated())
        self.router.keeping.look()
        if (found := self._runs()) is not None:
            self.router.runs(found)
        now = self.loop.time()
        going: dict[Peer, bool] = {}
        for client, connection in list(self._connections.items()):
            peer = client.peer
            if peer not in going:
                going[peer] = goes_on(peer)
            if not going[peer]:
                why = f"this run of {peer.name} is over"
                self.router.end(client, LinkError(Code.ENDED, "keep the connection", why))
            elif not connection.look(now):
                self.router.end(client, LinkError(Code.SILENT, "keep the connection", "it answers no ping"))

    # --- for connections ----------------------------------------------------------------------------------

    def turn(self) -> None:
        """Something happens: set the clock, and see at the end of the turn what came of it."""
        self.progress()
        if not self._turned:
            self._turned = True
            self.router.clock(int(self.loop.time() * 1000), int(time.time() * 1000))
            self.loop.at_end(self._finish_turn)

    def do(self, act: Callable[[], None]) -> None:
        """Something that happened elsewhere, as a thing of this turn."""
        self.turn()
        act()

    def write_later(self, connection: Connection) -> None:
        """Write for it at the end of the turn."""
        self._writing[connection] = None
        self.turn()

    def wait(self, share: Share) -> None:
        """In the next turn those that wait for this share go on."""
        self._waiting[share] = None
        self.turn()

    def lost(self, connection: Connection) -> None:
        """The connection is gone."""
        self.turn()
        self._writing.pop(connection, None)
        if self._connections.pop(connection.client, None) is not None:
            self.router.disconnect(connection.client)
        self._maybe_idle()

    # --- turns --------------------------------------------------------------------------------------------

    def _finish_turn(self) -> None:
        self._turned = False
        self.turns += 1
        router, connections = self.router, self._connections
        router.run()
        busy = True
        while busy:
            resumed, ready, ending = router.resumed(), router.ready(), router.ending()
            for client in resumed:
                if client in connections:
                    connections[client].freed()
            for client, error in ending:
                if client in connections:
                    connections[client].end(error.code)
            writing, self._writing = self._writing, {}
            writing |= dict.fromkeys(connections[client] for client in ready if client in connections)
            for connection in writing:
                self.progress()
                connection.write_out()
            busy = bool(resumed or ending or writing)
        waiting, self._waiting = self._waiting, {}
        for share in waiting:
            if share.serve(self.turns):
                self.wait(share)
        self._set_timer()

    def _set_timer(self) -> None:
        due_msec = self.router.next_msec()
        if due_msec != self._due_msec:
            if self._due is not None:
                self._due.cancel()
            self._due_msec = due_msec
            # A millisecond later, as the loop's clock has more digits.
            self._due = None if due_msec is None else self.loop.call_at((due_msec + 1) / 1000, self._on_time)

    def _on_time(self) -> None:
        self._due_msec = None
        self.turn()

    # --- who comes and goes -------------------------------------------------------------------------------

    def _accept(self, way: Way) -> None:
        until_sec = self.clock() + SHARE_SEC
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                handle, _address = way.listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                _log.warning("cannot take a connection in: %s", error)
                self.loop.remove_reader(way.listener)
                self.loop.call_later(ACCEPT_PAUSE_SEC, self._accept_again, way)
                return
            self._admit(handle, way)
            if self.clock() >= until_sec:
                return

    def _accept_again(self, way: Way) -> None:
        if not (self._stopping or self.is_leaving):
            self.loop.add_reader(way.listener, self._accept, way)

    def _admit(self, handle: socket.socket, way: Way) -> None:
        self.turn()
        handle.setblocking(False)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, NARROW.kernel_bytes)
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        pidfd = -1
        try:
            peer, pidfd = way.identify(handle)
            if peer.module:
                self.router.gate(self._gated())
                self.router.learn(peer.module, self._rules_of(peer.module))
            client = self.router.connect(peer)
        except LinkError as error:
            _log.info("%s", error)
            way.turn_away(handle, error)
            if pidfd >= 0:
                os.close(pidfd)
            return
        self._connect(handle, client, pidfd, way.framing())

    def _connect(self, handle: socket.socket, client: Client, pidfd: int, framing: Framing) -> Connection:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        share = self._shares.setdefault(client.peer.name, Share())
        connection = self._connections[client] = Connection(self, client, pidfd, framing, share)
        task = self.loop.create_task(self._join(connection, handle))
        self._joining.add(task)
        task.add_done_callback(self._joining.discard)
        return connection

    async def _join(self, connection: Connection, handle: socket.socket) -> None:
        try:
            await self.loop.connect_accepted_socket(lambda: connection, handle)
        except OSError as error:
            _log.warning("cannot talk with %s: %s", connection.client.peer.name, error)
            handle.close()
            connection.let_go()
            self.lost(connection)

    def _maybe_idle(self) -> None:
        if self._connections:
            return
        if self._stopping:
            self.done.set()
        elif self._idle is None:
            self._idle = self.loop.call_later(self._idle_sec, self._leave)

    def _leave(self) -> None:
        self._idle = None
        for way in self._ways:
            self._accept(way)  # whoever came since the loop last looked
        if not self._connections:
            self.stop()
