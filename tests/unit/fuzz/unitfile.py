"""A unit file, read as systemd.syntax(7) and systemd.unit(5) say, by code that shares nothing with what writes it.

What systemd would warn about and skip is an error here.
"""

from __future__ import annotations

import re
from typing import NamedTuple

WHITESPACE = " \t\n\r"


class Assignment(NamedTuple):
    """One `name=value` line, continuation lines joined."""

    section: str
    name: str
    value: str


def assignments(text: str) -> list[Assignment]:
    """Every assignment of a file; ValueError for a line that is none."""
    found = []
    section = ""
    pending = ""
    for line in re.split(r"\r\n|[\n\r\0]", text):  # what read_line() of systemd takes for an end
        start = line.lstrip(WHITESPACE)
        if start.startswith(("#", ";")):
            continue
        whole = pending + (line if pending else start)
        if re.search(r"(?<!\\)(?:\\\\)*\\$", whole):
            pending = whole[:-1] + " "
            continue
        pending = ""
        whole = whole.strip(WHITESPACE)
        if not whole:
            continue
        if whole.startswith("["):
            if not re.fullmatch(r"\[[A-Z][A-Za-z]*\]", whole):
                raise ValueError(f"not a section: {whole!r}")
            section = whole[1:-1]
            continue
        name, equals, value = whole.partition("=")
        if not equals or not section or not re.fullmatch(r"[A-Z][A-Za-z]*", name):
            raise ValueError(f"not an assignment in a section: {whole!r}")
        found.append(Assignment(section, name, value.strip(WHITESPACE)))
    if pending:
        raise ValueError(f"the last line goes on: {pending!r}")
    return found


def resolved(text: str) -> str:
    """The text with %% as one %; ValueError for any other specifier, which would stand for something else."""
    if re.search(r"%(?!%)", text.replace("%%", "")):
        raise ValueError(f"a specifier: {text!r}")
    return text.replace("%%", "%")


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"',
            "'": "'", "s": " "}  # fmt: skip


def words(text: str) -> list[str]:
    """The words of a list: quotes taken off, escapes resolved, specifiers last, as extract_first_word() does."""
    found: list[str] = []
    current: str | None = None
    quote = ""
    place = 0
    while place < len(text):
        char = text[place]
        place += 1
        if char == "\\":
            if place == len(text) or text[place] not in _ESCAPES:
                raise ValueError(f"an escape that is none: {text!r}")
            current = (current or "") + _ESCAPES[text[place]]
            place += 1
        elif quote:
            if char == quote:
                quote = ""
            else:
                current = (current or "") + char
        elif char in "\"'":
            quote = char
            current = current or ""
        elif char in WHITESPACE:
            if current is not None:
                found.append(current)
            current = None
        else:
            current = (current or "") + char
    if quote:
        raise ValueError(f"a quote that is not closed: {text!r}")
    if current is not None:
        found.append(current)
    return [resolved(word) for word in found]


def command(text: str) -> tuple[str, list[str]]:
    """The prefixes of an ExecStart= and its argument vector; ValueError where it is more than one command."""
    # One that stands in quotes separates nothing.
    if re.search(r"(?:^|[ \t]);(?:[ \t]|$)", re.sub(r'"(?:\\.|[^"\\])*"', '""', text)):
        raise ValueError(f"more than one command: {text!r}")
    vector = words(text)
    if not vector:
        raise ValueError("no command")
    prefix = re.match(r"[-@:+!|]*", vector[0])
    assert prefix is not None
    vector[0] = vector[0][prefix.end() :]
    if not vector[0].startswith("/"):
        raise ValueError(f"not an absolute path: {vector[0]!r}")
    return prefix[0], vector
