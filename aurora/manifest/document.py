"""From the bytes of a file to what its TOML or JSON says: all that can go wrong before there are keys."""

from __future__ import annotations

import codecs
import json
import re
import tomllib

from aurora.errors import InputError, Problem
from aurora.manifest.faults import kind_of, shown
from aurora.manifest.located import KEY_MAX_PARTS, overlong_key
from aurora.manifest.schema import MANIFEST_MAX_BYTES
from aurora.quantity import format_size

__all__ = ["WHAT", "decode", "parse_json", "parse_toml"]

WHAT = "read the manifest"
"""What cannot be done when any of this fails."""

_TOML_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_REASON_MAX_LENGTH = 200
_TOO_DEEP = "lists or tables in it are nested too deeply"
_ONCE = "giving each key and each table once"
_FLATTER = "no more than the keys of aurora.module(5)"


def decode(data: bytes, *, file: str) -> str:
    """The text of a file that is short enough, without NUL, in UTF-8; InputError with every fault otherwise."""
    if len(data) > MANIFEST_MAX_BYTES:
        raise InputError(
            WHAT,
            f"it is larger than {format_size(MANIFEST_MAX_BYTES)}",
            where=file,
            remedy="a shorter manifest, and data in files of their own",
        )
    problems = []
    if data.startswith(codecs.BOM_UTF8):
        why = "it begins with a byte order mark"
        problems.append(Problem(WHAT, why, f"{file}, line 1", "saving it as UTF-8 without a byte order mark"))
    if (place := data.find(0)) >= 0:
        why = f"it has a NUL byte (byte {place})"
        problems.append(Problem(WHAT, why, _where(file, data, place), "saving it as plain text in UTF-8"))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        why = f"it is not UTF-8 (byte {error.start} is 0x{data[error.start]:02X})"
        problems.append(Problem(WHAT, why, _where(file, data, error.start), "saving it as UTF-8"))
    if problems:
        raise InputError.of(problems)
    return text


def _where(file: str, data: bytes, place: int) -> str:
    return f"{file}, line {data.count(b'\n', 0, place) + 1}"


def _reason(error: ValueError) -> str:
    """What a parser said, without advice for programmers, no longer than a line or two."""
    said = str(error).partition(":")[0][:_REASON_MAX_LENGTH]
    return said[:1].lower() + said[1:]


def parse_toml(text: str, *, file: str) -> dict[str, object]:
    """The tables of a TOML document; InputError at the first place where it is none."""
    if (line := overlong_key(text)) is not None:
        raise InputError(
            WHAT,
            f"a key has more than {KEY_MAX_PARTS} parts",
            where=f"{file}, line {line}",
            remedy=_FLATTER,
        )
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError(WHAT, _TOO_DEEP, where=file, remedy=_FLATTER) from error
    except ValueError as error:
        raise _toml_error(error, text, file) from error


def _toml_error(error: ValueError, text: str, file: str) -> InputError:
    match = _TOML_PLACE.fullmatch(str(error))
    if match is None:  # not of the grammar: an integer of thousands of digits
        return InputError(WHAT, f"it is not TOML: {_reason(error)}", where=file, remedy="a smaller number")
    said = match[1][:1].lower() + match[1][1:_REASON_MAX_LENGTH]
    double = "overwrite" in said or "twice" in said
    if match[2] is None:
        return InputError(
            WHAT,
            f"it is not TOML: {said} where the file ends",
            where=f"{file}, line {text.rstrip().count('\n') + 1}",
            remedy=_ONCE if double else "closing every quote and bracket",
        )
    remedy = _ONCE if double else 'lines such as name = "hello" below a line such as [module]'
    return InputError(
        WHAT, f"it is not TOML: {said}", where=f"{file}, line {match[2]}, column {match[3]}", remedy=remedy
    )


def parse_json(text: str, *, file: str) -> tuple[dict[str, object], list[str]]:
    """The members of a JSON object, and the keys that it gives twice; InputError when it is none."""
    doubles: list[str] = []

    def members(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key in found:
                doubles.append(key)
            found[key] = value
        return found

    try:
        content = json.loads(text, object_pairs_hook=members, parse_constant=_no_number)
    except RecursionError as error:
        raise InputError(WHAT, _TOO_DEEP, where=file, remedy=_FLATTER) from error
    except json.JSONDecodeError as error:
        raise InputError(
            WHAT,
            f"it is not JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            where=f"{file}, line {error.lineno}, column {error.colno}",
            remedy='members such as "name": "hello" between { and }',
        ) from error
    except ValueError as error:
        why = f"it is not JSON: {_reason(error)}"
        raise InputError(WHAT, why, where=file, remedy="texts in quotes for all values") from error
    if not isinstance(content, dict):
        raise InputError(
            WHAT,
            f"it holds {kind_of(content)}, not an object",
            where=file,
            remedy='members such as "name": "hello" between { and }',
        )
    return content, doubles


def _no_number(word: str) -> object:
    raise ValueError(f"{shown(word)} is no number")
