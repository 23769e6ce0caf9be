"""RFC 6455 as cases, over TCP against the hub as it is: the table is in rfc6455.py.

The Autobahn test suite itself, of Python 2.7, is run by `tests/vm/all autobahn`. Of its 517 cases for servers, those
that echo binary messages are refused with 1003, those for compression are declined in the handshake; all others pass,
6.4.3 and 6.4.4 as not strict: a frame's UTF-8 is looked at once the frame is there.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from aurora.link.websocket import WebSocket

from .rfc6455 import MESSAGE_MAX_BYTES, SUBSCRIBE, VALID_CLOSES, Case, cases, text
from .served import DEADLINE_SEC, Served
from .test_websocket import frame, request

TABLE = cases()


class Raw:
    """A client that sends what it likes, and reads frames as strictly as RFC 6455 has a server send them."""

    def __init__(self, hub: Served, first: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", hub.port), timeout=DEADLINE_SEC)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(first)
        self._file = self.socket.makefile("rb")

    def head(self) -> list[str]:
        """The lines of the answer in HTTP."""
        lines = []
        while line := self._file.readline().decode().rstrip("\r\n"):
            lines.append(line)
        return lines

    def frame(self) -> tuple[int, bytes] | None:
        """The next one; None at the end of the stream, which has to be an orderly one."""
        head = self._file.read(2)
        if not head:
            return None
        assert not head[0] & 0x70, "reserved bits"
        assert head[0] & 0x80, "the hub makes no fragments"
        assert head[1] < 0x80, "a server does not mask"
        size = head[1]
        if size > 125:
            size = int.from_bytes(self._file.read(2 if size == 126 else 8))
            assert size >= (126 if head[1] == 126 else 1 << 16), "a length in more bytes than it needs"
            assert head[0] & 0x0F < 8
        return head[0] & 0x0F, self._file.read(size)

    def close(self) -> None:
        self._file.close()
        self.socket.close()


class Came(NamedTuple):
    """What the hub has sent."""

    back: list[bytes]
    pongs: list[bytes]
    close: int | None
    """1005 when it has said no code."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("hub")) as hub:
        yield hub


def subscribed(hub: Served, *lines: str) -> Raw:
    """A client that has subscribed what it is to send."""
    raw = Raw(hub, request(*lines) + frame(1, SUBSCRIBE))
    assert raw.head()[0] == "HTTP/1.1 101 Switching Protocols"
    assert raw.frame() == (1, b'{"type":"ack","id":"sub"}')
    return raw


def talk(raw: Raw, case: Case) -> Came:
    """Send what the case sends; all that comes to the end of the stream."""
    came = Came([], [], None)
    for one in case.sent:
        raw.socket.sendall(one)
        if case.in_step:
            take(came, raw.frame())
    if case.close is None:
        raw.socket.sendall(frame(8, struct.pack("!H", 1000)))
    while (found := raw.frame()) is not None:
        assert came.close is None, "nothing comes after a close"
        came = take(came, found)
    return came


def take(came: Came, found: tuple[int, bytes] | None) -> Came:
    assert found is not None
    opcode, payload = found
    if opcode == 8:
        assert len(payload) != 1
        payload[2:].decode()
        return came._replace(close=int.from_bytes(payload[:2]) if payload else 1005)
    if opcode == 10:
        came.pongs.append(payload)
    else:
        assert opcode == 1
        message = json.loads(payload)
        assert message["type"] == "pub", message
        came.back.append(message["data"].encode())
    return came


def test_each_case_has_a_name_of_its_own_and_there_are_many() -> None:
    assert len({case.name for case in TABLE}) == len(TABLE) > 400
    families = {int(case.name.partition(".")[0]) for case in TABLE}
    assert families == {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12}


@pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])
def test_the_hub_does_as_rfc_6455_says(case: Case, hub: Served) -> None:
    raw = subscribed(hub)
    came = talk(raw, case)
    assert came == Came(case.back, case.pongs, 1000 if case.close is None else case.close)
    raw.close()


def test_every_close_code_is_answered_or_refused() -> None:
    for code in (*range(5200), *range(5200, 1 << 16, 97), 0xFFFF):
        hub = WebSocket(MESSAGE_MAX_BYTES, tuple)
        hub._is_open = True
        hub.receive(frame(8, struct.pack("!H", code)))
        said = hub.goodbye(None)
        assert int.from_bytes(said[2:4]) == (code if code in VALID_CLOSES else 1002), code


