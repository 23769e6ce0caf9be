"""WebSocket (RFC 6455) as a framing: one text message is one message, a binary one is none. No compression.

The handshake and everything rare (fragments, closing, what is broken) is the work of the core of websockets; it is
there for a connection only while there is some. Whole text frames, which is what clients send and get, are cut out and
put together here, and pings are answered: many of them would cost ten times as much there. The core is given whole
frames alone, so both always agree where one begins.
"""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder
from collections.abc import Callable
from http import HTTPStatus

from websockets.exceptions import InvalidOrigin
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.server import ServerProtocol
from websockets.speedups import apply_mask
from websockets.typing import Origin

from aurora.link.frames import text_frames
from aurora.link.handover import Framed
from aurora.link.refusal import Code, LinkError

__all__ = ["HANDSHAKE_MAX_BYTES", "Origins", "WebSocket", "refusal_response", "turned_away"]

HANDSHAKE_MAX_BYTES = 16 * 1024
"""A longer request is none of who wants to talk."""
_END_OF_HEAD = b"\r\n\r\n"
_WHOLE_TEXT = 0x81
_WHOLE_CLOSE = 0x88
_WHOLE_PING = 0x89
_WHOLE_PONG = 0x8A
_CONTROL = 0x08
_OF_KIND = 0x07
"""Of an opcode: data frames have three, and so have control frames; the others are reserved."""
_CONTROL_MAX_BYTES = 125
_REASON_MAX_BYTES = 123
_CLOSE_CODES = {Code.TOO_LARGE: CloseCode.MESSAGE_TOO_BIG, Code.NOT_UTF8: CloseCode.INVALID_DATA}
"""Of what the hub ends a connection for; all else is against its policy (1008)."""
_new_decoder = getincrementaldecoder("utf-8")

type Origins = Callable[[], tuple[str, ...]]
"""From which web pages the hub may be talked to, such as https://panel.example; asked whenever one tries."""


