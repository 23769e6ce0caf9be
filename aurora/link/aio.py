"""The asyncio client: as lasting as the blocking one, and as many requests at a time as one likes."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import deque
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from types import coroutine
from typing import NamedTuple

from aurora.errors import AuroraError, Denied, InputError
from aurora.link import phrases
from aurora.link.backoff import Absence, passes
from aurora.link.phrases import Delivered, Gone, Message

__all__ = ["AsyncLink"]

_READ_BYTES = 64 * 1024
UNREAD_PAUSE = 1024
"""So many messages wait for `messages`, then the hub is not read from; its own bounds say what becomes of more."""


class _Call(NamedTuple):
    """Somebody who waits for an answer."""

    wanted: str
    """The type of the message that is the answer."""
    answer: asyncio.Future[Message]


@coroutine
def _others_turn() -> Generator[None]:
    """Let whoever else is ready run: sock_recv does not where there is something to read already."""
    yield


class _Wire:
    """One connection's lines. asyncio's streams read no more once a write has failed, and why it was ended is lost."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._writing = asyncio.Lock()
        self._soon: set[asyncio.Task[None]] = set()
        self._rest = bytearray()

    async def connect(self, place: str) -> None:
        await self._loop.sock_connect(self._socket, place)

    async def write(self, line: bytes) -> None:
        """After all that was to be written before; nothing where the connection has ended."""
        async with self._writing:
            try:
                await self._loop.sock_sendall(self._socket, line)
            except OSError:
                pass  # why it was ended stands in what can still be read
            except asyncio.CancelledError:
                self.end()  # half a line may be out
                raise

    def write_soon(self, line: bytes) -> None:
        """The same without waiting for it."""
        task = self._loop.create_task(self.write(line))
        self._soon.add(task)
        task.add_done_callback(self._soon.discard)

    async def read(self) -> Message:
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > phrases.LINE_MAX_BYTES:
                raise phrases.gone("it sent a line that does not end")
            await _others_turn()
            try:
                more = await self._loop.sock_recv(self._socket, _READ_BYTES)
            except OSError:
                more = b""
            if not more:
                raise phrases.gone("it ended the connection", remedy="again")
            self._rest += more
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return phrases.decoded(line)

    def end(self) -> None:
        """Have reading and writing end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Whoever still writes has noticed the end before the descriptor can become another's."""
        self.end()
        try:
            async with self._writing:
                pass
        finally:
            self._loop.remove_writer(self._socket)
            self._socket.close()


