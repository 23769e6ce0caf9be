"""Whatever one client sends, by lines or frames: the hub does not raise, says what it refuses, serves the others."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.identity import Identified
from aurora.link.peer import Peer
from aurora.link.refusal import Code
from aurora.link.vocabulary import FROM_HUB
from tests.unit.fuzz.budget import tries

from .rfc6455 import VALID_CLOSES
from .served import Served, Wire
from .talking import ROOT, kept, module
from .test_conformance import Raw
from .test_websocket import frame, request
from .wire import chunked, frames, lines, mutated

STEADY = module("steady")
FUZZED = (module("fuzzed"), ROOT)
BOUNDS = Bounds(block_max_msec=50, malformed_max=16, message_max_bytes=4096)
sizes = st.lists(st.integers(1, 300), max_size=3)


class Fuzzed:
    """A hub, a client that is to notice nothing, and clients that send anything."""

    def __init__(self, place: Path) -> None:
        self.next: Peer = STEADY
        rules = kept("kept/#")
        self.hub = Served(
            place, identify=lambda _handle: Identified(self.next, -1), bounds=BOUNDS, fuzzed=rules, steady=rules
        )
        self.raised: list[dict[str, Any]] = []
        self._number = 0

    def begin(self) -> None:
        loop = self.hub.server.loop
        self.hub.ask(lambda: loop.set_exception_handler(self._note))
        self.steady = self.hub.client({"type": "sub", "topic": "steady", "queue_messages": 16})

    def _note(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.raised.append(context)

    def check(self) -> None:
        """The other is served as ever, and nothing is left of who came."""
        self._number += 1
        self.steady.say({"topic": "steady", "data": self._number, "id": "said"})
        came = self.steady.until(lambda one: one.get("type") == "pub" and one["data"] == self._number)
        assert all(one["type"] == "pub" or one.get("id") == "said" for one in came)
        self.hub.wait_for_clients(1)
        assert self.raised == []


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    place = tmp_path_factory.mktemp("fuzzed")
    found = Fuzzed(place)
    with found.hub, found.hub.disk(place):
        found.begin()
        yield found
        counts = found.hub.ask(found.hub.server.router.counts)
        assert counts["queues_bytes"] <= BOUNDS.retained_of_one_max_bytes


def said_well(message: dict[str, Any]) -> None:
    """A message of the hub's, or an older client's of a client that is one, too."""
    if message.get("type") in FROM_HUB and "raw" not in message:
        shape = FROM_HUB[message["type"]]
        if set(shape.required) <= message.keys() <= shape.members:
            assert message["type"] != "error" or message["code"] in list(Code)
            return
    assert message["from"] in ("fuzzed", "user:root"), message


def by_lines(hub: Served, pieces: list[bytes]) -> None:
    """Send them, and read to the end."""
    wire = Wire(hub.place)
    with suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            wire.socket.sendall(piece)
        wire.socket.shutdown(socket.SHUT_WR)
    for message in wire.rest():
        said_well(message)
    wire.close()


def by_frames(hub: Served, first: bytes, pieces: list[bytes]) -> None:
    """The same."""
    raw = Raw(hub, first)
    try:
        for piece in pieces:
            raw.socket.sendall(piece)
        raw.socket.shutdown(socket.SHUT_WR)
    except OSError as error:  # the hub has closed it, with something unread or before that came
        assert error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN), error  # noqa: PT017  # of some only
    closes = 0
    with suppress(ConnectionResetError):  # of what it has sent after its close, nothing is read
        head = raw.head()
        assert not head or head[0].split()[1] in ("101", "400", "403", "426")
        while head and head[0].split()[1] == "101" and (found := raw.frame()) is not None:
            opcode, payload = found
            assert closes == 0
            if opcode == 8:
                closes += 1
                assert not payload or int.from_bytes(payload[:2]) in VALID_CLOSES
            elif opcode == 1:
                said_well(json.loads(payload))
            else:
                assert opcode in (9, 10)
    raw.close()


@tries(80)
@given(st.sampled_from(FUZZED), lines(), sizes, st.booleans())
@example(
    ROOT, [b'{"type":"sub","topic":"#","bound":"block","queue_messages":1}'] + [b'{"topic":"a","data":1}'] * 9, [], True
)
@example(ROOT, [b"\0", b"\r", b" ", b"", b"{}", b"\xff", b"\xed\xa0\x80"], [1], False)
def test_lines(fuzzed: Fuzzed, peer: Peer, said: list[bytes], pieces: list[int], ends: bool) -> None:
    fuzzed.next = peer
    by_lines(fuzzed.hub, chunked(b"\n".join(said) + b"\n" * ends, pieces))
    fuzzed.check()


@tries(80)
@given(
    st.sampled_from(FUZZED),
    mutated(frames(lines().map(lambda found: found[0]))) | frames(lines().map(lambda found: found[0])),
    sizes,
)
def test_frames(fuzzed: Fuzzed, peer: Peer, said: bytes, pieces: list[int]) -> None:
    fuzzed.next = peer
    by_frames(fuzzed.hub, request(), chunked(said, pieces))
    fuzzed.check()


@tries(50)
@given(mutated(st.just(request())) | st.binary(max_size=200), st.binary(max_size=50), sizes)
@example(request().replace(b"Connection: U", b"Connection: \x80U"), b"", [])  # it was raised where that is quoted
@example(request().replace(b"dGhl", b"dGh\xff"), b"", [])
def test_handshakes(fuzzed: Fuzzed, first: bytes, more: bytes, pieces: list[int]) -> None:
    fuzzed.next = ROOT
    by_frames(fuzzed.hub, b"", chunked(first + more + frame(1, b'{"type":"ping"}'), pieces))
    fuzzed.check()
