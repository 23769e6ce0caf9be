from __future__ import annotations

import pytest

from aurora.errors import HostError
from aurora.host.cgroup import Pressure, Usage
from aurora.host.fake import FakeSystemd, Program
from aurora.runtime.install import install_folder
from aurora.runtime.live import Look, Order, Row, Watch, in_order, rows_between
from tests.unit.runtime.rig import Rig

NO_USAGE = Usage(None, None, None, None, None, None, None)
CALM = Pressure(0.0, 0.0, 0.0)


def look(name: str = "hello", *, at_sec: float = 0, cpu_usec: int | None = 0, run: int = 1, restarts: int = 0) -> Look:
    usage = Usage(4096, 8192, cpu_usec, 200_000, 2, 16, 0)
    return Look(name, "active", "running", restarts, usage, CALM, run, int(at_sec * 1_000_000))


def cpu_between(before: Look | None, now: Look) -> float | None:
    (row,) = rows_between({} if before is None else {before.name: before}, {now.name: now})
    return row.cpu_percent


def row(
    name: str, *, memory: int | None = 0, cpu: float | None = 0, pressure: Pressure = CALM, restarts: int = 0
) -> Row:
    return Row(name, "active", "running", memory, None, cpu, None, pressure, 1, None, restarts)


def test_cpu_is_what_was_used_between_two_looks() -> None:
    assert cpu_between(look(at_sec=10, cpu_usec=5_000_000), look(at_sec=12, cpu_usec=5_400_000)) == 20.0


def test_at_the_first_look_there_is_no_figure_for_cpu() -> None:
    assert cpu_between(None, look(cpu_usec=5_000_000)) is None


def test_one_that_was_restarted_in_between_has_used_only_what_it_used_since() -> None:
    before = look(at_sec=10, cpu_usec=5_000_000, run=1)
    assert cpu_between(before, look(at_sec=12, cpu_usec=100_000, run=2)) == 5.0
    assert cpu_between(before, look(at_sec=12, cpu_usec=6_000_000, run=2)) == 300.0


@pytest.mark.parametrize(("at_sec", "cpu_usec"), [(10, 6_000_000), (12, None)])
def test_without_a_span_or_a_counter_there_is_no_figure(at_sec: float, cpu_usec: int | None) -> None:
    assert cpu_between(look(at_sec=10, cpu_usec=5_000_000), look(at_sec=at_sec, cpu_usec=cpu_usec)) is None


def test_a_module_that_is_gone_is_dropped_and_one_that_came_is_shown() -> None:
    found = rows_between({"old": look("old"), "kept": look("kept")}, {"kept": look("kept"), "new": look("new")})
    assert [one.name for one in found] == ["kept", "new"]


def test_limits_are_shown_in_the_measure_of_what_they_limit() -> None:
    (found,) = rows_between({}, {"hello": look()})
    assert (found.memory_max_bytes, found.cpu_max_percent, found.tasks_max) == (8192, 20.0, 16)


ROWS = [
    row("beta", memory=3, cpu=1, restarts=1),
    row("alpha", memory=None, cpu=None),
    row("gamma", memory=2, cpu=9, pressure=Pressure(None, 5.0, 0.0)),
    row("delta", memory=9, cpu=1, pressure=Pressure(4.0, 4.0, 4.0), restarts=7),
]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        (Order.MEMORY, ["delta", "beta", "gamma", "alpha"]),
        (Order.CPU, ["gamma", "beta", "delta", "alpha"]),
        (Order.PRESSURE, ["gamma", "delta", "alpha", "beta"]),
        (Order.RESTARTS, ["delta", "beta", "alpha", "gamma"]),
        (Order.NAME, ["alpha", "beta", "delta", "gamma"]),
    ],
)
def test_the_most_comes_first_and_those_alike_stand_in_the_order_of_names(order: Order, names: list[str]) -> None:
    assert [one.name for one in in_order(ROWS, order)] == names


# Looking


class Counting(FakeSystemd):
    """Counts what it is asked."""

    asked = 0

    def get(self, unit: str, interface: str, prop: str, signature: str) -> object:
        self.asked += 1
        return super().get(unit, interface, prop, signature)


def test_every_module_that_systemd_holds_is_seen_with_its_figures(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=True)
    install_folder(rig.paths, rig.systemd, rig.module(name="other"), start=False)
    group = "sys/fs/cgroup/aurora.slice/aurora-hello.slice/aurora@hello.service"
    rig.write(f"{group}/memory.current", "4096")
    rig.write(f"{group}/io.pressure", "some avg10=3.00 avg60=0.00 avg300=0.00 total=0")
    found = Watch(rig.paths, lambda: rig.systemd).look()
    assert list(found) == ["hello"]
    seen = found["hello"]
    assert (seen.active, seen.usage.memory_bytes, seen.pressure.io) == ("active", 4096, 3.0)
    assert seen.run != 0


def test_a_module_without_a_cgroup_has_no_figures(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=True)
    assert Watch(rig.paths, lambda: rig.systemd).look()["hello"].usage == NO_USAGE


def test_restarts_are_asked_for_only_when_something_has_changed(rig: Rig) -> None:
    systemd = Counting(lambda _unit, _argv: Program())
    install_folder(rig.paths, systemd, rig.module(), start=True)
    watch = Watch(rig.paths, lambda: systemd)
    systemd.asked = 0
    watch.look()
    watch.look()
    assert systemd.asked == 1
    systemd.ends("aurora@hello.service", 1)
    watch.look()
    assert systemd.asked == 2


def test_a_connection_that_was_cut_is_made_anew(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=True)
    made = []

    class Cut(FakeSystemd):
        def list_units(self, patterns: object) -> list[object]:
            del patterns

            raise HostError("list units", "the connection was cut")

    def connect() -> FakeSystemd:
        made.append(1)
        return rig.systemd if len(made) > 1 else Cut()

    assert list(Watch(rig.paths, connect).look()) == ["hello"]
    assert len(made) == 2
