"""The hub at a TCP socket, and the library's own client at the other end."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from aurora.link.bounds import Bounds
from aurora.link.connection import PING_SEC, PONG_SEC, Connection
from aurora.link.house import READ_BYTES, SIP_BYTES
from aurora.link.intake import Intake
from aurora.link.rules import ModuleRules
from aurora.link.server import RECEIVE_BYTES
from aurora.link.share import Share
from aurora.link.ways import TURNED_AWAY_MAX
from aurora.link.websocket import WebSocket
from aurora.link.width import NARROW

from .served import DEADLINE_SEC, Served, Wire, descriptors
from .talking import OPERATOR, ROOT, STRANGER, module
from .test_websocket import frame, request

SUB = {"type": "sub", "topic": "#"}


class Web:
    """A client by WebSocket."""

    def __init__(self, hub: Served, **more: Any) -> None:
        self.connection: ClientConnection = connect(
            f"ws://127.0.0.1:{hub.port}/", compression=None, proxy=None, ping_interval=None, close_timeout=5, **more
        )

    def say(self, *messages: dict[str, Any] | str) -> None:
        for message in messages:
            self.connection.send(message if isinstance(message, str) else json.dumps(message))

    def read(self) -> dict[str, Any]:
        found = json.loads(self.connection.recv(DEADLINE_SEC))
        assert isinstance(found, dict)
        return found

    def until(self, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        found = [self.read()]
        while not wanted(found[-1]):
            found.append(self.read())
        return found

    def rest(self) -> tuple[list[dict[str, Any]], int]:
        """All that comes until the hub ends the connection, and its close code."""
        found = []
        with suppress(ConnectionClosed):
            while True:
                found.append(self.read())
        close = self.connection.protocol.close_rcvd
        assert close is not None
        return found, close.code


class Raw:
    """A client that sends what it likes."""

    def __init__(self, hub: Served, first: bytes = request()) -> None:
        self.socket = socket.create_connection(("127.0.0.1", hub.port), timeout=DEADLINE_SEC)
        self.socket.sendall(first)

    def rest(self) -> bytes:
        """Everything that comes until the end of the stream, which has to be an orderly one."""
        found = b""
        while more := self.socket.recv(65536):
            found += more
        self.socket.close()
        return found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub does not wait long for the goodbye of a client that says none."""
    monkeypatch.setattr("aurora.link.connection.LAST_WORDS_SEC", 0.3)


def is_data(value: object) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one["type"] == "pub" and one["data"] == value


def test_both_ways_lead_to_the_same_hub(tmp_path: Path) -> None:
    with Served(tmp_path, module("weather"), ROOT) as hub:
        page = Web(hub)
        page.say({"type": "hello", "version": 1})
        assert page.read()["id"] == "weather"
        shell = hub.client(SUB)
        page.say(*({"topic": "site/temp", "data": [number, "\n"]} for number in range(500)))
        found = [one for one in shell.until(is_data([499, "\n"])) if one["type"] == "pub"]
        assert [one["data"][0] for one in found] == list(range(500))
        assert {one["from"] for one in found} == {"weather"}
        page.say(SUB, {"type": "ping", "id": "up"})
        page.until(lambda one: one.get("id") == "up")
        shell.say({"topic": "lamp", "data": "x" * 70_000})
        assert page.until(is_data("x" * 70_000))[-1]["from"] == "user:root"
        page.connection.close()
        hub.wait_for_clients(1)


