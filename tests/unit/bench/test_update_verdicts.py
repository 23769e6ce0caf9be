from __future__ import annotations

import pytest

from tests.bench.names import Series
from tests.bench.update import cases
from tests.bench.update.driver import main
from tests.bench.update.verdicts import GOALS, text, verdicts

SMALL, LARGE = (size.case(cases.ALL) for size in cases.SIZES)
STAT = (
    "   12345        0   456789     1000     2222      333    88888     4000        0     5000     6000    0 0 0 0 0 0"
)


def down(case: str, contender: str, *values: float) -> Series:
    return Series(cases.DOWNTIME, case, contender, "s", list(values))


def test_sectors_are_read_where_the_kernel_has_them() -> None:
    assert cases.sectors_written(STAT) == 88888


def test_a_goal_stands_in_each_of_its_cases() -> None:
    series = [
        down(SMALL, cases.RESTART, 1.0, 9.0, 1.0), down(SMALL, cases.FOLDER, 1.1, 1.1, 0.5),
        down(LARGE, cases.RESTART, 1.0), down(LARGE, cases.FOLDER, 1.3),
    ]  # fmt: skip
    found = [one for one in verdicts(series) if one.goal.figure == cases.DOWNTIME]
    assert [(one.case, one.measured, one.met) for one in found] == [(SMALL, 1.1, True), (LARGE, 1.3, False)]


def test_what_was_not_measured_is_not_met() -> None:
    assert [(one.measured, one.met) for one in verdicts([])] == [(None, False)] * len(GOALS)
    assert not any(one.met for one in verdicts([down(SMALL, cases.FOLDER, 1.0)]))


def test_the_text_has_every_range_ratio_and_verdict() -> None:
    series = [
        down(SMALL, cases.RESTART, 0.1, 0.2), down(SMALL, cases.FOLDER, 0.3, 0.6),
        Series(cases.WRITTEN, SMALL, cases.UNPACKED, "B", [1 << 20]),
        Series(cases.WRITTEN, SMALL, cases.FOLDER, "B", [1 << 20]),
    ]  # fmt: skip
    miss = {"figure": cases.WHOLE, "case": "all", "contender": "RAUC", "why": "it is not there"}
    said = text({"series": [one._asdict() for one in series], "misses": [miss]}, ["Values are …"])
    assert "300 ms  450 ms  600 ms   3.00" in said
    assert "1,024 KiB" in said
    assert "Not measured: whole command, all, RAUC: it is not there" in said
    assert "MISSED" in said
    assert "met" in said


def test_help_is_there_without_a_machine(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--rounds" in capsys.readouterr().out
