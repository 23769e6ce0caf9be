"""The framing against the library's own client, on the same bytes, and what must not get through."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterator

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import CLOSED, SERVER, Protocol
from websockets.uri import parse_uri

from aurora.link.frames import text_frames
from aurora.link.refusal import Code
from aurora.link.websocket import HANDSHAKE_MAX_BYTES, WebSocket

MAX_BYTES = 100_000
PAGE = "https://panel.example"
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost:9801\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)


def request(*lines: str) -> bytes:
    return REQUEST % "".join(f"{line}\r\n" for line in lines).encode()


class Pair:
    """The hub's end, and the library's client, whose words reach it in pieces of `step` bytes."""

    def __init__(
        self, *, step: int = 0, max_bytes: int = MAX_BYTES, origin: str | None = None, pages: tuple[str, ...] = ()
    ) -> None:
        self.step = step
        self.hub = WebSocket(max_bytes, lambda: pages)
        self.client = ClientProtocol(parse_uri("ws://localhost:9801/"), origin=origin)  # type: ignore[arg-type]  # a str
        self.client.send_request(self.client.connect())
        self.got: list[bytes] = []
        self.carry()
        self.carry_back()

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        step = self.step or len(data)
        for at in range(0, len(data), step):
            self.got += self.hub.receive(data[at : at + step])

    def carry(self) -> list[bytes]:
        """What the client has written; the messages that came of it."""
        self.got = []
        self.send(b"".join(self.client.data_to_send()))
        return self.got

    def carry_back(self) -> list[tuple[Opcode, bytes]]:
        """What the hub answers, its goodbye too when it is over; the frames of it."""
        self.client.receive_data(self.hub.replies())
        if self.hub.over:
            self.client.receive_data(self.hub.goodbye(None))
        return [
            (event.opcode, bytes(event.data)) for event in self.client.events_received() if isinstance(event, Frame)
        ]

    def closed_with(self) -> int:
        """The code with which the hub ends the connection."""
        assert self.hub.over
        self.carry_back()
        assert self.client.close_rcvd is not None
        return self.client.close_rcvd.code


def frame(
    opcode: int, payload: bytes, *, fin: bool = True, mask: bytes | None = b"\x01\x02\x03\x04", rsv: int = 0
) -> bytes:
    """One frame, of any shape."""
    size = len(payload)
    masked = 0x80 if mask is not None else 0
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 1 << 16:
        head += struct.pack("!BH", masked | 126, size)
    else:
        head += struct.pack("!BQ", masked | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


STEPS = (0, 1, 2, 3, 7, 1000)
TEXTS = [
    b"",
    b"x",
    b"x" * 125,
    b"y" * 126,
    b"z" * 127,
    b"a" * 65_535,
    b"b" * 65_536,
    "Ää\N{SNOWMAN}\N{GRINNING FACE}".encode(),
]


@pytest.mark.parametrize("step", STEPS)
def test_whole_text_messages_are_those_that_the_client_sent(step: int) -> None:
    pair = Pair(step=step)
    for text in TEXTS:
        pair.client.send_text(text)
    assert pair.carry() == TEXTS
    assert not pair.hub.over
    assert pair.hub.held == 0


@pytest.mark.parametrize("step", STEPS)
def test_fragments_make_one_message_and_control_frames_between_them_are_answered_at_once(step: int) -> None:
    pair = Pair(step=step)
    text = "a\N{SNOWMAN}b\N{GRINNING FACE}" * 50
    pieces = [text.encode()[at : at + 5] for at in range(0, len(text.encode()), 5)]  # across characters
    pair.client.send_text(pieces[0], fin=False)
    for number, piece in enumerate(pieces[1:-1]):
        pair.client.send_ping(b"%d" % number)
        pair.client.send_continuation(piece, fin=False)
    assert pair.carry() == []
    assert pair.hub.held == len(b"".join(pieces[:-1]))
    assert pair.carry_back() == [(Opcode.PONG, b"%d" % number) for number in range(len(pieces) - 2)]
    pair.client.send_continuation(pieces[-1], fin=True)
    pair.client.send_text(b"after")
    assert pair.carry() == [text.encode(), b"after"]
    assert pair.hub.held == 0


def test_any_mix_that_the_library_sends_is_what_its_own_server_end_reads() -> None:
    chance = random.Random(7)
    for _ in range(40):
        pair = Pair(step=chance.choice(STEPS))
        theirs = Protocol(SERVER, max_size=MAX_BYTES)
        wanted: list[bytes] = []
        for _ in range(30):
            match chance.randrange(4):
                case 0:
                    pair.client.send_ping(chance.randbytes(chance.randrange(126)))
                case 1:
                    pair.client.send_pong(b"")
                case 2:
                    pair.client.send_text(b"x" * chance.choice((0, 5, 125, 126, 70_000)))
                case _:
                    pair.client.send_text(b"part", fin=False)
                    for _ in range(chance.randrange(3)):
                        pair.client.send_continuation(b"y" * chance.randrange(300), fin=False)
                    pair.client.send_continuation(b"", fin=True)
        said = b"".join(pair.client.data_to_send())
        theirs.receive_data(said)
        parts = b""
        for event in theirs.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.CONT):
                parts += bytes(event.data)
                if event.fin:
                    wanted.append(parts)
                    parts = b""
        pair.send(said)
        assert pair.got == wanted
        assert pair.hub.replies() == b"".join(theirs.data_to_send())


def test_lines_of_the_hub_are_the_frames_that_the_library_would_send() -> None:
    lines = [b"", b"x", b"x" * 125, b"x" * 126, b"x" * 65_535, b"x" * 65_536, "Ä".encode()]
    theirs = Protocol(SERVER)
    for line in lines:
        theirs.send_text(line)
    assert text_frames(b"".join(line + b"\n" for line in lines)) == b"".join(theirs.data_to_send())


# What is refused

WRONG: dict[str, tuple[bytes, int]] = {
    "not masked": (frame(1, b"x", mask=None), 1002),
    "reserved bits": (frame(1, b"x", rsv=0x40), 1002),
    "reserved bits of a ping": (frame(9, b"x", rsv=0x10), 1002),
    "a reserved opcode": (frame(3, b"x"), 1002),
    "a reserved control opcode": (frame(11, b"x"), 1002),
    "a fragmented ping": (frame(9, b"x", fin=False), 1002),
    "a long ping": (frame(9, b"x" * 126), 1002),
    "a continuation of nothing": (frame(0, b"x"), 1002),
    "a last continuation of nothing": (frame(0, b"x", fin=False), 1002),
    "a text within a fragmented one": (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
    "binary": (frame(2, b"x"), 1003),
    "a beginning of binary": (frame(2, b"x", fin=False), 1003),
    "no UTF-8": (frame(1, b"\xff"), 1007),
    "half a character": (frame(1, "\N{SNOWMAN}".encode()[:2]), 1007),
    "a surrogate": (frame(1, b"\xed\xa0\x80"), 1007),
    "no UTF-8 in the first fragment": (frame(1, b"x\xffy", fin=False), 1007),
    "half a character at the end": (frame(1, b"x", fin=False) + frame(0, b"\xe2\x98"), 1007),
    "too long by its length": (frame(1, b"x" * (MAX_BYTES + 1))[:14], 1009),
    "too long beyond counting": (b"\x81\xff" + b"\xff" * 8, 1009),
    "too long in fragments": (frame(1, b"x" * MAX_BYTES, fin=False) + frame(0, b"x"), 1009),
    "a close of one byte": (frame(8, b"\x03"), 1002),
    "a close with a code that is none": (frame(8, struct.pack("!H", 1005)), 1002),
    "a close whose reason is no text": (frame(8, struct.pack("!H", 1000) + b"\xff"), 1007),
}


@pytest.mark.parametrize("step", [0, 1])
@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_ends_the_connection_with_its_code_after_what_came_before(name: str, step: int) -> None:
    data, code = WRONG[name]
    pair = Pair(step=step)
    pair.send(frame(1, b"before") + data + frame(1, b"after"))
    assert pair.got == [b"before"]
    assert pair.closed_with() == code
    assert not pair.hub.is_last  # its end of the stream is waited for, so that it can read this
    assert pair.hub.held == 0


@pytest.mark.parametrize("name", WRONG)
def test_the_librarys_own_server_end_says_the_same(name: str) -> None:
    data, code = WRONG[name]
    theirs = Protocol(SERVER, max_size=MAX_BYTES)
    theirs.receive_data(data)
    if code == 1003 or (code == 1007 and theirs.close_sent is None):
        return  # it leaves this to whoever uses it
    assert theirs.close_sent is not None
    assert theirs.close_sent.code == code


def test_whatever_is_sent_means_what_the_library_takes_it_for() -> None:
    chance = random.Random(11)
    failed = 0
    for _ in range(600):
        said = bytearray()
        for _ in range(chance.randrange(1, 12)):
            mask = chance.randbytes(4) if chance.random() < 0.95 else None
            size = chance.choice((0, 3, 125, 126, 300))
            opcode = chance.choice((0, 1, 1, 1, 9, 10, 8))
            said += frame(opcode, b"x" * size, fin=chance.random() < 0.8, mask=mask)
        for _ in range(chance.randrange(3)):
            said[chance.randrange(len(said))] = chance.randrange(256)
        theirs = Protocol(SERVER, max_size=MAX_BYTES)
        theirs.receive_data(bytes(said))
        wanted, parts, text = [], b"", True
        for event in theirs.events_received():
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.TEXT, Opcode.CONT, Opcode.BINARY):
                parts += bytes(event.data)
                text = text and event.opcode is not Opcode.BINARY and parts.isascii()
                if not text:
                    break  # the library leaves that to whoever uses it
                if event.fin:
                    wanted.append(parts)
                    parts = b""
        pair = Pair(step=chance.choice((0, 1, 5)))
        pair.send(bytes(said))
        assert pair.got == wanted
        if theirs.eof_sent or not text:
            failed += 1
            # What is wrong by its header is refused here before the rest of the frame has come.
            assert pair.hub.over
        if text and theirs.close_sent is not None:
            amid = theirs.parser_exc is not None and str(theirs.parser_exc) == "incomplete fragmented message"
            close = theirs.close_rcvd if amid else theirs.close_sent  # control frames may come amid fragments
            assert close is not None
            assert pair.closed_with() == close.code
    assert 100 < failed < 600


def test_a_frame_is_refused_by_its_first_bytes_and_not_waited_for() -> None:
    for data in (b"\x81\x05", b"\xc1\x80", b"\x89\xfe", b"\x09\x80", b"\x81\xff" + struct.pack("!Q", MAX_BYTES + 1)):
        pair = Pair()
        pair.send(data)
        assert pair.hub.over, data


def test_empty_fragments_without_end_take_no_memory() -> None:
    pair = Pair()
    pair.send(frame(1, b"", fin=False))
    pair.send(frame(0, b"", fin=False) * 20_000)
    assert pair.got == []
    assert pair.hub.held == 0


def test_many_pings_are_no_work_for_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = WebSocket(MAX_BYTES, tuple)
    assert hub.receive(request()) == []
    assert hub.replies().startswith(b"HTTP/1.1 101 ")
    monkeypatch.setattr(WebSocket, "_rare", None)
    assert hub.receive(frame(9, b"") + frame(10, b"of nobody") + frame(9, b"x" * 125) + frame(1, b"1")) == [b"1"]
    assert hub.replies() == b"\x8a\x00" + b"\x8a\x7d" + b"x" * 125


def test_what_is_forgotten_leaves_no_message_behind() -> None:
    hub = WebSocket(MAX_BYTES, tuple)
    hub.receive(request() + frame(1, b"begun", fin=False) + frame(0, b"x" * 50)[:-1])
    assert hub.held > 5
    hub.forget()
    assert hub.held == 0
    assert hub.receive(b"x" + frame(0, b"end") + frame(1, b"another")) == []
    assert hub.held == 0
    assert hub.goodbye(Code.TOO_LARGE) == b"\x88\x02" + (1009).to_bytes(2)


def test_of_pongs_that_cannot_be_sent_the_newest_is_kept() -> None:
    pair = Pair()
    for number in range(100):
        pair.client.send_ping(b"%d" % number)
    pair.carry()
    assert pair.hub.replies(newest_only=True) == b""
    assert pair.carry_back() == [(Opcode.PONG, b"99")]


# The end


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (3000, ""), (4999, "x" * 123)])
def test_a_close_is_answered_with_the_same(code: int, reason: str) -> None:
    pair = Pair()
    pair.client.send_text(b"last")
    pair.client.send_close(code, reason)
    assert pair.carry() == [b"last"]
    assert pair.hub.is_last
    assert pair.hub.frame(b"answer\n") == b"\x81\x06answer"  # before its goodbye
    assert pair.closed_with() == code
    pair.client.receive_eof()
    assert pair.client.state is CLOSED


@pytest.mark.parametrize(
    ("why", "code"),
    [(None, 1001), (Code.TOO_LARGE, 1009), (Code.SILENT, 1008), (Code.ENDED, 1008), (Code.DENIED, 1008)],
)
def test_the_hub_says_goodbye_and_waits_for_the_other_ends(why: Code | None, code: int) -> None:
    pair = Pair()
    assert pair.hub.frame(b'{"type":"error"}\n')
    pair.client.receive_data(pair.hub.goodbye(why))
    assert pair.client.close_rcvd is not None
    assert pair.client.close_rcvd.code == code
    assert not pair.hub.is_last
    pair.send(frame(1, b"too late") + frame(9, b""))
    assert not pair.hub.is_last
    pair.carry()
    assert pair.hub.is_last


# The handshake


@pytest.mark.parametrize("step", STEPS)
def test_a_handshake_may_come_in_pieces_and_frames_follow_it_at_once(step: int) -> None:
    pair = Pair(step=step)
    pair.hub = WebSocket(MAX_BYTES, tuple)
    pair.send(request("Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Protocol: chat") + frame(1, b"hi"))
    assert pair.got == [b"hi"]
    answer = pair.hub.replies()
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in answer
    assert b"Extensions" not in answer
    assert b"chat" not in answer


def refused(data: bytes, pages: tuple[str, ...] = ()) -> Iterator[str]:
    """Status and text with which a handshake is refused."""
    hub = WebSocket(MAX_BYTES, lambda: pages)
    assert hub.receive(data) == []
    assert hub.over
    assert hub.frame(b"said to nobody\n") == b""
    assert hub.receive(frame(1, b"x")) == []
    head, _, body = hub.goodbye(None).partition(b"\r\n\r\n")
    yield head.decode().split()[1]
    yield body.decode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "426"),
        (b"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", "400"),
        (b'{"type":"hello"}\n\r\n\r\n', "400"),
        (b"\r\n\r\n", "400"),
        (b"x" * (HANDSHAKE_MAX_BYTES + 1), "400"),
        (request().replace(b": 13", b": 8"), "400"),
        (request().replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"), "400"),
        (request("X: " + "x" * HANDSHAKE_MAX_BYTES), "400"),
        (request(*["X: y"] * 200), "400"),
        (request("Content-Length: 5"), "400"),
    ],
)
def test_what_is_no_handshake_is_refused_in_http(data: bytes, status: str) -> None:
    assert next(refused(data)) == status


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:9801", PAGE + ".evil.example", PAGE.upper(), "", "*"]
)
@pytest.mark.parametrize("pages", [(), (PAGE,)])
def test_a_web_page_that_the_owner_has_not_listed_is_refused(origin: str, pages: tuple[str, ...]) -> None:
    status, why = refused(request(f"Origin: {origin}"), pages)
    assert status == "403"
    assert "[link] origins in /etc/aurora/core.toml" in why


def test_two_origins_are_none() -> None:
    assert next(refused(request(f"Origin: {PAGE}", f"Origin: {PAGE}"), (PAGE,))) == "400"


def test_a_web_page_that_is_listed_and_a_program_are_let_in() -> None:
    for origin in (PAGE, None):
        pair = Pair(origin=origin, pages=(PAGE,))
        assert pair.client.handshake_exc is None
        pair.client.send_text(json.dumps({"type": "ping"}).encode())
        assert pair.carry() == [b'{"type": "ping"}']


def test_a_refused_web_page_is_a_fault_that_the_hub_counts() -> None:
    pair = Pair(origin="https://evil.example")
    assert pair.hub.fault is not None
    assert pair.hub.fault.code is Code.DENIED
    assert isinstance(pair.client.handshake_exc, Exception)


def test_who_does_not_finish_the_handshake_is_told_in_http() -> None:
    hub = WebSocket(MAX_BYTES, tuple)
    hub.receive(b"GET / HTTP/1.1\r\n")
    assert hub.frame(b'{"type":"error"}\n') == b""
    assert b" 408 " in hub.goodbye(Code.SILENT)
