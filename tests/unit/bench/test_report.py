from __future__ import annotations

import pytest

from tests.bench import figures, names, report
from tests.bench.names import Miss, Series

SERIES = [
    Series(names.SHORT, "10 up", names.PASS, "s", [0.2, 0.1, 0.3]),
    Series(names.SHORT, "10 up", names.STATUS, "s", [0.8, 0.5, 0.6]),
]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "s", "123 ms"),
        (-0.012, "s", "-12 ms"),
        (12.345, "s", "12.35 s"),
        (6.25, "KiB", "6.2 KiB"),
        (1234.5, "KiB", "1234 KiB"),
        (0, "processes", "0 processes"),
    ],
)
def test_amounts_have_their_unit_and_few_digits(value: float, unit: str, text: str) -> None:
    assert report.amount(value, unit) == text


def test_a_table_is_aligned_first_column_left_others_right() -> None:
    assert report.table([("", "min"), ("long name", "1"), ("x", "12.5")]) == [
        "            min",
        "long name     1",
        "x          12.5",
    ]


def test_a_row_has_both_ratios_to_the_reference() -> None:
    lines = report.render(SERIES, [], ["conditions"]).splitlines()
    (status,) = [line for line in lines if line.strip().startswith(names.STATUS)]
    assert status.split()[-2:] == ["3.00", "5.00"]
    assert lines[0] == "conditions"
    assert any(line.endswith(f"(1.00 = {names.PASS})") for line in lines)


def test_what_was_not_measured_is_listed_with_its_own_words() -> None:
    text = report.render(SERIES, [Miss(names.START, "1 exec", names.PODMAN, "no such program")], [])
    assert f"{names.START}, 1 exec, {names.PODMAN}: no such program" in text


def test_every_goal_is_printed_with_limit_and_verdict() -> None:
    lines = report.goals(figures.verdicts(SERIES))
    assert len(lines) == len(figures.GOALS) + 1
    (status,) = [line for line in lines if line.startswith("status of 10")]
    assert status.split()[-3:] == ["3.00", "3.00", "met"]
    assert sum(line.endswith("not measured") for line in lines) == len(figures.GOALS) - 1
