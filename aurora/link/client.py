"""A small blocking client of the hub, for the command line and for modules that do one thing at a time."""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from collections.abc import Iterator
from time import monotonic

from aurora.errors import AuroraError, Denied, HostError, InputError, NotFound
from aurora.paths import Paths

__all__ = ["ADDRESS_VARIABLE", "ANSWER_SEC", "LINE_MAX_BYTES", "LinkClient", "address", "connect"]

ADDRESS_VARIABLE = "AURORA_LINK"
"""In the environment of a module that has a [link] table: unix:/run/aurora/link.sock."""
ANSWER_SEC = 15.0
"""How long the hub has for an answer: it may have to be started first."""
LINE_MAX_BYTES = 1024 * 1024
"""A longer line does not come from the hub."""
EARLY_MAX = 16_384
_READ_BYTES = 64 * 1024
_DELIVERED = ("pub", "req")

type Message = dict[str, object]


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
    """One connection. HostError when the hub goes or does not answer in time; Denied when it refuses."""

    def __init__(self, place: str, *, timeout_sec: float) -> None:
        """Connect and say hello. `timeout_sec` is for each answer, from here on."""
        self._timeout_sec = timeout_sec
        self._number = 0
        self._rest = bytearray()
        self._early: deque[Message] = deque()
        """What came while an answer was waited for."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.name = ""
        """What others see in `from`."""
        try:
            self._socket.settimeout(timeout_sec)
            self._connect(place)
            self.send({"type": "hello", "version": 1})
            self.name = str(self._await("hello").get("id", ""))
        except BaseException:
            self._socket.close()
            raise

    def _connect(self, place: str) -> None:
        what = "reach AuroraLink"
        try:
            self._socket.connect(place)
        except (FileNotFoundError, ConnectionRefusedError):
            remedy = "systemctl start aurora-link.socket; a module needs a [link] table"
            raise NotFound(what, "nothing listens there", where=place, remedy=remedy) from None
        except PermissionError as error:
            raise Denied(what, str(error), where=place, remedy="a [link] table in the module's manifest") from None
        except OSError as error:
            raise HostError(what, str(error), where=place) from None

    def __enter__(self) -> LinkClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def publish(self, topic: str, data: object, *, retain: bool = False) -> str:
        """Publish, and wait until the hub has taken it.

        Where it has to be approved first, that is under the id which is returned; else that is empty.
        """
        message = {"type": "pub", "topic": topic, **({"retain": True} if retain else {}), "data": data}
        return str(self._call(message, "ack").get("approval", ""))

    def subscribe(self, pattern: str, *, cursor: str = "") -> None:
        """Subscribe; what comes is read by `messages`.

        With a `cursor`, a name of your own, it is the durable messages that are kept: each comes again, with the same
        id, until it or a later one was acknowledged, so that none is missed while nobody is subscribed.
        """
        self._call({"type": "sub", "topic": pattern, **({"cursor": cursor} if cursor else {})}, "ack")

    def acknowledge(self, message: Message) -> None:
        """Have this durable message, and all before it that its cursor was sent, not come again."""
        self.send({"type": "ack", "id": message["id"], "cursor": message["cursor"]})

    def forget(self, pattern: str, cursor: str) -> None:
        """Forget the cursor for good: durable messages are kept for it no longer."""
        self._call({"type": "unsub", "topic": pattern, "cursor": cursor}, "ack")

    def serve(self, pattern: str) -> None:
        """Take requests of these topics; they are read by `messages`, and answered by `reply`."""
        self._call({"type": "sub", "topic": pattern, "serve": True}, "ack")

    def reply(self, request: Message, data: object) -> None:
        """Answer a request that `messages` gave."""
        self.send({"type": "rep", "id": request["id"], "data": data})

    def request(self, topic: str, data: object, *, deadline_sec: float) -> object:
        """The answer of who serves the topic."""
        self._socket.settimeout(deadline_sec + self._timeout_sec)
        message = {"type": "req", "topic": topic, "deadline_ms": int(deadline_sec * 1000), "data": data}
        return self._call(message, "rep").get("data")

    def send(self, message: Message) -> None:
        """One message, as it stands; InputError when no JSON can hold it."""
        try:
            line = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        except (ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
            raise InputError("send the message", f"JSON cannot hold it: {error}") from None
        try:
            self._socket.sendall(line)
        except (BrokenPipeError, ConnectionResetError):
            pass  # why it was ended stands in what can still be read
        except OSError as error:
            raise HostError("talk with AuroraLink", str(error)) from None

    def messages(self, *, within_sec: float | None = None) -> Iterator[Message]:
        """What is published for this connection (`"type":"pub"`), and what it is asked where it serves (`"req"`), as
        it comes; ends after `within_sec`.
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
            if message.get("type") == "error":
                raise _refused(message)
            if message.get("type") in _DELIVERED:
                yield message

    def _call(self, message: Message, wanted: str) -> Message:
        self._number += 1
        self.send({**message, "id": str(self._number)})
        return self._await(wanted, str(self._number))

    def _await(self, wanted: str, number: str = "") -> Message:
        """The message of that type, and with that id where there is one."""
        try:
            while True:
                message = self._read()
                own = not number or message.get("id") in (number, None)
                if message.get("type") == "error" and own:
                    raise _refused(message)
                if message.get("type") == wanted and own:
                    return message
                if message.get("type") in _DELIVERED:
                    self._early.append(message)
                    if len(self._early) > EARLY_MAX:
                        raise HostError("talk with AuroraLink", f"{EARLY_MAX} messages came before its answer")
        except TimeoutError:
            why = f"it did not answer within {self._timeout_sec:g} s"
            raise HostError("talk with AuroraLink", why, remedy="journalctl -u aurora-link") from None

    def _read(self) -> Message:
        while (end := self._rest.find(b"\n")) < 0:
            if len(self._rest) > LINE_MAX_BYTES:
                raise HostError("talk with AuroraLink", "it sent a line that does not end")
            try:
                more = self._socket.recv(_READ_BYTES)
            except ConnectionError:
                more = b""
            if not more:
                raise HostError("talk with AuroraLink", "it ended the connection", remedy="again")
            self._rest += more
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        message = json.loads(line)
        return message if isinstance(message, dict) else {}


def connect(*, timeout_sec: float = ANSWER_SEC) -> LinkClient:
    """A connection to this machine's hub, or where the environment says; NotFound, Denied or HostError without one."""
    return LinkClient(address(os.environ.get(ADDRESS_VARIABLE, ""), Paths()), timeout_sec=timeout_sec)


_BY_CODE: dict[str, type[AuroraError]] = {
    "denied": Denied,
    "unanswered": Denied,
    "no-server": NotFound,
    **dict.fromkeys(("busy", "deadline", "cancelled", "failed", "slow", "silent", "too-many"), HostError),
}
"""What the hub's codes are for a caller; all others are faults of what was asked."""


def _refused(message: Message) -> AuroraError:
    """The hub's error message, as an error: its text says what cannot be done, and why."""
    text = str(message.get("text", ""))
    what, because, why = text.removeprefix("cannot ").partition(", because ")
    kind = _BY_CODE.get(str(message.get("code", "")), InputError)
    return kind(what, why) if because else kind("have it done by AuroraLink", text or "it gave no reason")
