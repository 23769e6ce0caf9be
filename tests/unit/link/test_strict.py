from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aurora.link.refusal import Code, LinkError
from aurora.link.strict import all_strict, check_json

DEPTH = 8


def refusal(text: bytes) -> Code | None:
    found: LinkError | None = None
    try:
        check_json(text, DEPTH)
    except LinkError as error:
        found = error
    assert found is None or str(found).startswith("cannot read the message, because ")
    return found.code if found else None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", Code.NOT_JSON),
        (b" ", Code.NOT_JSON),
        (b"{", Code.NOT_JSON),
        (b"[1,]", Code.NOT_JSON),
        (b"1 2", Code.NOT_JSON),
        (b"NaN", Code.NOT_JSON),
        (b"Infinity", Code.NOT_JSON),
        (b"01", Code.NOT_JSON),
        (b"'a'", Code.NOT_JSON),
        (b'"\x01"', Code.NOT_JSON),
        (b'"a\nb"', Code.NOT_JSON),
        (b'"\\x"', Code.NOT_JSON),
        (b"\xef\xbb\xbf1", Code.NOT_JSON),
        (b'{"a":1}}', Code.NOT_JSON),
        (b'"\xff"', Code.NOT_UTF8),
        (b'"\xed\xa0\x80"', Code.NOT_UTF8),
        (b'"\xc0\xaf"', Code.NOT_UTF8),
        (b'{"\xff":1}', Code.NOT_UTF8),
        (b'"a\0b"', Code.NUL),
        (b"1\0", Code.NUL),
        (b"[1,\n2]", Code.LINE_BREAK),
        (b"1\r", Code.LINE_BREAK),
        (b'{"a":1,"a":2}', Code.DUPLICATE_KEY),
        (b'{"a":1, "a" :2}', Code.DUPLICATE_KEY),
        (b'{"a":1,"\\u0061":2}', Code.DUPLICATE_KEY),
        (b'[{"x":{"a":1,"b":2,"a":3}}]', Code.DUPLICATE_KEY),
        (b'{"a:b":1,"a:b":1}', Code.DUPLICATE_KEY),
        (b'{"":1,"":1}', Code.DUPLICATE_KEY),
        (b'{"a":":","a":1}', Code.DUPLICATE_KEY),
        (b'"\\ud800"', Code.LONE_SURROGATE),
        (b'"\\udc00"', Code.LONE_SURROGATE),
        (b'"\\ud800\\ud800"', Code.LONE_SURROGATE),
        (b'"\\ud800\\u0041"', Code.LONE_SURROGATE),
        (b'{"\\udfff":1}', Code.LONE_SURROGATE),
        (b"1e999", Code.HUGE_NUMBER),
        (b"[-1e999]", Code.HUGE_NUMBER),
        (b"9" * 310, Code.HUGE_NUMBER),
        (b"[1," + b"9" * 310 + b"]", Code.HUGE_NUMBER),
        (b'{"a":"' + b"x" * 700 + b'","b":-' + b"9" * 320 + b"}", Code.HUGE_NUMBER),
        (b"9" * 5000, Code.HUGE_NUMBER),
        (b"[" * 9 + b"]" * 9, Code.TOO_DEEP),
        (b'{"a":' * 9 + b"1" + b"}" * 9, Code.TOO_DEEP),
        (b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", Code.TOO_DEEP),
        (b"[" * 100_000, Code.TOO_DEEP),
        (b"[" * 5000 + b"]" * 5000, Code.TOO_DEEP),
    ],
)
def test_what_readers_could_take_differently_is_refused(text: bytes, code: Code) -> None:
    assert refusal(text) is code


@pytest.mark.parametrize(
    "text",
    [
        b"1", b" null ", b'"\\ud83d\\ude00"', b'"\\\\ud800"', b'"\\u0000"', b"1e308", b"9" * 308,
        b'"' + b"9" * 5000 + b'"',
        b'{"a":{"a":{"a":1}}}', b'[{"a":1},{"a":2}]', b'{"a":"a","b":"a"}', b'{"a":"b\\":1,\\"a","b":1}',
        b"[" * 8 + b"]" * 8,
        b'"' + b"[" * 100 + b'"', b'{"a":"[[[[[[[[[[[[","b":[]}', b'{"at":"12:30:00","state":"on","last":"on"}',
        '"\u2028 ä 😀"'.encode(), b"1e-999", b"[" + b"[]," * 50 + b"1]",
    ],
)  # fmt: skip
def test_what_every_reader_takes_alike_is_taken(text: bytes) -> None:
    assert refusal(text) is None


