"""From raw values to ratios, tables and verdicts. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.bench import names
from tests.bench.names import Series

REFERENCES: Mapping[str, str] = {
    names.START: names.FLOOR,
    names.MEMORY: names.FLOOR,
    names.RESTART: names.FLOOR,
    names.SHORT: names.PASS,
    names.PROFILES: names.ONE_RUN_COLD,
}
"""For each figure the contender that counts as 1.00."""


class Summary(NamedTuple):
    """The rounds of one series."""

    rounds: int
    smallest: float
    median: float


class Ratio(NamedTuple):
    """A series against its reference."""

    of_medians: float
    of_smallest: float


class Goal(NamedTuple):
    """What was promised."""

    text: str
    figure: str
    case: str
    contender: str
    limit: float
    """Of the ratio of medians to the figure's reference; of the median itself where the figure has none."""


class Verdict(NamedTuple):
    """A goal, and how it stands."""

    goal: Goal
    measured: float | None
    """None when there is no such measurement."""

    @property
    def met(self) -> bool:
        """Whether it was measured and is within the limit."""
        return self.measured is not None and self.measured <= self.goal.limit


_HUNDRED = names.start_case("exec", 100)

GOALS: tuple[Goal, ...] = (
    Goal("100 modules start within 1.15 of the floor", names.START, _HUNDRED, names.OURS_LOADED, 1.15),
    Goal("the same as after a reboot", names.START, _HUNDRED, names.OURS_REBOOT, 1.15),
    Goal("the same with nothing compiled", names.START, _HUNDRED, names.OURS_COLD, 1.15),
    Goal(
        "a restart takes the declared delay and systemd's own time: within 1.15 of the bare unit",
        names.RESTART,
        names.BY_PID1,
        names.OURS,
        1.15,
    ),
    Goal("no process of ours when idle", names.RESIDENTS, "10 up", names.OURS, 0),
    Goal("status of 10 modules within 3 times `python3 -c pass`", names.SHORT, "10 up", names.STATUS, 3.0),
)


def summary(values: Sequence[float]) -> Summary:
    """The summary of at least one value."""
    return Summary(len(values), min(values), statistics.median(values))


def ratio(values: Sequence[float], reference: Sequence[float]) -> Ratio | None:
    """Against the reference; None when that is zero or less, as a difference of times can be."""
    ours, theirs = summary(values), summary(reference)
    if theirs.median <= 0 or theirs.smallest <= 0:
        return None
    return Ratio(ours.median / theirs.median, ours.smallest / theirs.smallest)


def find(series: Sequence[Series], figure: str, case: str, contender: str) -> Series | None:
    """The series of that place."""
    place = (figure, case, contender)
    return next((one for one in series if (one.figure, one.case, one.contender) == place), None)


def reference_of(series: Sequence[Series], one: Series) -> Series | None:
    """What a series is compared with: the reference of its figure, in its own case."""
    return find(series, one.figure, one.case, REFERENCES.get(one.figure, ""))


def verdicts(series: Sequence[Series]) -> list[Verdict]:
    """Every goal, and how it stands."""
    return [Verdict(goal, _measured(series, goal)) for goal in GOALS]


def _measured(series: Sequence[Series], goal: Goal) -> float | None:
    one = find(series, goal.figure, goal.case, goal.contender)
    if one is None:
        return None
    if goal.figure not in REFERENCES:
        return summary(one.values).median
    reference = reference_of(series, one)
    found = None if reference is None else ratio(one.values, reference.values)
    return None if found is None else found.of_medians


def growth(series: Sequence[Series]) -> list[Series]:
    """What one more program costs in memory: from N = 1 to the largest N of the same kind, for each contender."""
    found = []
    for small in series:
        count, _, kind = small.case.partition(" ")
        if small.figure != names.MEMORY or count != "1":
            continue
        larger = [
            one
            for one in series
            if one.figure == names.MEMORY and one.contender == small.contender and one.case.endswith(f" {kind}")
        ]
        largest = max(larger, key=lambda one: int(one.case.split()[0]))
        more = int(largest.case.split()[0]) - 1
        if more:
            cost = (summary(largest.values).median - summary(small.values).median) / more
            case = f"one more {kind} (1 to {more + 1})"
            found.append(Series(names.MEMORY, case, small.contender, "KiB", [cost]))
    return found