class WebSocket:
    """The hub's end of one connection: first a handshake is read, then frames are, until it is `over`."""

    __slots__ = (
        "_buffer", "_core", "_decoder", "_is_open", "_last", "_max_bytes", "_origins", "_parts", "_replies", "fault",
        "is_last", "over",
    )  # fmt: skip

    between = b"\xff"  # never in UTF-8; a message may have line breaks (an older client's text)

    def __init__(self, max_bytes: int, origins: Origins) -> None:
        self.fault: LinkError | None = None
        self.over = False
        self.is_last = False
        self._max_bytes = max_bytes
        self._origins = origins
        self._is_open = False
        """The handshake is done."""
        self._core: Protocol | None = None
        self._buffer: bytes | bytearray = b""
        """The beginning of a handshake or of a frame; a bytearray once it grows."""
        self._parts = bytearray()
        """What came of a fragmented message; `_decoder` is there while one is under way."""
        self._decoder: IncrementalDecoder | None = None
        self._replies: list[bytes] = []
        self._last = b""
        """What answers the other end's goodbye, or its fault; nothing is sent after it."""

    @property
    def held(self) -> int:
        """The length of a message's beginning."""
        return len(self._buffer) + len(self._parts)

    def receive(self, data: bytes) -> list[bytes]:
        """Text messages, unmasked, that end in `data`, up to the first fault."""
        if self.over:
            return []
        if self._buffer:
            grown = self._buffer if isinstance(self._buffer, bytearray) else bytearray(self._buffer)
            seen = len(grown)
            grown += data
            self._buffer = grown
            if not self._is_open:
                return self._shake_hands(grown, seen)
            return self._cut(bytes(grown)) if self._has_whole_frame(grown) else []
        if not self._is_open:
            return self._shake_hands(data, 0)
        return self._cut(data)

    def finish(self) -> list[bytes]:
        """A frame that breaks off is no message, and a request that does is none."""
        if not (self._is_open or self.over):
            self._turn_away(HTTPStatus.BAD_REQUEST, "The request for a WebSocket breaks off.")
        return []

    def forget(self) -> None:
        """What comes then is read and means nothing, not even a goodbye."""
        self.over = True
        self._buffer = b""
        self._parts = bytearray()
        self._decoder = None

    def replies(self, *, newest_only: bool = False) -> bytes:
        """The answer to the handshake, pongs; RFC 6455, section 5.5.3: the newest pong alone is enough."""
        if newest_only:
            self._replies = self._replies[-1:]
            return b""
        replies, self._replies = b"".join(self._replies), []
        return replies

    def frame(self, lines: bytes) -> bytes:
        """A frame for each line; before the handshake nothing can be said."""
        return text_frames(lines) if self._is_open else b""

    def goodbye(self, code: Code | None) -> bytes:
        """A close frame, or an HTTP response where the handshake was not done."""
        if self._last or self.is_last:
            last, self._last = self._last, b""
            return last
        if not self._is_open:
            self.over = True
            if code is Code.SILENT:
                return refusal_response("The handshake did not come in time.", HTTPStatus.REQUEST_TIMEOUT)
            why = "The hub ends." if code is None else f"The hub ends the connection: {code}."
            return refusal_response(why, HTTPStatus.SERVICE_UNAVAILABLE)
        core = self._rare()
        core.send_close(CloseCode.GOING_AWAY if code is None else _CLOSE_CODES.get(code, CloseCode.POLICY_VIOLATION))
        return b"".join(core.data_to_send())

    def ping(self) -> bytes:
        """A ping; any frame that comes then says that the other end is there."""
        return Frame(Opcode.PING, b"").serialize(mask=False) if self._is_open else b""

    def state(self) -> Framed:
        """Where it is; of a core it is enough which message is under way."""
        return Framed(
            rest=bytes(self._buffer),
            is_open=self._is_open,
            parts=None if self._decoder is None else bytes(self._parts),
            replies=b"".join(self._replies),
            last=self._last,
            over=self.over,
            is_last=self.is_last,
        )

    def resume(self, framed: Framed) -> None:
        """Go on from there. A message that is under way is begun again with all that came of it."""
        self._buffer, self._is_open, self._last = framed.rest, framed.is_open, framed.last
        self.over, self.is_last = framed.over, framed.is_last
        self._replies = [framed.replies] if framed.replies else []
        if framed.parts is not None:
            self._frame_of_the_core(Frame(Opcode.TEXT, framed.parts, fin=False).serialize(mask=True), [])

    # --- the handshake ------------------------------------------------------------------------------------

    def _shake_hands(self, data: bytes | bytearray, seen: int) -> list[bytes]:
        """Answer the request once all of it is there; frames may follow it."""
        end = data.find(_END_OF_HEAD, max(0, seen - len(_END_OF_HEAD) + 1))
        if end < 0 and len(data) <= HANDSHAKE_MAX_BYTES:
            self._buffer = data
            return []
        end += len(_END_OF_HEAD)
        head, rest = bytes(data[:end]), bytes(data[end:])
        self._buffer = b""
        core = ServerProtocol(origins=[None], max_size=self._max_bytes)
        if len(_END_OF_HEAD) <= len(head) <= HANDSHAKE_MAX_BYTES:
            core.receive_data(head)
        request = next(iter(core.events_received()), None)
        if not isinstance(request, Request):
            self._turn_away(HTTPStatus.BAD_REQUEST, "This is no request for a WebSocket.")
            return []
        # A browser sends along what cookies others have set; the core raises at any other that it reads or quotes.
        if any(not value.isascii() and name.lower() != "cookie" for name, value in request.headers.raw_items()):
            self._turn_away(HTTPStatus.BAD_REQUEST, "The headers of a request for a WebSocket are ASCII.")
            return []
        if "Origin" in request.headers:
            core.origins = [None, *map(Origin, self._origins())]
        response = core.accept(request)
        if isinstance(core.handshake_exc, InvalidOrigin):
            why = f"web pages of {core.handshake_exc.value} may not, by [link] origins in /etc/aurora/core.toml"
            self.fault = LinkError(Code.DENIED, "talk with a web page", why, remedy="to list its origin there")
            self._turn_away(HTTPStatus.FORBIDDEN, str(self.fault))
            return []
        core.send_response(response)
        answer = b"".join(core.data_to_send())
        if core.state is not OPEN:
            self._last = answer
            self.over = True
            return []
        self._replies.append(answer)
        self._is_open = True
        return self._cut(rest) if rest else []

    def _turn_away(self, status: HTTPStatus, text: str) -> None:
        self._last = refusal_response(text, status)
        self.over = True

    # --- frames -------------------------------------------------------------------------------------------

    def _has_whole_frame(self, buffer: bytearray) -> bool:
        """Whether it is worth looking at what waits for its end: it is there, or will not be waited for."""
        return self._end_of_frame(buffer, 0)[1] <= len(buffer)

    def _end_of_frame(self, data: bytes | bytearray, at: int) -> tuple[int, int]:
        """Where the frame that begins at `at` has its payload, and where it ends.

        Beyond the end of `data` when it is not all there; 0, 0 when it need not be waited for, as it is at fault.
        """
        there = len(data) - at
        if there < 2:
            return 0, len(data) + 1
        first, size = data[at], data[at + 1] & 0x7F
        wrong = first & 0x70 or first & _OF_KIND > 2 or not data[at + 1] & 0x80
        if wrong or (first & _CONTROL and (size > _CONTROL_MAX_BYTES or not first & 0x80)):
            return 0, 0
        start = at + 6
        if size == 126:
            start = at + 8
            size = int.from_bytes(data[at + 2 : at + 4]) if there >= 4 else 1 << 16
        elif size == 127:
            start = at + 14
            size = int.from_bytes(data[at + 2 : at + 10]) if there >= 10 else 1 << 16
            if there < 10:
                return 0, len(data) + 1
        if size > self._max_bytes and there >= start - at - 4:
            return 0, 0
        return start, start + size

    def _cut(self, data: bytes) -> list[bytes]:
        """The messages of all frames that are whole; the beginning of another is kept."""
        messages: list[bytes] = []
        at, length = 0, len(data)
        while at < length and not self.over:
            if self._decoder is None:
                at = self._cut_texts(data, at, messages)
            start, end = self._end_of_frame(data, at)
            if not end:
                self._at_fault(data, at)
            if not end or end > length:
                break
            if data[at] == _WHOLE_TEXT and self._decoder is None:
                text = apply_mask(data[start:end], data[start - 4 : start])
                if self._is_text(text):
                    messages.append(text)
            elif data[at] == _WHOLE_PING:
                said = apply_mask(data[start:end], data[start - 4 : start])
                self._replies.append(b"%c%c%b" % (_WHOLE_PONG, len(said), said))
            elif data[at] != _WHOLE_PONG:  # one of those only says that the other end is there
                self._frame_of_the_core(data[at:end], messages)
            at = end
        self._buffer = data[at:] if not self.over else b""
        return messages

    def _cut_texts(self, data: bytes, at: int, messages: list[bytes]) -> int:
        """Frames of the shape that nearly all have which clients send, and where they end; the rest takes more care."""
        add, max_bytes, length, unmask = messages.append, self._max_bytes, len(data), apply_mask
        while at + 8 <= length and data[at] == _WHOLE_TEXT:
            size = data[at + 1] - 0x80
            mask = at + 2
            if size == 126:
                size = data[at + 2] << 8 | data[at + 3]
                mask = at + 4
            elif not 0 <= size < 126:
                break
            start = mask + 4
            end = start + size
            if end > length or size > max_bytes:
                break
            text = unmask(data[start:end], data[mask:start])
            if not text.isascii():
                break
            add(text)
            at = end
        return at

    def _is_text(self, payload: bytes) -> bool:
        try:
            payload.decode()
        except UnicodeDecodeError as error:
            self._fail(CloseCode.INVALID_DATA, f"byte {error.start} is no UTF-8")
            return False
        return True

    def _at_fault(self, data: bytes, at: int) -> None:
        """What the core says of a frame that is wrong by its beginning."""
        if data[at] & 0x70:
            self._fail(CloseCode.PROTOCOL_ERROR, "reserved bits must be 0")
        elif data[at] & _CONTROL and data[at] & _OF_KIND <= 2 and data[at + 1] & 0x80:
            self._fail(CloseCode.PROTOCOL_ERROR, "a control frame has at most 125 bytes and no fragments")
        else:
            core = self._rare()
            core.receive_data(data[at : at + 14])
            self._fail(CloseCode.PROTOCOL_ERROR, "broken frame")  # nothing, as the core has said what is wrong

    def _frame_of_the_core(self, frame: bytes, messages: list[bytes]) -> None:
        """Have it look at one whole frame."""
        core = self._rare()
        if frame[0] == _WHOLE_CLOSE:  # which may come amid a fragmented message: RFC 6455, section 5.4
            core.cur_size = None
            self._parts = bytearray()
            self._decoder = None
        core.receive_data(frame)
        for event in core.events_received():
            assert isinstance(event, Frame)  # noqa: S101  # of a core that has shaken hands
            if event.opcode is Opcode.BINARY:
                self._fail(CloseCode.UNSUPPORTED_DATA, "a message is text")
            elif event.opcode in (Opcode.TEXT, Opcode.CONT):
                self._fragment(event, messages)
        said = b"".join(core.data_to_send())
        if core.eof_sent:
            self._end(said, is_last=core.close_rcvd is not None and core.parser_exc is None)
            return
        if said:
            self._replies.append(said)
        if self._decoder is None and core.state is OPEN:
            self._core = None

    def _fragment(self, frame: Frame, messages: list[bytes]) -> None:
        """Also a whole text frame, where there is a core."""
        if frame.opcode is Opcode.TEXT:
            self._decoder = _new_decoder()
        assert self._decoder is not None  # noqa: S101  # the core knows which frames may follow
        try:
            self._decoder.decode(frame.data, frame.fin)
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_DATA, "a message is UTF-8")
            return
        self._parts += frame.data
        if frame.fin:
            messages.append(bytes(self._parts))
            self._parts = bytearray()
            self._decoder = None

    def _rare(self) -> Protocol:
        if self._core is None:
            self._core = Protocol(SERVER, state=OPEN, max_size=self._max_bytes)
        return self._core

    def _fail(self, code: CloseCode, reason: str) -> None:
        """RFC 6455, section 7.1.7; nothing when the core has done it already."""
        core = self._rare()
        if not core.eof_sent:
            core.fail(code, reason.encode()[:_REASON_MAX_BYTES].decode(errors="ignore"))
        self._end(b"".join(core.data_to_send()), is_last=False)

    def _end(self, said: bytes, *, is_last: bool) -> None:
        """Nothing more of the other end counts. Of what the core says, the close frame is the last."""
        self._last += said
        self.over = True
        self.is_last = is_last
        self._parts = bytearray()
        self._decoder = None


def refusal_response(text: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> bytes:
    """An HTTP response to who is not let in."""
    return ServerProtocol().reject(status, text + "\n").serialize()


def turned_away(error: LinkError) -> bytes:
    """An HTTP response to who is not let in: 503 (Service Unavailable) where it may be later, 403 where it may not."""
    later = error.code is Code.TOO_MANY
    return refusal_response(str(error), HTTPStatus.SERVICE_UNAVAILABLE if later else HTTPStatus.FORBIDDEN)
