from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from aurora.cli import top
from aurora.host.cgroup import Pressure, Usage
from aurora.runtime.live import Look, Order, Row

CALM = Pressure(0.0, 0.0, 0.0)
MANY = [Row(f"module-{n}", "active", "running", n << 20, 64 << 20, n, 20.0, CALM, 1, 16, 0) for n in range(40)]


def shown(rows: list[Row], *, width: int = 80, height: int = 24, order: Order = Order.CPU) -> list[str]:
    return top.frame(rows, order, width=width, height=height)


def test_a_row_tells_use_against_limits() -> None:
    row = Row("hello", "active", "running", 12_900_000, 64 << 20, 19.6, 20.0, Pressure(3.4, None, 99.9), 2, 16, 5)
    title, head, line = shown([row])
    assert title.startswith("1 modules, 1 up, by cpu.")
    assert head.split() == ["MODULE", "STATE", "MEMORY", "CPU", "PRESSURE", "TASKS", "RESTARTS"]
    assert line.split() == ["hello", "running", "12.3M/64M", "20/20%", "3/-/100", "2/16", "5"]


def test_what_has_no_limit_is_shown_without_one() -> None:
    row = Row("hello", "active", "running", 4096, None, 150.0, None, CALM, 2, None, 0)
    assert shown([row])[2].split() == ["hello", "running", "4K", "150%", "0/0/0", "2", "0"]


def test_a_module_that_is_down_has_no_figures() -> None:
    row = Row("hello", "failed", "failed", None, None, None, None, Pressure(None, None, None), None, None, 3)
    assert shown([row])[2].split() == ["hello", "failed", "-", "-", "-", "-", "3"]


def test_before_the_second_look_there_is_no_cpu() -> None:
    rows = [Row("hello", "active", "running", 4096, None, None, limit, CALM, 2, None, 0) for limit in (None, 20.0)]
    assert [line.split()[3] for line in shown(rows)[2:]] == ["-", "-/20%"]


@pytest.mark.parametrize("width", [1, 5, 20, 40, 79, 80, 132])
@pytest.mark.parametrize("height", [1, 2, 3, 10, 41, 42, 43, 100])
def test_a_screen_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    lines = shown(MANY, width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_what_does_not_fit_is_counted() -> None:
    lines = shown(MANY, height=12)
    assert len(lines) == 12
    assert lines[-1] == "… 31 more"
    assert lines[2].startswith("module-39 ")
    assert not shown(MANY, height=42)[-1].startswith("…")


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_long_name_gives_way_to_what_is_measured(width: int) -> None:
    rows = [*MANY[:2], Row("a-very-long-name-of-a-module-of-48-characters-xx", *MANY[39][1:])]
    lines = shown(rows, width=width)
    assert lines[1].endswith("RESTARTS")
    assert lines[2].split()[2:] == ["39M/64M", "39/20%", "0/0/0", "1/16", "0"]
    assert lines[2].split()[1] == "running"


def test_columns_stand_still_while_figures_change() -> None:
    other = [row._replace(memory_bytes=1, cpu_percent=0.0) for row in MANY]
    assert shown(MANY)[1] == shown(other)[1]


@pytest.fixture
def two_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which hello uses a tenth of a CPU and other nothing, and no time passes."""

    class Looked:
        def __init__(self, *_: object) -> None:
            self.count = 0

        def look(self) -> dict[str, Look]:
            self.count += 1
            usage = Usage(4096, None, self.count * 100_000, None, 1, None, 0)
            idle = usage._replace(cpu_usec=0, memory_bytes=8192)
            at = self.count * 1_000_000
            return {
                "other": Look("other", "active", "running", 0, idle, CALM, 1, at),
                "hello": Look("hello", "active", "running", 0, usage, CALM, 1, at),
            }

        def close(self) -> None:
            pass

    monkeypatch.setattr(top, "Watch", Looked)
    monkeypatch.setattr(top, "pause", lambda _seconds: None)


def asked(**more: object) -> SimpleNamespace:
    return SimpleNamespace(**{"json": False, "once": False, "delay": 2, "sort": "cpu", **more})


@pytest.mark.usefixtures("two_looks")
def test_without_a_terminal_there_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.top(asked()) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert [line.split()[0] for line in out.splitlines()] == ["MODULE", "hello", "other"]


@pytest.mark.usefixtures("two_looks")
def test_json_has_the_rows_in_the_order_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.top(asked(json=True, sort="memory")) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["name"], row["cpu_percent"]) for row in rows] == [("other", 0.0), ("hello", 10.0)]
    assert all(row["up"] for row in rows)
    assert rows[0]["pressure"] == {"cpu": 0.0, "memory": 0.0, "io": 0.0}
