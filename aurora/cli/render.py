"""Values as people read them in a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from aurora.quantity import format_share, format_size

__all__ = ["age", "cpu", "dump", "emit", "memory", "paint", "table", "tell"]

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}


def emit(text: str) -> None:
    """Data, to stdout."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def tell(text: str) -> None:
    """Talk, to stderr."""
    sys.stderr.write(text + "\n")


def dump(document: object) -> None:
    """JSON, to stdout."""
    import json  # noqa: PLC0415  # short verbs do without

    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")


def paint(text: str, colour: str) -> str:
    """The text in a colour, where stdout is a terminal and NO_COLOR is not set."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[str | None] = ()) -> str:
    """Rows under a head, columns aligned by two spaces; `colours` paints whole rows."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]
    painted = [paint(lines[0], "bold")]
    for line, colour in zip(lines[1:], [*colours, *[None] * (len(rows) - len(colours))], strict=True):
        painted.append(line if colour is None else paint(line, colour))
    return "\n".join(painted) + "\n"


def age(seconds: int) -> str:
    """A span in its two largest units: "3d 4h", "5min 2s"."""
    for big, big_sec, small, small_sec in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= big_sec:
            count, rest = divmod(seconds, big_sec)
            return f"{count}{big} {rest // small_sec}{small}"
    return f"{seconds}s"


def memory(used_bytes: int | None, max_bytes: int | None) -> str:
    """Memory in use against its limit."""
    used = "-" if used_bytes is None else format_size(used_bytes, exact=False)
    return used if max_bytes is None else f"{used} of {format_size(max_bytes, exact=False)}"


def cpu(used_usec: int | None, share_usec: int | None) -> str:
    """CPU time in use, and the share it is held to."""
    used = "-" if used_usec is None else f"{used_usec / 1_000_000:.1f}s"
    return used if share_usec is None else f"{used}, max {format_share(share_usec)}"
