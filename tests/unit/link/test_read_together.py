"""Messages that are read together do what they do when they come one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.session import Client

from .talking import ALL, Hub

BETWEEN = [b"\n", b"\xff"]
LINES = [
    b'{"topic":"a","data":1}', b'{"topic":"a","data":"x"}', b'{"topic":"a","data":{"k":1}}', b'{"topic":"b","data":1}',
    b'{"topic":"b","data":[1,{"k":2}]}', b'{"topic":"a","id":"7","data":3}', b'{"topic":"a","data":4,"id":"8"}',
    b'{"type":"ping","id":"p"}', b"", b'{"topic":"a","data":}', b'{"topic":"a","data":1,2}', b'{"topic":"a","data":[1}',
    b'{"topic":"a","data":,2]}', b'{"topic":"a","data":{"k":1,"k":2}}', b'{"topic":"a","data":1}}',
    b'{"topic":"a","data":1', b'{"topic":"a","data":12',
    b'{"topic":"a","data":"\\ud800"}', b'{"topic":"a","data":"\xff"}', b'{"topic":"a","data":1e999}',
    b'{"topic":"a","data":1} {"topic":"a","data":2}', b'{"topic":"a","data":1}\r', b'{"topic":"$sys/x","data":1}',
    b'{"topic":"a","data":' + b"[" * 40 + b"]" * 40 + b"}", b'{"topic":"a","data":"' + b"y" * 1500 + b'"}',
    b'{"topic":"a","data":1,"data":2}', b'{"topic":"a","data":2,"retain":true}',
]  # fmt: skip
USUAL = LINES[:5]
SUBSCRIPTIONS: list[list[dict[str, Any]]] = [
    [{"topic": "#"}],
    [{"topic": "#"}, {"topic": "a"}, {"topic": "b"}],
    [{"topic": "#", "queue_messages": 3}],
    [{"topic": "a", "bound": "block", "queue_messages": 3}, {"topic": "#"}],
    [{"topic": "a", "bound": "latest"}, {"topic": "#"}],
    [{"topic": "a", "bound": "disconnect", "queue_messages": 4}, {"topic": "#"}],
    [{"topic": "a", "group": "g"}, {"topic": "a", "group": "g"}],
    [{"topic": "#", "queue_bytes": 600}, {"topic": "#"}],
]


def begun(subscriptions: list[dict[str, Any]], bounds: Bounds | None = None) -> tuple[Hub, Client, list[Client]]:
    hub = Hub(one=ALL, two=ALL, bounds=bounds)
    readers = [hub.join("two", {"type": "sub", **one}) for one in subscriptions]
    return hub, hub.join("one"), readers


def alone(hub: Hub, client: Client, lines: list[bytes]) -> list[bytes]:
    """What is not taken."""
    for number, line in enumerate(lines):
        if not hub.router.receive(client, line):
            return lines[number:]
    return []


def together(hub: Hub, client: Client, lines: list[bytes], between: bytes) -> list[bytes]:
    text, at = between.join(lines), 0
    while at < len(text):
        began, at = at, hub.router.receive_next(client, text, at, between)
        if at == began:
            return text[at:].split(between)
    return []


def outcome(hub: Hub, client: Client, readers: list[Client]) -> object:
    return (
        [hub.read(one) for one in (client, *readers)],
        [(one.ending, one.malformed, one.waits, one.budget.used) for one in (client, *readers)],
        hub.router.counts(),
    )


def compare(
    lines: list[bytes], subscriptions: list[dict[str, Any]], between: bytes, bounds: Bounds | None = None
) -> None:
    one, sender, readers = begun(subscriptions, bounds)
    other, same_sender, same_readers = begun(subscriptions, bounds)
    left, left_too = alone(one, sender, lines), together(other, same_sender, lines, between)
    while True:
        assert left_too == left
        assert outcome(other, same_sender, same_readers) == outcome(one, sender, readers)
        if not left:
            return
        left, left_too = alone(one, sender, left), together(other, same_sender, left_too, between)


@pytest.mark.parametrize("subscriptions", SUBSCRIPTIONS)
@pytest.mark.parametrize("between", BETWEEN)
@given(st.lists(st.sampled_from(USUAL) | st.sampled_from(LINES), max_size=30).map(lambda found: [*found, LINES[0]]))
def test_messages_do_the_same_together_and_alone(
    subscriptions: list[dict[str, Any]], between: bytes, lines: list[bytes]
) -> None:
    compare([line for line in lines if between not in line], subscriptions, between)


@pytest.mark.parametrize("subscriptions", SUBSCRIPTIONS)
@given(st.lists(st.tuples(st.sampled_from(USUAL[:4]), st.integers(1, 60)), max_size=6))
def test_long_runs_do_the_same_together_and_alone(
    subscriptions: list[dict[str, Any]], runs: list[tuple[bytes, int]]
) -> None:
    compare([line for line, count in runs for _ in range(count)] + LINES[:1], subscriptions, b"\n")


@pytest.mark.parametrize("last", [b'{"topic":"a","data":12', b'{"topic":"a","data":1}}', b'{"topic":"a","data":1}x'])
def test_the_last_of_a_run_has_to_end_as_the_others(last: bytes) -> None:
    for between in BETWEEN:
        compare([*LINES[:1] * 5, last], SUBSCRIPTIONS[0], between)


@pytest.mark.parametrize("room", [1000, 2000, 4000])
@pytest.mark.parametrize("count", [5, 20, 40])
def test_the_room_of_all_queues_of_a_peer_is_kept(room: int, count: int) -> None:
    for subscriptions in (SUBSCRIPTIONS[1], [{"topic": "#"}, {"topic": "a", "bound": "block"}]):
        compare(LINES[:1] * count, subscriptions, b"\n", Bounds(queues_of_one_max_bytes=room))


@given(st.lists(st.sampled_from([*USUAL, *LINES[-3:]]), min_size=20, max_size=40), st.integers(1, 3000))
def test_what_is_read_in_any_pieces_is_whole_lines_in_order(lines: list[bytes], step: int) -> None:
    hub, sender, readers = begun([{"topic": "a"}])
    together(hub, sender, [b'{"topic":"a","data":0}', *lines], b"\n")
    pieces = []
    while piece := hub.router.take(readers[0], step):
        assert piece.endswith(b"\n")
        pieces.append(piece)
    found = [json.loads(line)["data"] for line in b"".join(pieces).splitlines()]
    wanted = [json.loads(line) for line in lines if line.startswith(b'{"topic":"a"') and line != LINES[-2]]
    assert found == [0, *(one["data"] for one in wanted)]


@pytest.mark.parametrize("bound", ["disconnect", "block", "drop-oldest"])
def test_who_reads_itself_does_the_same_together_and_alone(bound: str) -> None:
    lines = [b'{"topic":"a","data":%d}' % number for number in range(20)]
    found = []
    for read in (alone, lambda *of: together(*of, b"\n")):
        hub, sender, readers = begun([{"topic": "#", "queue_messages": 100}])
        hub.say(sender, {"type": "sub", "topic": "a", "bound": bound, "queue_messages": 5})
        found.append((read(hub, sender, lines), outcome(hub, sender, readers)))
    assert found[0] == found[1]


def test_other_rules_hold_at_once() -> None:
    """A beginning that was learnt means nothing once the rules have changed."""
    hub, sender, readers = begun([{"topic": "#"}])
    line = b'{"topic":"a","data":1}'
    together(hub, sender, [line] * 5, b"\n")
    hub.router.gate(("a",))
    hub.read(readers[0])
    together(hub, sender, [line] * 5, b"\n")
    assert hub.data(readers[0]) == []
