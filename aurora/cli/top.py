"""top: what modules use, live where stdout is a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace

from aurora.cli import render
from aurora.host.dbus import connect
from aurora.host.screen import Screen, pause, screen
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
        whole = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        if arguments.json or arguments.once or not whole:
            return _once(watch, order, arguments.delay, as_json=arguments.json)
        sys.stdout.flush()
        with screen(sys.stdout.fileno(), sys.stdin.fileno()) as taken:
            _live(watch, taken, order, arguments.delay)
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


def _live(watch: Watch, taken: Screen, order: Order, delay_sec: int) -> None:
    before: dict[str, Look] = {}
    now = watch.look()
    until = time.monotonic() + 1  # the first figures of CPU come soon
    while True:
        width, height = taken.size()
        taken.show(frame(rows_between(before, now), order, width=width, height=height))
        key = taken.wait(until)
        if key is None or key == "q":
            return
        order = KEYS.get(key, order)
        if time.monotonic() >= until:
            before, now = now, watch.look()
            until = time.monotonic() + delay_sec


def frame(rows: Sequence[Row], order: Order, *, width: int, height: int) -> list[str]:
    """The lines of one screen: never more than `height`, none wider than `width`."""
    up = sum(row.up for row in rows)
    title = f"{len(rows)} modules, {up} up, by {order}. Sort: m c p r n. Quit: q. PRESSURE is cpu/memory/io in %."
    shown = in_order(rows, order)
    room = max(0, height - 2)
    more = []
    if len(shown) > room:
        more = [render.cut(f"… {len(shown) - room + 1} more", width)]
        shown = shown[: max(0, room - 1)]
    return [render.cut(title, width), *table(shown, width), *more][:height]


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
