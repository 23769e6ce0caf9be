"""What every module uses at this moment: looks at the machine, and what two looks tell."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from aurora.errors import HostError
from aurora.host.cgroup import Pressure, Usage, read_pressure, read_run, read_usage
from aurora.host.systemd import Systemd
from aurora.names import module_of_unit, slice_name
from aurora.paths import Paths

__all__ = ["Look", "Order", "Row", "Watch", "in_order", "rows_between"]


class Look(NamedTuple):
    """One module at one moment."""

    name: str
    active: str
    """ActiveState of the unit."""
    sub: str
    """SubState of the unit."""
    restarts: int
    usage: Usage
    pressure: Pressure
    run: int
    """Which of its runs it is: another number after every start; 0 when it does not run."""
    at_usec: int
    """When, on a clock that only goes on."""


class Row(NamedTuple):
    """One module between two looks; None where the kernel gives no figure or sets no limit."""

    name: str
    active: str
    sub: str
    memory_bytes: int | None
    memory_max_bytes: int | None
    cpu_percent: float | None
    """Of one CPU, between the two looks; None at the first look."""
    cpu_max_percent: float | None
    pressure: Pressure
    tasks: int | None
    tasks_max: int | None
    restarts: int

    @property
    def up(self) -> bool:
        """Whether the module is up."""
        return self.active in ("active", "reloading", "refreshing")

    @property
    def worst_pressure(self) -> float:
        """The highest of the three."""
        return max((one for one in self.pressure.all if one is not None), default=0.0)

    def to_json(self) -> dict[str, object]:
        """The row as JSON can hold it."""
        return {**self._asdict(), "pressure": self.pressure._asdict(), "up": self.up}


class Order(StrEnum):
    """What comes first: the most of it, or for names the first in the alphabet."""

    MEMORY = "memory"
    CPU = "cpu"
    PRESSURE = "pressure"
    RESTARTS = "restarts"
    NAME = "name"


class Watch:
    """Looks at all modules that systemd holds, again and again, with little work for each look.

    systemd is asked for one list; how often a module was restarted is asked only when its cgroup or state is another
    than at the last look.
    """

    def __init__(self, paths: Paths, connect: Callable[[], Systemd]) -> None:
        self._root = paths.prefix
        self._connect = connect
        self._systemd = connect()
        self._restarts: dict[str, tuple[tuple[int, str, str], int]] = {}

    def look(self) -> dict[str, Look]:
        """Every module as it stands, by name; HostError when systemd cannot be asked."""
        try:
            return self._look()
        except HostError:  # systemctl daemon-reexec ends all connections
            self._systemd.close()
            self._systemd = self._connect()
            return self._look()

    def close(self) -> None:
        """Give the connection back."""
        self._systemd.close()

    def _look(self) -> dict[str, Look]:
        found = {}
        for row in self._systemd.list_units(["aurora@*.service"]):
            name = module_of_unit(row.name)
            if name is None:
                continue
            group = f"/aurora.slice/{slice_name(name)}/{row.name}"
            run = read_run(group, root=self._root)
            found[name] = Look(
                name=name,
                active=row.active,
                sub=row.sub,
                restarts=self._restarts_of(row.name, (run, row.active, row.sub)),
                usage=read_usage(group, root=self._root),
                pressure=read_pressure(group, root=self._root),
                run=run,
                at_usec=time.monotonic_ns() // 1000,
            )
        return found

    def _restarts_of(self, unit: str, state: tuple[int, str, str]) -> int:
        known = self._restarts.get(unit)
        if known is not None and known[0] == state:
            return known[1]
        value = self._systemd.get(unit, "Service", "NRestarts", "u")
        restarts = value if isinstance(value, int) else 0
        self._restarts[unit] = (state, restarts)
        return restarts


def rows_between(before: Mapping[str, Look], after: Mapping[str, Look]) -> list[Row]:
    """A row for each module of the later look."""
    return [_row(before.get(name), look) for name, look in after.items()]


def _row(before: Look | None, now: Look) -> Row:
    usage = now.usage
    return Row(
        name=now.name,
        active=now.active,
        sub=now.sub,
        memory_bytes=usage.memory_bytes,
        memory_max_bytes=usage.memory_max_bytes,
        cpu_percent=None if before is None else _cpu_percent(before, now),
        cpu_max_percent=None if usage.cpu_share_usec is None else usage.cpu_share_usec / 10_000,
        pressure=now.pressure,
        tasks=usage.tasks,
        tasks_max=usage.tasks_max,
        restarts=now.restarts,
    )


def _cpu_percent(before: Look, now: Look) -> float | None:
    elapsed_usec = now.at_usec - before.at_usec
    if now.usage.cpu_usec is None or elapsed_usec <= 0:
        return None
    # One that was started in between has used all it ever used since then.
    used_before = before.usage.cpu_usec if before.run == now.run else 0
    used_usec = now.usage.cpu_usec - (used_before or 0)
    return round(max(0, used_usec) * 100 / elapsed_usec, 1)


def in_order(rows: Sequence[Row], order: Order) -> list[Row]:
    """The rows sorted; those alike by name."""
    by_name = sorted(rows, key=lambda row: row.name)
    match order:
        case Order.NAME:
            return by_name
        case Order.MEMORY:
            return sorted(by_name, key=lambda row: -(row.memory_bytes or 0))
        case Order.CPU:
            return sorted(by_name, key=lambda row: -(row.cpu_percent or 0.0))
        case Order.PRESSURE:
            return sorted(by_name, key=lambda row: -row.worst_pressure)
        case Order.RESTARTS:
            return sorted(by_name, key=lambda row: -row.restarts)
