"""Which of two versions of a package is the later one, as dpkg decides it (deb-version(7)). Pure."""

from __future__ import annotations

import re

__all__ = ["VERSION_MAX_CHARS", "is_older", "is_version"]

VERSION_MAX_CHARS = 128
_VERSION = re.compile(
    r"(?:(?P<epoch>[0-9]{1,9}):)?(?P<upstream>[0-9][A-Za-z0-9.+~-]*?)(?:(?<!-)-(?P<revision>[A-Za-z0-9.+~]+)|(?<!-))",
    re.ASCII,
)
_END = ((0,), 0)
_PIECES = re.compile(r"([^0-9]*)([0-9]*)", re.ASCII)


def is_version(text: str) -> bool:
    """Whether `text` is a version that deb-version(7) allows, of at most VERSION_MAX_CHARS characters."""
    return len(text) <= VERSION_MAX_CHARS and _VERSION.fullmatch(text) is not None


def is_older(one: str, other: str) -> bool:
    """Whether `one` comes before `other`; ValueError when either is no version."""
    return _key(one) < _key(other)


type _Run = tuple[tuple[int, ...], int]
type _Key = tuple[int, tuple[_Run, ...], tuple[_Run, ...]]


def _key(version: str) -> _Key:
    match = _VERSION.fullmatch(version) if len(version) <= VERSION_MAX_CHARS else None
    if match is None:
        raise ValueError(f"{version[:VERSION_MAX_CHARS]!a} is no version of a package")
    return int(match["epoch"] or 0), _runs(match["upstream"]), _runs(match["revision"] or "")


def _runs(text: str) -> tuple[_Run, ...]:
    """Runs of other characters and of digits in turn. An end is before all but ~, and no number is 0."""
    found = [((*map(_weight, other), 0), int(digits or 0)) for other, digits in _PIECES.findall(text)]
    while found and found[-1] == _END:
        found.pop()
    return (*found, _END, _END)  # two, as the first run of all may look like an end, too


def _weight(char: str) -> int:
    """~ before the end of a run, letters before all else."""
    if char == "~":
        return -1
    return ord(char) + (0 if char.isalpha() else 256)
