"""Who talks, and how much: as the hub counts it, and as two looks tell it."""

from __future__ import annotations

from typing import Any

import pytest

from aurora.link.bounds import Bounds
from aurora.link.traffic import Counts, Look, read_look, rows_between

from .served import Served
from .talking import ALL, OPERATOR, ROOT, Hub, module

ASK = {"type": "req", "topic": "$sys/clients", "id": "q", "data": None}


def listed(hub: Hub) -> Look:
    root = hub.join(ROOT)
    hub.say(root, ASK)
    (answer,) = hub.read(root)
    hub.router.disconnect(root)
    found = read_look(answer["data"])
    assert found is not None
    return found


def of(look: Look, name: str) -> Counts:
    (found,) = [one for one in look.clients if one.name == name]
    return found


def test_all_connections_of_a_module_are_counted_together_also_those_that_are_gone() -> None:
    hub = Hub(reads=ALL, pub=ALL)
    first, second = (hub.join("reads", {"type": "sub", "topic": "a"}) for _ in range(2))
    pub = hub.join("pub")
    before = of(listed(hub), "reads")
    hub.say(pub, *({"topic": "a", "data": number} for number in range(5)))
    hub.read(first)
    hub.router.disconnect(first)
    found = of(listed(hub), "reads")
    assert (found.connections, found.waiting, found.dropped) == (1, 5, 0)
    assert found.delivered - before.delivered == 5
    assert found.delivered_bytes > before.delivered_bytes
    assert found.waiting_bytes > 5
    hub.router.disconnect(second)
    hub.join("reads")
    assert of(listed(hub), "reads").delivered == 1, "it had no connection: its hello alone"


def test_messages_that_are_read_and_written_together_are_counted_one_by_one() -> None:
    hub = Hub(reads=ALL, pub=ALL)
    reads, pub = hub.join("reads", {"type": "sub", "topic": "a"}), hub.join("pub", {"topic": "a", "data": 0})
    hub.read(reads)
    before = listed(hub)
    text, at = b"\n".join([b'{"topic": "a", "data": 1}'] * 30), 0
    while at < len(text):
        at = hub.router.receive_next(pub, text, at, b"\n")
    assert len(hub.read(reads, 1000)) < 30
    hub.read(reads)
    after = listed(hub)
    assert of(after, "pub").received - of(before, "pub").received == 30
    assert of(after, "reads").delivered - of(before, "reads").delivered == 30


def test_what_is_lost_denied_and_held_up_is_told_of_whose_fault_it_is() -> None:
    hub = Hub(slow=ALL, stuck=ALL, pub=ALL)
    hub.join("slow", {"type": "sub", "topic": "a", "queue_messages": 1})
    hub.join("stuck", {"type": "sub", "topic": "b", "queue_messages": 1, "bound": "block"})
    pub = hub.join("pub", {"topic": "$sys/hub", "data": 1})
    hub.say(pub, *({"topic": topic, "data": 1} for topic in "aaabb"))
    found = listed(hub)
    told = {one.name: (one.dropped, one.holding_up, one.denied) for one in found.clients}
    assert told == {"slow": (2, 0, 0), "stuck": (0, 1, 0), "pub": (0, 0, 1), "user:root": (0, 0, 0)}
    hub.at(hub.now + Bounds().block_max_msec)
    stuck = of(listed(hub), "stuck")
    assert (stuck.dropped, stuck.holding_up) == (1, 0)


def test_a_long_list_has_those_that_most_waits_for_and_counts_the_others() -> None:
    hub = Hub(bounds=Bounds(peers_listed_max=1), slow=ALL, pub=ALL)
    hub.join("slow", {"type": "sub", "topic": "a"})
    hub.say(hub.join("pub"), {"topic": "a", "data": 1})
    found = listed(hub)
    assert ([one.name for one in found.clients], found.left_out) == (["slow"], 2)


def test_modules_are_not_told_and_it_takes_no_data() -> None:
    hub = Hub(one=ALL)
    one, anna = hub.join("one"), hub.join(OPERATOR)
    hub.say(one, ASK)
    assert hub.codes(one) == ["denied"]
    hub.say(anna, {**ASK, "data": 1})
    assert hub.codes(anna) == ["bad-member"]


def test_what_is_read_is_counted_in_messages_and_bytes_by_either_way(tmp_path: Any) -> None:
    with Served(tmp_path, module("pub"), ROOT) as hub:
        pub = hub.client({"type": "hello", "version": 1})
        pub.say(*({"topic": "a", "data": "x" * 100} for _ in range(50)), {"type": "ping", "id": "all"})
        pub.until(lambda one: one.get("id") == "all")
        root = hub.client()
        root.say(ASK)
        look = read_look(root.until(lambda one: one.get("type") == "rep")[-1]["data"])
        assert look is not None
        found = of(look, "pub")
        assert found.received == 53, "with a hello and two pings"
        assert 50 * 120 < found.received_bytes < 50 * 200
        assert found.delivered == 3


def counts(name: str, **more: int) -> Counts:
    rest = dict.fromkeys(Counts.__struct_fields__[1:], 0)
    return Counts(name=name, **{**rest, **more})


def looked(at_ms: int, *clients: Counts) -> Look:
    return Look(at_ms=at_ms, clients=clients, left_out=0)


def test_rates_are_of_the_time_between_two_looks() -> None:
    before = looked(1_000, counts("a", received=10, delivered_bytes=100))
    now = looked(3_000, counts("a", received=30, delivered_bytes=100, dropped=1), counts("new", delivered=4))
    a, new = rows_between(before, now)
    assert (a.received_per_sec, a.delivered_bytes_per_sec, a.dropped_per_sec) == (10.0, 0.0, 0.5)
    assert new.delivered_per_sec == 2.0
    again = rows_between(now, looked(4_000, counts("a", received=5)))
    assert again[0].received_per_sec == 5.0, "it was gone meanwhile"


@pytest.mark.parametrize("before", [None, looked(1_000, counts("a"))])
def test_without_time_between_there_are_no_rates(before: Look | None) -> None:
    (row,) = rows_between(before, looked(1_000, counts("a", received=5)))
    assert row.received_per_sec is None
    assert row.to_json()["received"] == 5


def test_who_is_slow_comes_first_then_whom_most_waits_for_then_the_busiest() -> None:
    names = ("quiet", "busy", "waited-for", "holds-up", "loses")
    before = looked(0, *map(counts, names))
    now = looked(
        1_000,
        counts("quiet"), counts("busy", received=500), counts("waited-for", waiting_bytes=9),
        counts("holds-up", holding_up=1), counts("loses", dropped=1),
    )  # fmt: skip
    assert [row.now.name for row in rows_between(before, now)] == list(reversed(names))


@pytest.mark.parametrize("said", [None, [], {}, {"at_ms": 1, "clients": [{"name": "a"}], "left_out": 0}])
def test_an_answer_that_is_none_is_not_understood(said: object) -> None:
    assert read_look(said) is None
