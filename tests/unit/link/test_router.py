from __future__ import annotations

import json

import pytest

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import BROADCAST, ModuleRules, Rules
from aurora.link.session import Client

from .talking import ALL, OPERATOR, ROOT, STRANGER, Hub, module

PUB = b'{"type":"pub","topic":"a/b","data":%d}'


def sub(pattern: str, **more: object) -> dict[str, object]:
    return {"type": "sub", "topic": pattern, **more}


def pub(topic: str, data: object, **more: object) -> dict[str, object]:
    return {"type": "pub", "topic": topic, **more, "data": data}


def hub_of(*names: str, bounds: Bounds | None = None, gated: tuple[str, ...] = ()) -> Hub:
    return Hub(bounds=bounds, gated=gated, **dict.fromkeys(names, ALL))


# Who takes part


def test_a_hello_is_answered_with_the_name_that_the_kernel_gave() -> None:
    hub = hub_of("weather")
    client = hub.router.connect(module("weather"))
    hub.say(client, {"type": "hello", "version": 7, "id": "root"})
    assert hub.read(client) == [{"type": "hello", "version": 1, "id": "weather", "ts": 1_700_000_001_000}]


def test_a_stranger_is_refused() -> None:
    with pytest.raises(LinkError) as caught:
        hub_of().router.connect(STRANGER)
    assert caught.value.code is Code.DENIED


def test_connections_are_bounded_for_each_peer_and_in_all() -> None:
    hub = hub_of(bounds=Bounds(clients_max=3, clients_of_one_max=2))
    first = hub.join("a")
    hub.join("a")
    with pytest.raises(LinkError, match="a has as many connections as it may"):
        hub.join("a")
    hub.join("b")
    with pytest.raises(LinkError, match="the hub has as many connections as it may"):
        hub.join("c")
    hub.router.disconnect(first)
    hub.join("c")


def test_a_connection_that_says_nothing_is_ended_and_one_that_spoke_is_not() -> None:
    hub = hub_of("a")
    talks = hub.join("a", PUB % 1)
    silent, late = hub.router.connect(module("a")), hub.router.connect(module("a"))
    # Its first line is one that another connection of the same module has sent before.
    hub.say(late, PUB % 2)
    hub.at(20_000)
    assert [(client, error.code) for client, error in hub.router.ending()] == [(silent, Code.SILENT)]
    assert hub.codes(silent) == ["silent"]
    assert talks in hub.router._core.clients


def test_one_that_sends_nonsense_only_is_ended() -> None:
    hub = hub_of("a", bounds=Bounds(malformed_max=3))
    client = hub.join("a")
    for _ in range(5):
        hub.say(client, b"nonsense")
    assert hub.codes(client) == ["not-json"] * 4
    assert [one for one, _ in hub.router.ending()] == [client]
    hub.say(client, PUB % 1)
    assert hub.read(client) == []


# Publishing


def test_what_is_published_comes_with_who_and_when_and_its_own_bytes() -> None:
    hub = hub_of("weather", "log")
    log, weather = hub.join("log", sub("site/+")), hub.join("weather")
    data = b'{ "temp":21.50,"\\u00e4":"\xc3\xa4" }'
    for _ in range(2):  # the second time, its beginning is known
        hub.say(weather, b'{"type":"pub","topic":"site/a","data":' + data + b"}")
        line = hub.router.take(log, 10**6)
        assert line == b'{"type":"pub","topic":"site/a","from":"weather","ts":1700000001000,"data":' + data + b"}\n"


@pytest.mark.parametrize(
    ("tail", "code"),
    [
        (b'1,"from":"root"}', "unknown-member"),
        (b'1,"retain":true,"x":1}', "unknown-member"),
        (b'1,"topic":"secret"}', "duplicate-key"),
        (b"1]", "not-json"),
        (b"12", "not-json"),
        (b"1}}", "not-json"),
        (b'1}{"topic":"x","data":1}', "not-json"),
        (b'{"x":1,"x":2}}', "duplicate-key"),
        (b"[" * 31 + b"[1]" + b"]" * 31 + b"}", "too-deep"),
        (b"[1,\n1]}", "line-break"),
        (b"1\n}", "line-break"),
        (b'"\\ud800"}', "lone-surrogate"),
        (b"1e999}", "huge-number"),
        (b'"\xff"}', "not-utf8"),
        (b'"\0"}', "nul"),
        (b'"' + b"x" * 300_000 + b'"}', "too-large"),
        (b"}", "not-json"),
        (b"", "not-json"),
    ],
)
def test_a_beginning_that_is_known_makes_nothing_of_the_rest_acceptable(tail: bytes, code: str) -> None:
    hub = hub_of("weather", "log")
    log, weather = hub.join("log", sub("#")), hub.join("weather")
    head = b'{"type":"pub","topic":"a","data":'
    hub.say(weather, head + b"1}")
    assert head in weather.routes
    hub.say(weather, head + tail)
    assert hub.codes(weather) == [code]
    assert hub.data(log) == [1]


