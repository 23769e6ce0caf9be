"""Where keys stand in a file: tomllib and json give values without their lines.

One pass of a small lexer, in time linear in the text. It may look at text that no parser has accepted: there
it may miss keys, but it never raises. A key that is not found simply has no line in an error.
"""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

__all__ = ["KEY_MAX_PARTS", "line_of", "locate", "locate_json", "overlong_key"]

KEY_MAX_PARTS = 16
"""A dotted key of more parts is not looked at; no manifest key has more than two."""

# Possessive quantifiers (`*+`, `++`): a string that is not closed fails at once, without trying shorter ones.
_TOML = re.compile(
    r"""
    (?P<blank>[ \t\r]++|\#[^\n]*+)
  | (?P<newline>\n)
  | (?P<long>\"{3}(?:[^"\\]|\\.|"(?!""))*+"{3,5}|'{3}(?:[^']|'(?!''))*+'{3,5})
  | (?P<quoted>"(?!"")(?:[^"\\\n]|\\[^\n])*+"|'(?!'')[^'\n]*+')
  | (?P<bare>[A-Za-z0-9_-]++)
  | (?P<mark>[\[\]{}=.])
  | (?P<other>[^"'\n])
    """,
    re.VERBOSE | re.DOTALL,
)
_JSON = re.compile(
    r"""
    (?P<blank>[ \t\r]++)
  | (?P<newline>\n)
  | (?P<quoted>"(?:[^"\\\n]|\\[^\n])*+")
  | (?P<mark>[\[\]{}:])
  | (?P<other>[^"\n])
    """,
    re.VERBOSE,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def _tokens(lexer: re.Pattern[str], text: str) -> Iterator[_Token]:
    """The tokens up to the end or to the first string that is not closed."""
    place, line = 0, 1
    while (match := lexer.match(text, place)) is not None:
        place = match.end()
        yield _Token(match.lastgroup or "", match[0], line)
        if match.lastgroup in {"newline", "long"}:
            line += match[0].count("\n")


def _word(token: _Token) -> str:
    """The part of a key that a token stands for."""
    if token.kind == "bare":
        return token.text
    if token.text.startswith('"') and "\\" in token.text:
        try:
            return str(tomllib.loads(f"word = {token.text}")["word"])
        except ValueError:
            pass  # a broken escape: shown as it stands
    return token.text[1:-1]


class _TomlKeys:
    """The state of one pass over TOML: collects the line of each table and key."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, ...], int] = {}
        self._table: tuple[str, ...] = ()
        self._parts: list[str] = []
        self._brackets = 0
        self._in_value = False
        self._depth = 0

    def take(self, token: _Token) -> None:
        if token.kind == "newline":
            if not self._in_value or self._depth <= 0:
                self._parts, self._brackets, self._in_value, self._depth = [], 0, False, 0
        elif self._in_value:
            self._depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.text, 0)
        elif token.kind in {"bare", "quoted"}:
            if len(self._parts) <= KEY_MAX_PARTS:
                self._parts.append(_word(token))
        elif token.text == "[" and not self._parts:
            self._brackets += 1
        elif token.text == "]" and self._brackets:
            self._table = tuple(self._parts)
            self._record(self._table, token.line)
        elif token.text == "=":
            self._record((*self._table, *self._parts), token.line)

    def _record(self, path: tuple[str, ...], line: int) -> None:
        for length in range(1, min(len(path), KEY_MAX_PARTS) + 1):
            self.lines.setdefault(path[:length], line)
        self._in_value = True


def locate(text: str) -> Mapping[tuple[str, ...], int]:
    """The line, from 1, of each table and key of a TOML document; of the first where there are several.

    Keys inside inline tables and lists are not looked for.
    """
    keys = _TomlKeys()
    for token in _tokens(_TOML, text):
        if token.kind != "blank":
            keys.take(token)
    return keys.lines


def overlong_key(text: str) -> int | None:
    """The line of the first dotted key of more than `KEY_MAX_PARTS` parts, wherever it stands, or None.

    tomllib takes time and memory in the square of the number of parts: a key of 32,768 parts, in 64 KiB,
    costs it seconds and 4 GiB. So this is asked first, and such a document is not given to it.
    """
    # A dotted key stands on one line, so most documents are cleared without the lexer.
    if all(line.count(".") < KEY_MAX_PARTS for line in text.split("\n")):
        return None
    points = 0
    for token in _tokens(_TOML, text):
        if token.text == ".":
            points += 1
            if points >= KEY_MAX_PARTS:
                return token.line
        elif token.kind in {"newline", "mark", "other", "long"} or token.text.startswith("#"):
            points = 0
    return None


def locate_json(text: str) -> Mapping[tuple[str, ...], int]:
    """The line, from 1, of each key of the outermost JSON object; of the last where there are several."""
    lines: dict[tuple[str, ...], int] = {}
    depth = 0
    last: _Token | None = None
    for token in _tokens(_JSON, text):
        if token.kind in {"blank", "newline"}:
            continue
        if token.text == ":" and depth == 1 and last is not None and last.kind == "quoted":
            with contextlib.suppress(ValueError):  # a broken escape: this key has no line
                lines[(json.loads(last.text),)] = last.line
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token.text, 0)
        last = token
    return lines


def line_of(lines: Mapping[tuple[str, ...], int], path: tuple[str, ...]) -> int | None:
    """The line of the key, or of the nearest table around it; None when neither is known."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None