class AsyncLink:
    """AuroraLink for as long as the body of an `async with` runs, whether or not the hub is there.

    A task keeps the connection: it waits half a second before it connects again, then twice as long each time, 30
    seconds at most, and subscribes again to what was subscribed and served. While the hub is away, `publish` and
    `request` raise why at once (Gone, a HostError) and `messages` waits.
    """

    def __init__(self, place: str, absence: Absence, *, timeout_sec: float) -> None:
        self._place = place
        self._absence = absence
        self._timeout_sec = timeout_sec
        self._wire: _Wire | None = None
        self._number = 0
        self._calls: dict[str, _Call] = {}
        self._wanted: dict[tuple[str, str], Message] = {}
        """What is subscribed and served, by pattern and cursor."""
        self._arrived: deque[Delivered] = deque()
        self._refusal: AuroraError | None = None
        """What the hub has refused without being asked by a call."""
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.name = ""
        """What others see in `from`; empty until the hub was there."""

    async def __aenter__(self) -> AsyncLink:
        """Once the first attempt to connect is over, whether or not it went well."""
        self._task = asyncio.create_task(self._last())
        try:
            await self._tried.wait()
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def publish(self, topic: str, data: object, *, retain: bool = False) -> str:
        """Publish, and wait until the hub has taken it. Gone: it may or may not have.

        Where the machine's owner wants it approved first, that is under the id which is returned; else that is empty.
        """
        message = phrases.pub(topic, data, retain=retain)
        return str((await self._call(message, "ack", self._timeout_sec)).get("approval", ""))

    async def request(self, topic: str, data: object, *, deadline_sec: float) -> object:
        """What the server of the topic answers; NotFound without one, DeadlineExceeded, HostError when it failed. To
        cancel the task that waits withdraws the request.
        """
        message = phrases.ask(topic, data, deadline_sec)
        return (await self._call(message, "rep", deadline_sec + self._timeout_sec)).get("data")

    async def subscribe(self, pattern: str, *, cursor: str = "") -> None:
        """Subscribe, from now on or from when the hub is there; what comes is read by `messages`.

        With a `cursor`, a name of your own, it is the durable messages that are kept: each comes again, with the same
        id, until it or a later one was acknowledged, so that none is missed while nobody is subscribed. What is
        published without being kept is missed while the hub is away.
        """
        await self._want((pattern, cursor), phrases.sub(pattern, cursor))

    async def serve(self, pattern: str) -> None:
        """Take requests of these topics, from now on or from when the hub is there; they are read by `messages`, and
        answered by `reply` or `fail`.
        """
        await self._want((pattern, ""), phrases.serving(pattern))

    async def forget(self, pattern: str, cursor: str) -> None:
        """Forget the cursor for good: durable messages are kept for it no longer."""
        await self._call(phrases.unsub(pattern, cursor), "ack", self._timeout_sec)
        self._wanted.pop((pattern, cursor), None)

    async def reply(self, request: Message, data: object) -> None:
        """Answer a request that `messages` gave; where its time or its connection is over, nobody gets that."""
        await self._answer(request, phrases.rep(request, data))

    async def fail(self, request: Message, why: str) -> None:
        """Have whoever asked get an error instead, with that reason."""
        await self._answer(request, phrases.failure(request, why))

    async def acknowledge(self, message: Message) -> None:
        """Have this durable message, and all before it that its cursor was sent, not come again. They do all the same
        when the connection by which they came is over.
        """
        await self._answer(message, phrases.acknowledgement(message))

    async def messages(self, *, within_sec: float | None = None) -> AsyncIterator[Message]:
        """What is published for this module (`"type":"pub"`), and what it is asked where it serves (`"req"`), as it
        comes; ends after `within_sec`, and before that waits for the hub where it is away. Denied or InputError where
        it refuses what is wanted. For one reader.
        """
        until = None if within_sec is None else asyncio.get_running_loop().time() + within_sec
        while True:
            while self._arrived:
                message = self._arrived.popleft()
                self._room.set()
                yield message
            if self._refusal is not None:
                refusal, self._refusal = self._refusal, None
                raise refusal
            self._news.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return

    # What is said

    async def _call(self, message: Message, wanted: str, within_sec: float) -> Message:
        wire = self._wire
        if wire is None:
            self._absence.raise_again()
            raise phrases.gone("it is not connected yet")
        self._number += 1
        number = str(self._number)
        line = phrases.encoded({**message, "id": number})
        call = _Call(wanted, asyncio.get_running_loop().create_future())
        self._calls[number] = call
        self._room.set()  # its answer lies behind what nobody has read yet
        try:
            async with asyncio.timeout(within_sec):
                await wire.write(line)
                return await call.answer
        except TimeoutError:
            wire.end()  # what the hub has heard and what it will say is not known
            raise phrases.too_late(within_sec) from None
        except asyncio.CancelledError:
            if wanted == "rep":
                wire.write_soon(phrases.encoded(phrases.withdrawal(number)))
            raise
        finally:
            del self._calls[number]

    async def _want(self, key: tuple[str, str], message: Message) -> None:
        if self._wire is not None:
            with suppress(Gone):  # it is made up for
                await self._call(message, "ack", self._timeout_sec)
        elif self._absence.error is not None and not passes(self._absence.error):
            self._absence.raise_again()
        self._wanted[key] = message

    async def _answer(self, message: Message, answer: Message) -> None:
        line = phrases.encoded(answer)
        if self._wire is not None and getattr(message, "by", self._wire) is self._wire:
            await self._wire.write(line)  # another connection's ids mean something else

    # What is heard

    async def _last(self) -> None:
        """Be connected, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                await self._talk()
            except AuroraError as error:
                self._absence.went(error, loop.time(), random.random())  # noqa: S311  # only to spread those who come
                self._refuse(error)
                for call in self._calls.values():
                    if not call.answer.done():
                        call.answer.set_exception(Gone.of(error.problems))
            finally:
                self._tried.set()
            await asyncio.wait([loop.create_future()], timeout=max(0.0, self._absence.again_sec - loop.time()))

    async def _talk(self) -> None:
        """One connection, from hello to the error with which it ends."""
        wire = _Wire()
        try:
            try:
                async with asyncio.timeout(self._timeout_sec):
                    await wire.connect(self._place)
            except OSError as error:  # TimeoutError is one
                raise phrases.unreachable(error, self._place) from None
            await self._greet(wire)
            self._wire = wire
            self._tried.set()
            while True:
                await self._take(await wire.read(), wire)
        finally:
            self._wire = None
            await wire.close()

    async def _greet(self, wire: _Wire) -> None:
        again = [{**message, "id": f"again {number}"} for number, message in enumerate(self._wanted.values())]
        try:
            async with asyncio.timeout(self._timeout_sec):
                await wire.write(b"".join(map(phrases.encoded, (phrases.HELLO, *again))))
                while (message := await wire.read()).get("type") != "hello":
                    if message.get("type") == "error":
                        raise phrases.refused(message)
        except TimeoutError:
            raise phrases.too_late(self._timeout_sec) from None
        self.name = str(message.get("id", ""))
        self._absence.came(self.name, asyncio.get_running_loop().time())

    async def _take(self, message: Message, wire: _Wire) -> None:
        kind = message.get("type")
        call = self._calls.get(str(message.get("id")))
        if call is not None and kind in (call.wanted, "error"):
            if call.answer.done():
                return
            if kind == "error":
                call.answer.set_exception(phrases.refused(message))
            else:
                call.answer.set_result(message)
        elif kind == "error" and not phrases.is_over(message):
            refusal = phrases.refused(message)
            if isinstance(refusal, Denied | InputError):
                self._refuse(refusal)
            elif not str(message.get("id", "")).isdigit():  # else it is the answer to a call that was cancelled
                raise refusal  # the hub is about to end it, and this is why
        elif kind in phrases.DELIVERED:
            await self._deliver(Delivered(message, wire))

    async def _deliver(self, message: Delivered) -> None:
        self._arrived.append(message)
        self._news.set()
        if len(self._arrived) > phrases.UNREAD_MAX:
            raise phrases.unread()
        while len(self._arrived) >= UNREAD_PAUSE and not self._calls:
            self._room.clear()
            await self._room.wait()

    def _refuse(self, error: AuroraError) -> None:
        """Have `messages` raise it, unless it is one that passes."""
        if not passes(error):
            self._refusal = error
            self._news.set()