def test_more_after_data_is_read_even_when_the_beginning_is_known() -> None:
    hub = hub_of("weather", "log")
    log, weather = hub.join("log"), hub.join("weather", PUB % 1)
    hub.say(weather, b'{"type":"pub","topic":"a/b","data":2,"retain":true,"id":"i"}')
    assert hub.read(weather) == [{"type": "ack", "id": "i"}]
    hub.say(log, sub("a/b"))
    assert hub.data(log) == [2]


def test_what_the_rules_do_not_allow_is_refused_told_and_counted() -> None:
    hub = Hub(weather=ModuleRules(publish=("a",)), log=ModuleRules(subscribe=("a",)))
    log, weather = hub.join("log", sub("a")), hub.join("weather")
    hub.say(log, sub("#"), pub("a", 1), {"type": "req", "topic": "a", "id": "q", "data": 1}, sub("a", serve=True))
    assert hub.codes(log) == ["denied"] * 4
    hub.say(weather, pub("b", 1, id="7"))
    (error,) = hub.read(weather)
    assert (error["code"], error["id"], error["topic"]) == ("denied", "7", "b")
    assert "the manifest of weather does not let it publish there" in error["text"]
    assert hub.read(log) == []
    assert hub.router.gatekeeper.denials[("weather", "publish")] == 1
    assert hub.router.counts()["denied"] == 5


def test_other_rules_end_what_they_no_longer_allow() -> None:
    hub = Hub(weather=ModuleRules(publish=("a",)), log=ModuleRules(subscribe=("a", "b")))
    log, weather = hub.join("log", sub("a"), sub("b")), hub.join("weather")
    line = b'{"type":"pub","topic":"a","data":1}'
    hub.say(weather, line, line)
    hub.router.change(Rules(modules={"log": ModuleRules(subscribe=("b",))}))
    assert hub.codes(log) == ["denied"]
    hub.say(weather, line)
    assert hub.codes(weather) == ["denied"]
    assert hub.router.counts()["subscriptions"] == 1


def test_overlapping_patterns_give_a_message_once() -> None:
    hub = hub_of("a")
    client = hub.join("a", sub("x/#"), sub("x/+"), sub("#"))
    hub.say(client, pub("x/y", 1))
    assert hub.data(client) == [1]


def test_of_a_group_one_gets_each_message_in_turn() -> None:
    hub = hub_of("a", "b", "p")
    workers = [hub.join(name, sub("job", group="g", queue_messages=3)) for name in ("a", "b", "b")]
    watcher, boss = hub.join("a", sub("job")), hub.join("p")
    hub.say(boss, *(pub("job", number) for number in range(9)))
    got = [hub.data(worker) for worker in workers]
    assert sorted(number for one in got for number in one) == list(range(9))
    assert [len(one) for one in got] == [3, 3, 3]
    assert hub.data(watcher) == list(range(9))
    hub.router.disconnect(workers[0])
    hub.say(workers[1], {"type": "unsub", "topic": "job", "group": "g"})
    hub.say(boss, pub("job", 10), pub("job", 11))
    assert hub.data(workers[2]) == [10, 11]


def test_a_member_of_a_group_that_is_full_is_passed_over() -> None:
    hub = hub_of("a", "b", "p")
    slow = hub.join("a", sub("job", group="g", queue_messages=1))
    fast, boss = hub.join("b", sub("job", group="g")), hub.join("p")
    hub.say(boss, *(pub("job", number) for number in range(6)))
    assert len(hub.data(slow)) == 1
    assert len(hub.data(fast)) == 5


