from __future__ import annotations

import pytest

from tests.bench import figures, names
from tests.bench.figures import Ratio, Summary
from tests.bench.names import Series

HUNDRED = names.start_case("exec", 100)


def start(contender: str, *values: float, case: str = HUNDRED) -> Series:
    return Series(names.START, case, contender, "s", list(values))


def memory(contender: str, count: int, kib: float) -> Series:
    return Series(names.MEMORY, names.start_case("exec", count), contender, "KiB", [kib])


def met(series: list[Series], text: str) -> tuple[float | None, bool]:
    (verdict,) = [one for one in figures.verdicts(series) if one.goal.text.startswith(text)]
    return verdict.measured, verdict.met


def test_a_series_is_summed_up_by_its_smallest_and_its_middle_value() -> None:
    assert figures.summary([3.0, 1.0, 2.0, 9.0]) == Summary(4, 1.0, 2.5)


def test_a_ratio_is_of_medians_and_of_smallest_values() -> None:
    assert figures.ratio([2.0, 6.0, 4.0], [1.0, 2.0, 3.0]) == Ratio(2.0, 2.0)


@pytest.mark.parametrize("reference", [[0.0], [-0.1, 5.0, 6.0]])
def test_there_is_no_ratio_to_nothing(reference: list[float]) -> None:
    assert figures.ratio([1.0], reference) is None


def test_a_reference_is_looked_for_in_the_same_case() -> None:
    floor, other, ours = start(names.FLOOR, 1), start(names.FLOOR, 9, case="1 exec"), start(names.OURS_LOADED, 1)
    assert figures.reference_of([other, floor, ours], ours) == floor
    assert figures.reference_of([other, ours], ours) is None


@pytest.mark.parametrize(("value", "verdict"), [(1.15, True), (1.16, False)])
def test_a_goal_is_met_up_to_and_at_its_limit(value: float, verdict: bool) -> None:
    assert met([start(names.FLOOR, 1.0), start(names.OURS_LOADED, value)], "100 modules") == (value, verdict)


def test_a_goal_that_was_not_measured_is_not_met() -> None:
    assert met([], "100 modules") == (None, False)
    assert met([start(names.OURS_LOADED, 1.0)], "100 modules") == (None, False)


def test_a_goal_without_a_reference_is_judged_by_its_value() -> None:
    none = Series(names.RESIDENTS, "10 up", names.OURS, "processes", [0])
    assert met([none], "no process") == (0, True)
    assert met([none._replace(values=[2])], "no process") == (2, False)


def test_every_goal_names_a_figure_that_exists() -> None:
    known = {names.START, names.RESTART, names.SHORT, names.RESIDENTS}
    assert {goal.figure for goal in figures.GOALS} == known


def test_growth_is_the_slope_from_one_to_the_largest_count() -> None:
    series = [memory("a", 1, 10.0), memory("a", 10, 99.0), memory("a", 100, 208.0), memory("b", 1, 5.0)]
    (grown,) = figures.growth(series)
    assert (grown.case, grown.contender, grown.values) == ("one more exec (1 to 100)", "a", [2.0])


def test_kinds_are_not_mixed_in_growth() -> None:
    notify = memory("a", 100, 900.0)._replace(case=names.start_case("notify", 100))
    assert figures.growth([memory("a", 1, 10.0), notify]) == []
