"""A hub that is restarted, its clients on real sockets: none of them is to notice anything."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK
from websockets.frames import Frame, Opcode

from aurora.link.bounds import Bounds
from aurora.link.fdstore import pack, unpack
from aurora.link.handover import decode, encode
from aurora.link.ledger import Ledger
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import ModuleRules
from aurora.link.share import Share
from aurora.link.writer import Writer

from .served import DEADLINE_SEC, Served, Store, Wire, descriptors
from .talking import OPERATOR, kept, module

SUB = {"type": "sub", "topic": "#", "queue_messages": 16_000, "queue_bytes": 1_000_000}


def data(messages: list[dict[str, Any]]) -> list[Any]:
    return [one["data"] for one in messages if one["type"] == "pub"]


def until(wire: Wire, value: object) -> list[Any]:
    return data(wire.until(lambda one: one["type"] == "pub" and one["data"] == value))


def place(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_what_is_half_read_and_half_written_goes_on_at_the_very_byte(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        reader, writer = hub.client(SUB), hub.client()
        lines = [b'{"topic":"a","data":["%d",%s]}\n' % (number, b"1," * 500 + b"1") for number in range(600)]
        writer.say({"topic": "a", "data": ["large", "x" * 200_000]}, *lines)  # the kernel takes a part of the first
        writer.say({"type": "ping", "id": "all"}, b'{"topic":"a","da')
        writer.until(lambda one: one.get("id") == "all")
        left = hub.hand_over()
    with Served(place(tmp_path, "b"), left=left) as hub:
        hub.wait_for_clients(2)
        writer.say(b'ta":"last"}\n')
        found = until(reader, "last")
        assert [one[0] for one in found[:-1]] == ["large", *map(str, range(600))]
        writer.say({"topic": "a", "data": "more"})
        assert until(reader, "more") == ["more"]
        assert hub.ask(hub.server.router.counts)["queues_bytes"] == 0


def test_lines_behind_a_full_queue_are_read_once_and_in_order(tmp_path: Path) -> None:
    bounds = Bounds(block_max_msec=60_000)
    with Served(place(tmp_path, "a"), bounds=bounds) as hub:
        reader = hub.client({**SUB, "bound": "block", "queue_messages": 2})
        writer = hub.client()
        lines = b"".join(b'{"topic":"a","data":[%d,"%s"]}\n' % (number, b"x" * 2000) for number in range(100))
        writer.say(lines)
        hub.ping_of_another()
        packed, handles = unpack(hub.hand_over())
        assert any(one.wire is not None and one.wire.held for one in decode(packed).clients)
        left = pack([packed], [one.fileno() for one in handles if one is not None])
    with Served(place(tmp_path, "b"), left=left, bounds=bounds) as hub:
        found = reader.until(lambda one: one["type"] == "pub" and one["data"][0] == 99)
        assert [one[0] for one in data(found)] == list(range(100))
        assert hub.ask(hub.server.router.counts)["dropped"] == 0


def test_many_of_one_beginning_go_on_amid_them_and_each_is_counted(tmp_path: Path) -> None:
    bounds = Bounds(block_max_msec=60_000)
    with Served(place(tmp_path, "a"), bounds=bounds) as hub:
        reader = hub.client({**SUB, "bound": "block", "queue_messages": 400})
        writer = hub.client()
        first = hub.ask(hub.server.router.counts)
        hub.ping_of_another()
        second = hub.ask(hub.server.router.counts)
        writer.say(b"".join(b'{"topic":"a","data":[%4d,"%s"]}\n' % (number, b"x" * 70) for number in range(2000)))
        hub.ping_of_another()
        packed, handles = unpack(hub.hand_over())
        state = decode(packed)
        assert any(one.wire is not None and one.wire.held for one in state.clients)
        assert any(len(sub.lines) > 300 for one in state.clients for sub in one.subscriptions)
        left = pack([packed], [one.fileno() for one in handles if one is not None])
    with Served(place(tmp_path, "b"), left=left, bounds=bounds) as hub:
        found = reader.until(lambda one: one["type"] == "pub" and one["data"][0] == 1999)
        assert [one[0] for one in data(found)] == list(range(2000))
        counts = hub.ask(hub.server.router.counts)
        assert (counts["dropped"], counts["queues_bytes"]) == (0, 0)
        for name in ("received", "delivered"):  # with one more ping
            assert counts[name] == 2000 + 2 * second[name] - first[name]


def test_what_waits_for_its_share_of_a_turn_goes_on_in_the_next_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(place(tmp_path, "a")) as hub:
        reader, writer = hub.client(SUB), hub.client()
        with monkeypatch.context() as patch:
            patch.setattr(Share, "is_open", lambda *_: False)  # whoever asks has had it
            writer.say(b"".join(b'{"topic":"%d","data":%d}\n' % (number % 3, number) for number in range(50)))
            until_sec = monotonic() + DEADLINE_SEC
            while not hub.ask(lambda: any(one._intake.held for one in hub.server._connections.values())):
                assert monotonic() < until_sec
            left = hub.hand_over()
    with Served(place(tmp_path, "b"), left=left):
        assert sorted(until(reader, 49)) == list(range(50))


def test_several_hubs_in_turn_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with Served(place(tmp_path, "0")) as hub:
        wires = [hub.client(SUB) for _ in range(300)]
        asker, lamp = hub.client(), hub.client({"type": "sub", "topic": "lamp", "serve": True})
        asker.say({"type": "req", "topic": "lamp", "id": "x", "data": 1})
        (asked,) = lamp.until(lambda one: one["type"] == "req")
        asker.say({"topic": "a", "data": 0, "id": "0"})
        asker.until(lambda one: one.get("id") == "0")
        left = hub.hand_over()
    for number in range(1, 4):
        with Served(place(tmp_path, str(number)), left=left) as hub:
            hub.wait_for_clients(302)
            asker.say({"topic": "a", "data": number, "id": str(number)})
            asker.until(lambda one: one.get("id") == str(number))  # noqa: B023  # called at once
            left = hub.hand_over()
    with Served(place(tmp_path, "last"), left=left) as hub:
        lamp.say({"type": "rep", "id": asked["id"], "data": "answer"})
        assert asker.until(lambda one: one["type"] == "rep")[-1]["data"] == "answer"
        assert all(until(wire, 3) == [0, 1, 2, 3] for wire in wires)
        asker.say({"topic": "a", "data": 4})
        assert all(until(wire, 4) == [4] for wire in wires)


def test_by_websocket_a_fragmented_message_and_a_frame_go_on(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub, hub.websocket() as web:
        web.send('{"type":"sub","topic":"#","id":"1"}')
        assert "ack" in str(web.recv(DEADLINE_SEC))
        handle = web.socket
        whole = Frame(Opcode.CONT, '"ü"}'.encode()).serialize(mask=True)
        handle.sendall(Frame(Opcode.TEXT, b'{"topic":"a","data":', fin=False).serialize(mask=True) + whole[:-2])
        hub.ping_of_another()
        left = hub.hand_over()
        with Served(place(tmp_path, "b"), left=left) as successor:
            handle.sendall(whole[-2:])
            assert msgspec.json.decode(web.recv(DEADLINE_SEC))["data"] == "ü"
            assert web.ping().wait(DEADLINE_SEC)
            successor.wait_for_clients(1)


def test_who_speaks_another_way_than_there_is_now_is_ended_and_its_will_is_left(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub, hub.websocket() as web:
        web.send('{"type":"hello","version":1,"will":{"topic":"gone","data":1}}')
        web.recv(DEADLINE_SEC)
        reader = hub.client(SUB)
        left = hub.hand_over()
        successor = Served(place(tmp_path, "b"), left=left)
        successor.ways_max = 1
        with successor:
            assert until(reader, 1) == [1]
            assert len(successor.server) == 1


def test_who_closed_its_end_and_does_not_read_gets_all_and_then_the_end(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        wire = hub.client()
        wire.say(*({"type": "ping", "id": "x" * 60 + str(number)} for number in range(5000)))
        wire.socket.shutdown(socket.SHUT_WR)
        hub.ping_of_another()
        left = hub.hand_over()
    with Served(place(tmp_path, "b"), left=left):
        assert [one["id"][60:] for one in wire.rest()] == [str(number) for number in range(5000)]


def test_a_process_that_ended_meanwhile_is_read_to_its_last_word_and_ended(tmp_path: Path) -> None:
    def ended(_handle: socket.socket) -> int:
        raise LinkError(Code.DENIED, "connect", "the process that connected has ended")

    with Served(place(tmp_path, "a")) as hub:
        reader, writer = hub.client(SUB), hub.client()
        left = hub.hand_over()
        writer.say({"topic": "a", "data": "last word"})
    successor = Served(place(tmp_path, "b"), left=left)
    successor.pin = ended
    with successor:
        assert until(reader, "last word") == ["last word"]
        assert writer.rest() == []


def test_rules_are_those_of_now(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a"), module("weather")) as hub:
        weather = hub.client({"type": "sub", "topic": "a"}, {"type": "sub", "topic": "b"})
        left = hub.hand_over()
    with Served(place(tmp_path, "b"), left=left, weather=ModuleRules(subscribe=("a",), publish=("a",))):
        weather.say({"topic": "a", "data": 1}, {"topic": "b", "data": 2, "id": "b"})
        assert [one["code"] for one in weather.until(lambda one: one.get("id") == "b")] == ["denied", "denied"]
        assert until(weather, 1) == [1]


def test_a_run_that_ended_meanwhile_is_over(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a"), module("weather"), OPERATOR) as hub:
        weather, reader = hub.client(), hub.client(SUB)
        left = hub.hand_over()
        weather.say({"topic": "a", "data": "too late"})
    successor = Served(place(tmp_path, "b"), left=left)
    successor.goes_on = lambda peer: not peer.module
    with successor:
        assert [one["code"] for one in weather.rest()] == ["ended"]
        reader.say({"topic": "a", "data": "only this"})
        assert until(reader, "only this") == ["only this"]


def test_durable_messages_are_acknowledged_before_and_none_is_sent_again(tmp_path: Path) -> None:
    disk = place(tmp_path, "disk")
    rules = {"alarm": kept("alarm")}
    with Served(place(tmp_path, "a"), module("alarm"), OPERATOR, **rules) as hub, hub.disk(disk):
        alarm = hub.client()
        reader = hub.client({"type": "sub", "topic": "alarm", "cursor": "mine"})
        alarm.say(*({"topic": "alarm", "data": number, "id": str(number)} for number in range(50)))
        left = hub.hand_over()
    with Served(place(tmp_path, "b"), left=left, **rules) as hub, hub.disk(disk):
        acks = alarm.until(lambda one: one.get("id") == "49")
        assert [one["id"] for one in acks] == [str(number) for number in range(50)]
        found = reader.until(lambda one: one["type"] == "pub" and one["data"] == 49)
        assert data(found) == list(range(50))
        reader.say({"type": "ack", "cursor": "mine", "id": found[-1]["id"]})
        alarm.say({"topic": "alarm", "data": 50})
        assert until(reader, 50) == [50]


# What cannot be


def test_who_has_most_waiting_ends_where_not_all_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("aurora.link.server.HANDOVER_MAX_BYTES", 20_000)
    with Served(place(tmp_path, "a"), module("hog"), module("weather"), OPERATOR) as hub:
        hog, reader, writer = hub.client(SUB), hub.client({"type": "sub", "topic": "b"}), hub.client()
        hog.say({"type": "hello", "version": 1, "will": {"topic": "b", "data": "left by the hog"}})
        writer.say(*({"topic": "a", "data": "x" * 10_000} for _ in range(50)), {"type": "ping", "id": "all"})
        writer.until(lambda one: one.get("id") == "all")
        left = hub.hand_over()
    assert "1 connections end: 20000 bytes of messages" in caplog.text
    with Served(place(tmp_path, "b"), left=left) as hub:
        assert until(reader, "left by the hog") == ["left by the hog"]
        assert len(data(hog.rest())) < 50
        assert len(hub.server) == 2


@pytest.mark.parametrize("spoil", [lambda _: b"", lambda packed: packed[:-9], lambda packed: b"X" + packed[1:]])
def test_what_is_damaged_is_dropped_and_every_client_sees_an_end(
    tmp_path: Path, spoil: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with Served(place(tmp_path, "a")) as hub, hub.websocket() as web:
        wires = [hub.client(SUB) for _ in range(3)]
        packed, handles = unpack(hub.hand_over())
        wires[0].say({"topic": "a", "data": "nobody reads it"})
        left = pack([spoil(packed)], [one.fileno() for one in handles if one is not None])
        for handle in handles:
            assert handle is not None
            handle.close()
        with caplog.at_level(logging.WARNING), Served(place(tmp_path, "b"), left=left) as successor:
            assert [wire.rest() for wire in wires] == [[], [], []]
            with pytest.raises(ConnectionClosedError, match="no close frame received"):
                web.recv(DEADLINE_SEC)
            assert len(successor.server) == 0
        assert "what the hub before has left is dropped, and its 4 connections end: it is" in caplog.text


def test_a_socket_too_few_is_noticed(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        wires = [hub.client() for _ in range(2)]
        packed, handles = unpack(hub.hand_over())
        left = pack([packed], [one.fileno() for one in handles[1:] if one is not None])
        for handle in handles:
            assert handle is not None
            handle.close()
    with Served(place(tmp_path, "b"), left=left):
        assert [wire.rest() for wire in wires] == [[], []]


def test_what_one_hub_took_no_other_finds(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        wire = hub.client()
        left = hub.hand_over()
    again = left.dup()  # as systemd has it
    assert len(decode(unpack(left)[0]).clients) == 1
    before = descriptors()
    with Served(place(tmp_path, "b"), left=again):
        assert wire.rest() == [], "whoever took it is gone"
    assert descriptors() <= before


def test_without_a_store_clients_are_ended_as_at_a_stop(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with Served(place(tmp_path, "a")) as hub, hub.websocket() as web:
        wire = hub.client(SUB)
        wire.say({"topic": "a", "data": 1})
        hub.ping_of_another()
        hub.store = Store(tmp_path, most=0)
        hub.leave()
        assert until(wire, 1) == [1]
        assert wire.rest() == []
        assert "FileDescriptorStoreMax=" in caplog.text
        assert hub.store.is_empty()
        with pytest.raises(ConnectionClosedOK, match="1001"):
            web.recv(DEADLINE_SEC)


class Stuck(Writer):
    """A disk that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__(Path(), Bounds(), lambda _: None)
        self.waiting = 1
        self.asked = threading.Event()

    def submit[T](self, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]) -> None:
        self.answer = lambda: done(LinkError(Code.DISK, "keep it", "it is full"))
        self.asked.set()