def test_subscriptions_are_bounded_those_that_end_and_are_not_read_too() -> None:
    hub = hub_of("a", bounds=Bounds(subscriptions_of_one_max=3))
    client = hub.join("a", sub("1"), sub("2"), sub("3"))
    hub.say(client, sub("4"), pub("1", 1), {"type": "unsub", "topic": "1"}, sub("4"))
    assert [one.get("code", one["type"]) for one in hub.read(client)] == ["too-many", "too-many", "pub"]
    hub.say(client, sub("4"), sub("4"), sub("a/#/b"), {"type": "unsub", "topic": "nowhere"})
    assert hub.codes(client) == ["in-use", "bad-topic", "no-such"]


# Full queues


def test_a_subscriber_that_would_rather_be_disconnected_is() -> None:
    hub = hub_of("a", "p")
    slow, boss = hub.join("a", sub("x", bound="disconnect", queue_messages=2)), hub.join("p")
    hub.say(boss, *(pub("x", number) for number in range(4)))
    ((client, error),) = hub.router.ending()
    assert (client, error.code) == (slow, Code.SLOW)
    assert hub.router.counts()["dropped"] == 2


def test_a_publisher_waits_for_a_queue_that_blocks_and_goes_on_in_order() -> None:
    hub = hub_of("a", "p", "q")
    slow = hub.join("a", sub("x", bound="block", queue_messages=2))
    boss, other = hub.join("p"), hub.join("q")
    hub.say(boss, *(pub("x", number) for number in range(3)))
    hub.say(other, pub("x", 10))
    line = json.dumps(pub("x", 3)).encode()
    assert not hub.router.receive(boss, line)
    assert hub.router.resumed() == []
    assert [one["data"] for one in hub.read(slow, 1)] == [0]
    assert hub.router.resumed() == [boss]
    assert hub.router.receive(boss, line)
    assert not hub.router.receive(boss, line)
    assert hub.data(slow) == [1, 2, 10, 3]
    assert hub.router.counts()["dropped"] == 0
    assert set(hub.router.resumed()) == {boss, other}
    hub.at(50_000)
    assert hub.codes(boss) == []


def test_a_publisher_does_not_wait_for_ever() -> None:
    hub = hub_of("a", "p")
    slow, boss = hub.join("a", sub("x", bound="block", queue_messages=1)), hub.join("p")
    hub.say(boss, pub("x", 1), pub("x", 2))
    assert hub.router.next_msec() is not None
    hub.at(hub.now + 5_000)
    assert hub.router.resumed() == [boss]
    assert hub.codes(boss) == ["slow"]
    assert hub.router.counts()["dropped"] == 1
    assert hub.data(slow) == [1]
    hub.say(boss, pub("x", 3))
    assert hub.data(slow) == [3]


@pytest.mark.parametrize("end", ["disconnect", "unsub"])
def test_nobody_waits_for_a_subscriber_that_is_gone(end: str) -> None:
    hub = hub_of("a", "p")
    slow, boss = hub.join("a", sub("x", bound="block", queue_messages=1)), hub.join("p")
    hub.say(boss, pub("x", 1), pub("x", 2))
    if end == "unsub":
        hub.say(slow, {"type": "unsub", "topic": "x"})
    else:
        hub.router.disconnect(slow)
    assert hub.router.resumed() == [boss]


def test_one_that_does_not_read_its_answers_is_ended() -> None:
    hub = hub_of("a", bounds=Bounds(control_max_bytes=1000))
    client = hub.join("a")
    for _ in range(50):
        hub.say(client, {"type": "ping", "id": "x"})
    assert [error.code for _, error in hub.router.ending()] == [Code.SLOW]
    hub.router.disconnect(client)
    assert hub.router.counts()["queues_bytes"] == 0


def test_each_subscription_of_a_connection_gets_its_turn() -> None:
    hub = hub_of("a", "p")
    client, boss = hub.join("a", sub("x"), sub("y")), hub.join("p")
    hub.say(boss, *(pub("x", 1) for _ in range(5)), pub("y", 2))
    assert [one["data"] for one in hub.read(client, 1) + hub.read(client, 1)] == [1, 2]


def test_what_a_subscription_held_when_it_ended_comes_before_what_its_successor_gets() -> None:
    hub = hub_of("a", "p")
    client, boss = hub.join("a", sub("x")), hub.join("p")
    hub.say(boss, pub("x", 1), pub("x", 2))
    hub.say(client, {"type": "unsub", "topic": "x"}, sub("x"))
    hub.say(boss, pub("x", 3))
    assert [one["data"] for _ in range(3) for one in hub.read(client, 1)] == [1, 2, 3]
    assert client.draining == 0


