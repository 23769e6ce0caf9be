"""An AppArmor profile, read as apparmor.d(5) says, by code that shares nothing with what writes it."""

from __future__ import annotations

import re
from typing import NamedTuple

_HEAD = re.compile(r"profile ([^\s{}\"#]+) flags=\(([a-z_, ]*)\) \{\n")
_NESTED = {"{": "}", "[": "]", "(": ")"}


class Profile(NamedTuple):
    """The one profile of a file."""

    preamble: list[str]
    name: str
    flags: list[str]
    rules: list[str]


def read_profile(text: str) -> Profile:
    """ValueError where the file has anything but a preamble and one profile of plain rules."""
    head = _HEAD.search(text)
    if head is None:
        raise ValueError("no profile")
    preamble = text[: head.start()].splitlines()
    for line in preamble:
        if not re.fullmatch(r"(abi <[a-z0-9/.]+>,|include <[a-z0-9/.-]+>)", line):
            raise ValueError(f"not a preamble: {line!r}")
    rules, end = _rules(text, head.end())
    if text[end:].strip():
        raise ValueError(f"something stands behind the profile: {text[end:]!r}")
    return Profile(preamble, head[1], head[2].split(","), rules)


def _rules(text: str, place: int) -> tuple[list[str], int]:
    """The rules from `place` on, and the place behind the brace that closes the profile."""
    rules: list[str] = []
    start = place
    open_brackets: list[str] = []
    while place < len(text):
        char = text[place]
        place += 1
        so_far = text[start : place - 1].strip()
        if char in '#"':
            raise ValueError(f"a comment or a quote, which no rule of ours has: {so_far!r}")
        if char == "\\" or (ord(char) < 0x20 and char != "\n"):
            raise ValueError(f"an escape or a control character: {so_far!r}")
        if char in _NESTED:
            if char == "{" and text[place - 2] in " \t\n":
                raise ValueError(f"a block inside the profile: {so_far!r}")
            open_brackets.append(_NESTED[char])
        elif char in _NESTED.values():
            if not open_brackets:
                if char == "}" and not so_far:
                    return rules, place
                raise ValueError(f"a bracket that was not opened: {so_far!r}")
            if open_brackets.pop() != char:
                raise ValueError(f"brackets that cross: {so_far!r}")
        elif char == "\n":
            if open_brackets:
                raise ValueError(f"a bracket that is not closed on its line: {so_far!r}")
            if so_far.startswith("include "):
                rules.append(so_far)
                start = place
            elif so_far:
                raise ValueError(f"a rule without its comma: {so_far!r}")
        elif char == "," and not open_brackets:
            rules.append(text[start:place].strip())
            start = place
    raise ValueError("the profile does not end")
