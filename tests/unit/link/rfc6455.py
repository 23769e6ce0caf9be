"""What a WebSocket server has to do with what it is sent, as cases: numbered after the Autobahn test suite's families.

A text that the hub is sent here is a message to a topic that its sender reads: it comes back. Where a family of the
suite has binary messages, these are answered by closing with 1003: AuroraLink's are text. 11 is of masks and lengths,
which the suite does not try; it has no family of that number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from .test_websocket import frame

__all__ = ["MESSAGE_MAX_BYTES", "SUBSCRIBE", "VALID_CLOSES", "Case", "cases", "of_size", "text"]

MESSAGE_MAX_BYTES = 256 * 1024
SUBSCRIBE = b'{"type":"sub","topic":"echo","queue_bytes":1000000,"id":"sub"}'
_HEAD, _TAIL = b'{"topic":"echo","data":"', b'"}'
VALID_CLOSES = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)))
"""RFC 6455, section 7.4.2, and IANA's registry: 1012 to 1014 came later."""


class Case(NamedTuple):
    """What is sent over a connection, and what has to come back."""

    name: str
    """The suite's number of a case like it, or of its family and a word."""
    clause: str
    """Of RFC 6455."""
    sent: list[bytes]
    """In so many writes."""
    back: list[bytes] = []  # noqa: RUF012  # never changed
    """The data of messages, in their order."""
    pongs: list[bytes] = []  # noqa: RUF012  # never changed
    close: int | None = None
    """The hub's code, whether it closes by itself or answers; None when it only does so when it is asked to (1000)."""
    in_step: bool = False
    """The next is sent when the last has come back."""


def text(data: bytes) -> bytes:
    """A message that comes back with this data, a JSON string without its quotes."""
    return _HEAD + data + _TAIL


def of_size(size: int) -> bytes:
    """The data of a message of so many bytes in all."""
    return b"*" * (size - len(text(b"")))


