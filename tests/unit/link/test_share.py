"""One module that keeps the hub busy, and the others. Time is counted in looks at the clock, and latency in turns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aurora.link.bounds import Bounds
from aurora.link.house import READ_BYTES, SIP_BYTES
from aurora.link.identity import Identified
from aurora.link.intake import MESSAGES_AT_ONCE
from aurora.link.loop import TurnLoop
from aurora.link.peer import Peer
from aurora.link.router import Router
from aurora.link.rules import NOTHING, ModuleRules, Rules
from aurora.link.server import Server
from aurora.link.share import SHARE_SEC, Share
from aurora.link.ways import unix_way
from aurora.paths import Paths

from .served import Served
from .talking import ALL, ROOT, module

LOOK_SEC = 0.001
SHARE_LOOKS = round(SHARE_SEC / LOOK_SEC)
DENIED = b'{"topic":"a","data":1}\n'
NOT_JSON = b"{\n"
NESTED = b'{"topic":"a","data":' + b"[" * 40 + b"1" + b"]" * 40 + b',"more":"' + b"x" * 100_000 + b'"}\n'


class Ticking:
    """A clock by which whatever the hub does between two looks takes a millisecond."""

    def __init__(self) -> None:
        self.now_sec = 0.0

    def __call__(self) -> float:
        self.now_sec += LOOK_SEC
        return self.now_sec


class Table:
    """A hub and its clients in one event loop, so that what happens is counted in turns of it."""

    def __init__(self, place: Path, of_one_max_bytes: int = 8_000_000, **rules: ModuleRules) -> None:
        self.place = str(place / "link.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.place)
        self._listener.listen(128)
        self._peer: Peer = ROOT
        bounds = Bounds(malformed_max=1_000_000, queues_of_one_max_bytes=of_one_max_bytes)
        way = unix_way(self._listener, Paths(), bounds)._replace(identify=lambda _handle: Identified(self._peer, -1))
        self.router = Router(Rules(), bounds)
        self.server = Server([way], lambda name: rules.get(name, ALL), self.router, idle_sec=3600)
        self.server.clock = Ticking()
        self.server.start()

    async def join(self, peer: Peer) -> socket.socket:
        """A client that has been greeted."""
        self._peer = peer
        wire = socket.socket(socket.AF_UNIX)
        wire.connect(self.place)
        wire.setblocking(False)
        wire.send(b'{"type":"hello","version":1}\n')
        while not drained(wire):
            await asyncio.sleep(0)
        return wire

    async def turns_until_pong(self, wire: socket.socket, floods: Sequence[tuple[socket.socket, bytes]]) -> int:
        """How many turns a ping takes while others send all that the kernel takes of them, and read their answers."""
        wire.send(b'{"type":"ping","id":"1"}\n')
        for turn in range(1, 1000):
            for other, lines in floods:
                fill(other, lines)
                drained(other)
            await asyncio.sleep(0)
            if drained(wire):
                return turn
        pytest.fail("the ping was not answered")

    def close(self) -> None:
        self._listener.close()


def fill(wire: socket.socket, lines: bytes) -> None:
    """Until the kernel takes no more; whole lines but for long ones, of which the rest is sent by the next call."""
    with suppress(BlockingIOError):
        while True:
            sent = wire.send(lines[kept.get(wire, 0) :])
            kept[wire] = (kept.get(wire, 0) + sent) % len(lines)


kept: dict[socket.socket, int] = {}


def drained(wire: socket.socket) -> bytes:
    """What there is to read now."""
    found = b""
    with suppress(BlockingIOError):
        while more := wire.recv(1 << 16):
            found += more
    return found


def run(act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    kept.clear()
    asyncio.run(act(), loop_factory=TurnLoop)


@pytest.mark.parametrize("lines", [DENIED * 500, NOT_JSON * 1000, NESTED], ids=["denied", "not-json", "nested"])
@pytest.mark.parametrize("connections", [1, 60])
def test_a_module_that_floods_the_hub_keeps_others_waiting_for_a_few_turns(
    tmp_path: Path, lines: bytes, connections: int
) -> None:
    async def act() -> None:
        table = Table(tmp_path, flood=NOTHING)
        quiet = await table.join(module("quiet"))
        floods = [(await table.join(module("flood")), lines) for _ in range(connections)]
        for _ in range(20):
            before, received = table.server.turns, table.router.counts()["received"]
            turns = await table.turns_until_pong(quiet, floods)
            assert turns <= 4
            passed = table.server.turns - before
            taken = table.router.counts()["received"] - received
            assert taken <= (passed + 1) * (SHARE_LOOKS + 2) * MESSAGES_AT_ONCE
        assert table.router.counts()["received"] > 20, "the flood was there"
        table.close()

    run(act)


def test_what_floods_hold_while_they_wait_is_little(tmp_path: Path) -> None:
    async def act() -> None:
        table = Table(tmp_path, flood=NOTHING)
        quiet = await table.join(module("quiet"))
        floods = [(await table.join(module("flood")), DENIED * 500) for _ in range(60)]
        for _ in range(100):
            await table.turns_until_pong(quiet, floods)
            waiting = table.router.counts()["queues_bytes"]
            assert waiting < 2 * READ_BYTES + 60 * (SIP_BYTES + 256 * MESSAGES_AT_ONCE)
        table.close()

    run(act)


def test_a_module_that_has_no_room_left_waits_for_its_turn_like_others(tmp_path: Path) -> None:
    async def act() -> None:
        table = Table(tmp_path, 20_000, flood=ALL)
        quiet, sleeper = await table.join(module("quiet")), await table.join(module("flood"))
        sleeper.send(b'{"type":"sub","topic":"b","bound":"drop-oldest"}\n')
        filler = await table.join(module("flood"))
        (budget,) = {one.budget for one in table.server._connections if one.peer.module == "flood"}
        for _ in range(500):
            fill(filler, b'{"topic":"b","data":"%b"}\n' % (b"x" * 400))
            await table.turns_until_pong(quiet, [])
            if not budget.has_room(500):
                break
        # Nobody reads these, and there is nothing to answer: an answer would have no room, and end it.
        lines = b"".join(b'{"topic":"c/%d","data":1}\n' % (number % 7) for number in range(500))
        floods = [(await table.join(module("flood")), lines) for _ in range(3)]
        for _ in range(20):
            before, received = table.server.turns, table.router.counts()["received"]
            assert await table.turns_until_pong(quiet, floods) <= 4
            passed = table.server.turns - before
            taken = table.router.counts()["received"] - received
            assert taken <= (passed + 1) * (SHARE_LOOKS + 2) * MESSAGES_AT_ONCE
        assert not budget.has_room(12_000), "it was so all the time"
        assert len(table.server) == 6, "none was ended for it"
        table.close()

    run(act)


def test_connections_of_one_module_go_on_in_turn(tmp_path: Path) -> None:
    async def act() -> None:
        table = Table(tmp_path, flood=NOTHING)
        floods = [(await table.join(module("flood")), DENIED * 500) for _ in range(10)]
        quiet = await table.join(module("flood"))
        for _ in range(10):
            assert await table.turns_until_pong(quiet, floods) <= 2 * len(floods) + 4
        table.close()

    run(act)


def test_who_comes_in_crowds_is_taken_in_over_several_turns(tmp_path: Path) -> None:
    async def act() -> None:
        table = Table(tmp_path)
        crowd = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for wire in crowd:
            wire.connect(table.place)
        counts = [0]
        while counts[-1] < len(crowd):
            await asyncio.sleep(0)
            counts.append(len(table.server))
            assert counts[-1] - counts[-2] <= SHARE_LOOKS
        table.close()

    run(act)


def test_what_waits_for_its_turn_is_taken_whole_and_in_order(tmp_path: Path) -> None:
    with Served(tmp_path, ROOT) as hub:
        hub.server.clock = Ticking()
        reader = hub.client({"type": "sub", "topic": "#", "queue_messages": 16_000, "queue_bytes": 1_000_000})
        writers = [hub.client() for _ in range(3)]
        for number, writer in enumerate(writers):
            lines = (b'{"topic":"%d","data":%d}\n' % (number, count) for count in range(3000))
            writer.say(b"".join(lines) + b'{"topic":"%d","data":"end"}' % number)
            writer.socket.shutdown(socket.SHUT_WR)
        found: dict[str, list[Any]] = {str(number): [] for number in range(3)}
        while not all(data and data[-1] == "end" for data in found.values()):
            message = reader.read()
            assert message is not None
            if message["type"] == "pub":
                found[message["topic"]].append(message["data"])
        assert all(data == [*range(3000), "end"] for data in found.values())
        assert [writer.rest() for writer in writers] == [[], [], []]


def test_a_message_that_takes_more_than_a_share_is_paid_with_turns() -> None:
    share = Share()
    assert share.is_open(1)
    share.enter(0.0)
    assert not share.is_spent(SHARE_SEC * 0.9)
    assert share.is_spent(SHARE_SEC)
    share.leave(SHARE_SEC * 3.5)
    assert [share.is_open(turn) for turn in (1, 2, 3, 4, 5)] == [False, False, False, True, True]
    share.enter(20.0)
    assert not share.is_spent(20.0 + SHARE_SEC * 0.9), "nothing is saved up or owed any more"
