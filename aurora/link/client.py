"""A small blocking client of the hub: one connection, for the command line and for what lasts longer."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic

from aurora.errors import InputError
from aurora.link import phrases
from aurora.link.phrases import Message
from aurora.paths import Paths

__all__ = ["ADDRESS_VARIABLE", "ANSWER_SEC", "LinkClient", "address", "connect", "here"]

ADDRESS_VARIABLE = "AURORA_LINK"
"""In the environment of a module that has a [link] table: unix:/run/aurora/link.sock."""
ANSWER_SEC = 15.0
"""How long the hub has for an answer: it may have to be started first."""
FINISH_ID = "finish"
"""What the last thing that is asked on a connection is called; others have numbers."""
_READ_BYTES = 64 * 1024


def address(variable: str, paths: Paths) -> str:
    """The path of the hub's socket, by the environment variable's value, which may be empty; InputError otherwise."""
    if not variable:
        return str(paths.link_socket)
    if not variable.startswith("unix:/"):
        raise InputError(
            "reach AuroraLink",
            f"{variable!r} is no address",
            where="$" + ADDRESS_VARIABLE,
            remedy="unix:/run/aurora/link.sock",
        )
    return variable.removeprefix("unix:")


class LinkClient:
    """One connection. Gone when the hub goes or does not answer in time; an error that says why when it refuses."""

    def __init__(self, place: str, *, timeout_sec: float) -> None:
        """Connect and say hello. `timeout_sec` is for each answer, from here on."""
        self._timeout_sec = timeout_sec
        self._number = 0
        self._rest = bytearray()
        self._early: deque[Message] = deque()
        """What came while an answer was waited for."""
        self._finished = False
        """The hub has read that this was all."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.name = ""
        """What others see in `from`."""
        try:
            self._socket.settimeout(timeout_sec)
            try:
                self._socket.connect(place)
            except OSError as error:
                raise phrases.unreachable(error, place) from None
            self.send(phrases.HELLO)
            self.name = str(self._await("hello").get("id", ""))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> LinkClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def publish(self, topic: str, data: object, *, retain: bool = False) -> str:
        """Publish, and wait until the hub has taken it.

        Where it has to be approved first, that is under the id which is returned; else that is empty.
        """
        return str(self._call(phrases.pub(topic, data, retain=retain), "ack").get("approval", ""))

    def subscribe(self, pattern: str, *, cursor: str = "") -> None:
        """Subscribe; what comes is read by `messages`.

        With a `cursor`, a name of your own, it is the durable messages that are kept: each comes again, with the same
        id, until it or a later one was acknowledged, so that none is missed while nobody is subscribed.
        """
        self._call(phrases.sub(pattern, cursor), "ack")

    def subscribe_all(self, pattern: str, *, messages: int, size_bytes: int) -> None:
        """The same, but where more waits to be read, the hub ends the connection: `messages` raises that, and misses
        none before.
        """
        self._call(phrases.sub_all(pattern, messages, size_bytes), "ack")

    def acknowledge(self, message: Message) -> None:
        """Have this durable message, and all before it that its cursor was sent, not come again."""
        self.send(phrases.acknowledgement(message))

    def forget(self, pattern: str, cursor: str) -> None:
        """Forget the cursor for good: durable messages are kept for it no longer."""
        self._call(phrases.unsub(pattern, cursor), "ack")

    def serve(self, pattern: str) -> None:
        """Take requests of these topics; they are read by `messages`, and answered by `reply` or `fail`."""
        self._call(phrases.serving(pattern), "ack")

    def reply(self, request: Message, data: object) -> None:
        """Answer a request that `messages` gave; where its time is over, nobody gets that."""
        self.send(phrases.rep(request, data))

    def fail(self, request: Message, why: str) -> None:
        """Have whoever asked get an error instead: HostError, where that is one of these clients."""
        self.send(phrases.failure(request, why))

    def request(self, topic: str, data: object, *, deadline_sec: float) -> object:
        """What the server of the topic answers; NotFound without one, DeadlineExceeded, HostError when it failed."""
        asked = phrases.ask(topic, data, deadline_sec)
        return self._call(asked, "rep", within_sec=deadline_sec + self._timeout_sec).get("data")

    def send(self, message: Message) -> None:
        """One message, as it stands; InputError when no JSON can hold it."""
        line = phrases.encoded(message)
        self._socket.settimeout(self._timeout_sec)
        try:
            self._socket.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            pass  # why it was ended stands in what can still be read
        except OSError as error:
            raise phrases.gone(str(error)) from None

    def finish(self) -> None:
        """Say that this was all, from whichever thread: `messages` gives what there is for this connection, and ends.

        Where it was over before, `messages` raises why.
        """
        with suppress(OSError):
            self._socket.sendall(phrases.encoded({"type": "ping", "id": FINISH_ID}))
            self._socket.shutdown(socket.SHUT_WR)

    def messages(self, *, within_sec: float | None = None) -> Iterator[Message]:
        """What is published for this connection (`"type":"pub"`), and what it is asked where it serves (`"req"`), as
        it comes; ends after `within_sec`, and after `finish`.
        """
        while self._early:
            yield self._early.popleft()
        until = None if within_sec is None else monotonic() + within_sec
        while True:
            left = None if until is None else until - monotonic()
            if left is not None and left <= 0:
                return
            self._socket.settimeout(left)
            try:
                message = self._read()
            except TimeoutError:
                return
            except phrases.Gone:
                if self._finished:
                    return
                raise
            if message.get("type") == "pong" and message.get("id") == FINISH_ID:
                self._finished = True
            if message.get("type") == "error" and not phrases.is_over(message):
                raise phrases.refused(message)
            if message.get("type") in phrases.DELIVERED:
                yield message

    def _call(self, message: Message, wanted: str, *, within_sec: float = 0) -> Message:
        self._number += 1
        self.send({**message, "id": str(self._number)})
        return self._await(wanted, str(self._number), within_sec=within_sec)

    def _await(self, wanted: str, number: str = "", *, within_sec: float = 0) -> Message:
        """The message of that type, and with that id where there is one."""
        within_sec = within_sec or self._timeout_sec
        self._socket.settimeout(within_sec)
        try:
            while True:
                message = self._read()
                own = not number or message.get("id") in (number, None)
                if message.get("type") == "error" and own:
                    raise phrases.refused(message)
                if message.get("type") == wanted and own:
                    return message
                if message.get("type") in phrases.DELIVERED:
                    self._early.append(message)
                    if len(self._early) > phrases.UNREAD_MAX:
                        raise phrases.unread()
        except TimeoutError:
            raise phrases.too_late(within_sec) from None

    def _read(self) -> Message:
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > phrases.LINE_MAX_BYTES:
                raise phrases.gone("it sent a line that does not end")
            try:
                more = self._socket.recv(_READ_BYTES)
            except ConnectionError:
                more = b""
            if not more:
                raise phrases.gone("it ended the connection", remedy="again")
            self._rest += more
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return phrases.decoded(line)


def connect(*, timeout_sec: float = ANSWER_SEC) -> LinkClient:
    """A connection to this machine's hub, or where the environment says; NotFound, Denied or HostError without one."""
    return LinkClient(here(), timeout_sec=timeout_sec)


def here() -> str:
    """The path of the socket of this machine's hub, or where the environment says; InputError where that is none."""
    return address(os.environ.get(ADDRESS_VARIABLE, ""), Paths())
