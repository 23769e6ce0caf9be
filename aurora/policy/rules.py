"""Which AppArmor rule lets what through: enough of apparmor.d(5) to say which grant covers what was seen.

What is not understood covers nothing, so a rule of another form can make a proposal larger, never smaller than
what was seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

__all__ = ["FileRule", "file_rule", "lets_capability", "lets_file", "lets_network"]

_VARIABLES = {
    "@{PROC}": "/proc",
    "@{sys}": "/sys",
    "@{run}": "{/run,/var/run}",
    "@{pid}": "[0-9]*",
    "@{pids}": "[0-9]*",
}
_FILE = re.compile(r"(?:owner )?(?:file )?(?P<path>/\S*|@\{\S*) (?P<access>[a-zA-Z]+),")
_ACCESS = {"a": "w", "w": "w", "r": "r", "m": "m", "k": "k", "l": "l"}
PATTERN_MAX_CHARS = 500
"""A longer pattern covers nothing."""


class FileRule(NamedTuple):
    """A rule for files."""

    pattern: re.Pattern[str]
    access: frozenset[str]
    """r, w, x, m, k, l."""


@cache
def file_rule(rule: str) -> FileRule | None:
    """The rule as a file rule; None when it is another kind, a denial, or not understood."""
    match = _FILE.fullmatch(rule)
    if match is None:
        return None
    path = match["path"]
    for name, value in _VARIABLES.items():
        path = path.replace(name, value)
    if "@{" in path or len(path) > PATTERN_MAX_CHARS:
        return None
    try:
        pattern = re.compile(_regex(path), re.DOTALL)
    except (re.error, ValueError):
        return None
    letters = match["access"]
    access = {_ACCESS[letter] for letter in letters if letter in _ACCESS}
    return FileRule(pattern, frozenset(access | ({"x"} if "x" in letters else set())))


def _regex(glob: str) -> str:
    """The pattern of a path in AppArmor's language; ValueError when braces do not match."""
    found = []
    depth = 0
    place = 0
    while place < len(glob):
        char = glob[place]
        after_slash = place > 0 and glob[place - 1] == "/"
        if glob.startswith("**", place):
            # Behind a slash they stand for something: /a/** is what is below /a/, not /a/ itself.
            found.append(".+" if after_slash else ".*")
            place += 1
        elif char == "*":
            found.append("[^/]+" if after_slash else "[^/]*")
        elif char == "?":
            found.append("[^/]")
        elif char == "[" and "]" in glob[place + 2 :]:
            end = glob.index("]", place + 2)
            found.append(glob[place : end + 1])
            place = end
        elif char in "{}":
            depth += 1 if char == "{" else -1
            found.append("(?:" if char == "{" else ")")
        elif char == "," and depth:
            found.append("|")
        else:
            found.append(re.escape(char))
        place += 1
    if depth:
        raise ValueError(f"braces do not match in {glob!r}")
    return "".join(found)


def lets_file(rules: Iterable[str], path: str, access: str) -> bool:
    """Whether the rules together let through every letter of `access` (r, w, x, m, k, l) on the path."""
    left = set(access)
    for text in rules:
        rule = file_rule(text)
        if rule is not None and left & rule.access and rule.pattern.fullmatch(path):
            left -= rule.access
        if not left:
            return True
    return not left


def lets_network(rules: Iterable[str], family: str, kind: str) -> bool:
    """Whether a rule lets sockets of that family (`inet`) and type (`stream`) through."""
    wanted = {"network,", f"network {family},", f"network {family} {kind},"}
    return any(rule in wanted for rule in rules)


def lets_capability(rules: Iterable[str], name: str) -> bool:
    """Whether a rule lets the capability (`net_bind_service`) through."""
    return any(rule in ("capability,", f"capability {name},") for rule in rules)
