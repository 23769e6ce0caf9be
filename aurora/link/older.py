"""The broadcast group of older clients: those that said a hello without a version, and never subscribed.

What one of them sends without a topic goes to all others, with who sent it before its own members; text that is no JSON
object goes as {"raw": text}. To take part a module needs `$broadcast` in both its publish and subscribe patterns.
"""

from __future__ import annotations

import msgspec

from aurora.link.envelope import decode_object, wrap_object, wrap_text
from aurora.link.publishing import Publishing
from aurora.link.queue import AtBound
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import Action
from aurora.link.session import Client, Core, Subscription
from aurora.topics import BROADCAST

__all__ = ["Older"]

_decode_text = msgspec.json.Decoder(str).decode


class Older:
    """The group; a client is in it while its `older` is set. Slow members lose their oldest messages, counted."""

    def __init__(self, core: Core, publishing: Publishing) -> None:
        self._core = core
        self._publishing = publishing
        self._members: dict[Client, Subscription] = {}

    def __len__(self) -> int:
        return len(self._members)

    def join(self, client: Client) -> None:
        """Take it in; LinkError when the rules do not let it publish or subscribe `$broadcast`."""
        self._core.gatekeeper.require(client.peer, Action.SUBSCRIBE, BROADCAST)
        self._core.gatekeeper.require(client.peer, Action.PUBLISH, BROADCAST)
        if client.older is None:
            self.enter(Subscription(self._core, client, BROADCAST, at_bound=AtBound.DROP_OLDEST))

    def enter(self, member: Subscription) -> None:
        """Take its client in, which may be."""
        member.client.older = self._members[member.client] = member

    def leave(self, client: Client) -> None:
        """Let it out, and drop what it has not read of the group."""
        member = self._members.pop(client, None)
        client.older = None
        if member is not None:
            member.queue.take(member.queue.bytes)
            client.ready.pop(member, None)

    def takes(self, client: Client, line: bytes) -> bool:
        """Broadcast a line that is for the group; False when it is for the hub: it has a topic, or is a hello.

        LinkError when it is JSON that the hub refuses, or no text.
        """
        try:
            members = decode_object(line, self._core.bounds)
        except LinkError as error:
            if error.code not in (Code.NOT_JSON, Code.LINE_BREAK):
                raise
            self._send(client, wrap_text(line, client.peer.name))
            return True
        if "topic" in members or _says_hello(members):
            return False
        if "from" in members:
            raise LinkError(Code.UNKNOWN_MEMBER, "read the message", "from is set by the hub alone")
        self._send(client, wrap_object(line, client.peer.name))
        return True

    def _send(self, sender: Client, line: bytes) -> None:
        self._core.gatekeeper.require(sender.peer, Action.PUBLISH, BROADCAST)
        for member in self._members.values():
            if member.client is not sender:
                self._publishing.put(member, line, BROADCAST, None)


def _says_hello(members: dict[str, msgspec.Raw]) -> bool:
    try:
        return _decode_text(members.get("type", msgspec.Raw(b'""'))) == "hello"
    except msgspec.MsgspecError:
        return False
