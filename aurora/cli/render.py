"""Values as people read them in a terminal."""

from __future__ import annotations

import os
import sys
import time

from aurora.quantity import format_share, format_size
from aurora.text import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["age", "cpu", "cut", "dump", "emit", "memory", "moment", "paint", "table", "tell", "width"]

_COLOURS = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}
_ESCAPE = "\x1b["
_CODES = frozenset({"0", *_COLOURS.values()})


LAST_COLUMN_CHARS = 20
"""What a table's last column, which is prose, should have before others are shown as well."""


def emit(text: str) -> None:
    """Data, to stdout; nothing in it commands a terminal but the colours of `paint`."""
    text = _harmless(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def tell(text: str) -> None:
    """Talk, to stderr."""
    sys.stderr.write(visible(text, keep="\n\t") + "\n")


def _harmless(text: str) -> str:
    first, *rest = text.split(_ESCAPE)
    found = [visible(first, keep="\n\t")]
    for part in rest:
        own = part.partition("m")[0] in _CODES
        found.append((_ESCAPE if own else visible(_ESCAPE)) + visible(part, keep="\n\t"))
    return "".join(found)


def dump(document: object) -> None:
    """JSON, to stdout."""
    import json  # noqa: PLC0415  # short verbs do without

    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")


def paint(text: str, colour: str) -> str:
    """The text in a colour, where stdout is a terminal and NO_COLOR is not set."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return text
    return f"{_ESCAPE}{_COLOURS[colour]}m{text}{_ESCAPE}0m"


def width() -> int | None:
    """Columns of the terminal at stdout; None where it is none: then nothing has to be cut."""
    if not sys.stdout.isatty():
        return None
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except OSError:
        return None


def cut(text: str, columns: int | None) -> str:
    """The text, cut where it is wider than that; the last character shown then says so."""
    if columns is None or _columns(text) <= columns:
        return text
    kept = text[: max(0, columns - 1)]
    while kept and _columns(kept) > columns - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…" if columns > 0 else ""


def _columns(text: str) -> int:
    """How wide a terminal shows it."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width  # noqa: PLC0415  # short verbs do without

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, columns: int) -> str:
    return text + " " * (columns - _columns(text))


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    colours: Sequence[str | None] = (),
    *,
    columns: int | None = None,
    spare: Sequence[str] = (),
) -> str:
    """Rows under a head, columns aligned by two spaces; `colours` paints whole rows.

    With `columns` no line is wider: first the columns in `spare` are left out, in that order, until the last one has
    LAST_COLUMN_CHARS; then lines are cut.
    """
    widths = [max(_columns(row[i]) for row in (head, *rows)) for i in range(len(head))]
    shown = list(range(len(head)))
    last = shown[-1]
    for name in spare:
        least = sum(widths[i] + 2 for i in shown if i != last) + min(widths[last], LAST_COLUMN_CHARS)
        if columns is None or least <= columns:
            break
        shown.remove(head.index(name))
    lines = [cut("  ".join(_padded(row[i], widths[i]) for i in shown).rstrip(), columns) for row in (head, *rows)]
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


def moment(sec: float) -> str:
    """A time since the epoch, as the machine's clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(sec))


def memory(used_bytes: int | None, max_bytes: int | None) -> str:
    """Memory or disk space in use against its limit."""
    used = "-" if used_bytes is None else format_size(used_bytes, exact=False)
    return used if max_bytes is None else f"{used} of {format_size(max_bytes, exact=False)}"


def cpu(used_usec: int | None, share_usec: int | None) -> str:
    """CPU time in use, and the share it is held to."""
    used = "-" if used_usec is None else f"{used_usec / 1_000_000:.1f}s"
    return used if share_usec is None else f"{used}, max {format_share(share_usec)}"
