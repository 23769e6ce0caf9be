"""What clients might send, as hypothesis strategies: lines and frames that are nearly right, whole or in pieces."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import strategies as st

from aurora.link.vocabulary import FROM_CLIENT, MEMBERS

from .test_envelope import EXAMPLES
from .test_strict import noise
from .test_websocket import frame

__all__ = ["chunked", "frames", "lines", "mutated"]

_TOPICS = (
    "a", "a/b", "set/x", "kept/x", "#", "+/b", "a/#", "$sys/hub", "$sys/approvals", "$sys/durable",
    "$sys/subscriptions", "$sys/#", "$broadcast", "", "a//b", "a/+b", "x" * 2000,
)  # fmt: skip
_IDS = ("1", "2", "d1", "r1", "mail", "")
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    """A message whose members mostly are what they should be."""
    kind = draw(st.sampled_from([*FROM_CLIENT, "sub", "pub", "pub"]))
    shape = FROM_CLIENT[kind]
    names = [*shape.required, *draw(st.lists(st.sampled_from([*shape.optional, "id"]), max_size=3))]
    if draw(st.integers(0, 9)) == 0:
        names = draw(st.lists(st.sampled_from([*MEMBERS, "nobody"]), max_size=5))
    sent: dict[str, Any] = {} if draw(st.integers(0, 9)) == 0 else {"type": kind}
    for name in names:
        if draw(st.integers(0, 14)) == 0:
            sent[name] = draw(_json)
        elif name == "topic":
            sent[name] = draw(st.sampled_from(_TOPICS[:4] * 4 + _TOPICS))
        elif name in ("id", "cursor", "group"):
            sent[name] = draw(st.sampled_from(_IDS))
        elif name == "data":
            sent[name] = draw(_json)
        elif name == "bound":
            sent[name] = draw(st.sampled_from(MEMBERS[name].words))
        elif name in ("queue_messages", "queue_bytes", "deadline_ms"):
            sent[name] = draw(st.sampled_from((1, MEMBERS[name].least, EXAMPLES[name], MEMBERS[name].most)))
        else:
            sent[name] = EXAMPLES.get(name, 1)
    return json.dumps(sent, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


@st.composite
def mutated(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """The same with a few bytes changed, left out, put in, or said twice."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 4)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 9))]
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
            case 3:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case _:
                data[at : at + 1] = draw(
                    st.sampled_from([b"\0", b"\n", b"\r", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"}"])
                )
    return bytes(data)


_lines = st.lists(mutated(_messages()) | _messages() | noise | st.binary(max_size=40), min_size=1, max_size=8)


def lines() -> st.SearchStrategy[list[bytes]]:
    """Lines without their ends; what is in one may have line breaks."""
    return _lines


@st.composite
def frames(draw: st.DrawFn, payloads: st.SearchStrategy[bytes]) -> bytes:
    """Frames that are mostly right by themselves, and mostly follow one another as they should."""
    said = bytearray()
    amid = False
    for _ in range(draw(st.integers(1, 8))):
        payload = draw(payloads)
        opcode = draw(st.sampled_from([0] * 6 + [9] * 2 + [8, 10, 1] if amid else [1] * 8 + [9, 10, 2, 8, 0]))
        fin = draw(st.integers(0, 3)) > 0
        if draw(st.integers(0, 29)) == 0:
            opcode = draw(st.integers(0, 15))
        if opcode == 8:
            code = draw(st.sampled_from((1000, 1001, 1005, 3000, 4999, 5000)) | st.integers(0, 65_535))
            payload = struct.pack("!H", code) + payload if draw(st.booleans()) else payload[:1]
        if opcode >= 8:
            payload = payload[: draw(st.sampled_from((0, 5, 125, 125, 126)))]
            fin = fin or draw(st.integers(0, 5)) > 0
        amid = not fin if opcode < 8 else amid
        mask = draw(st.sampled_from([b"\1\2\3\4", b"\0\0\0\0", b"\xff\0\xff\0"] * 8 + [None]))
        rsv = draw(st.sampled_from([0] * 40 + [0x10, 0x40, 0x70]))
        said += frame(opcode, payload, fin=fin, mask=mask, rsv=rsv)
    return bytes(said)


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    """In pieces of these sizes, again and again; whole when there are none."""
    if not sizes:
        return [data]
    pieces, at, number = [], 0, 0
    while at < len(data):
        pieces.append(data[at : at + sizes[number % len(sizes)]])
        at += len(pieces[-1])
        number += 1
    return pieces