def test_what_it_held_comes_first_even_when_another_subscription_had_its_turn_before() -> None:
    hub = hub_of("a", "p")
    client, boss = hub.join("a", sub("x"), sub("#")), hub.join("p")
    hub.say(boss, pub("y", 0), pub("x", 1), pub("x", 2))
    hub.say(client, {"type": "unsub", "topic": "x"})
    hub.say(boss, pub("x", 3))
    assert [one["data"] for _ in range(4) for one in hub.read(client, 1)] == [1, 2, 0, 3]


def test_a_second_subscription_that_matches_too_does_not_change_the_order() -> None:
    hub = hub_of("a", "p")
    client, boss = hub.join("a", sub("x")), hub.join("p")
    hub.say(boss, pub("x", 1), pub("x", 2))
    hub.say(client, sub("#"))
    hub.say(boss, pub("x", 3))
    assert [one["data"] for _ in range(3) for one in hub.read(client, 1)] == [1, 2, 3]


def test_a_message_that_would_fit_does_not_overtake_one_that_waits() -> None:
    hub = hub_of("a", "p", "q")
    slow = hub.join("a", sub("x", bound="block", queue_bytes=1024))
    boss, other = hub.join("p"), hub.join("q")
    hub.say(boss, pub("x", "1" * 600), pub("x", "2" * 600))
    hub.say(other, pub("x", "3"))
    assert [one["data"][0] for one in hub.read(slow, 1)] == ["1"]
    assert [data[0] for data in hub.data(slow)] == ["2", "3"]


def test_a_client_that_is_gone_is_heard_no_more() -> None:
    hub = hub_of("a", "p")
    client, boss = hub.join("a", sub("a/b")), hub.join("p", PUB % 1)
    hub.data(client)
    hub.router.disconnect(boss)
    assert hub.router.receive(boss, PUB % 2)
    assert hub.router.receive(boss, b"{}")
    assert hub.data(client) == []
    assert hub.read(boss) == []


# Kept values, wills, the hub's own


def test_what_is_kept_comes_first_and_says_so() -> None:
    hub = hub_of("a", "p")
    boss = hub.join(
        "p", pub("s/x", 1, retain=True), pub("s/x", 2, retain=True), pub("s/y", 3), pub("s/z", 4, retain=True)
    )
    hub.at(9_000)
    client = hub.join("a")
    hub.say(client, sub("s/#", id="1"))
    ack, *kept = hub.read(client)
    assert ack == {"type": "ack", "id": "1"}
    expected = {"type": "pub", "topic": "s/x", "retained": True, "from": "p", "ts": 1_700_000_001_000, "data": 2}
    assert kept == [expected, {**expected, "topic": "s/z", "data": 4}]
    hub.say(boss, pub("s/x", None, retain=True))
    assert hub.data(client) == [None]
    assert hub.data(hub.join("a", sub("s/x"))) == []


def test_a_will_is_published_when_the_connection_ends_and_can_be_taken_back() -> None:
    hub = hub_of("a", "p")
    client = hub.join("a", sub("gone"))
    will = {"topic": "gone", "data": {"who": "p"}, "retain": True}
    for expected in ([{"who": "p"}], []):
        boss = hub.join("p", {"type": "hello", "version": 1, "will": will})
        if not expected:
            hub.say(boss, {"type": "hello", "version": 1})
        hub.router.disconnect(boss)
        hub.router.disconnect(boss)
        assert hub.data(client) == expected
    late = hub.join("a")
    hub.say(late, sub("gone"))
    assert hub.data(late) == [{"who": "p"}]


def test_a_will_is_bound_by_the_rules_when_left_and_when_published() -> None:
    hub = Hub(p=ModuleRules(publish=("ok", "gated")), gated=("gated",))
    listener = hub.join(OPERATOR, sub("#"))
    boss = hub.join("p")
    for topic in ("other", "$sys/hub", "gated", "a/+"):
        hub.say(boss, {"type": "hello", "version": 1, "will": {"topic": topic, "data": 1}})
    assert hub.codes(boss) == ["denied", "denied", "denied", "bad-topic"]
    hub.say(boss, {"type": "hello", "version": 1, "will": {"topic": "ok", "data": 1}})
    hub.router.change(Rules())
    hub.router.disconnect(boss)
    assert hub.data(listener) == []