def depth_of(value: object) -> int:
    if isinstance(value, Pairs):
        return 1 + max((depth_of(one) for _, one in value.pairs), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


class Pairs:
    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        self.pairs = pairs


def sound(value: object) -> bool:
    """What the standard library read is what the hub may let through."""
    if isinstance(value, Pairs):
        keys = [key for key, _ in value.pairs]
        return len(set(keys)) == len(keys) and all(sound(key) and sound(one) for key, one in value.pairs)
    if isinstance(value, list):
        return all(map(sound, value))
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not (isinstance(value, float) and math.isinf(value))


def no_constant(name: str) -> object:
    raise ValueError(name)


def reference(text: bytes) -> bool:
    if b"\n" in text or b"\r" in text or text.startswith(b"\xef\xbb\xbf"):
        return False
    try:
        value = json.loads(text.decode(), object_pairs_hook=Pairs, parse_int=float, parse_constant=no_constant)
    except (ValueError, RecursionError):
        return False
    return sound(value) and depth_of(value) <= DEPTH


strings = st.sampled_from(
    ['"a"', '"b"', '""', '"\\u0061"', '"a:b"', '"[{"', '"\\""', '"\\ud800"', '"\\ud83d\\ude00"', '"ä"']
)
scalars = strings | st.sampled_from(["1", "-2.5e3", "true", "null", "1e999", "9" * 309, "NaN"])
blank = st.sampled_from(["", " ", "\t", "\n"]) | st.just("")


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(strings, blank, inner).map(lambda parts: f"{parts[0]}{parts[1]}:{parts[2]}")
    return st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]") | st.lists(pair, max_size=4).map(
        lambda parts: f"{{{','.join(parts)}}}"
    )


almost_json = st.recursive(scalars, joined, max_leaves=12).map(str.encode)
pieces = [
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b'"',
    b"\\",
    b"\\u",
    b"d800",
    b"1",
    b"e9",
    b"a",
    b" ",
    b"\n",
    b"\0",
    b"\xff",
]
noise = st.lists(st.sampled_from(pieces), max_size=20).map(b"".join)


@given(almost_json | noise | st.binary(max_size=30))
@example(b'{"a":"b","c":"b","a":1}')
@example(b'{"a" :1,"b":"a","a"\t:1}')
def test_it_agrees_with_a_slow_reader_about_everything(text: bytes) -> None:
    assert (refusal(text) is None) == reference(text)


PIECES = [
    b"1", b'"x"', b"{}", b'{"a":1}', b'{"a":":"}', b'{"a":{"b":1}}', b"[[]]", b"null", b" 1 ", b'"]"', b"1e5",
    b"[" * DEPTH + b"]" * DEPTH, b"1" * 250, b'"%b"' % (b"9" * 400), b'{"a:b":1}', "\"\u00e9\"".encode(),
]  # fmt: skip
BROKEN = [
    b"", b" ", b"1 2", b"1,2", b"[1", b",2]", b"2]", b"1] [2", b"]\n[", b"],[", b"[", b"]", b'"', b'"a', b'b"', b"1\n2",
    b"1\n", b"\n", b"1\r", b'{"a":1,"a":2}', b'{"a":":","a":1}', b'{"a":1', b'"b":2}', b'"\\ud800"', b'"\xff"', b"1\0",
    b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), b"9" * 310, b"1}", b"{", b",", b"1] 2 [3", b"1]\t[2", b"[1]]\n[[2",
    b'"a"] ["b"', b'{"a":1}] [{"b":1}', b'{"a":' + b"[" * DEPTH + b"]" * DEPTH + b"}",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES + BROKEN), min_size=2, max_size=6))
@example([b"[1", b",2]", b"3 4"])
@example([b"", b"1 2"])
@example([b"", b"1] [2"])
@example([b'{"a":1,"a":2}', b'{"b":1}'])
@example([b'{"a":1,"a":2}', b'":"'])
def test_many_are_taken_exactly_when_each_is(texts: list[bytes]) -> None:
    assert all_strict(texts, DEPTH) == all(refusal(text) is None for text in texts)


@given(st.lists(st.binary(max_size=12) | st.sampled_from(PIECES), min_size=2, max_size=5))
def test_many_of_any_bytes_are_taken_exactly_when_each_is(texts: list[bytes]) -> None:
    assert all_strict(texts, DEPTH) == all(refusal(text) is None for text in texts)


@given(st.lists(st.sampled_from(PIECES), min_size=2, max_size=20))
def test_many_that_are_right_are_taken(texts: list[bytes]) -> None:
    assert all_strict(texts, DEPTH)


@pytest.mark.parametrize("others", [(b"1", b"null"), (b'"x"', b'"y"'), (b'{"a":1}', b"{}"), (b"[1]", b'{"a":{}}')])
@pytest.mark.parametrize("broken", BROKEN)
def test_one_that_is_wrong_is_not_taken_wherever_it_is(broken: bytes, others: tuple[bytes, bytes]) -> None:
    one, other = others
    for texts in ([broken, one, other], [one, broken, other], [one, other, broken]):
        assert not all_strict(texts, DEPTH)
