from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.envelope import Message, decode, deliver, opening, say, stamp, wrap_object, wrap_text
from aurora.link.refusal import Code, LinkError
from aurora.link.schema import schema
from aurora.link.vocabulary import FROM_CLIENT, FROM_HUB, MEMBERS, Value

from .test_strict import almost_json, noise

BOUNDS = Bounds()
SCHEMA = schema()
VALID = jsonschema.Draft202012Validator(
    {"$defs": SCHEMA["$defs"], "$ref": "#/$defs/from-client"}  # what a client sends
)

EXAMPLES: dict[str, Any] = {
    "type": "pub", "topic": "a/b", "data": {"x": [1, "ä"]}, "id": "1", "from": "weather", "ts": 5, "version": 1,
    "will": {"topic": "w", "data": 1}, "retain": True, "retained": True, "group": "g", "serve": True,
    "bound": "block", "queue_messages": 5, "queue_bytes": 2048, "deadline_ms": 100, "code": "cancelled", "text": "no",
    "approval": "a1", "cursor": "mail", "start": "oldest",
}  # fmt: skip


def full(kind: str) -> dict[str, Any]:
    shape = FROM_CLIENT[kind]
    return {"type": kind, **{name: EXAMPLES[name] for name in (*shape.required, *shape.optional)}}


def code_of(line: bytes | dict[str, Any]) -> Code:
    with pytest.raises(LinkError) as caught:
        decode(line if isinstance(line, bytes) else json.dumps(line).encode(), BOUNDS)
    assert str(caught.value).startswith("cannot read the message, because ")
    return caught.value.code


KINDS = pytest.mark.parametrize("kind", FROM_CLIENT)


@KINDS
def test_each_type_is_taken_with_all_its_members(kind: str) -> None:
    sent = full(kind)
    message = decode(json.dumps(sent).encode(), BOUNDS)
    for name, value in sent.items():
        found = getattr(message, name)
        if name == "data":
            assert json.loads(bytes(found)) == value
        elif name == "will":
            assert (found.topic, bytes(found.data), found.retain) == ("w", b"1", False)
        else:
            assert found == value
    VALID.validate(sent)


@KINDS
def test_a_type_without_what_it_needs_is_refused(kind: str) -> None:
    for name in FROM_CLIENT[kind].required:
        sent = full(kind)
        del sent[name]
        assert code_of(sent) is Code.MISSING_MEMBER
        assert not VALID.is_valid(sent)


@KINDS
@pytest.mark.parametrize("name", [*MEMBERS, "type ", "TOPIC", "__proto__"])
def test_a_member_that_a_type_does_not_have_is_refused(kind: str, name: str) -> None:
    if name not in FROM_CLIENT[kind].members:
        sent = {**full(kind), name: EXAMPLES.get(name, 1)}
        assert code_of(sent) is Code.UNKNOWN_MEMBER
        assert not VALID.is_valid(sent)


@KINDS
def test_a_member_of_another_type_or_out_of_bounds_is_refused(kind: str) -> None:
    for name in FROM_CLIENT[kind].members - {"type", "data"}:
        row = MEMBERS[name]
        wrong: list[Any] = [None, [], {} if row.value is not Value.ANYTHING else None]
        if row.value is Value.TEXT:
            wrong += [1, "x" * (row.most + 1), *([""] if row.least else []), *(["other"] if row.words else [])]
        elif row.value in (Value.INTEGER, Value.NUMBER):
            wrong += ["1", True, row.most + 1, row.least - 1]
        else:
            wrong += ["1", 1]
        for value in wrong:
            sent = {**full(kind), name: value}
            assert code_of(sent) is Code.BAD_MEMBER, (name, value)
            assert not VALID.is_valid(sent), (name, value)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"hello", Code.NOT_JSON),
        (b"[1]", Code.NOT_JSON),
        (b'"topic"', Code.NOT_JSON),
        (b"{}", Code.MISSING_MEMBER),
        (b'{"data":1}', Code.MISSING_MEMBER),
        (b'{"type":"publish","topic":"a","data":1}', Code.UNKNOWN_TYPE),
        (b'{"type":"PUB","topic":"a","data":1}', Code.UNKNOWN_TYPE),
        (b'{"type":1,"topic":"a","data":1}', Code.BAD_MEMBER),
        (b'{"topic":"a","data":1,"topic":"b"}', Code.DUPLICATE_KEY),
        (b'{"topic":"a","data":1,"d\\u0061ta":2}', Code.DUPLICATE_KEY),
        (b'{"topic":"a","data":{"x":1,"x":2}}', Code.DUPLICATE_KEY),
        (b'{"topic":"a","data":1,"from":"root"}', Code.UNKNOWN_MEMBER),
        (b'{"topic":"a","data":1,"ts":1}', Code.UNKNOWN_MEMBER),
        (b'{"topic":"a","data":"\\ud800"}', Code.LONE_SURROGATE),
        (b'{"topic":"\\udfff","data":1}', Code.LONE_SURROGATE),
        (b'{"topic":"a","data":' + b"[" * 40 + b"]" * 40 + b"}", Code.TOO_DEEP),
        (b'{"topic":"a","data":1e999}', Code.HUGE_NUMBER),
        (b'{"topic":"a","data":"' + b"x" * BOUNDS.message_max_bytes + b'"}', Code.TOO_LARGE),
        (b'{"topic":"a","data":"\0"}', Code.NUL),
        (b'{"topic":"a","data":"\xff"}', Code.NOT_UTF8),
        (b'{"topic":"a","data":[1,\n2]}', Code.LINE_BREAK),
    ],
)
def test_what_is_no_message_is_refused_with_its_code(line: bytes, code: Code) -> None:
    assert code_of(line) is code


