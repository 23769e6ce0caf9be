from __future__ import annotations

import pytest

from aurora.cli import render


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (60, "1min 0s"), (302, "5min 2s"), (3600, "1h 0min"), (273_600, "3d 4h")],
)
def test_an_age_is_told_in_its_two_largest_units(seconds: int, text: str) -> None:
    assert render.age(seconds) == text


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert render.table(("A", "LONG"), [("wide", "x"), ("y", "")]) == "A     LONG\nwide  x\ny\n"


def test_usage_is_told_against_its_limit_where_there_is_one() -> None:
    assert render.memory(None, None) == "-"
    assert render.memory(1 << 20, None) == "1M"
    assert render.memory(3 << 19, 64 << 20) == "1.5M of 64M"
    assert render.cpu(1_500_000, None) == "1.5s"
    assert render.cpu(None, 200_000) == "-, max 20%"


def test_there_is_no_colour_where_there_is_no_terminal() -> None:
    assert render.paint("x", "red") == "x"
