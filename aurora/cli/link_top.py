"""link top: who talks on AuroraLink, live where stdout is a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.live import fitted, has_terminal, live
from aurora.errors import HostError
from aurora.host.screen import pause
from aurora.link.client import ANSWER_SEC, LinkClient, connect
from aurora.link.traffic import Look, Row, read_look, rows_between
from aurora.quantity import format_size
from aurora.topics import CLIENTS

__all__ = ["frame", "top"]

HEAD = ("CLIENT", "LINKS", "IN/s", "OUT/s", "IN B/s", "OUT B/s", "DENIED", "LOST", "LOST/s", "WAITING")
WIDTHS = (0, 5, 7, 7, 7, 7, 6, 6, 6, 0)
"""What each column needs at least, so that they stand still while figures change; names and what waits as they come."""
SPARE = ("DENIED", "LOST", "LINKS", "IN B/s", "OUT B/s")
"""What gives way in a narrow terminal, in this order."""


class Watch:
    """Two looks at the hub, the last and the one before."""

    def __init__(self, client: LinkClient) -> None:
        self._client = client
        self._before: Look | None = None
        self._now: Look | None = None

    def look(self) -> None:
        """Look again."""
        found = read_look(self._client.request(CLIENTS, None, deadline_sec=ANSWER_SEC))
        if found is None:
            raise HostError("ask AuroraLink", "its answer is not understood", remedy="systemctl restart aurora-link")
        self._before, self._now = self._now, found

    def rows(self) -> list[Row]:
        """Of all clients, between the two."""
        return [] if self._now is None else rows_between(self._before, self._now)

    @property
    def left_out(self) -> int:
        """How many clients the hub did not list."""
        return 0 if self._now is None else self._now.left_out


def top(arguments: SimpleNamespace) -> int:
    """`auroractl link top`."""
    with connect() as client:
        watch = Watch(client)
        if has_terminal() and not (arguments.json or arguments.count):
            live(watch.look, lambda width, height: frame(watch, width=width, height=height), _press, arguments.delay)
            return 0
        watch.look()
        left = arguments.count or (None if arguments.json else 1)
        while left is None or left > 0:
            pause(arguments.delay)
            watch.look()
            if arguments.json:
                rows = [row.to_json() for row in watch.rows()]
                render.emit(json.dumps({"clients": rows, "left_out": watch.left_out}))
            else:
                render.emit("\n".join(table(watch.rows(), render.width())))
            sys.stdout.flush()
            left = None if left is None else left - 1
    return 0


def _press(_key: str) -> None:
    """No key but q means anything."""


def frame(watch: Watch, *, width: int, height: int) -> list[str]:
    """The lines of one screen: never more than `height`, none wider than `width`."""
    rows = watch.rows()
    links = sum(row.now.connections for row in rows)
    came = sum(row.received_per_sec or 0 for row in rows)
    went = sum(row.delivered_per_sec or 0 for row in rows)
    more = f" and {watch.left_out} more" if watch.left_out else ""
    title = f"{len(rows)} clients{more}, {links} connections, {came:.0f} messages/s in, {went:.0f} out. Quit: q."
    return fitted(title, rows, lambda shown: table(shown, width), width=width, height=height)


def table(rows: Sequence[Row], width: int | None) -> list[str]:
    """The head and a line for each row, in colours where they are shown; none wider than `width`."""
    head, *cells = (_padded(row) for row in (HEAD, *map(_cells, rows)))
    spare = [name for wanted in SPARE for name in head if name.strip() == wanted]
    colours = ["yellow" if row.is_slow else None for row in rows]
    return render.table(head, cells, colours, columns=width, spare=spare).splitlines()


def _padded(cells: Sequence[str]) -> tuple[str, ...]:
    return tuple(cell.rjust(size) for cell, size in zip(cells, WIDTHS, strict=True))


def _cells(row: Row) -> tuple[str, ...]:
    now = row.now
    waiting = f"{now.waiting}/{format_size(now.waiting_bytes, exact=False)}" if now.waiting_bytes else "-"
    return (
        now.name, str(now.connections), _rate(row.received_per_sec), _rate(row.delivered_per_sec),
        _size(row.received_bytes_per_sec), _size(row.delivered_bytes_per_sec), str(now.denied or "-"),
        str(now.dropped or "-"), _rate(row.dropped_per_sec), waiting,
    )  # fmt: skip


def _rate(per_sec: float | None) -> str:
    """What is rare is not nothing."""
    if not per_sec:
        return "-"
    return f"{per_sec:.0f}" if per_sec >= 10 else f"{max(per_sec, 0.1):.1f}"


def _size(per_sec: float | None) -> str:
    return "-" if not per_sec else format_size(int(per_sec) or 1, exact=False)
