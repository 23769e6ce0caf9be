"""What one hub leaves, another goes on with; what is not all there is nobody's."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from aurora.link.bounds import Bounds
from aurora.link.framing import Framing, Lines
from aurora.link.handover import VERSION, Framed, HandoverError, State, Wire, decode, encode, fitting
from aurora.link.websocket import WebSocket

from .talking import ALL, OPERATOR, ROOT, Hub

SHAPE = "a9dc568dc821594a"
"""Of the records of VERSION 1, as their JSON Schema has it."""


def test_the_version_says_which_shape_the_records_have() -> None:
    def bare(value: Any) -> Any:
        """Without what is said about it."""
        if isinstance(value, dict):
            return {key: bare(one) for key, one in value.items() if key != "description"}
        return [bare(one) for one in value] if isinstance(value, list) else value

    text = json.dumps(bare(msgspec.json.schema(State)), sort_keys=True)
    shape = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert (VERSION, shape) == (1, SHAPE), "another shape is another version: raise VERSION, and write it here"


# What a hub knows


def test_subscriptions_go_on_and_what_waited_for_them_comes_first() -> None:
    hub = Hub(one=ALL, two=ALL)
    one = hub.join("one")
    two = hub.join("two", {"type": "sub", "topic": "a/+"}, {"type": "sub", "topic": "b", "bound": "latest"})
    hub.say(one, *({"topic": topic, "data": data} for topic, data in (("a/1", 1), ("b", 1), ("a/2", 2), ("b", 2))))
    one, two = hub.restart(one, two)
    hub.say(one, {"topic": "a/1", "data": 3}, {"topic": "c", "data": 3})
    assert sorted(hub.data(two)) == [1, 2, 2, 3]
    hub.say(two, {"type": "unsub", "topic": "a/+", "id": "1"}, {"type": "sub", "topic": "b", "id": "2"})
    assert [(said["type"], said["id"]) for said in hub.read(two)] == [("ack", "1"), ("error", "2")]


def test_what_a_queue_that_was_ended_still_holds_comes_once() -> None:
    hub = Hub(one=ALL, two=ALL)
    one, two = hub.join("one"), hub.join("two", {"type": "sub", "topic": "a"})
    hub.say(one, {"topic": "a", "data": 1})
    hub.say(two, {"type": "unsub", "topic": "a"})
    one, two = hub.restart(one, two)
    hub.say(one, {"topic": "a", "data": 2})
    assert hub.data(two) == [1]
    assert hub.router.counts()["queues_bytes"] == 0


def test_groups_share_and_kept_values_stay_with_those_who_kept_them() -> None:
    hub = Hub(one=ALL, two=ALL)
    members = [hub.join("two", {"type": "sub", "topic": "job", "group": "workers"}) for _ in range(3)]
    one = hub.join("one", {"topic": "set", "data": 21, "retain": True})
    one, *members = hub.restart(one, *members)
    hub.say(one, *({"topic": "job", "data": number} for number in range(9)))
    assert sorted(len(hub.data(member)) for member in members) == [3, 3, 3]
    late = hub.router.connect(OPERATOR)
    hub.say(late, {"type": "sub", "topic": "set"})
    (kept,) = hub.read(late)
    assert (kept["data"], kept["from"], kept["retained"]) == (21, "one", True)


def test_a_publisher_that_waits_for_a_full_queue_goes_on_when_there_is_room() -> None:
    hub = Hub(one=ALL, two=ALL)
    one = hub.join("one")
    two = hub.join("two", {"type": "sub", "topic": "a", "bound": "block", "queue_messages": 1})
    hub.say(one, {"topic": "a", "data": 1}, {"topic": "a", "data": 2})
    one, two = hub.restart(one, two)
    assert not hub.router.receive(one, b'{"topic":"a","data":3}')
    assert hub.data(two) == [1, 2]
    assert hub.router.resumed() == [one]
    hub.say(one, {"topic": "a", "data": 3})
    assert hub.data(two) == [3]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 2000), st.integers(0, 2000)), min_size=1, max_size=12),
    st.sampled_from(["block", "drop-oldest"]),
)
def test_messages_that_are_read_together_go_on_amid_them(turns: list[tuple[bool, int, int]], bound: str) -> None:
    """At a restart some wait in queues, one for room in them, and the rest is not taken yet."""
    hub = Hub(one=ALL, two=ALL)
    one = hub.join("one")
    slow = hub.join("two", {"type": "sub", "topic": "a", "bound": bound, "queue_messages": 150})
    fast = hub.join("two", {"type": "sub", "topic": "#"})
    text = b"\n".join(b'{"topic":"a","data":%d}' % number for number in range(400))
    before = hub.router.counts()
    at, found = 0, {"slow": b"", "fast": b""}
    for restarts, of_slow, of_fast in [*turns, *[(False, 1 << 20, 1 << 20)] * 20]:
        if at < len(text):
            at = hub.router.receive_next(one, text, at, b"\n")
        if restarts:
            one, slow, fast = hub.restart(one, slow, fast)
        found["slow"] += hub.router.take(slow, of_slow) if of_slow else b""
        found["fast"] += hub.router.take(fast, of_fast) if of_fast else b""
    assert at >= len(text)
    assert [json.loads(line)["data"] for line in found["fast"].splitlines()] == list(range(400))
    lost = hub.router.counts()["dropped"] - before["dropped"]
    got = [json.loads(line)["data"] for line in found["slow"].splitlines()]
    assert len(got) == 400 - lost
    assert got == sorted(set(got))
    assert not lost or bound == "drop-oldest"
    counts = hub.router.counts()
    assert counts["received"] - before["received"] == 400
    assert counts["delivered"] - before["delivered"] == 800 - lost
    assert (counts["queues_bytes"], one.budget.used, slow.budget.used) == (0, 0, 0)


def test_a_message_of_a_publisher_that_is_gone_still_waits_and_then_time_is_over() -> None:
    hub = Hub(one=ALL, two=ALL)
    one = hub.join("one")
    two = hub.join("two", {"type": "sub", "topic": "a", "bound": "block", "queue_messages": 1})
    hub.say(one, {"topic": "a", "data": 1}, {"topic": "a", "data": 2})
    hub.router.disconnect(one)
    (two,) = hub.restart(two)
    hub.at(hub.now + Bounds().block_max_msec)
    assert hub.data(two) == [1]
    hub.read(two)
    hub.router.disconnect(two)
    assert hub.router.counts()["queues_bytes"] == 0


def test_requests_keep_their_ids_their_deadlines_and_their_one_answer() -> None:
    hub = Hub(one=ALL, lamp=ALL)
    lamp = hub.join("lamp", {"type": "sub", "topic": "lamp", "serve": True})
    one = hub.join("one")
    hub.say(one, {"type": "req", "topic": "lamp", "id": "x", "data": 1, "deadline_ms": 5000})
    hub.say(one, {"type": "req", "topic": "lamp", "id": "y", "data": 2, "deadline_ms": 9000})
    one, lamp = hub.restart(one, lamp)
    asked = [said["id"] for said in hub.read(lamp)]
    hub.say(one, {"type": "req", "topic": "lamp", "id": "z", "data": 3})
    (third,) = hub.read(lamp)
    assert third["id"] not in asked
    hub.at(hub.now + 5000)
    assert [(said["id"], said["code"]) for said in hub.read(one)] == [("x", "deadline")]
    hub.say(lamp, {"type": "rep", "id": asked[1], "data": "late, and in time"})
    assert [(said["id"], said["data"]) for said in hub.read(one)] == [("y", "late, and in time")]
    hub.router.disconnect(lamp)
    assert [(said["id"], said["code"]) for said in hub.read(one)] == [("z", "no-server")]


def test_a_will_is_left_by_the_next_hub_and_taken_back_there() -> None:
    hub = Hub(one=ALL, two=ALL)
    will = {"type": "hello", "version": 1, "will": {"topic": "gone", "data": {"who": "one"}, "retain": True}}
    one, again = hub.join("one", will), hub.join("one", will)
    two = hub.join("two", {"type": "sub", "topic": "gone"})
    one, again, two = hub.restart(one, again, two)
    hub.say(again, {"type": "hello", "version": 1})
    hub.router.disconnect(again)
    assert hub.data(two) == []
    hub.router.disconnect(one)
    assert hub.data(two) == [{"who": "one"}]
    assert hub.router.counts()["queues_bytes"] == 0


def test_what_waits_for_an_approval_goes_on_waiting_and_grants_hold_as_long_as_they_did() -> None:
    hub = Hub(gated=("door/#",), one=ALL)
    one, anna = hub.join("one"), hub.join(OPERATOR, {"type": "sub", "topic": "#"})
    hub.say(one, {"topic": "door/a", "data": 1, "id": "1"}, {"topic": "door/b", "data": 2, "id": "2", "retain": True})
    first, second = (said["approval"] for said in hub.read(one))
    hub.router.approvals.approve(first, OPERATOR, grant_msec=4000)
    one, anna = hub.restart(one, anna)
    assert [answer.approval.id for answer in hub.router.approvals.answers] == [first]
    hub.say(one, {"topic": "door/a", "data": 3})
    hub.router.approvals.approve(second, OPERATOR)
    assert hub.data(anna) == [1, 3, 2]
    assert [said["id"] for said in hub.read(one)] == ["1", "2"]
    hub.at(hub.now + 4000)
    hub.say(one, {"topic": "door/a", "data": 4, "id": "4"})
    (waits,) = hub.read(one)
    assert waits["approval"] not in (first, second)
    (one,) = hub.restart(one)
    hub.at(hub.now + Bounds().approval_max_msec)
    assert hub.codes(one) == ["unanswered"]


def test_older_clients_stay_in_their_group() -> None:
    hub = Hub()
    olds = [hub.router.connect(OPERATOR) for _ in range(2)]
    for old in olds:
        hub.say(old, {"type": "hello", "id": "edge"})
    hub.say(olds[0], {"step": 1})
    olds = hub.restart(*olds)
    hub.say(olds[0], {"step": 2})
    assert [said.get("step") for said in hub.read(olds[1])] == [1, 2]
    assert hub.read(olds[0]) == []


def test_who_has_said_nothing_yet_has_as_long_as_before_and_who_erred_is_not_forgiven() -> None:
    hub = Hub(one=ALL, bounds=Bounds(malformed_max=3, first_line_max_msec=1000))
    silent, wrong = hub.router.connect(ROOT), hub.join("one", b"{", b"{")
    hub.at(hub.now + 999)
    silent, wrong = hub.restart(silent, wrong)
    assert hub.router.ending() == []
    hub.at(hub.now + 1)
    hub.say(wrong, b"{")
    assert [(client, str(error.code)) for client, error in hub.router.ending()] == [
        (silent, "silent"),
        (wrong, "not-json"),
    ]


def test_counts_go_on_and_nobody_is_told_again_what_did_not_change() -> None:
    hub = Hub(one=ALL)
    one = hub.join("one", {"type": "sub", "topic": "$sys/#"})
    anna = hub.join(OPERATOR, {"type": "sub", "topic": "$sys/modules/#"})
    hub.say(anna, {"topic": "$sys/mine", "data": 1})
    hub.at(hub.now + 5000)
    assert [said["data"] for said in hub.read(anna) if said["type"] == "pub"] == [1]
    counts = hub.router.counts()
    one, anna = hub.restart(one, anna)
    assert hub.router.counts() == counts
    hub.at(hub.now + 5000)
    assert hub.read(anna) == []
    hub.router.disconnect(one)
    hub.at(hub.now + 5000)
    assert hub.data(anna) == [0]


# What is not all there


def some_state() -> State:
    hub = Hub(gated=("door",), one=ALL, lamp=ALL)
    hub.join("lamp", {"type": "sub", "topic": "lamp", "serve": True}, {"type": "sub", "topic": "a", "cursor": "mine"})
    one = hub.join("one", {"type": "hello", "version": 1, "will": {"topic": "gone", "data": 1}})
    hub.say(one, {"type": "req", "topic": "lamp", "id": "x", "data": 1}, {"topic": "door", "data": 1, "id": "d"})
    hub.say(one, {"topic": "kept", "data": "x" * 100, "retain": True}, b"{")
    wire = Wire(framed=Framed(rest=b"{"), held=b"{}\n{}", unsent=b"abc", ending=False, why=None)
    state = hub.router.state()
    return State(hub=state.hub, clients=[msgspec.structs.replace(one, wire=wire) for one in state.clients])


STATE = some_state()
WRITTEN = b"".join(encode(STATE))


def test_what_there_was_no_time_to_tell_is_told_by_the_next_hub() -> None:
    hub = Hub(one=ALL)
    one = hub.join("one")
    (one,) = hub.restart(one)  # within the second in which it would have been told
    hub.at(hub.now + 2000)
    reader = hub.join(ROOT, {"type": "hello", "version": 1})
    hub.say(reader, {"type": "sub", "topic": "$sys/modules/+/connections"})
    assert hub.data(reader) == [1]


def test_it_is_read_as_it_was_written() -> None:
    assert decode(WRITTEN) == STATE


@settings(max_examples=300)
@given(st.integers(0, len(WRITTEN) - 1), st.integers(1, 255))
def test_a_byte_that_is_another_is_noticed(at: int, by: int) -> None:
    with pytest.raises(HandoverError):
        decode(WRITTEN[:at] + bytes([WRITTEN[at] ^ by]) + WRITTEN[at + 1 :])


@pytest.mark.parametrize("size", [0, 1, 20, 30, 40, len(WRITTEN) // 2, len(WRITTEN) - 1, len(WRITTEN) - 8])
def test_less_than_all_is_nothing(size: int) -> None:
    with pytest.raises(HandoverError):
        decode(WRITTEN[:size])


def test_what_another_version_has_written_is_not_read() -> None:
    other = WRITTEN.replace(b"handover 1", b"handover 2", 1)
    with pytest.raises(HandoverError, match=r"'AuroraLink handover 2', and this hub reads version 1"):
        decode(other)


def test_what_points_to_nothing_is_noticed() -> None:
    for state in (
        State(hub=STATE.hub, clients=STATE.clients[:1]),
        State(hub=STATE.hub, clients=[*STATE.clients, STATE.clients[0]]),
        State(hub=STATE.hub, clients=[msgspec.structs.replace(one, ready=[9]) for one in STATE.clients]),
    ):
        with pytest.raises(HandoverError, match="it is damaged"):
            decode(b"".join(encode(state)))


def test_of_more_than_has_room_those_who_have_most_are_left_out_and_what_ends_with_them_is_not() -> None:
    hub = Hub(one=ALL, two=ALL, hog=ALL)
    one = hub.join("one")
    two = hub.join("two", {"type": "sub", "topic": "a"})
    will = {"type": "hello", "version": 1, "will": {"topic": "a", "data": "gone"}}
    hogs = [hub.join("hog", will, {"type": "sub", "topic": "b"}) for _ in range(2)]
    hub.say(one, {"topic": "a", "data": "x" * 1000}, {"topic": "b", "data": "y" * 5000})
    wire = Wire(framed=Framed(rest=b""), held=b"", unsent=b"", ending=False, why=None)
    known = hub.router.state()
    state = State(hub=known.hub, clients=[msgspec.structs.replace(one, wire=wire) for one in known.clients])
    fitted = fitting(state, 8000)
    assert {one.number for one in fitted.clients if one.wire is not None} == {one.number, two.number, hogs[0].number}
    left_out = next(client for client in fitted.clients if client.wire is None)
    assert left_out.will
    assert sum(map(len, encode(fitted))) < 8000 + 2000
    assert fitting(state, 1 << 20) == State(hub=state.hub, clients=fitting(state, 1 << 20).clients)


# Where a connection is in its bytes


def frames(texts: list[str], sizes: list[int]) -> bytes:
    """As a client sends them; one whose turn has a size is sent in fragments of it."""
    found = b""
    for place, text in enumerate(texts):
        data, size = text.encode(), sizes[place % len(sizes)]
        pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
        for number, piece in enumerate(pieces or [b""]):
            opcode = Opcode.CONT if number else Opcode.TEXT
            found += Frame(opcode, piece, fin=number >= len(pieces) - 1).serialize(mask=True)
    return found


HEAD = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def moved(framing: Framing, fresh: Framing) -> Framing:
    fresh.resume(msgspec.msgpack.decode(msgspec.msgpack.encode(framing.state()), type=Framed))
    return fresh


@settings(max_examples=200)
@given(st.lists(st.text(max_size=200), max_size=6), st.lists(st.integers(0, 9), min_size=1, max_size=4), st.data())
def test_a_message_by_websocket_may_be_cut_anywhere(texts: list[str], sizes: list[int], data: st.DataObject) -> None:
    stream = HEAD + frames(texts, sizes) + Frame(Opcode.PING, b"?").serialize(mask=True)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    framing: Framing = WebSocket(10_000, tuple)
    found: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        framing = moved(framing, WebSocket(10_000, tuple))
        found += framing.receive(stream[start:end])
    assert [one.decode() for one in found] == texts
    said = framing.replies()
    assert said.startswith(b"HTTP/1.1 101")
    assert said.endswith(Frame(Opcode.PONG, b"?").serialize(mask=False))


@given(st.binary(max_size=300), st.integers(0, 300))
def test_a_line_may_be_cut_anywhere(data: bytes, cut: int) -> None:
    first = Lines(1000)
    found = first.receive(data[:cut])
    second = moved(first, Lines(1000))
    found += second.receive(data[cut:]) + second.finish()
    assert [line for piece in found for line in piece.split(b"\n")] == [
        *data.split(b"\n")[:-1],
        *filter(None, data.split(b"\n")[-1:]),
    ]