def test_the_hub_tells_about_itself_and_a_module_hears_of_itself_alone() -> None:
    hub = Hub(a=ModuleRules(subscribe=("#",)))
    client = hub.join("a", sub("#"), sub("$sys/modules/a/#"))
    watcher = hub.join(ROOT, sub("$sys/#"))
    hub.at(3_000)
    (message,) = hub.read(client)
    assert (message["topic"], message["from"], message["data"]) == ("$sys/modules/a/connections", "$hub", 1)
    told = {one["topic"]: one["data"] for one in hub.read(watcher)}
    assert told["$sys/hub"]["clients"] == 2
    hub.router.runs({"a": "1", "b": "1"})
    assert hub.data(client) == [{"state": "up", "run": "1"}]
    hub.say(client, sub("$sys/modules/b/#"), pub("$sys/modules/a/state", "failed"))
    assert hub.codes(client) == ["denied", "denied"]
    assert hub.router.next_msec() is not None
    hub.at(10_000)
    hub.at(11_000)
    hub.read(watcher)
    assert hub.router.next_msec() is None, "an idle hub sleeps"


def test_the_hub_tells_its_rates_also_that_nothing_comes_any_more() -> None:
    hub = hub_of("a")
    client, watcher = hub.join("a"), hub.join(ROOT, sub("$sys/hub"))
    hub.at(3_000)
    hub.read(watcher)

    def rates() -> list[tuple[float, float]]:
        hub.at(hub.now + 1_000)
        return [(one["received_per_sec"], one["delivered_per_sec"]) for one in hub.data(watcher)]

    for _ in range(2):
        hub.say(client, *[PUB % 1] * 200)
        (first, _) = rates()[0]
        assert first == 200.0
    assert [one[0] for one in rates()] == [0.0]
    assert rates() == []
    assert hub.router.next_msec() is None, "an idle hub sleeps"
    # What comes after a pause is not spread over it.
    hub.at(hub.now + 3_600_000)
    hub.say(client, PUB % 1, {"type": "ping"})
    hub.read(client)
    hub.say(client, *[PUB % 1] * 50)
    assert rates()[0][0] == 50.0


