"""The framing beside the core of websockets, on the same bytes: whatever is sent, in any pieces, means the same."""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import NamedTuple

from hypothesis import event, example, given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import SERVER, Protocol

from aurora.link.websocket import WebSocket
from tests.unit.fuzz.budget import tries

from .test_websocket import frame, request
from .wire import chunked, frames, mutated

MAX_BYTES = 300
BOTH = {1002, 1009}
"""A frame that is too long may be wrong in another way, too: which of the two is said differs."""
PADDING = bytes(MAX_BYTES + 200)
payloads = (
    st.sampled_from(
        [b"", b"x", b"\xce\xba", b"\xf0\x9f\x98\x80", "κόσμε".encode(), b"\xff", b"\xed\xa0\x80", b"\xf4\x90"]
    )
    | st.binary(max_size=20)
    | st.sampled_from([125, 126, 127, 300, 301]).map(lambda size: b"x" * size)
)
sizes = st.lists(st.integers(1, 200), max_size=3) | st.just([1])


class Read(NamedTuple):
    """What was read of a stream."""

    texts: list[bytes]
    pongs: list[bytes]
    close: int | None
    """With which code it is ended; None while it goes on."""


def by_the_library(data: bytes, max_bytes: int = MAX_BYTES) -> Read:
    """Byte for byte, so that its answers come with what they answer. It leaves to its user what is checked here beside
    it: UTF-8, and that messages are text. It takes a close amid fragments for a fault; RFC 6455, 5.4, does not."""
    core = Protocol(SERVER, max_size=max_bytes)
    read = Read([], [], None)
    message, decoder = b"", getincrementaldecoder("utf-8")()
    for place in range(len(data)):
        core.receive_data(data[place : place + 1])
        for one in core.events_received():
            assert isinstance(one, Frame)
            if one.opcode is Opcode.BINARY:
                return read._replace(close=1003)
            if one.opcode is Opcode.TEXT:
                message, decoder = b"", getincrementaldecoder("utf-8")()
            if one.opcode in (Opcode.TEXT, Opcode.CONT):
                message += bytes(one.data)
                try:
                    decoder.decode(bytes(one.data), one.fin)
                except UnicodeDecodeError:
                    return read._replace(close=1007)
                if one.fin:
                    read.texts.append(message)
            if one.opcode is Opcode.PING:
                read.pongs.append(bytes(one.data))
        if str(core.parser_exc) == "incomplete fragmented message":
            assert core.close_rcvd is not None
            return read._replace(close=core.close_rcvd.code)
        if core.close_sent is not None:
            return read._replace(close=core.close_sent.code)
    return read


def by_the_hub(pieces: list[bytes]) -> Read:
    hub = WebSocket(MAX_BYTES, tuple)
    hub.receive(request())
    hub.replies()
    read = Read([], [], None)
    for piece in pieces:
        read.texts.extend(hub.receive(piece))
        assert hub.held <= len(b"".join(pieces))
    said, last = hub.replies(), hub.goodbye(None) if hub.over else b""
    theirs = Protocol(SERVER)  # the frames that it has said; a server's have no mask
    while said:
        assert said[0] == 0x8A
        read.pongs.append(said[2 : 2 + said[1]])
        said = said[2 + said[1] :]
    assert theirs.close_sent is None
    if hub.over:
        assert last[0] == 0x88
        assert last[1] == len(last) - 2 <= 125
        assert hub.held == 0
        return read._replace(close=Close.parse(last[2:]).code)
    return read


def agree(data: bytes, pieces: list[int]) -> None:
    ours = by_the_hub(chunked(data, pieces))
    event(f"ends with {ours.close}")
    assert all(len(text) <= MAX_BYTES for text in ours.texts)
    theirs = [
        by_the_library(data + more, max_bytes)
        # A frame that is wrong by its beginning is refused before the rest of it has come; the library waits for that.
        for more in (b"", PADDING)[: 1 if ours.close is None else 2]
        # The library counts control frames amid fragments as if they were some, and there may be several.
        for max_bytes in (MAX_BYTES, MAX_BYTES + 125, MAX_BYTES + 250, MAX_BYTES + 1000)
    ]
    assert ours in theirs or (
        ours.close in BOTH and any(one[:2] == ours[:2] and one.close in BOTH for one in theirs)
    ), theirs


@tries(300)
@given(mutated(frames(payloads)) | frames(payloads), sizes)
@example(frame(1, b"{", fin=False) + frame(8, b"\x03\xe8"), [])  # a close amid fragments
@example(frame(1, b"{", fin=False) + frame(9, b"1") + frame(2, b"x") + frame(9, b"2"), [1])
@example(b"\x8b\x80", [1])  # a reserved opcode is wrong by its first byte
@example(frame(1, b"{", fin=False) + frame(2, b"x" * 300, rsv=0x10), [1])
def test_frames_mean_what_the_library_takes_them_for(data: bytes, pieces: list[int]) -> None:
    agree(data, pieces)


@tries(150)
@given(st.binary(max_size=400), sizes)
def test_noise_means_what_the_library_takes_it_for(data: bytes, pieces: list[int]) -> None:
    agree(data, pieces)


@tries(100)
@given(st.binary(max_size=1500).map(lambda data: data.replace(b"\r\n\r\n", b"")), sizes)
@example(b"GET / HTTP/1.1\r\n" + b"\xff" * 20, [1])
def test_a_handshake_that_is_none_is_refused_once_and_nothing_is_kept(data: bytes, pieces: list[int]) -> None:
    hub = WebSocket(MAX_BYTES, tuple)
    for piece in chunked(data + b"\r\n\r\n" + frame(1, b"x"), pieces):
        assert hub.receive(piece) == []
    assert hub.over
    assert hub.held == 0
    assert hub.replies() == b""
    assert hub.goodbye(None).startswith(b"HTTP/1.1 4")


@tries(100)
@given(mutated(st.just(request("Origin: https://panel.example", "X: y"))), sizes)
def test_a_handshake_that_is_nearly_right_is_answered_or_refused(data: bytes, pieces: list[int]) -> None:
    hub = WebSocket(MAX_BYTES, lambda: ("https://panel.example",))
    for piece in chunked(data, pieces):
        assert hub.receive(piece) in ([], [b""])
    said = hub.replies() or (hub.goodbye(None) if hub.over else b"")
    assert said == b"" or said.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 4"))
    assert hub.held <= len(data)