# Handshakes (RFC 6455, section 4.2)

LET_IN: dict[str, bytes] = {
    "its own example": request(),
    "a place that is no ASCII": request().replace(b"GET /", b"GET /\xc3\xa4"),
    "another place": request().replace(b"GET / ", b"GET /chat?room=1#x "),
    "a header's name in any letters": request().replace(b"Sec-WebSocket-Key", b"sec-websocket-KEY"),
    "tokens in any letters": request().replace(b"Upgrade: websocket", b"Upgrade: WebSocket"),
    "several tokens": request().replace(b"Connection: Upgrade", b"Connection: keep-alive, Upgrade"),
    "subprotocols, of which it takes none": request("Sec-WebSocket-Protocol: chat, superchat"),
    "an extension that nobody knows": request("Sec-WebSocket-Extensions: x-nobody; a=1"),
    "a cookie that is no ASCII": request("Cookie: a=\u00e4"),
    "cookies and whatever else": request("Cookie: a=b", "Authorization: Basic eDp5", "X-Forwarded-For: 192.0.2.1"),
}
REFUSED: dict[str, tuple[bytes, int]] = {
    "a POST": (request().replace(b"GET", b"POST"), 400),
    "HTTP/1.0": (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "no Upgrade": (request().replace(b"Upgrade: websocket\r\n", b""), 426),
    "another Upgrade": (request().replace(b"Upgrade: websocket", b"Upgrade: h2c"), 426),
    "no Connection": (request().replace(b"Connection: Upgrade\r\n", b""), 426),
    "another Connection": (request().replace(b"Connection: Upgrade", b"Connection: close"), 426),
    "no key": (request().replace(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), 400),
    "a short key": (request().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZQ=="), 400),
    "a key that is no base64": (request().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"!" * 24), 400),
    "two keys": (request("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="), 400),
    "no version": (request().replace(b"Sec-WebSocket-Version: 13\r\n", b""), 400),
    "an older version": (request().replace(b"Version: 13", b"Version: 8"), 400),
    "two versions": (request("Sec-WebSocket-Version: 13"), 400),
    "a header of two lines": (request("X: a", " b"), 400),
    "a space before a colon": (request("X : a"), 400),
    "a header without a name": (request(": a"), 400),
    "a byte that no header has": (request("X: a\0b"), 400),
    "a token that is no ASCII": (request().replace(b"Connection: U", b"Connection: \x80U"), 400),
    "an origin that is no ASCII": (request("Origin: https://panel.ex\u00e4mple"), 400),
    "a key that is no ASCII": (request().replace(b"dGhl", b"dGh\xff"), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", LET_IN)
def test_a_handshake_is_answered_and_agrees_to_nothing_but_websocket(name: str, hub: Served) -> None:
    raw = Raw(hub, LET_IN[name] + frame(9, b"there"))
    status, *headers = raw.head()
    assert status == "HTTP/1.1 101 Switching Protocols"
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in headers
    assert not any(line.startswith(("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol")) for line in headers)
    assert raw.frame() == (10, b"there")
    raw.close()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_handshake_is_refused_in_http_and_the_connection_ends(name: str, hub: Served) -> None:
    data, status = REFUSED[name]
    raw = Raw(hub, data + frame(9, b"there"))
    head = raw.head()
    assert head[0].split()[1] == str(status)
    if "version" in name and status == 426:
        assert "Sec-WebSocket-Version: 13" in head
    assert b"\x8a" not in raw._file.read()
    raw.close()


OFFERS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
    "permessage-deflate; server_max_window_bits=15, permessage-deflate",
    "permessage-deflate; no_such=1",
    "x-webkit-deflate-frame",
]


@pytest.mark.parametrize("offer", OFFERS)
def test_compression_is_declined_and_the_connection_goes_on_without(offer: str, hub: Served) -> None:
    raw = Raw(hub, request(f"Sec-WebSocket-Extensions: {offer}") + frame(1, SUBSCRIBE) + frame(1, text(b"plain")))
    head = raw.head()
    assert head[0] == "HTTP/1.1 101 Switching Protocols"
    assert "deflate" not in "".join(head)
    came = take(Came([], [], None), [raw.frame(), raw.frame()][1])
    assert came.back == [b"plain"]
    raw.close()
