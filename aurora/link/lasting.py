"""A blocking client that outlives its connections: it connects again, and subscribes again to what it had."""

from __future__ import annotations

import random
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from time import monotonic

from aurora.errors import AuroraError, HostError
from aurora.link.backoff import Absence, passes
from aurora.link.client import LinkClient
from aurora.link.phrases import Delivered, Gone, Message

__all__ = ["Link"]

_POLL_MAX_SEC = 3600.0


class Link:
    """AuroraLink for as long as the module runs, whether or not the hub is there.

    It connects at its first use. While the hub is away, `publish` and `request` raise why at once (Gone, a
    HostError) and `messages` waits; each call looks whether the next attempt is due: after half a
    second, then after twice as long each time, 30 seconds at most. What was subscribed and served is so again with the
    next connection. One thread at a time.
    """

    def __init__(self, connect: Callable[[], LinkClient], absence: Absence) -> None:
        self._connect = connect
        self._absence = absence
        self._client: LinkClient | None = None
        self._wanted: dict[tuple[str, str], Callable[[LinkClient], None]] = {}
        """What is subscribed and served, by pattern and cursor."""
        self._refusal: AuroraError | None = None
        """What the hub has refused of that, where it had allowed it before."""

    def __enter__(self) -> Link:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the next use makes another one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def name(self) -> str:
        """What others see in `from`; empty while the hub is away."""
        return self._client.name if self._client is not None else ""

    def publish(self, topic: str, data: object, *, retain: bool = False) -> str:
        """Publish, and wait until the hub has taken it. Gone: it may or may not have.

        Where the machine's owner wants it approved first, that is under the id which is returned; else that is empty.
        """
        return self._do(lambda client: client.publish(topic, data, retain=retain))

    def request(self, topic: str, data: object, *, deadline_sec: float) -> object:
        """What the server of the topic answers; NotFound without one, DeadlineExceeded, HostError when it failed."""
        return self._do(lambda client: client.request(topic, data, deadline_sec=deadline_sec))

    def subscribe(self, pattern: str, *, cursor: str = "") -> None:
        """Subscribe, from now on or from when the hub is there; what comes is read by `messages`.

        With a `cursor`, a name of your own, it is the durable messages that are kept: each comes again, with the same
        id, until it or a later one was acknowledged, so that none is missed while nobody is subscribed. What is
        published without being kept is missed while the hub is away.
        """
        self._want((pattern, cursor), lambda client: client.subscribe(pattern, cursor=cursor))

    def serve(self, pattern: str) -> None:
        """Take requests of these topics, from now on or from when the hub is there; they are read by `messages`, and
        answered by `reply` or `fail`.
        """
        self._want((pattern, ""), lambda client: client.serve(pattern))

    def forget(self, pattern: str, cursor: str) -> None:
        """Forget the cursor for good: durable messages are kept for it no longer."""
        self._do(lambda client: client.forget(pattern, cursor))
        self._wanted.pop((pattern, cursor), None)

    def reply(self, request: Message, data: object) -> None:
        """Answer a request that `messages` gave; where its time or its connection is over, nobody gets that."""
        self._answer(request, lambda client: client.reply(request, data))

    def fail(self, request: Message, why: str) -> None:
        """Have whoever asked get an error instead, with that reason."""
        self._answer(request, lambda client: client.fail(request, why))

    def acknowledge(self, message: Message) -> None:
        """Have this durable message, and all before it that its cursor was sent, not come again. They do all the same
        when the connection by which they came is over.
        """
        self._answer(message, lambda client: client.acknowledge(message))

    def messages(self, *, within_sec: float | None = None) -> Iterator[Message]:
        """What is published for this module (`"type":"pub"`), and what it is asked where it serves (`"req"`), as it
        comes; ends after `within_sec`, and before that waits for the hub where it is away. Denied or InputError where
        it refuses what is wanted.
        """
        until = None if within_sec is None else monotonic() + within_sec
        while True:
            left = _POLL_MAX_SEC if until is None else max(0.0, until - monotonic())
            try:
                client = self._present()
                left = 0.0 if self._refusal is not None else left
            except Gone:
                pause = min(left, max(0.0, self._absence.again_sec - monotonic()))
                select.poll().poll(pause * 1000)
            else:
                yield from self._from(client, left)
            if self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                raise refusal
            if until is not None and monotonic() >= until:
                return

    def _from(self, client: LinkClient, within_sec: float) -> Iterator[Message]:
        """What comes by this connection, as long as it is the one."""
        try:
            for message in client.messages(within_sec=within_sec):
                yield Delivered(message, client)
                if client is not self._client:
                    return
        except HostError as error:  # Gone, or why the hub is about to end it
            self._lose(error)

    def _do[T](self, act: Callable[[LinkClient], T]) -> T:
        client = self._present()
        try:
            return act(client)
        except Gone as error:
            self._lose(error)
            raise

    def _want(self, key: tuple[str, str], act: Callable[[LinkClient], None]) -> None:
        with suppress(Gone):  # the next connection makes up for it
            self._do(act)
        self._wanted[key] = act

    def _answer(self, message: Message, act: Callable[[LinkClient], None]) -> None:
        if self._client is None or getattr(message, "by", self._client) is not self._client:
            return  # another connection's ids mean something else
        try:
            act(self._client)
        except Gone as error:
            self._lose(error)

    def _present(self) -> LinkClient:
        """The connection; a new one where there is none and an attempt is due, else why not."""
        if self._client is None:
            self._absence.check(monotonic())
            try:
                self._client = self._connect()
                self._absence.came(self._client.name, monotonic())
                for again in self._wanted.values():
                    self._want_again(self._client, again)
            except AuroraError as error:
                self._lose(error)
                self._absence.raise_again()
                raise
        return self._client

    def _want_again(self, client: LinkClient, act: Callable[[LinkClient], None]) -> None:
        try:
            act(client)
        except AuroraError as error:
            if passes(error):
                raise
            self._refusal = error

    def _lose(self, error: AuroraError) -> None:
        self.close()
        self._absence.went(error, monotonic(), _chance())


def _chance() -> float:
    return random.random()  # noqa: S311  # only to spread those who come back
