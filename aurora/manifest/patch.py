"""Another [sandbox] in a manifest's text, everything else left as its author wrote it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from aurora.errors import InputError
from aurora.manifest.located import locate

__all__ = ["with_sandbox"]

_HEADER = re.compile(r"[ \t]*\[[ \t]*sandbox[ \t]*\][ \t]*(?:#.*)?")
_KEYS = ("policy", "grants")
VALUE_MAX_LINES = 600
"""A value that stands on more lines is not replaced."""


def with_sandbox(text: str, table: str, *, file: str) -> str:
    """`text` (a TOML manifest) with the keys policy and grants of [sandbox] replaced by the lines of `table`.

    The result is read again and holds just that change. InputError when the table is written in a way that cannot be
    replaced line by line: inline, or with dotted keys.
    """
    lines = text.splitlines()
    document = tomllib.loads(text)
    rest = {key: value for key, value in document.items() if key != "sandbox"}
    own = document.get("sandbox", {})
    header = next((number for number, line in enumerate(lines) if _HEADER.fullmatch(line)), None)
    if "sandbox" in document and header is None:
        raise _unfit(file)
    if header is None:
        made = [*lines, "", "[sandbox]", *table.splitlines()]
    else:
        for key in _KEYS:
            if key in own:
                lines = _without(lines, key, file)
        made = [*lines[: header + 1], *table.splitlines(), *lines[header + 1 :]]
    result = "\n".join(made) + "\n"
    others = {key: value for key, value in own.items() if key not in _KEYS}
    if tomllib.loads(result) != {**rest, "sandbox": {**others, **tomllib.loads(table)}}:
        raise _unfit(file)
    return result


def _without(lines: Sequence[str], key: str, file: str) -> list[str]:
    """The lines without that key of [sandbox]; where its value ends is found by reading what would be left."""
    first = locate("\n".join(lines)).get(("sandbox", key))
    if first is None:
        raise _unfit(file)
    wanted = {**tomllib.loads("\n".join(lines))}
    wanted["sandbox"] = {name: value for name, value in wanted["sandbox"].items() if name != key}
    for end in range(first, min(first + VALUE_MAX_LINES, len(lines)) + 1):
        left = [*lines[: first - 1], *lines[end:]]
        try:
            if tomllib.loads("\n".join(left)) == wanted:
                return left
        except ValueError:
            continue
    raise _unfit(file)


def _unfit(file: str) -> InputError:
    return InputError(
        "change the manifest",
        "its sandbox is not written in lines that can be replaced",
        where=file,
        remedy="a table [sandbox] with policy and grants on lines of their own",
    )