def test_a_disk_that_does_not_answer_holds_up_no_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("aurora.link.main.SETTLE_SEC", 0.05)
    with Served(place(tmp_path, "a")) as hub:
        wire = hub.client(SUB)
        hub.writer = Stuck()
        hub.leave()
        assert wire.rest() == []
        assert "the disk does not answer" in caplog.text
        assert hub.store.is_empty()


def test_who_is_told_to_stop_amid_a_restart_stops(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        wire = hub.client(SUB)
        hub.writer = stuck = Stuck()
        hub.leave()
        assert stuck.asked.wait(DEADLINE_SEC)
        hub.ask(hub.server.stop)
        stuck.waiting = 0
        hub.ask(stuck.answer)
        assert wire.rest() == []
        hub.wait_until_it_ends()
        assert hub.store.is_empty()


def test_a_connection_that_the_kernel_does_not_pass_on_is_missing_alone(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        wires = [hub.client(SUB) for _ in range(3)]
        packed, handles = unpack(hub.hand_over())
    first, second, third = (one for one in handles if one is not None)
    numbers = [first.fileno(), 900, third.fileno()]  # nothing new gets so high a number
    second.close()
    left = pack([packed], numbers)
    first.close()
    third.close()
    with Served(place(tmp_path, "b"), left=left) as hub:
        assert wires[1].rest() == []
        wires[2].say({"topic": "a", "data": 1})
        assert until(wires[0], 1) == [1]
        assert len(hub.server) == 2


def test_hundreds_of_sockets_lie_in_one_and_all_end_with_it() -> None:
    pairs = [socket.socketpair() for _ in range(300)]
    left = pack([b"state"], [theirs.fileno() for _, theirs in pairs])
    for _, theirs in pairs:
        theirs.close()
    left.close()
    for ours, _ in pairs:
        ours.settimeout(DEADLINE_SEC)
        assert ours.recv(1) == b""
        ours.close()


def test_the_state_may_be_large() -> None:
    text = bytes(range(256)) * 4096
    assert unpack(pack([text] * 20, []))[0] == text * 20


def test_what_a_hub_leaves_is_what_it_knew(tmp_path: Path) -> None:
    with Served(place(tmp_path, "a")) as hub:
        wire = hub.client({"type": "hello", "version": 1, "id": "mine"}, SUB)
        packed, handles = unpack(hub.hand_over())
        (one,) = decode(packed).clients
        assert (one.name, one.peer.name, one.subscriptions[0].pattern) == ("mine", "user:root", "#")
        assert b"".join(encode(decode(packed))) == packed
        (handle,) = handles
        assert handle is not None
        handle.close()
        assert wire.rest() == []
