from __future__ import annotations

import json
import string
import time
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.manifest import MANIFEST_MAX_BYTES
from aurora.manifest.located import line_of, locate, locate_json, overlong_key

LIMIT_SEC = 0.5
DOCUMENT = '''# a comment with x = 1
[module]
name = "hello" # [not.a.table]
"quoted" = 1
'literal' = 2
"\\u0061" = 3
text = """
inside = 1
[inside]
\\""" inside = 2
"""
raw = \'\'\'
inside = 3
\'\'\'
list = [
  1, # inside = 4
  "]",
  [2,
  ],
]
after = { inside = 5 }
dotted . "key" = 6

  [ tables . "two" ]
x=1
[[many]]
y = 1
[[many]]
y = 2
'''


def test_tables_and_keys_are_found_on_their_lines() -> None:
    tomllib.loads(DOCUMENT)
    assert locate(DOCUMENT) == {
        ("module",): 2,
        ("module", "name"): 3,
        ("module", "quoted"): 4,
        ("module", "literal"): 5,
        ("module", "a"): 6,
        ("module", "text"): 7,
        ("module", "raw"): 12,
        ("module", "list"): 15,
        ("module", "after"): 21,
        ("module", "dotted"): 22,
        ("module", "dotted", "key"): 22,
        ("tables",): 24,
        ("tables", "two"): 24,
        ("tables", "two", "x"): 25,
        ("many",): 26,
        ("many", "y"): 27,
    }


def test_windows_line_ends_do_not_change_lines() -> None:
    assert locate(DOCUMENT.replace("\n", "\r\n")) == locate(DOCUMENT)


@pytest.mark.parametrize(
    "value",
    [
        '""',
        "''",
        '"""a"""',
        '"""a"""""',
        '""""a"""',
        "''''a'''''",
        '"""\\""""',
        '"\\""',
        "'\\'",
        '"#"',
        '"""\n"""',
        '"\\\\"',
    ],
)
def test_the_end_of_every_kind_of_text_is_found(value: str) -> None:
    text = f"a = {value}\nb = 1"
    tomllib.loads(text)
    assert locate(text)[("b",)] == 2 + value.count("\n")


def test_a_key_without_a_line_has_that_of_its_table() -> None:
    lines = locate("\n[module]\n")
    assert line_of(lines, ("module", "name")) == 2
    assert line_of(lines, ("limits",)) is None


def test_keys_of_json_are_found_on_their_lines() -> None:
    text = '{\n"name":\n"a", "x\\u0079": {"in": 1},\n"list"\n : ["a", {"b": 2}]\n, "name": 3}'
    json.loads(text)
    assert locate_json(text) == {("name",): 6, ("xy",): 3, ("list",): 4}


def test_a_key_of_too_many_parts_is_found_before_tomllib_meets_it() -> None:
    many = ".".join("a" * 17)
    few = ".".join("a" * 16)
    for before, after in (("", " = 1"), ("[", "]"), ("x = {", " = 1}"), ("x = [{\n", "=1}]")):
        assert overlong_key(f"\n{before}{many}{after}") == 2 + before.count("\n")
        assert overlong_key(f"\n{before}{few}{after}") is None
        assert overlong_key(f"\n{before}{few}{after} # {'.' * 16}") is None
    assert overlong_key("a . \"b\" . 'c'." * 6 + "d = 1") == 1


@pytest.mark.parametrize(
    "text",
    [
        f'x = "{"." * 99}"',
        f"x = '{'a.' * 99}'",
        f'x = """{".a" * 99}"""',
        f"# {'a.' * 99}",
        f"x = [{'1.5, ' * 99}]",
        "\n".join(["a.b = 1.5"] * 99),
    ],
)
def test_points_elsewhere_are_no_parts_of_a_key(text: str) -> None:
    assert overlong_key(text) is None


HOSTILE = [
    "[" * MANIFEST_MAX_BYTES,
    "x = " + "[" * MANIFEST_MAX_BYTES,
    "x = " + "[\n" * MANIFEST_MAX_BYTES,
    "{" * MANIFEST_MAX_BYTES,
    '"' * MANIFEST_MAX_BYTES,
    "'" * MANIFEST_MAX_BYTES,
    '"""' + '\\"""' * MANIFEST_MAX_BYTES,
    '"""' + '"" ' * MANIFEST_MAX_BYTES,
    "x = '''" + "'' " * MANIFEST_MAX_BYTES,
    'x = "' + "\\" * MANIFEST_MAX_BYTES,
    '"\\u0061"=1\n' * MANIFEST_MAX_BYTES,
    '"\\x"=1\n' * MANIFEST_MAX_BYTES,
    "a." * MANIFEST_MAX_BYTES + "=1",
    "[" + "a." * (MANIFEST_MAX_BYTES // 4) + "]\n" + "b=1\n" * MANIFEST_MAX_BYTES,
    "[" + "a." * 15 + "a]\n" + "b=1\n" * MANIFEST_MAX_BYTES,
    "=" * MANIFEST_MAX_BYTES,
    "." * MANIFEST_MAX_BYTES,
    "\n" * MANIFEST_MAX_BYTES,
    "#\n" * MANIFEST_MAX_BYTES,
    " " * MANIFEST_MAX_BYTES,
    "\r" * MANIFEST_MAX_BYTES,
    "a" * MANIFEST_MAX_BYTES,
    "+" * MANIFEST_MAX_BYTES,
    "a=1\n" * MANIFEST_MAX_BYTES,
    "x = '''\n" * MANIFEST_MAX_BYTES,
    '{"' + "a" * MANIFEST_MAX_BYTES,
    '{"\\uD800":1,' * MANIFEST_MAX_BYTES,
    '{"a":' * MANIFEST_MAX_BYTES,
    '{"a\\":' * MANIFEST_MAX_BYTES,
]


@pytest.mark.parametrize("text", [text[:MANIFEST_MAX_BYTES] for text in HOSTILE], ids=range(len(HOSTILE)))
@pytest.mark.parametrize("look", [locate, locate_json, overlong_key])
def test_a_hostile_text_takes_no_more_than_a_moment(look: object, text: str) -> None:
    assert callable(look)
    start = time.process_time()
    look(text)
    assert time.process_time() - start < LIMIT_SEC


@given(st.text() | st.text(alphabet="ab\"'[]{}=.#\\\n\r ,:u0"))
def test_no_text_makes_it_raise(text: str) -> None:
    locate(text)
    locate_json(text)
    overlong_key(text)


WORDS = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=3)


@given(st.dictionaries(WORDS, st.dictionaries(WORDS, st.text(max_size=9)), max_size=5))
def test_every_key_of_a_document_has_the_line_it_was_written_on(tables: dict[str, dict[str, str]]) -> None:
    lines, expected = [], {}
    for table, keys in tables.items():
        lines.append(f"[{table}]")
        expected[(table,)] = len(lines)
        for key, value in keys.items():
            lines.append(f"{key} = {json.dumps(value)}")
            expected[(table, key)] = len(lines)
    assert locate("\n".join(lines)) == expected
