"""A hub for tests, and what its clients read."""

from __future__ import annotations

import json
from typing import Any

from aurora.link.bounds import Bounds
from aurora.link.handover import decode, encode
from aurora.link.peer import Peer, Role
from aurora.link.router import Router
from aurora.link.rules import Durable, ModuleRules, Rules
from aurora.link.session import Client
from aurora.topics import WhenFull

ALL = ModuleRules(publish=("#",), subscribe=("#",), request=("#",), serve=("#",))
OPERATOR = Peer(name="user:anna", role=Role.OPERATOR)
ROOT = Peer(name="user:root", role=Role.ADMIN)
STRANGER = Peer(name="user:eve", role=Role.OTHER)


DAY_MSEC = 86_400_000


def kept(*patterns: str, size: int = 1 << 20, full: WhenFull = WhenFull.REFUSE) -> ModuleRules:
    durable = Durable(patterns=patterns, size_max_bytes=size, age_max_msec=DAY_MSEC, full=full)
    return ModuleRules(publish=("#",), subscribe=("#",), durable=durable, retained=("set/#",))


def module(name: str) -> Peer:
    return Peer(name=name, role=Role.MODULE, module=name, invocation=f"run-of-{name}")


class Hub:
    """A router at a time that the test sets."""

    def __init__(self, *, gated: tuple[str, ...] = (), bounds: Bounds | None = None, **modules: ModuleRules) -> None:
        self._rules = Rules(modules=modules, gated=gated)
        self._bounds = bounds
        self.router = Router(self._rules, bounds)
        self.now = 0
        self.at(1000)

    def at(self, msec: int) -> None:
        """Let it be that time, and what is due happen."""
        self.now = msec
        self.router.clock(msec, 1_700_000_000_000 + msec)
        self.router.run()

    def restart(self, *clients: Client) -> list[Client]:
        """Have another hub go on, which knows of this one what it wrote down; those who are `clients` there."""
        state = self.router.state()
        self.router = Router(self._rules, self._bounds)
        self.router.clock(self.now, 1_700_000_000_000 + self.now)
        found = {one.number: one for one in self.router.resume(decode(b"".join(encode(state))))}
        assert self.router.state() == state
        return [found[client.number] for client in clients]

    def join(self, peer: Peer | str, *messages: dict[str, Any] | bytes) -> Client:
        """A client that has said hello and `messages`, and read the answers."""
        client = self.router.connect(module(peer) if isinstance(peer, str) else peer)
        self.say(client, {"type": "hello", "version": 1}, *messages)
        self.read(client)
        return client

    def say(self, client: Client, *messages: dict[str, Any] | bytes) -> None:
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            assert self.router.receive(client, line)

    def read(self, client: Client, max_bytes: int = 1 << 30) -> list[dict[str, Any]]:
        """All that it has to read, each line a whole JSON object."""
        text = self.router.take(client, max_bytes)
        assert text == b"" or text.endswith(b"\n")
        return [json.loads(line) for line in text.splitlines()]

    def data(self, client: Client) -> list[Any]:
        return [message["data"] for message in self.read(client) if message["type"] == "pub"]

    def codes(self, client: Client) -> list[str]:
        return [message["code"] for message in self.read(client) if message["type"] == "error"]
