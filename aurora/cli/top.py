"""top: what modules use, live where stdout is a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.live import fitted, has_terminal, live
from aurora.host.dbus import connect
from aurora.host.screen import pause
from aurora.paths import Paths
from aurora.quantity import format_size
from aurora.runtime.live import Look, Order, Row, Watch, in_order, rows_between

__all__ = ["frame", "top"]

KEYS: Mapping[str, Order] = {
    "m": Order.MEMORY,
    "c": Order.CPU,
    "p": Order.PRESSURE,
    "r": Order.RESTARTS,
    "n": Order.NAME,
}
HEAD = ("MODULE", "STATE", "MEMORY", "CPU", "PRESSURE", "TASKS", "RESTARTS")
WIDTHS = (0, 0, 11, 9, 8, 7, 8)
"""What each column needs at least, so that they stand still while figures change; names and states as they come."""
NAME_MIN_CHARS, STATE_MIN_CHARS = 8, 9
NEARLY = 0.9
"""From this share of its memory limit on a module is marked."""


def top(arguments: SimpleNamespace) -> int:
    """`auroractl top`."""
    watch = Watch(Paths(), connect)
    try:
        order = Order(arguments.sort)
        if arguments.json or arguments.once or not has_terminal():
            return _once(watch, order, arguments.delay, as_json=arguments.json)
        shown = _Shown(watch, order)
        live(shown.look, shown.lines, shown.press, arguments.delay)
        return 0
    finally:
        watch.close()


def _once(watch: Watch, order: Order, delay_sec: int, *, as_json: bool) -> int:
    before = watch.look()
    pause(delay_sec)
    rows = in_order(rows_between(before, watch.look()), order)
    if as_json:
        render.dump([row.to_json() for row in rows])
    elif not rows:
        render.tell("no module runs; auroractl start NAME starts one")
    else:
        render.emit("\n".join(table(rows, render.width())))
    return 0


class _Shown:
    """What stands on the screen: the last look and the one before, in an order that keys change."""

    def __init__(self, watch: Watch, order: Order) -> None:
        self._watch = watch
        self._order = order
        self._before: dict[str, Look] = {}
        self._now: dict[str, Look] = {}

    def look(self) -> None:
        """Look again."""
        self._before, self._now = self._now, self._watch.look()

    def lines(self, width: int, height: int) -> list[str]:
        """See `frame`."""
        return frame(rows_between(self._before, self._now), self._order, width=width, height=height)

    def press(self, key: str) -> None:
        """Another order, perhaps."""
        self._order = KEYS.get(key, self._order)


def frame(rows: Sequence[Row], order: Order, *, width: int, height: int) -> list[str]:
    """The lines of one screen: never more than `height`, none wider than `width`."""
    up = sum(row.up for row in rows)
    title = f"{len(rows)} modules, {up} up, by {order}. Sort: m c p r n. Quit: q. PRESSURE is cpu/memory/io in %."
    return fitted(title, in_order(rows, order), lambda some: table(some, width), width=width, height=height)


def table(rows: Sequence[Row], width: int | None) -> list[str]:
    """The head and a line for each row, in colours where they are shown; none wider than `width`."""
    cells = [_cells(row) for row in rows]
    widths = [max((least, *(len(row[at]) for row in (HEAD, *cells)))) for at, least in enumerate(WIDTHS)]
    if width is not None:
        # Names and then states give way to what is measured.
        for at, least in ((0, NAME_MIN_CHARS), (1, STATE_MIN_CHARS)):
            over = sum(widths) + 2 * (len(widths) - 1) - width
            widths[at] = max(min(widths[at], least), widths[at] - max(0, over))
    lines = [_line(HEAD, widths, width)] + [_line(row, widths, width) for row in cells]
    colours = [_colour(row) for row in rows]
    return [
        render.paint(lines[0], "bold"),
        *(
            line if colour is None else render.paint(line, colour)
            for line, colour in zip(lines[1:], colours, strict=True)
        ),
    ]


def _line(cells: Sequence[str], widths: Sequence[int], width: int | None) -> str:
    words = []
    for head, cell, size in zip(HEAD, cells, widths, strict=True):
        shown = render.cut(cell, size)
        words.append(shown.ljust(size) if head in ("MODULE", "STATE") else shown.rjust(size))
    line = "  ".join(words).rstrip()
    return line if width is None else render.cut(line, width)


def _cells(row: Row) -> tuple[str, ...]:
    state = row.sub if row.active in ("active", "activating") else row.active
    if not row.up and row.memory_bytes is None:
        return (row.name, state, "-", "-", "-", "-", str(row.restarts))
    memory = "-" if row.memory_bytes is None else format_size(row.memory_bytes, exact=False)
    if row.memory_max_bytes is not None:
        memory += f"/{format_size(row.memory_max_bytes, exact=False)}"
    cpu = "-" if row.cpu_percent is None else f"{row.cpu_percent:.0f}"
    cpu += "%" if row.cpu_max_percent is None else f"/{row.cpu_max_percent:.0f}%"
    pressure = "/".join("-" if one is None else f"{one:.0f}" for one in row.pressure.all)
    tasks = "-" if row.tasks is None else str(row.tasks)
    if row.tasks_max is not None:
        tasks += f"/{row.tasks_max}"
    return (row.name, state, memory, cpu.removeprefix("-%") or "-", pressure, tasks, str(row.restarts))


def _colour(row: Row) -> str | None:
    if row.active == "failed" or row.sub == "auto-restart":
        return "red"
    if not row.up:
        return "dim"
    near = row.memory_bytes is not None and row.memory_max_bytes is not None
    if near and (row.memory_bytes or 0) >= NEARLY * (row.memory_max_bytes or 0):
        return "yellow"
    return None
