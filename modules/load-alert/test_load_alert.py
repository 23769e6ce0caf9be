from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
Start = Callable[..., Any]


class Machine:
    """A machine with the figures that a test gives it, as hoststat would tell them."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self.uptime_sec = 1000.0

    def has(self, *percents: float | None, step_sec: float = 10) -> None:
        for percent in percents:
            self.uptime_sec += step_sec
            figures = {"cpu_percent": percent, "uptime_sec": self.uptime_sec}
            self._root.publish("hoststat/figures", figures, retain=True)


@pytest.fixture
def root(hub: Any) -> Iterator[Any]:
    with hub.up(), hub.client() as root:
        root.subscribe("alarm/#")
        yield root


@pytest.fixture
def machine(root: Any) -> Machine:
    return Machine(root)


@pytest.fixture
def run(start: Start, systemd: Any, hub: Any, tmp_path: Path) -> Start:
    def run(**variables: str) -> Any:
        (tmp_path / "state").mkdir(exist_ok=True)
        settings = {"WATCH": "cpu_percent=80", "HOLD_SEC": "30", "STATE_DIRECTORY": str(tmp_path / "state")}
        program = start(HERE, AURORA_LINK=hub.address, **settings | variables)
        systemd.wait_for("READY=1")
        return program

    return run


def told(root: Any) -> tuple[str, str, float]:
    message = next(root.messages(within_sec=30))
    assert message["from"] == "load-alert"
    return message["topic"], message["data"]["state"], message["data"]["value"]


def test_a_figure_that_stays_too_high_is_told_once_and_so_is_its_end(run: Start, root: Any, machine: Machine) -> None:
    program = run()
    machine.has(79, 80, 99, 98, 97, 96)
    assert told(root) == ("alarm/load-alert/cpu_percent", "alarm", 97)
    machine.has(76, 74, 73, 72, 71, 70)
    assert told(root) == ("alarm/load-alert/cpu_percent", "over", 71)
    assert list(root.messages(within_sec=0.1)) == []
    assert program.log_line("too high") == "<4>cpu_percent has been too high: 97, the bound is 80"
    assert program.log_line("calm") == "<4>cpu_percent is calm again: 71, the bound is 80"
    assert program.stop() == 0


def test_a_short_peak_and_a_swing_around_the_bound_tell_nothing(run: Start, root: Any, machine: Machine) -> None:
    program = run()
    machine.has(90, 90, 79, 90, 90, None, 79)
    machine.has(81, 81, 81, 81)
    assert told(root)[1:] == ("alarm", 81)
    machine.has(74, 74, 76, 74, 74, 81)
    machine.has(10, 10, 10, 10)
    assert told(root)[1:] == ("over", 10)
    assert program.stop() == 0


def test_an_alarm_that_stands_is_not_told_again_after_a_restart_and_its_end_is(
    run: Start, root: Any, machine: Machine, hub: Any
) -> None:
    program = run()
    machine.has(90, 90, 90, 90)
    assert told(root)[1] == "alarm"
    assert program.stop() == 0
    program = run()
    machine.has(90, 90, 90, 90, 90)
    machine.has(1, 1, 1, 1)
    assert told(root)[1] == "over"
    assert program.stop() == 0
    with hub.client() as late:
        late.subscribe("alarm/#", cursor="mail")
        kept = late.messages(within_sec=30)
        assert [next(kept)["data"]["state"] for _ in range(2)] == ["alarm", "over"]


def test_after_the_hub_was_away_it_reads_and_tells_again(run: Start, hub: Any) -> None:
    with hub.up():
        program = run(HOLD_SEC="0")
    assert program.log_line("cannot talk with AuroraLink")
    with hub.up(), hub.client() as root:
        assert program.log_line("connected with AuroraLink again")
        root.subscribe("alarm/#")
        Machine(root).has(90)
        assert told(root)[1:] == ("alarm", 90)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("WATCH", "", "it is empty"),
        ("WATCH", "cpu_percent", "'' is no number"),
        ("WATCH", "=9", "'=9' names no figure"),
        ("HOLD_SEC", "soon", "'soon' is no number"),
        ("CALM", "nan", "'nan' is no number"),
    ],
)
def test_a_setting_that_is_wrong_is_refused_with_a_remedy(
    start: Start, hub: Any, tmp_path: Path, variable: str, value: str, why: str
) -> None:
    program = start(HERE, AURORA_LINK=hub.address, STATE_DIRECTORY=str(tmp_path), **{variable: value})
    assert program.status() == 78
    line = program.log_line(f"cannot use {variable}")
    assert why in line
    assert "; try " in line