def test_a_message_of_many_fragments_with_pings_between_them_is_one(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        web = Web(hub)
        web.connection.send(iter(['{"type":', '"ping","id":"', "Ä", '1"}']))
        assert web.read()["id"] == "Ä1"
        assert web.connection.ping().wait(DEADLINE_SEC)


def test_a_line_break_within_a_message_is_refused_and_one_around_it_is_not(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        web = Web(hub)
        web.say('{"type":"ping","id":"1"}\n', '{"type":"ping",\n"id":"2"}')
        assert web.read()["id"] == "1"
        assert web.read()["code"] == "line-break"


def test_older_clients_take_part_by_either_way(tmp_path: Path) -> None:
    rules = ModuleRules(publish=("$broadcast",), subscribe=("$broadcast",))
    with Served(tmp_path, module("one"), module("two"), module("three"), one=rules, two=rules, three=rules) as hub:
        webs = [Web(hub), Web(hub)]
        line = Wire(hub.place)
        line.say({"type": "hello", "id": "edge-2"})
        for number, web in enumerate(webs):
            web.say({"type": "hello", "id": f"edge-{number}"})
        until = time.monotonic() + DEADLINE_SEC
        while hub.ask(lambda: sum(client.older is not None for client in hub.clients())) < 3:
            assert time.monotonic() < until
        webs[0].say("what it is\nin two lines")
        expected = {"from": "one", "raw": "what it is\nin two lines"}
        assert line.read() == webs[1].read() == expected
        line.say({"type": "ping"})
        pings = [web.until(lambda one: one.get("type") == "ping")[-1] for web in webs]
        assert pings == [{"from": "three", "type": "ping"}] * 2
        webs[1].say({"type": "pong", "id": "edge-1", "ts": 5})
        pong = {"from": "two", "type": "pong", "id": "edge-1", "ts": 5}
        assert line.until(lambda one: one.get("type") == "pong")[-1] == pong


def test_who_is_refused_reads_why_in_http_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with Served(tmp_path, STRANGER) as hub:
        before = descriptors()
        for _ in range(20):
            with pytest.raises(InvalidStatus) as refused:
                Web(hub)
            assert refused.value.response.status_code == 403
            assert b"neither a module nor a member of the group aurora" in (refused.value.response.body or b"")
        assert hub.ask(hub.server.router.counts)["denied"] == 20
        assert descriptors() <= before + 2


def test_those_who_are_refused_and_say_nothing_are_held_in_bounds(tmp_path: Path) -> None:
    with Served(tmp_path, STRANGER) as hub:
        before = descriptors()
        silent = [Raw(hub, b"") for _ in range(TURNED_AWAY_MAX + 20)]
        denied = lambda: hub.ask(hub.server.router.counts)["denied"]  # noqa: E731  # asked again and again
        until = time.monotonic() + DEADLINE_SEC
        while denied() < len(silent):
            assert time.monotonic() < until
        ours = len(silent)
        assert descriptors() <= before + ours + TURNED_AWAY_MAX
        for one in silent:
            with suppress(ConnectionResetError):
                assert one.rest() == b""
        assert descriptors() <= before + 2


def test_a_web_page_is_refused_and_counted_unless_its_origin_is_listed(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        with pytest.raises(InvalidStatus) as refused:
            Web(hub, origin="https://evil.example")
        assert refused.value.response.status_code == 403
        assert b"[link] origins" in (refused.value.response.body or b"")
        hub.wait_for_clients(0)
        assert hub.ask(hub.server.router.counts)["denied"] == 1
        hub.origins = ("https://panel.example",)
        page = Web(hub, origin="https://panel.example")
        page.say({"type": "ping", "id": "1"})
        assert page.read()["type"] == "pong"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(2, b"x"), 1003),
        (frame(1, b"\xff"), 1007),
        (frame(1, b"x", mask=None), 1002),
        (frame(1, b"x" * 20_000), 1009),
    ],
)
def test_what_is_wrong_ends_one_connection_in_order_and_no_other(data: bytes, code: int, tmp_path: Path) -> None:
    with Served(tmp_path, bounds=Bounds(message_max_bytes=10_000)) as hub:
        other = hub.client()
        raw = Raw(hub, request() + frame(1, b'{"type":"ping","id":"1"}') + data + b"x" * 50_000)
        said = raw.rest()
        assert b'"pong"' in said
        assert said[said.rindex(b"\x88") :][2:4] == code.to_bytes(2)
        hub.wait_for_clients(1)
        other.say({"type": "ping", "id": "still"})
        other.until(lambda one: one.get("id") == "still")


@pytest.mark.usefixtures("hasty")
def test_the_beginning_of_a_message_is_charged_and_given_back(tmp_path: Path) -> None:
    with Served(tmp_path, OPERATOR, bounds=Bounds(queues_of_one_max_bytes=200_000)) as hub:
        hello = request() + frame(1, b'{"type":"ping"}')
        raws = [Raw(hub, hello + frame(1, b"x" * 90_000, fin=False) + frame(0, b"y" * 5000)[:-1]) for _ in range(2)]
        until = time.monotonic() + DEADLINE_SEC
        while hub.ask(hub.server.router.counts)["queues_bytes"] < 2 * 95_000:
            assert time.monotonic() < until
        said = Raw(hub, hello + frame(1, b"x" * 90_000, fin=False)).rest()
        assert b"too-large" in said
        assert said.endswith(b"\x88\x02" + (1009).to_bytes(2))
        assert hub.ask(hub.server.router.counts)["queues_bytes"] <= 200_000
        for raw in raws:
            raw.socket.close()
        hub.wait_for_clients(0)
        assert hub.ask(hub.server.router.counts)["queues_bytes"] == 0


