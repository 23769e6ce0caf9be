from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.session import Client

from .talking import ALL, Hub

SERVE = {"type": "sub", "topic": "lamp/+", "serve": True}


def req(topic: str = "lamp/1", message_id: str = "q", data: object = None, **more: object) -> dict[str, object]:
    return {"type": "req", "topic": topic, "id": message_id, **more, "data": data}


def made(bounds: Bounds | None = None) -> tuple[Hub, Client, Client]:
    hub = Hub(bounds=bounds, ask=ALL, lamp=ALL)
    return hub, hub.join("ask"), hub.join("lamp", SERVE)


def codes(hub: Hub, client: Client) -> list[tuple[str, str]]:
    return [(one["id"], one["code"]) for one in hub.read(client) if one["type"] == "error"]


def test_a_request_is_answered_under_the_id_that_was_asked_with() -> None:
    hub, ask, lamp = made()
    hub.say(ask, req(data={"on": True}, deadline_ms=500))
    (request,) = hub.read(lamp)
    expected = {"type": "req", "topic": "lamp/1", "deadline_ms": 500, "from": "ask", "data": {"on": True}}
    assert {**request, **expected} == request
    hub.say(lamp, {"type": "rep", "id": request["id"], "data": "done"})
    assert hub.read(ask) == [{"type": "rep", "id": "q", "from": "lamp", "ts": 1_700_000_001_000, "data": "done"}]
    hub.say(lamp, {"type": "rep", "id": request["id"], "data": "again"})
    assert hub.codes(lamp) == ["no-such"]
    hub.at(10**6)
    assert hub.read(ask) == []


def test_nobody_but_who_was_asked_can_answer() -> None:
    hub, ask, lamp = made()
    hub.say(ask, req())
    (request,) = hub.read(lamp)
    for other in (hub.join("lamp", SERVE), ask):
        hub.say(other, {"type": "rep", "id": request["id"], "data": "forged"})
        hub.say(other, {"type": "error", "id": request["id"], "code": "x"})
        assert hub.codes(other) == ["no-such", "no-such"]
    assert hub.read(ask) == []


def test_whoever_waits_is_told_when_time_is_over() -> None:
    hub, ask, lamp = made()
    hub.say(ask, req(deadline_ms=500))
    (request,) = hub.read(lamp)
    hub.at(hub.now + 499)
    assert hub.read(ask) == []
    hub.at(hub.now + 1)
    assert codes(hub, ask) == [("q", "deadline")]
    assert codes(hub, lamp) == [(request["id"], "deadline")]


def test_a_request_can_be_cancelled() -> None:
    hub, ask, lamp = made()
    hub.say(ask, req())
    (request,) = hub.read(lamp)
    hub.say(ask, {"type": "error", "id": "q", "code": "cancelled"})
    assert codes(hub, lamp) == [(request["id"], "cancelled")]
    hub.say(ask, {"type": "error", "id": "q", "code": "cancelled"}, req())
    assert codes(hub, ask) == [("q", "no-such")]


def test_a_server_can_fail_and_says_how() -> None:
    hub, ask, lamp = made()
    hub.say(ask, req())
    (request,) = hub.read(lamp)
    hub.say(lamp, {"type": "error", "id": request["id"], "code": "burnt", "text": "the bulb is out"})
    (error,) = hub.read(ask)
    assert (error["code"], error["text"], error["from"], error["id"]) == ("failed", "the bulb is out", "lamp", "q")


def test_when_one_of_the_two_is_gone_the_other_is_told() -> None:
    hub, ask, lamp = made()
    hub.say(ask, req())
    (request,) = hub.read(lamp)
    hub.router.disconnect(lamp)
    assert codes(hub, ask) == [("q", "no-server")]
    hub.say(ask, req())
    assert codes(hub, ask) == [("q", "no-server")]
    lamp = hub.join("lamp", SERVE)
    hub.say(ask, req())
    (request,) = hub.read(lamp)
    hub.router.disconnect(ask)
    assert codes(hub, lamp) == [(request["id"], "cancelled")]