def test_the_hub_tells_which_modules_are_up_and_when_that_changes() -> None:
    hub = hub_of()
    watcher = hub.join(ROOT, sub("$sys/modules/+/state"))

    def seen(runs: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
        hub.router.runs(runs)
        return [(one["topic"].split("/")[2], one["data"]) for one in hub.read(watcher)]

    assert seen({"a": "1", "b": "1"}) == [("a", {"state": "up", "run": "1"}), ("b", {"state": "up", "run": "1"})]
    assert seen({"a": "1", "b": "1"}) == []
    assert seen({"a": "2", "b": "1"}) == [("a", {"state": "up", "run": "2"})]
    assert seen({"b": "1"}) == [("a", {"state": "down"})]
    later = hub.join(ROOT)
    hub.say(later, sub("$sys/modules/+/state"))
    assert [one["topic"] for one in hub.read(later)] == ["$sys/modules/b/state"], "what is kept is what is up"


# Older clients


def older(hub: Hub, name: str, own: str) -> Client:
    client = hub.router.connect(module(name))
    hub.say(client, {"type": "hello", "id": own})
    return client


def test_older_clients_hear_one_another_and_nobody_else_does() -> None:
    edge = ModuleRules(publish=(BROADCAST,), subscribe=(BROADCAST,))
    hub = Hub(edge=edge, a=ALL)
    one, two, three = (older(hub, "edge", f"edge-{number}") for number in range(3))
    modern = hub.join("a", sub("#"))
    lines = [
        b'{"type":"ping"}',
        b'{"type":"pong","id":"edge-1","ts":5}',
        b"tick",
        b"[1]",
        b"{}",
        b'{"type":"rep","x":[1]}',
    ]
    for line in lines:
        assert hub.router.receive(one, line)
    expected = [
        {"from": "edge", "type": "ping"}, {"from": "edge", "type": "pong", "id": "edge-1", "ts": 5},
        {"from": "edge", "raw": "tick"}, {"from": "edge", "raw": "[1]"}, {"from": "edge"},
        {"from": "edge", "type": "rep", "x": [1]},
    ]  # fmt: skip
    assert hub.read(two) == expected
    assert hub.read(three) == expected
    assert hub.read(one) == []
    assert hub.read(modern) == []


def test_an_older_client_cannot_say_who_it_is_and_its_topics_are_topics() -> None:
    hub = Hub(edge=ModuleRules(publish=(BROADCAST, "a"), subscribe=(BROADCAST, "a")))
    one, two = older(hub, "edge", "1"), older(hub, "edge", "2")
    watcher = hub.join("edge", sub("a"))
    for line in (b'{"from":"root"}', b'{"x":1,"x":2}', b"\xff", b'{"topic":"a","data":1}', b'{"topic":"b","data":1}'):
        assert hub.router.receive(one, line)
    assert hub.codes(one) == ["unknown-member", "duplicate-key", "not-utf8", "denied"]
    assert hub.read(two) == []
    assert hub.data(watcher) == [1]


def test_a_module_takes_part_only_when_its_manifest_says_so_and_no_more_once_it_subscribed() -> None:
    hub = Hub(
        edge=ModuleRules(publish=(BROADCAST,), subscribe=(BROADCAST, "a")), other=ModuleRules(publish=(BROADCAST,))
    )
    one, two = older(hub, "edge", "1"), older(hub, "edge", "2")
    refused = older(hub, "other", "3")
    assert hub.codes(refused) == ["denied"]
    hub.say(two, sub("a"))
    hub.say(one, b"tick")
    hub.say(refused, b"tick")
    assert hub.read(two) == []
    assert hub.codes(refused) == ["not-json"]


# What is kept for a peer is charged to it


def test_wills_are_charged_to_their_peer_and_given_back() -> None:
    hub = hub_of("a", bounds=Bounds(queues_of_one_max_bytes=100_000))
    hello = {"type": "hello", "version": 1, "will": {"topic": "gone", "data": "x" * 40_000}}
    first, second, third = hub.join("a", hello), hub.join("a", hello), hub.join("a")
    hub.say(third, hello)
    assert hub.codes(third) == ["too-many"]
    assert third.will is None
    hub.say(first, {"type": "hello", "version": 1})
    hub.say(third, hello, hello)
    assert hub.codes(third) == []
    for client in (first, second, third):
        hub.router.disconnect(client)
    assert hub.router.counts()["queues_bytes"] == 0


def test_messages_that_wait_for_a_full_queue_are_charged_to_their_publisher() -> None:
    hub = hub_of("a", "p", bounds=Bounds(queues_of_one_max_bytes=100_000))
    slow = hub.join("a", sub("x", bound="block", queue_messages=1), sub("+", bound="block", queue_messages=1))
    writers = [hub.join("p") for _ in range(3)]
    hub.say(writers[0], pub("x", 0))
    for writer in writers:
        hub.say(writer, pub("x", "x" * 40_000))
    assert [writer.waits for writer in writers] == [1, 1, 0]
    assert hub.router.counts()["dropped"] == 1
    assert len(hub.data(slow)) == 3
    for client in (slow, *writers):
        hub.router.disconnect(client)
    assert hub.router.counts()["queues_bytes"] == 0


def test_subscriptions_of_one_peer_are_bounded_over_all_its_connections() -> None:
    hub = hub_of("a", "b", bounds=Bounds(subscriptions_of_peer_max=3))
    first, second, other = hub.join("a", sub("1"), sub("2")), hub.join("a", sub("1")), hub.join("b")
    hub.say(second, sub("2"))
    hub.say(other, sub("1"))
    assert (hub.codes(second), hub.codes(other)) == (["too-many"], [])
    hub.router.disconnect(first)
    hub.say(second, sub("2"), sub("3"), sub("4"))
    assert hub.codes(second) == ["too-many"]


def test_what_is_remembered_of_a_peer_is_bounded_by_where_it_leads() -> None:
    hub = hub_of("a", "p", bounds=Bounds(routes_of_one_max_subscribers=100))
    readers = [hub.join("a", sub("#")) for _ in range(40)]
    boss = hub.join("p")
    for number in range(20):
        hub.say(boss, pub(f"x/{number}", number), pub(f"x/{number}", number))
    assert sum(len(route.plain) for route in boss.routes.values()) <= 100
    assert len(hub.data(readers[39])) == 40