@given(almost_json | noise | st.binary(max_size=60))
def test_nothing_but_a_refusal_comes_of_any_bytes(line: bytes) -> None:
    with suppress(LinkError):
        decode(line, BOUNDS)


members = st.sampled_from([*MEMBERS, "x"])
values = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3000)
    | st.text(max_size=5)
    | st.sampled_from(["a/b", {"topic": "w", "data": 1}])
)


@given(st.sampled_from([*FROM_CLIENT, "x", ""]), st.dictionaries(members, values, max_size=5), st.booleans())
def test_what_is_taken_is_valid_by_the_schema(kind: str, other: dict[str, Any], whole: bool) -> None:
    sent = {**(full(kind) if whole and kind in FROM_CLIENT else {"type": kind}), **other}
    try:
        message = decode(json.dumps(sent).encode(), BOUNDS)
    except LinkError:
        return
    assert VALID.is_valid(sent)
    assert message.type == sent["type"]


@given(almost_json, st.text(max_size=12), st.integers(0, 2**50))
def test_what_is_delivered_is_one_line_of_json_that_holds_the_data_byte_for_byte(
    data: bytes, topic: str, ts: int
) -> None:
    try:
        message = decode(b'{"topic":"t","data":%b}' % data, BOUNDS)
    except LinkError:
        return
    raw = bytes(message.data)
    assert raw == data
    line = deliver(opening("pub", "weather", topic=topic), stamp(ts), raw)
    assert line.endswith(b'"data":' + data + b"}\n")
    assert line.count(b"\n") == 1
    said = json.loads(line, object_pairs_hook=list)
    assert [name for name, _ in said] == ["type", *(["topic"] if topic else []), "from", "ts", "data"]
    assert dict(said)["from"] == "weather"
    assert dict(said)["ts"] == ts


@pytest.mark.parametrize(
    "data", ['1,"from":"root"', '1}\n{"topic":"x","from":"root","data":1', '{}},{"from":"root"', '"x","ts":0']
)
def test_data_that_would_add_to_a_delivery_is_never_data(data: str) -> None:
    assert code_of(f'{{"topic":"t","data":{data}}}'.encode()) in {Code.UNKNOWN_MEMBER, Code.NOT_JSON}


def test_what_older_clients_get_begins_with_who_sent_it() -> None:
    assert wrap_object(b' { "type":"pong","id":"e" } ', "x") == b'{"from":"x","type":"pong","id":"e" }\n'
    assert wrap_object(b"{ }", "x") == b'{"from":"x"}\n'
    assert json.loads(wrap_text(b'tick "7"\x01', "x")) == {"from": "x", "raw": 'tick "7"\x01'}
    for line, code in ((b"a\0", Code.NUL), (b"\xff", Code.NOT_UTF8)):
        with pytest.raises(LinkError) as caught:
            wrap_text(line, "x")
        assert caught.value.code is code


def test_the_hubs_own_words_leave_out_what_is_empty() -> None:
    assert json.loads(say("ack", id="")) == {"type": "ack"}


# The table


def test_the_decoder_has_a_field_for_each_member_that_a_client_may_send() -> None:
    sent = frozenset().union(*(row.members for row in FROM_CLIENT.values()))
    assert set(Message.__struct_fields__) == sent
    types = {
        str: Value.TEXT,
        int: Value.INTEGER,
        int | float: Value.NUMBER,
        bool: Value.FLAG,
        msgspec.Raw: Value.ANYTHING,
    }
    for field in msgspec.structs.fields(Message):
        assert types.get(field.type, Value.OBJECT) is MEMBERS[field.name].value


def test_each_member_is_explained_and_used() -> None:
    used = frozenset().union(*(row.members for row in (*FROM_CLIENT.values(), *FROM_HUB.values())))
    assert set(MEMBERS) == used
    for row in (*MEMBERS.values(), *FROM_CLIENT.values(), *FROM_HUB.values()):
        assert row.doc.endswith((".", "?"))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