def chop(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragments(message: bytes, size: int) -> list[bytes]:
    """The frames of a message in fragments of so many bytes."""
    pieces = chop(message, size)
    last = len(pieces) - 1
    return [frame(0 if at else 1, piece, fin=at == last) for at, piece in enumerate(pieces)]


def closing(code: int, reason: bytes = b"") -> bytes:
    return frame(8, struct.pack("!H", code) + reason)


def cases() -> list[Case]:
    """All of them."""
    families = (
        _framing, _pings, _reserved_bits, _opcodes, _fragmentation, _utf8, _fail_fast, _closing, _close_codes, _limits,
        _many, _masks, _compression,
    )  # fmt: skip
    return list(chain.from_iterable(family() for family in families))


def _framing() -> Iterator[Case]:
    yield Case("1.1.1", "5.6", [frame(1, b"")])
    for number, size in enumerate((125, 126, 127, 128, 65_535, 65_536), 2):
        data = of_size(size)
        yield Case(f"1.1.{number}", "5.2", [frame(1, text(data))], [data])
    data = of_size(65_536)
    yield Case("1.1.8", "5.2", chop(frame(1, text(data)), 997), [data])
    for number, size in enumerate((0, 125, 126, 127, 128, 65_535, 65_536), 1):
        yield Case(f"1.2.{number}", "7.4.1", [frame(2, b"*" * size)], close=1003)
    yield Case("1.2.8", "7.4.1", chop(frame(2, b"*" * 65_536), 997), close=1003)


def _pings() -> Iterator[Case]:
    for number, payload in enumerate((b"", b"Hello, world!", b"\0\xff\xfe\xfd\xfc\xfb\0\xff", b"\xfe" * 125), 1):
        yield Case(f"2.{number}", "5.5.2", [frame(9, payload)], pongs=[payload])
        yield Case(f"2.6.{number}", "5.5.2", chop(frame(9, payload), 1), pongs=[payload])
    yield Case("2.5", "5.5", [frame(9, b"\xfe" * 126)], close=1002)
    yield Case("2.5.long", "5.5", [frame(9, b"\xfe" * 65_536)], close=1002)
    yield Case("2.7", "5.5.3", [frame(10, b"")])
    yield Case("2.8", "5.5.3", [frame(10, b"unsolicited")])
    yield Case("2.9", "5.5.3", [frame(10, b"unsolicited"), frame(9, b"ping")], pongs=[b"ping"])
    ten = [b"payload-%d" % number for number in range(10)]
    yield Case("2.10", "5.5.2", [frame(9, payload) for payload in ten], pongs=ten)
    yield Case("2.11", "5.5.2", chop(b"".join(frame(9, payload) for payload in ten), 1), pongs=ten)
    between = b"".join(frame(9, one) + frame(1, text(one)) for one in ten)
    yield Case("2.10.between", "5.5.2", [between], ten, ten)


def _reserved_bits() -> Iterator[Case]:
    for bits in range(1, 8):
        for opcode, payload in ((1, text(b"x")), (2, b"x"), (9, b"x"), (10, b"x"), (8, b"\x03\xe8")):
            wrong = frame(opcode, payload, rsv=bits << 4)
            yield Case(f"3.{bits}.of-{opcode}", "5.2", [wrong], close=1002)
        said = [frame(1, text(b"a")), frame(1, text(b"b"), rsv=bits << 4), frame(9, b"")]
        yield Case(f"3.{bits}.after", "5.2", said, [b"a"], close=1002)
        yield Case(f"3.{bits}.after.octets", "5.2", chop(b"".join(said), 1), [b"a"], close=1002)
        amid = [frame(1, b"{", fin=False), frame(0, b"}", rsv=bits << 4)]
        yield Case(f"3.{bits}.amid", "5.2", amid, close=1002)


def _opcodes() -> Iterator[Case]:
    for family, opcodes in (("4.1", range(3, 8)), ("4.2", range(11, 16))):
        for number, opcode in enumerate(opcodes, 1):
            name = f"{family}.{number}"
            yield Case(name, "5.2", [frame(opcode, b"")], close=1002)
            yield Case(f"{name}.payload", "5.2", [frame(opcode, b"reserved")], close=1002)
            said = [frame(1, text(b"a")), frame(opcode, b"x"), frame(9, b"")]
            yield Case(f"{name}.after", "5.2", said, [b"a"], close=1002)
            yield Case(f"{name}.octets", "5.2", chop(b"".join(said), 1), [b"a"], close=1002)
            yield Case(f"{name}.begun", "5.2", [frame(opcode, b"x", fin=False)], close=1002)


def _fragmentation() -> Iterator[Case]:
    for number, opcode in ((1, 9), (2, 10)):
        said = [frame(opcode, b"a", fin=False), frame(0, b"b")]
        yield Case(f"5.{number}", "5.4", said, close=1002)
    yield Case("5.2.close", "5.4", [frame(8, b"", fin=False)], close=1002)
    data = b"fragment1fragment2"
    first, second = text(data)[:30], text(data)[30:]
    begin, end = frame(1, first, fin=False), frame(0, second)
    for number, said in ((3, [begin, end]), (4, chop(begin + end, 5)), (5, chop(begin + end, 1))):
        yield Case(f"5.{number}", "5.4", said, [data])
    between = begin + frame(9, b"ping") + end
    for number, said in ((6, [between]), (7, chop(between, 3)), (8, chop(between, 1))):
        yield Case(f"5.{number}", "5.4", said, [data], [b"ping"])
    for number, fin in ((9, True), (12, False)):
        lost = frame(0, b"non-continuation", fin=fin)
        whole = frame(1, text(b"a"))
        yield Case(f"5.{number}", "5.4", [lost, whole], close=1002)
        yield Case(f"5.{number + 1}", "5.4", [lost + whole], close=1002)
        yield Case(f"5.{number + 2}", "5.4", chop(lost + whole, 1), close=1002)
    more = frame(0, b"fragment3", fin=False) + frame(1, text(b"a"))
    yield Case("5.15", "5.4", [begin + end + more], [data], close=1002)
    for number, fin in ((16, False), (17, True)):
        yield Case(f"5.{number}", "5.4", [frame(0, b"a", fin=fin), begin, end], close=1002)
    yield Case("5.18", "5.4", [begin, frame(1, second)], close=1002)
    yield Case("5.18.binary", "5.4", [begin, frame(2, second)], close=1002)
    five = fragments(text(b"abcdefghijklmn"), 8)
    mixed = five[0] + five[1] + frame(9, b"1") + five[2] + five[3] + frame(9, b"2") + five[4]
    for number, said in ((19, [mixed]), (20, chop(mixed, 1))):
        yield Case(f"5.{number}", "5.4", said, [b"abcdefghijklmn"], [b"1", b"2"])
    yield Case("5.20.twice", "5.4", [mixed, mixed], [b"abcdefghijklmn"] * 2, [b"1", b"2"] * 2)
    yield Case("5.empty", "5.4", [frame(1, b"", fin=False), begin.replace(b"\x01", b"\x00", 1), end], [data])
    yield Case("5.of-nothing", "5.4", [frame(1, b"", fin=False), frame(0, b"", fin=False), frame(0, b"")])


VALID: dict[str, list[str]] = {
    "6.2": ["Hello-µ@ßöäüàá-UTF-8!!"],
    "6.5": ["κόσμε"],
    "6.6": ["κό", "κόσ", "κόσμ"],
    "6.7": ["\x7f", "\u0080", "\u0800", "\U00010000"],  # the first of each length; NUL is refused by the protocol
    "6.9": ["\u07ff", "\uffff", "\U0010ffff"],  # the last
    "6.11": ["\ud7ff", "\ue000", "\ufffd", "\U0010ffff"],  # at boundaries
    "6.22": [chr((plane << 16) + 0xFFFE + last) for plane in range(17) for last in (0, 1)] + ["\ufdd0", "\ufdef"],
    "6.23": ["\ufeff", "\ufff9", "\ufffa", "\ufffb", "\ufffc", "\u202e"],
}

INVALID: dict[str, list[bytes]] = {
    "6.3": [b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"],
    "6.6": [
        b"\xce",
        b"\xce\xba\xe1",
        b"\xce\xba\xe1\xbd",
        b"\xce\xba\xe1\xbd\xb9\xcf",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce",
    ],
    "6.8": [b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80"],
    "6.10": [b"\xf7\xbf\xbf\xbf", b"\xfb\xbf\xbf\xbf\xbf", b"\xfd\xbf\xbf\xbf\xbf\xbf"],
    "6.11": [b"\xf4\x90\x80\x80"],
    "6.12": [b"\x80", b"\xbf", b"\x80\xbf", b"\x80\xbf\x80", b"\x80\xbf\x80\xbf", bytes(range(0x80, 0xC0))],
    "6.13": [b" ".join(b"%c" % one for one in range(low, low + 16)) + b" " for low in (0xC0, 0xD0, 0xE0, 0xF0)]
    + [b"\xc3 ", b"\xe2 ", b"\xf1 "],
    "6.14": [b"\xc0", b"\xe0\x80", b"\xf0\x80\x80", b"\xf8\x80\x80\x80", b"\xdf", b"\xef\xbf", b"\xf7\xbf\xbf"],
    "6.15": [b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf"],
    "6.16": [b"\xfe", b"\xff", b"\xfe\xfe\xff\xff"],
    "6.17": [b"\xc0\xaf", b"\xe0\x80\xaf", b"\xf0\x80\x80\xaf", b"\xf8\x80\x80\x80\xaf", b"\xfc\x80\x80\x80\x80\xaf"],
    "6.18": [b"\xc1\xbf", b"\xe0\x9f\xbf", b"\xf0\x8f\xbf\xbf", b"\xf8\x87\xbf\xbf\xbf", b"\xfc\x83\xbf\xbf\xbf\xbf"],
    "6.19": [b"\xc0\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\xf8\x80\x80\x80\x80", b"\xfc\x80\x80\x80\x80\x80"],
    "6.20": [
        b"\xed" + struct.pack("BB", high, low) for high, low in ((0xA0, 0x80), (0xAD, 0xBF), (0xAE, 0x80), (0xBF, 0xBF))
    ],
    "6.21": [
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xad\xbf\xed\xbf\xbf",
        b"\xed\xae\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ],
}


def _utf8() -> Iterator[Case]:
    """Valid and invalid sequences: in one frame, in fragments that part them, one byte a write."""
    for family, valid in VALID.items():
        for number, one in enumerate(valid, 1):
            data = one.encode()
            message = text(data)
            yield Case(f"{family}.valid.{number}", "8.1", [frame(1, message)], [data])
            yield Case(f"{family}.valid.{number}.parted", "8.1", [b"".join(fragments(message, 1))], [data])
    for family, invalid in INVALID.items():
        for number, data in enumerate(invalid, 1):
            message = text(data)
            yield Case(f"{family}.invalid.{number}", "8.1", [frame(1, message)], close=1007)
            yield Case(f"{family}.invalid.{number}.parted", "8.1", [b"".join(fragments(message, 1))], close=1007)
    whole = frame(1, text(INVALID["6.3"][0]))
    yield Case("6.3.octets", "8.1", chop(whole, 1), close=1007)
    yield Case("6.3.after", "8.1", [frame(1, text(b"a")), whole, frame(1, text(b"b"))], [b"a"], close=1007)
    yield Case("6.1.2", "8.1", [frame(1, b"", fin=False), frame(0, b"", fin=False), frame(0, b"")])


def _fail_fast() -> Iterator[Case]:
    """By the first fragment that cannot go on as UTF-8; the message's end is never sent."""
    good, bad = text("κόσμε".encode())[:-2], b"\xf4\x90\x80\x80"
    yield Case("6.4.1", "8.1", [frame(1, good, fin=False), frame(0, bad, fin=False)], close=1007)
    yield Case("6.4.2", "8.1", [frame(1, good + bad[:1], fin=False), frame(0, bad[1:2], fin=False)], close=1007)
    yield Case("6.4.first", "8.1", [frame(1, b"\xff", fin=False)], close=1007)
    yield Case(
        "6.4.ping", "8.1", [frame(1, good, fin=False) + frame(9, b"") + frame(0, bad, fin=False)], [], [b""], 1007
    )


def _closing() -> Iterator[Case]:
    echo, close = frame(1, text(b"a")), closing(1000)
    yield Case("7.1.1", "5.5.1", [echo, close], [b"a"], close=1000)
    yield Case("7.1.2", "5.5.1", [close + close], close=1000)
    yield Case("7.1.3", "5.5.1", [close + frame(9, b"late")], close=1000)
    yield Case("7.1.4", "5.5.1", [close + echo], close=1000)
    yield Case("7.1.5", "5.4", [frame(1, text(b"a")[:9], fin=False) + close + frame(0, text(b"a")[9:])], close=1000)
    yield Case("7.1.5.octets", "5.4", chop(frame(1, b"{", fin=False) + close, 1), close=1000)
    yield Case("7.1.5.wrong", "7.4", [frame(1, b"{", fin=False) + closing(1005)], close=1002)
    big = of_size(MESSAGE_MAX_BYTES)
    yield Case("7.1.6", "5.5.1", [frame(1, text(big)) + close], [big], close=1000)
    yield Case("7.3.1", "5.5.1", [frame(8, b"")], close=1005)
    yield Case("7.3.2", "5.5.1", [frame(8, b"a")], close=1002)
    yield Case("7.3.3", "5.5.1", [close], close=1000)
    yield Case("7.3.4", "5.5.1", [closing(1000, b"Hello World!")], close=1000)
    yield Case("7.3.5", "5.5.1", [closing(1000, b"*" * 123)], close=1000)
    yield Case("7.3.6", "5.5", [closing(1000, b"*" * 124)], close=1002)
    yield Case("7.3.octets", "5.5.1", chop(closing(1000, b"Hello World!"), 1), close=1000)
    for number, data in enumerate(chain.from_iterable(INVALID.values()), 1):
        yield Case(f"7.5.{number}", "8.1", [closing(1000, data)], close=1007)
    yield Case("7.5.valid", "5.5.1", [closing(1000, "κόσμε".encode())], close=1000)


def _close_codes() -> Iterator[Case]:
    for code in (1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999):
        yield Case(f"7.7.{code}", "7.4", [closing(code)], close=code)
        yield Case(f"7.7.{code}.reason", "7.4", [closing(code, b"so it is")], close=code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32_768, 65_535):
        yield Case(f"7.9.{code}", "7.4", [closing(code)], close=1002)
        yield Case(f"7.9.{code}.reason", "7.4", [closing(code, b"so it is")], close=1002)


def _limits() -> Iterator[Case]:
    for number, size in enumerate((65_536, 131_072, MESSAGE_MAX_BYTES - 1, MESSAGE_MAX_BYTES), 1):
        data = of_size(size)
        yield Case(f"9.1.{number}", "10.4", [frame(1, text(data))], [data])
    yield Case("9.1.beyond", "7.4.1", [frame(1, b"*" * (MESSAGE_MAX_BYTES + 1))], close=1009)
    for size in (MESSAGE_MAX_BYTES + 1, 1 << 24, 1 << 32, 1 << 62, 1 << 63, (1 << 64) - 1):
        told = b"\x81\xff" + struct.pack("!Q", size) + bytes(4)
        yield Case(f"9.1.told-{size}", "7.4.1", [told], close=1009)
    data = of_size(131_072)
    for number, size in enumerate((64, 256, 1024, 4096, 16_384, 65_536), 1):
        yield Case(f"9.3.{number}", "5.4", [b"".join(fragments(text(data), size))], [data])
        yield Case(f"9.5.{number}", "5.4", chop(frame(1, text(data)), size), [data])
    yield Case("9.3.beyond", "7.4.1", [b"".join(fragments(text(of_size(MESSAGE_MAX_BYTES + 1)), 4096))], close=1009)
    yield Case("10.1.1", "5.4", fragments(text(of_size(65_536)), 1300), [of_size(65_536)])


def _many() -> Iterator[Case]:
    for number, size in enumerate((32, 64, 256, 1024, 4096), 1):
        some = [b"%04d" % one + b"*" * (size - len(text(b"0000"))) for one in range(200)]
        yield Case(f"9.7.{number}", "5.6", [frame(1, text(one)) for one in some], some, in_step=True)
    tiny = [b"%d" % one for one in range(1000)]
    yield Case("9.7.at-once", "5.6", [b"".join(frame(1, text(one)) for one in tiny)], tiny)
    yield Case("9.7.octets", "5.6", chop(b"".join(frame(1, text(one)) for one in tiny[:40]), 1), tiny[:40])


def _masks() -> Iterator[Case]:
    for opcode, payload in ((1, text(b"x")), (1, b""), (2, b"x"), (9, b"x"), (10, b"x"), (8, b"\x03\xe8")):
        yield Case(f"11.unmasked.{opcode}.{len(payload)}", "5.1", [frame(opcode, payload, mask=None)], close=1002)
    yield Case("11.unmasked.amid", "5.1", [frame(1, b"{", fin=False), frame(0, b"}", mask=None)], close=1002)
    for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x80\0\0\0", b"\x81\x81\x81\x81", b"\r\n\r\n"):
        for size in (30, 31, 32, 33, 130):
            data = of_size(size)
            yield Case(f"11.{mask.hex()}.{size}", "5.3", [frame(1, text(data), mask=mask)], [data])
        yield Case(f"11.{mask.hex()}.ping", "5.3", [frame(9, b"ping", mask=mask)], pongs=[b"ping"])
    # A receiver has no duty to refuse a length in more bytes than it needs, and takes nothing else for it.
    data = of_size(100)
    for name, head in (("16", b"\x81\xfe\0\x64"), ("64", b"\x81\xff" + struct.pack("!Q", 100))):
        yield Case(f"11.long-length.{name}", "5.2", [head + bytes(4) + text(data)], [data])
    yield Case("11.long-length.ping", "5.5", [b"\x89\xfe\0\1" + bytes(4) + b"x"], close=1002)


def _compression() -> Iterator[Case]:
    """Not agreed to (see the handshakes), so what is compressed is a reserved bit."""
    for number, payload in enumerate((b"\xf2H\xcd\xc9\xc9\x07\0", b"\0", b"", b"*" * 200), 1):
        yield Case(f"12.1.{number}", "5.2", [frame(1, payload, rsv=0x40)], close=1002)
        yield Case(f"12.2.{number}", "5.2", [frame(1, payload, rsv=0x40, fin=False) + frame(0, payload)], close=1002)