def test_servers_take_turns_and_full_ones_are_passed_over() -> None:
    hub, ask, lamp = made()
    small = hub.join("lamp", {**SERVE, "queue_messages": 1, "bound": "block"})
    hub.say(ask, *(req(message_id=str(number)) for number in range(5)))
    assert (len(hub.read(lamp)), len(hub.read(small))) == (4, 1)
    assert hub.read(ask) == []


@pytest.mark.parametrize("bound", [{}, {"bound": "block"}, {"bound": "disconnect"}])
def test_when_all_servers_are_full_it_is_said_at_once(bound: dict[str, str]) -> None:
    hub = Hub(ask=ALL, lamp=ALL)
    ask, _ = hub.join("ask"), hub.join("lamp", {**SERVE, "queue_messages": 1, **bound})
    hub.say(ask, req(message_id="1"), req(message_id="2"))
    assert codes(hub, ask) == [("2", "busy")]


def test_requests_that_wait_are_bounded() -> None:
    hub, ask, _ = made(Bounds(requests_of_one_max=2, requests_max=3))
    other = hub.join("ask")
    hub.say(ask, req(message_id="1"), req(message_id="1"), req(message_id="2"), req(message_id="3"))
    assert codes(hub, ask) == [("1", "in-use"), ("3", "too-many")]
    hub.say(other, req(message_id="1"), req(message_id="2"))
    assert codes(hub, other) == [("2", "too-many")]


@pytest.mark.parametrize("more", [{"group": "g"}, {"bound": "latest"}])
def test_who_serves_needs_every_request(more: dict[str, str]) -> None:
    hub = Hub(lamp=ALL)
    client = hub.join("lamp")
    hub.say(client, {**SERVE, **more})
    assert hub.codes(client) == ["bad-member"]


def test_a_request_is_not_published_and_what_is_published_is_no_request() -> None:
    hub, ask, lamp = made()
    listener = hub.join("ask", {"type": "sub", "topic": "#"})
    hub.say(ask, req(), {"topic": "lamp/1", "data": 1})
    assert [one["type"] for one in hub.read(lamp)] == ["req"]
    assert hub.data(listener) == [1]


steps = st.tuples(
    st.sampled_from(["ask", "reply", "fail", "cancel", "time", "leave", "come", "read"]), st.integers(0, 2)
)


@given(st.lists(steps, max_size=60))
def test_every_request_ends_exactly_once(actions: list[tuple[str, int]]) -> None:
    hub = Hub(ask=ALL, lamp=ALL)
    ask = hub.join("ask")
    lamps: list[Client | None] = [None, None, None]
    known: list[list[str]] = [[], [], []]
    asked: list[str] = []
    ended: list[str] = []

    def read() -> None:
        ended.extend(one["id"] for one in hub.read(ask) if one["type"] in ("rep", "error"))

    for action, index in actions:
        lamp = lamps[index]
        if action == "ask":
            asked.append(str(len(asked)))
            hub.say(ask, req(message_id=asked[-1], deadline_ms=100))
        elif action == "cancel" and asked:
            read()
            waiting = asked[-1] in ask.requests
            hub.say(ask, {"type": "error", "id": asked[-1], "code": "cancelled"})
            if waiting:
                ended.append(asked[-1])  # who cancels is told nothing more
            else:
                assert hub.codes(ask) == ["no-such"]
        elif action == "time":
            hub.at(hub.now + 40)
        elif action == "come" and lamp is None:
            lamps[index] = hub.join("lamp", SERVE)
        elif lamp is not None and action == "leave":
            hub.router.disconnect(lamp)
            lamps[index], known[index] = None, []
        elif lamp is not None and action == "read":
            known[index] += [one["id"] for one in hub.read(lamp) if one["type"] == "req"]
        elif lamp is not None and known[index] and action in ("reply", "fail"):
            body = {"type": "rep", "data": 1} if action == "reply" else {"type": "error", "code": "x"}
            hub.say(lamp, {**body, "id": known[index].pop()})
        read()
    hub.at(hub.now + 1000)
    read()
    assert sorted(ended) == sorted(asked)
    assert len(hub.router._acts.requests) == 0
    assert not ask.requests
