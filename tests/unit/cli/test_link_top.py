from __future__ import annotations

import json
from pathlib import Path

import pytest

from aurora.cli import link_top
from aurora.cli.main import main
from aurora.link.traffic import Counts, Look, Row, rows_between
from tests.unit.link.served import Served
from tests.unit.link.talking import ROOT, module


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with Served(tmp_path, module("weather"), ROOT) as served:
        monkeypatch.setenv("AURORA_LINK", f"unix:{served.place}")
        weather = served.client({"type": "hello", "version": 1})
        weather.say({"topic": "site/wind", "data": 3}, {"type": "ping", "id": "all"})
        weather.until(lambda one: one.get("id") == "all")
        yield served
        weather.close()


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_top, "pause", lambda _seconds: None)


def test_each_look_is_a_line_of_json(hub: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["link", "top", "--json", "--count", "2"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    for look in (first, second):
        found = {one["name"]: one for one in look["clients"]}
        assert set(found) == {"weather", "user:root"}
        assert (found["weather"]["connections"], found["weather"]["received"]) == (1, 4)
        assert look["left_out"] == 0


def test_without_a_terminal_there_is_one_table(hub: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["link", "top"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == " ".join(link_top.HEAD).split()
    assert sorted(line.split()[0] for line in lines[1:]) == ["user:root", "weather"]


class Seen:
    """A watch that has seen these rows."""

    left_out = 3

    def __init__(self, rows: list[Row]) -> None:
        self._rows = rows

    def rows(self) -> list[Row]:
        return self._rows


def rows(count: int, factor: int = 1) -> list[Row]:
    looks = []
    for at in (0, 1):
        figures = dict.fromkeys(Counts.__struct_fields__[1:], at * 12_345 * factor)
        clients = tuple(Counts(name=f"module-{number}-with-a-long-name", **figures) for number in range(count))
        looks.append(Look(at_ms=at * 1000, clients=clients, left_out=0))
    return rows_between(*looks)


@pytest.mark.parametrize("width", [1, 20, 79, 80, 132])
@pytest.mark.parametrize("height", [1, 2, 3, 24, 100])
def test_a_screen_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    lines = link_top.frame(Seen(rows(40)), width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width


def test_a_narrow_screen_keeps_who_how_fast_and_what_waits() -> None:
    title, head, line, *_ = link_top.frame(Seen(rows(2)), width=80, height=24)
    assert title.startswith("2 clients and 3 more, 24690 connections, 24690 messages/s in")
    assert head.split()[0] == "CLIENT"
    assert {"IN/s", "OUT/s", "LOST/s", "WAITING"} <= set(head.split())
    assert line.endswith("12345/12.1K")


def test_columns_stand_still_while_figures_change() -> None:
    one, other = (link_top.frame(Seen(rows(2, factor)), width=200, height=24)[1] for factor in (0, 1))
    assert one == other
