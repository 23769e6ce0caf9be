"""Manifests made from the table of keys, so that a new row is tried as soon as it is there.

Most values are such that their row takes them, or the reader would never be left behind; some are anything.
"""

from __future__ import annotations

import json
import re
import tomllib
from enum import StrEnum
from functools import cache

from hypothesis import strategies as st

from aurora.manifest import KEYS, REQUIRED, Key, TomlType
from tests.unit.examples import shipped

type Tables = dict[str, object]

_QUANTITIES = st.tuples(
    st.integers(1, 90) | st.integers(0, 10**6),
    st.sampled_from(["", "us", "ms", "s", "min", "h", "d", "w", "K", "M", "G", "%", ".5%"]),
).map(lambda pair: f"{pair[0]}{pair[1]}")
# What means something to systemd, to AppArmor, to a shell or to a terminal, beside plain letters.
_SHARP = st.text(st.sampled_from(list("ab%$\"'\\;#:=,{}[]()<>~!@*?|&`^ \t/.-+_0é€\u200b\U0001f600")), max_size=12)
# The few that a unit file's quoting is about, so that most texts have some.
_SHARPEST = st.text(st.sampled_from(list("\"\\%$; '\ta")), min_size=1, max_size=8).map(lambda text: f"a{text}a")
_ANY_TEXT = st.one_of(
    _SHARP,
    st.text(max_size=30),
    st.text(st.sampled_from("\x00\x07\x1b\n\r\x7f\x85\u2028\u202e\ufffe\ufeffa"), max_size=6),
)


def example_of(row: Key) -> object:
    """The value of a row's example."""
    return tomllib.loads(row.example) if row.name == "*" else tomllib.loads(f"x = {row.example}")["x"]


@cache
def _words_of(row: Key) -> tuple[str, ...]:
    """Words that may mean something to a row: all that stands in it, and the names that are known here."""
    spoken = re.findall(r"[A-Za-z0-9][A-Za-z0-9_.%*/-]*[A-Za-z0-9%]|\S", f"{row.doc} {row.example} {row.bound}")
    known = [*shipped().policies, *shipped().grants, *(one.path for one in KEYS), *(f"{one.table}.*" for one in KEYS)]
    return tuple(dict.fromkeys((*spoken, *known)))


def _texts(row: Key) -> st.SearchStrategy[str]:
    if isinstance(row.default, StrEnum):
        return st.sampled_from([str(one) for one in type(row.default)])
    names = st.from_regex(r"[a-zA-Z][a-z0-9._-]{0,50}", fullmatch=True)
    example = example_of(row)
    varied = st.integers(0, 99).map(lambda n: re.sub(r"[0-9]+", str(n), example if isinstance(example, str) else "x1"))
    return st.one_of(varied, st.sampled_from(_words_of(row)), _QUANTITIES, _SHARP, _SHARPEST, names)


def _shaped(row: Key) -> st.SearchStrategy[object]:
    """Values of the type that a row has."""
    texts, integers = _texts(row), st.one_of(st.integers(-1, 300), st.integers())
    shapes: dict[TomlType, st.SearchStrategy[object]] = {
        TomlType.TEXT: texts,
        TomlType.INTEGER: integers,
        TomlType.BOOLEAN: st.booleans(),
        TomlType.TEXTS: st.lists(texts, max_size=4),
        # Where there may be more texts than one, the first is a program and has to look like a path.
        TomlType.TEXT_OR_TEXTS: st.one_of(
            texts,
            st.lists(texts, max_size=5),
            st.lists(_SHARP | _SHARPEST, max_size=5).map(lambda more: ["run.py", *more]),
        ),
        TomlType.TABLE: st.dictionaries(
            st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), texts, max_size=4
        ),
        TomlType.INTEGER_OR_TEXT: st.one_of(integers, texts),
    }
    return shapes[row.type]


def fitting(row: Key) -> st.SearchStrategy[object]:
    """Values that a row takes by itself; its example where one is not."""

    def or_example(raw: object) -> object:
        try:
            row.convert(raw)
        except ValueError:
            return example_of(row)
        return raw

    return _shaped(row).map(or_example)


_ANYTHING = st.recursive(
    st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), _ANY_TEXT, st.sampled_from(["", "x" * 5000])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def tables(draw: st.DrawFn, *, wild: bool = False) -> Tables:
    """The tables of a manifest: all that is required and some of the rest; with `wild` some of it is anything."""
    chosen = draw(st.lists(st.sampled_from(KEYS), max_size=7, unique_by=lambda row: row.path))
    found: Tables = {}
    for row in dict.fromkeys([*(one for one in KEYS if one.default is REQUIRED), *chosen]):
        loose = wild and draw(st.integers(0, 3)) == 0
        value = draw(st.one_of(_shaped(row), _ANYTHING) if loose else fitting(row))
        if row.name == "*":
            found[row.table] = value
        else:
            table = found.setdefault(row.table, {})
            assert isinstance(table, dict)
            table[row.name] = value
    if wild and draw(st.booleans()):
        place = found if draw(st.booleans()) else draw(st.sampled_from(list(found.values())))
        if isinstance(place, dict):
            place[draw(_ANY_TEXT)] = draw(_ANYTHING)
    return found


@st.composite
def owners(draw: st.DrawFn) -> Tables:
    """The tables of an owner's file, most of whose keys an owner may set."""
    rows = [row for row in KEYS if row.table in {"environment", "limits", "restart", "schedule", "stop", "watchdog"}]
    found: Tables = {}
    for row in draw(st.lists(st.sampled_from(rows), max_size=3, unique_by=lambda row: row.path)):
        value = draw(fitting(row))
        if row.name == "*":
            found[row.table] = value
        else:
            table = found.setdefault(row.table, {})
            assert isinstance(table, dict)
            table[row.name] = value
    return found


def toml(found: Tables) -> bytes:
    """Tables as TOML, which is JSON with other signs around it; half surrogates come out as bytes that are no text."""
    lines = []
    for name, table in found.items():
        if isinstance(table, dict):
            lines.append(f"[{_text(name)}]")
            lines += [f"{_text(key)} = {_value(value)}" for key, value in table.items()]
        else:
            lines.insert(0, f"{_text(name)} = {_value(table)}")
    return ("\n".join(lines) + "\n").encode(errors="surrogatepass")


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_text(key)} = {_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float):
        return repr(value) if "e" not in repr(value) else f"{value:.1f}"
    return _text(value) if isinstance(value, str) else json.dumps(value)
