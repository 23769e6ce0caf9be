"""JSON as the hub takes it: RFC 8259 without what two readers could understand differently (RFC 7493, I-JSON).

Refused beyond the grammar: bytes that are no UTF-8, a key twice in one object, halves of UTF-16 pairs, numbers beyond
a double, deep nesting, line breaks (one message is one line). Everything else is left as it is, byte for byte.
"""

from __future__ import annotations

import json
import re
from itertools import chain, repeat
from math import isinf
from operator import contains
from typing import Any, NoReturn

import msgspec

from aurora.link.refusal import Code, LinkError

__all__ = ["all_strict", "check_json"]

_LF, _CR, _LIST, _COLON, _BACKSLASH = b"\n\r[:\\"
"""As numbers: `10 in text` is seven times faster than `b"\\n" in text`."""
_DIGITS_SAFE = 300
"""A shorter run of digits is within a double."""
_STRIDE = 64
_LONG_RUN = re.compile(rb"[0-9]{4}")
"""In every _STRIDE-th byte: a run of more than _DIGITS_SAFE digits shows at least four times in a row."""
_NUMBER = re.compile(rb"[0-9]{300,}")
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

_decode = msgspec.json.Decoder().decode
_decode_boxed = msgspec.json.Decoder(tuple[Any]).decode_lines
"""Of lists of one value each, with white space between them."""
_SAID_BY_DECODING = {str, bool, type(None)}
"""Of which nothing is wrong that decoding lets pass, but for line breaks."""


def check_json(text: bytes, depth_max: int) -> None:
    """LinkError unless `text` is one JSON value that every reader understands alike.

    Cheap where little can be wrong: a string, a number, an object whose colons are all after its keys. Everything else
    is looked at a second time.
    """
    try:
        value = _decode(text)
    except (ValueError, RecursionError, msgspec.MsgspecError) as error:  # UnicodeDecodeError is a ValueError
        raise _refused(text, error) from None
    if _LF in text or _CR in text:
        raise LinkError(Code.LINE_BREAK, "read the message", "it has a line break within", remedy="one line a message")
    _look_again(text, value, depth_max)
    if len(text) > _DIGITS_SAFE and _LONG_RUN.search(text[::_STRIDE]):
        _check_numbers(text)


def all_strict(texts: list[bytes], depth_max: int) -> bool:
    """Whether `check_json` takes each of two texts or more, at a fraction of its cost for each. Of one, no.

    Each is put into brackets, on a line of its own. None can be open at its end: there comes a bracket and then another
    with no comma between, which is wrong within any value, and a line break, which is wrong within a string. So each
    line has a value at least, all together have as many as there are lines, and each of these is a list of one.
    """
    if len(texts) < 2 or any(map(contains, texts, repeat(_LF))):
        return False
    joined = b"]\n[".join((b"[" + texts[0], *texts[1:-1], texts[-1] + b"]"))
    if _CR in joined:
        return False
    try:
        boxed = _decode_boxed(joined)
        if len(boxed) != len(texts):
            return False
        values = list(chain.from_iterable(boxed))
        kinds = set(map(type, values))
        if kinds <= _SAID_BY_DECODING:
            return True
        if (dict in kinds or list in kinds) and not (kinds == {dict} and _are_flat(joined, values)):
            for text, value in zip(texts, values, strict=True):
                _look_again(text, value, depth_max)
        if max(map(len, texts)) > _DIGITS_SAFE and _LONG_RUN.search(joined[::_STRIDE]):
            _check_numbers(joined)
    except (ValueError, RecursionError, msgspec.MsgspecError, LinkError):
        return False
    return True


def _are_flat(joined: bytes, values: list[dict[str, object]]) -> bool:
    """As below, of all objects at once: none has fewer colons than keys, so the sums are equal only if all are."""
    return joined.count(b"[") == len(values) and sum(map(len, values)) == joined.count(b":")


def _look_again(text: bytes, value: object, depth_max: int) -> None:
    """What decoding does not see: depth, and keys that are there twice."""
    if isinstance(value, dict):
        # Each key has a colon. As many keys as colons: none is there twice, and no object is within.
        flat = len(value) == text.count(b":")
        if not flat or _LIST in text:
            _check_depth(text, depth_max)
        if not flat:
            _check_keys(text)
    elif isinstance(value, list):
        _check_depth(text, depth_max)
        if _COLON in text:
            _check_keys(text)


def _check_depth(text: bytes, depth_max: int) -> None:
    if text.count(b"[") + text.count(b"{") <= depth_max:
        return
    depth = 0
    for bracket in _STRINGS.sub(b"", text).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > depth_max:
            raise LinkError(
                Code.TOO_DEEP, "read the message", "its objects and lists are nested too deep",
                remedy=f"at most {depth_max} within one another",
            )  # fmt: skip


def _check_keys(text: bytes) -> None:
    """Compare all strings first, then all keys: when none is there twice, no object has one twice."""
    if _BACKSLASH not in text:
        pieces = text.split(b'"')
        strings = pieces[1::2]
        if len(set(strings)) == len(strings):
            return
        keys = [one for one, behind in zip(strings, pieces[2::2], strict=True) if behind.lstrip()[:1] == b":"]
        if len(set(keys)) == len(keys):
            return
    json.loads(text, object_pairs_hook=_different, parse_int=_unread, parse_float=_unread)


def _different(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            why = f"an object has the key {key[:40]!r} twice"
            raise LinkError(Code.DUPLICATE_KEY, "read the message", why, remedy="each key once")
        seen.add(key)


def _unread(_number: str) -> None:
    return None


def _check_numbers(text: bytes) -> None:
    for run in _NUMBER.finditer(_STRINGS.sub(b"", text)):
        if isinf(float(run[0])):
            raise _huge()


def _huge() -> LinkError:
    return LinkError(Code.HUGE_NUMBER, "read the message", "a number is beyond what a double holds", remedy="a string")


def _refused(text: bytes, error: Exception) -> LinkError:
    """Why msgspec could not read it, in our words."""
    what = "read the message"
    if b"\0" in text:
        return LinkError(Code.NUL, what, "it has a NUL byte", remedy="text without it")
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return LinkError(Code.NOT_UTF8, what, f"byte {wrong.start} is no UTF-8", remedy="text in UTF-8")
    if isinstance(error, RecursionError):
        return LinkError(Code.TOO_DEEP, what, "its objects and lists are nested too deep")
    if isinstance(error, msgspec.ValidationError):  # nothing else is asked of a value: a number is out of range
        return _huge()
    if _has_lone_surrogate(text):
        return LinkError(Code.LONE_SURROGATE, what, "a string has half of a UTF-16 pair", remedy="whole characters")
    why = str(error).removeprefix("JSON is malformed: ")
    return LinkError(Code.NOT_JSON, what, f"it is no JSON ({why})", remedy='a line like {"topic":"a/b","data":1}')


def _has_lone_surrogate(text: bytes) -> bool:
    """Whether it would be JSON but for that."""
    if b"\\u" not in text:
        return False
    try:
        json.loads(text, parse_constant=_no_constant, parse_int=_unread, parse_float=_unread)
    except (ValueError, RecursionError):
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