def test_who_does_not_finish_the_handshake_or_says_nothing_after_it_is_ended(tmp_path: Path) -> None:
    with Served(tmp_path, bounds=Bounds(first_line_max_msec=50)) as hub:
        assert b" 408 " in Raw(hub, b"GET / HTTP/1.1\r\nHost:").rest()
        found, code = Web(hub).rest()
        assert [one["code"] for one in found] == ["silent"]
        assert code == 1008
        hub.wait_for_clients(0)


def test_handshakes_that_are_not_done_count_as_connections_of_who_began_them(tmp_path: Path) -> None:
    with Served(tmp_path, OPERATOR, bounds=Bounds(clients_of_one_max=3)) as hub:
        begun = [Raw(hub, b"GET / HTTP/1.1\r\nHost:") for _ in range(2)] + [Raw(hub, b"")]
        hub.wait_for_clients(3)
        refused = Raw(hub).rest()
        assert b" 503 " in refused
        assert b"as many connections as it may" in refused
        for raw in begun:
            raw.socket.close()
        hub.wait_for_clients(0)


def test_what_is_no_handshake_is_answered_in_http(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        assert Raw(hub, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").rest().startswith(b"HTTP/1.1 426 ")
        assert Raw(hub, b'{"type":"hello"}\r\n\r\n').rest().startswith(b"HTTP/1.1 400 ")
        hub.wait_for_clients(0)


def test_a_client_that_closes_gets_what_it_has_asked_for_first(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        asked = frame(1, b'{"type":"ping","id":"1"}') + frame(8, b"\x03\xe8")
        said = Raw(hub, request() + asked).rest()
        assert b'"pong"' in said
        assert said.endswith(b"\x88\x02\x03\xe8")


def test_a_client_that_just_goes_leaves_its_will(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        reader = hub.client(SUB)
        raw = Raw(hub, request() + frame(1, b'{"type":"hello","version":1,"will":{"topic":"gone","data":"me"}}'))
        hub.wait_for_clients(2)
        raw.socket.close()
        assert reader.until(is_data("me"))


def test_when_the_hub_stops_clients_read_what_there_was_for_them_and_that_it_goes(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        web = Web(hub)
        web.say(SUB, {"topic": "a", "data": 1, "id": "1"})
        web.until(lambda one: one["type"] == "ack" and one["id"] == "1")
        hub.server.loop.call_soon_threadsafe(hub.server.stop)
        found, code = web.rest()
        assert [one["data"] for one in found if one["type"] == "pub"] == [1]
        assert code == 1001
        hub.wait_until_it_ends()


def test_a_slow_reader_holds_up_nobody(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        slow = Raw(hub, request() + frame(1, json.dumps(SUB).encode()))
        fast = hub.client({**SUB, "queue_messages": 16_000, "queue_bytes": 1_000_000})
        writer = Web(hub)
        for number in range(2000):
            writer.say({"topic": "a", "data": [number, "x" * 2000]})
        fast.until(lambda one: one["type"] == "pub" and one["data"][0] == 1999)
        assert hub.ask(hub.server.router.counts)["dropped"] > 0
        waits = lambda: hub.ask(lambda: next(hub.clients()).budget.used)  # noqa: E731  # asked twice
        assert waits() <= 256 * 1024 + 3 * 64 * 1024
        # Pings that it asks for and does not read pile up nowhere.
        slow.socket.sendall(frame(9, b"x" * 125) * 5000)
        assert waits() <= 256 * 1024 + 3 * 64 * 1024
        slow.socket.close()


def until(hub: Served, is_true: Callable[[], bool]) -> None:
    """Ask in the hub's thread, again and again."""
    deadline = time.monotonic() + DEADLINE_SEC
    while not hub.ask(is_true):
        assert time.monotonic() < deadline


def test_what_a_publisher_has_sent_while_it_waits_is_charged_to_its_peer_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurora.link.share.SHARE_SEC", 3600.0)  # else little is read of the last ones
    bounds = Bounds(queues_of_one_max_bytes=200_000, block_max_msec=60_000)
    with Served(tmp_path, ROOT, OPERATOR, bounds=bounds) as hub:
        slow = Raw(hub, request() + frame(1, json.dumps({**SUB, "bound": "block", "queue_messages": 1}).encode()))
        slow.socket.settimeout(DEADLINE_SEC)
        until(hub, lambda: any(client.subscriptions for client in hub.clients()))
        said = b"".join(frame(1, b'{"topic":"a","data":"%b"}' % (b"x" * 500)) for _ in range(1000))
        raws = [Raw(hub, b"") for _ in range(40)]
        hub.wait_for_clients(41)
        connections = hub.server._connections.values()
        budget = hub.ask(lambda: list(connections)[-1].client.budget)
        for raw in raws:
            raw.socket.setblocking(False)
            with suppress(OSError):
                raw.socket.send(request() + said)
        # How much is held now depends on how much the kernel has just taken for the slow one: the most tells.
        until(hub, lambda: budget.most > 200_000 - READ_BYTES)
        until(hub, lambda: any(client.ending for client in hub.clients()) or len(hub.server) < 41)
        held, charged = hub.ask(lambda: (sum(len(one._intake.held) for one in connections), budget.used))
        assert held <= charged
        assert budget.most <= 200_000
        for raw in (*raws, slow):
            raw.socket.close()
        hub.wait_for_clients(0)
        assert hub.ask(hub.server.router.counts)["queues_bytes"] == 0


def test_a_message_that_waits_behind_another_keeps_its_line_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ModuleRules(publish=("#", "$broadcast"), subscribe=("#", "$broadcast"))
    held: list[bytes] = []
    hold = Intake._hold

    def seen(intake: Intake, messages: bytes) -> None:
        held.extend(messages.split(b"\xff"))
        hold(intake, messages)

    monkeypatch.setattr(Intake, "_hold", seen)
    with Served(tmp_path, ROOT, module("one"), module("two"), one=rules, two=rules) as hub:
        slow = hub.client({**SUB, "bound": "block", "queue_messages": 1})
        raw = Raw(hub, request() + frame(1, b'{"type":"hello"}'))
        hub.wait_for_clients(2)
        line = Wire(hub.place)
        line.say({"type": "hello"})
        until(hub, lambda: sum(client.older is not None for client in hub.clients()) == 2)
        texts = ["in two\nlines", "Ä\n\n\nÖ", "\n", "one"]
        publishes = [b'{"topic":"a","data":%d}' % number for number in range(3)]
        raw.socket.sendall(b"".join(frame(1, one) for one in (*publishes, *(text.encode() for text in texts))))
        assert [line.read() for _ in range(3)] == [{"from": "one", "raw": text} for text in texts if text.strip()]
        assert held[-4:] == [text.encode() for text in texts]
        assert published(slow, 3) == [0, 1, 2]


def published(wire: Wire, count: int) -> list[Any]:
    """The data of so many messages."""
    found = []
    while len(found) < count:
        one = wire.until(lambda one: one["type"] == "pub")[-1]
        found.append(one["data"])
    return found


def test_after_its_end_a_connection_is_charged_for_what_it_sends_and_answered_no_ping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurora.link.connection.LAST_WORDS_SEC", DEADLINE_SEC * 3)
    bounds = Bounds(queues_of_one_max_bytes=100_000, malformed_max=1)
    with Served(tmp_path, OPERATOR, bounds=bounds) as hub:
        waiting = lambda: hub.server.router.counts()["queues_bytes"]  # noqa: E731  # asked again and again
        framings = lambda: [one._framing for one in hub.server._connections.values()]  # noqa: E731  # the same
        raws = []
        for _ in range(2):
            raws.append(Raw(hub, request() + frame(1, b"{}")))
            said = b""
            while not said.endswith(b"\x88\x02" + (1008).to_bytes(2)):
                said += raws[-1].socket.recv(4096)
        raws[0].socket.sendall(frame(9, b"x" * 125) * 1000 + frame(1, b"x" * 90_000)[:-1])
        until(hub, lambda: waiting() >= 90_000 - SIP_BYTES)
        assert max(len(cast("WebSocket", one)._replies) for one in hub.ask(framings)) <= 1
        raws[1].socket.sendall(frame(1, b"x" * 90_000)[:-1])
        until(hub, lambda: any(one.over for one in framings()))
        assert sum(one.held for one in hub.ask(framings)) <= hub.ask(waiting) + 2 * SIP_BYTES <= 100_000 + 2 * SIP_BYTES
        for raw in raws:
            raw.socket.close()
        hub.wait_for_clients(0)
        assert hub.ask(waiting) == 0


def test_the_goodbye_of_a_connection_that_waits_when_it_is_ended_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurora.link.connection.LAST_WORDS_SEC", DEADLINE_SEC * 3)
    with Served(tmp_path, ROOT, module("gone"), bounds=Bounds(block_max_msec=60_000)) as hub:
        slow = Raw(hub, request() + frame(1, json.dumps({**SUB, "bound": "block", "queue_messages": 1}).encode()))
        until(hub, lambda: any(client.subscriptions for client in hub.clients()))
        web = Raw(hub, request())
        hub.wait_for_clients(2)
        publish = frame(1, b'{"topic":"a","data":"%b"}' % (b"x" * 20_000))
        web.socket.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                web.socket.send(publish)
        until(hub, lambda: any(one._intake.held for one in hub.server._connections.values()))
        hub.ask(lambda: hub.server.look_around(lambda peer: peer.module != "gone"))
        web.socket.settimeout(DEADLINE_SEC)
        said = b""
        while not said.endswith(b"\x88\x02" + (1008).to_bytes(2)):
            said += web.socket.recv(65536)
        assert hub.ask(hub.server.router.counts)["clients"] == 2
        web.socket.shutdown(socket.SHUT_WR)
        hub.wait_for_clients(1)
        slow.socket.close()


def test_the_kernel_keeps_little_for_a_connection(tmp_path: Path) -> None:
    unit = (Path(__file__).parents[3] / "units/aurora-link-websocket.socket").read_text()
    assert f"\nReceiveBuffer={RECEIVE_BYTES // 1024}K\n" in unit
    with Served(tmp_path) as hub:
        Web(hub).say({"type": "ping", "id": "1"})
        hub.wait_for_clients(1)
        (connection,) = hub.server._connections.values()
        until(hub, lambda: connection._transport is not None)
        handle = cast("asyncio.Transport", connection._transport).get_extra_info("socket")
        kept = [handle.getsockopt(socket.SOL_SOCKET, option) for option in (socket.SO_SNDBUF, socket.SO_RCVBUF)]
        assert kept == [2 * NARROW.kernel_bytes, 2 * RECEIVE_BYTES]


# What happens once in a while


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Served, float], None]]:
    """Look around as if it were so much later."""

    def look(hub: Served, later_sec: float) -> None:
        def looked() -> None:
            time_of = hub.server.loop.time
            with monkeypatch.context() as patch:
                patch.setattr(hub.server.loop, "time", lambda: time_of() + later_sec)
                hub.server.look_around(lambda peer: peer.module != "gone")

        hub.ask(looked)

    return look


@pytest.mark.usefixtures("hasty")
def test_a_connection_is_pinged_and_ended_when_it_does_not_answer(
    tmp_path: Path, far: Callable[[Served, float], None]
) -> None:
    with Served(tmp_path) as hub:
        raw = Raw(hub, request() + frame(1, b'{"type":"ping","id":"1"}'))
        line = hub.client()
        hub.wait_for_clients(2)
        far(hub, PING_SEC / 2)
        far(hub, PING_SEC + 1)
        far(hub, PONG_SEC + 1)
        said = raw.rest()
        assert said.count(b"\x89\0") == 2
        assert b"it answers no ping" in said
        assert said.endswith(b"\x88\x02" + (1008).to_bytes(2))
        line.say({"type": "ping", "id": "lines are not pinged"})
        line.until(lambda one: one.get("id") == "lines are not pinged")


def test_the_connections_of_a_run_that_is_over_are_ended(tmp_path: Path, far: Callable[[Served, float], None]) -> None:
    with Served(tmp_path, module("gone"), module("here")) as hub:
        web = Web(hub)
        web.say({"type": "hello", "version": 1})
        web.read()
        other = hub.client()
        far(hub, 0)
        found, code = web.rest()
        assert [one["code"] for one in found] == ["ended"]
        assert "this run of gone is over" in found[0]["text"]
        assert code == 1008
        other.say({"type": "ping", "id": "still"})
        other.until(lambda one: one.get("id") == "still")


def test_a_connection_that_is_ended_before_it_has_a_transport_is_cut_all_the_same(tmp_path: Path) -> None:
    cut = []

    class Transport:
        def __init__(self) -> None:
            self.said = b""

        def abort(self) -> None:
            cut.append(self.said)

        def write(self, data: bytes) -> None:
            self.said += data

        def __getattr__(self, name: str) -> Any:
            return lambda **_: False

    async def early(hub: Served) -> None:
        client = hub.server.router.connect(ROOT)
        connection = Connection(hub.server, client, -1, WebSocket(1000, tuple), Share())
        connection.end()
        connection.connection_made(cast("asyncio.BaseTransport", Transport()))

    with Served(tmp_path) as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr("aurora.link.connection.LAST_WORDS_SEC", 0.05)
        asyncio.run_coroutine_threadsafe(early(hub), hub.server.loop).result(DEADLINE_SEC)
        until = time.monotonic() + DEADLINE_SEC
        while not hub.ask(lambda: bool(cut)):
            assert time.monotonic() < until
    assert b" 503 " in cut[0]
