"""Whatever is done in whatever order: each gets what it may, all of it within bounds, in order, nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hypothesis import event, given, settings
from hypothesis import strategies as st

from aurora.link.rules import ModuleRules
from aurora.link.session import Client

from .talking import Hub
from .test_topics import naively

RULES = {
    "one": ModuleRules(publish=("a/#", "b"), subscribe=("a/+", "b")),
    "two": ModuleRules(publish=("a/x",), subscribe=("#",)),
    "three": ModuleRules(publish=(), subscribe=("a/#",)),
}
TOPICS = ("a/x", "a/x", "a/y", "b", "c/d")
PATTERNS = ("a/x", "a/+", "a/#", "b", "#", "+/x")
BOUNDS = ("drop-oldest", "latest", "block", "block", "disconnect", None)

who = st.integers(0, 3)  # two connections of `two`, one of each other
NAMES = ("one", "two", "two", "three")
steps = st.one_of(
    st.tuples(st.just("pub"), who, st.sampled_from(TOPICS), st.sampled_from(["plain", "id", "data first"])),
    *[st.tuples(st.just("pub"), st.integers(0, 1), st.sampled_from(TOPICS), st.just("plain"))] * 3,
    st.tuples(st.just("sub"), who, st.sampled_from(PATTERNS), st.sampled_from(BOUNDS), st.sampled_from([1, 1, 2, 100])),
    st.tuples(st.just("unsub"), who, st.sampled_from(PATTERNS)),
    st.tuples(st.just("take"), who, st.sampled_from([1, 200, 10**6])),
    st.tuples(st.just("restart")),
)


@dataclass(kw_only=True)
class Seen:
    """What one connection is to get, and what it got: (sender, topic) -> numbers."""

    patterns: dict[str, None] = field(default_factory=dict)
    expected: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    got: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    gone: bool = False


class Model:
    def __init__(self) -> None:
        self.hub = Hub(**RULES)
        self.clients: list[Client] = [self.hub.join(name) for name in NAMES]
        self.seen = [Seen() for _ in NAMES]
        self.number = 0
        self.lossless = True
        """No queue was bounded so far that something could have been lost."""

    def may_publish(self, index: int, topic: str) -> bool:
        return any(naively(one, topic) for one in RULES[NAMES[index]].publish)

    def pub(self, index: int, topic: str, how: str) -> None:
        if self.seen[index].gone:
            return
        self.number += 1
        line = {
            "plain": f'{{"type":"pub","topic":"{topic}","data":{self.number}}}',
            "id": f'{{"topic":"{topic}","id":"i","data":{self.number}}}',
            "data first": f'{{"data":{self.number},"topic":"{topic}"}}',
        }[how]
        if not self.hub.router.receive(self.clients[index], line.encode()):
            event("a publisher waits")
            return
        if self.may_publish(index, topic):
            for seen in self.seen:
                if not seen.gone and any(naively(pattern, topic) for pattern in seen.patterns):
                    seen.expected.setdefault((NAMES[index], topic), []).append(self.number)
        self.look_for_ends()

    def sub(self, index: int, pattern: str, bound: str | None, messages: int) -> None:
        seen = self.seen[index]
        if seen.gone or self.clients[index].waits:
            return
        message: dict[str, object] = {"type": "sub", "topic": pattern, "id": "s"}
        message |= {} if bound is None else {"bound": bound, "queue_messages": messages}
        self.hub.say(self.clients[index], message)
        if pattern in seen.patterns or (pattern, "", "") not in self.clients[index].subscriptions:
            return  # there already, or refused; that no more is let in than may be is seen by what comes
        seen.patterns[pattern] = None
        if bound == "latest" or (messages < 100 and bound != "block"):
            self.lossless = False

    def unsub(self, index: int, pattern: str) -> None:
        if not self.seen[index].gone and not self.clients[index].waits:
            ended = self.clients[index].subscriptions.get((pattern, "", ""))
            if ended is not None and ended.waiting:
                self.lossless = False  # what still waits for its queue is no longer wanted
            self.hub.say(self.clients[index], {"type": "unsub", "topic": pattern})
            self.seen[index].patterns.pop(pattern, None)

    def take(self, index: int, size: int) -> None:
        for message in self.hub.read(self.clients[index], size):
            if message["type"] == "pub":
                key = (message["from"], message["topic"])
                self.seen[index].got.setdefault(key, []).append(message["data"])
            assert message["type"] != "error" or message["code"] in {"denied", "in-use", "no-such", "slow"}

    def restart(self) -> None:
        there = [index for index, seen in enumerate(self.seen) if not seen.gone]
        found = self.hub.restart(*(self.clients[index] for index in there))
        for index, client in zip(there, found, strict=True):
            self.clients[index] = client

    def look_for_ends(self) -> None:
        for client, _ in self.hub.router.ending():
            index = self.clients.index(client)
            event("a subscriber was disconnected")
            self.take(index, 10**9)
            self.hub.router.disconnect(client)
            self.seen[index].gone = True

    def finish(self) -> None:
        for _ in range(100):
            for index in range(len(NAMES)):
                self.take(index, 10**9)
        assert not any(client.waits for client, seen in zip(self.clients, self.seen, strict=True) if not seen.gone)
        for index, seen in enumerate(self.seen):
            for (sender, topic), numbers in seen.got.items():
                assert any(naively(one, topic) for one in RULES[NAMES[index]].subscribe)
                assert any(naively(one, topic) for one in RULES[sender].publish)
                assert numbers == sorted(set(numbers)), "in order, none twice"
                assert set(numbers) <= set(seen.expected[sender, topic])
        counts = self.hub.router.counts()
        if self.lossless and not any(seen.gone for seen in self.seen):
            event("nothing could be lost")
            assert counts["dropped"] == 0
            for seen in self.seen:
                assert seen.got == seen.expected
        assert counts["queues_bytes"] == 0


@settings(max_examples=300)
@given(st.lists(steps, min_size=20, max_size=80))
def test_each_gets_all_that_it_may_in_order_and_nothing_else(actions: list[tuple[object, ...]]) -> None:
    model = Model()
    for name, *arguments in actions:
        getattr(model, str(name))(*arguments)
    model.finish()


@given(
    st.lists(
        st.tuples(who, st.sampled_from(["sub", "pub", "take", "leave", "join"]), st.sampled_from(PATTERNS[:4])),
        max_size=40,
    )
)
def test_nothing_is_left_when_everybody_is_gone(actions: list[tuple[int, str, str]]) -> None:
    hub = Hub(**RULES)
    clients: list[Client | None] = [None] * 4
    for index, action, topic in actions:
        client = clients[index]
        if client is None:
            client = clients[index] = hub.join(NAMES[index])
        if action == "leave":
            hub.router.disconnect(client)
            clients[index] = None
        elif action == "take":
            hub.read(client, 100)
        elif action in ("sub", "pub"):
            message = {"type": action, "topic": topic, **({"data": topic} if action == "pub" else {})}
            hub.router.receive(client, json.dumps(message).encode())
    for client in clients:
        if client is not None:
            hub.router.disconnect(client)
    hub.at(10**6)
    hub.at(10**6 + 1_000)
    counts = hub.router.counts()
    assert (counts["clients"], counts["subscriptions"], counts["queues_bytes"]) == (0, 0, 0)
    assert (hub.router._routes, hub.router._budgets, hub.router._of_peer) == ({}, {}, {})
    assert (hub.router._traffic, hub.router._peers) == ({}, {})
    assert hub.router._publishing.index._root.below == {}
    assert hub.router.next_msec() is None
