"""From raw values to ratios, goals and the text that people read. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.bench.names import Series
from tests.bench.report import by_figure, table
from tests.bench.update import cases

REFERENCES = {
    cases.DOWNTIME: cases.RESTART,
    cases.STAGING: cases.EXTRACT,
    cases.WRITTEN: cases.UNPACKED,
    cases.WHOLE: cases.DPKG,
    cases.SELF: cases.CORE_UNTRIED,
}
"""For each figure the contender that counts as 1.00."""


class Goal(NamedTuple):
    """What was promised of a contender, in all cases whose name ends so."""

    text: str
    figure: str
    contender: str
    ends: str
    limit: float
    """Of the ratio of medians to the figure's reference."""


GOALS = (
    Goal("downtime: of a bare restart", cases.DOWNTIME, cases.FOLDER, "", 1.2),
    Goal("staging from a folder: of dpkg-deb -x", cases.STAGING, cases.STAGE_FOLDER, "", 1.5),
    Goal("staging from a package: of dpkg-deb -x", cases.STAGING, cases.STAGE_PACKAGE, "", 1.5),
    Goal("bytes written, all changed: of the unpacked size", cases.WRITTEN, cases.FOLDER, cases.ALL, 1.2),
    Goal("bytes written, one file changed: near zero", cases.WRITTEN, cases.FOLDER, cases.ONE, 0.1),
)


class Verdict(NamedTuple):
    """A goal, and how it stands in one case."""

    goal: Goal
    case: str
    measured: float | None
    """None when there is no such measurement."""

    @property
    def met(self) -> bool:
        """Whether it was measured, and is within the limit."""
        return self.measured is not None and self.measured <= self.goal.limit


def ratio(series: Sequence[Series], one: Series) -> float | None:
    """The median of `one` by that of the reference in its case; None where there is none."""
    place = (one.figure, one.case, REFERENCES.get(one.figure, ""))
    found = next((other for other in series if (other.figure, other.case, other.contender) == place), None)
    under = 0.0 if found is None else statistics.median(found.values)
    return statistics.median(one.values) / under if under > 0 else None


def verdicts(series: Sequence[Series]) -> list[Verdict]:
    """Every goal, and how it stands in each of its cases."""
    found = []
    for goal in GOALS:
        of_it = [
            Verdict(goal, one.case, ratio(series, one))
            for one in series
            if (one.figure, one.contender) == (goal.figure, goal.contender) and one.case.endswith(goal.ends)
        ]
        found += of_it or [Verdict(goal, "", None)]
    return found


def text(found: dict[str, Any], conditions: Sequence[str]) -> str:
    """Everything."""
    series = [Series(**fields) for fields in found["series"]]

    def title(figure: str) -> str:
        return f"{figure[0].upper()}{figure[1:]} (1.00 = {REFERENCES[figure]})"

    lines = [*conditions, *by_figure(series, title, "ratio", lambda one, case: _row(series, one, case))]
    for miss in found["misses"]:
        lines += ["", f"Not measured: {miss['figure']}, {miss['case']}, {miss['contender']}: {miss['why']}"]
    return "\n".join([*lines, "", *_goals(verdicts(series))]) + "\n"


def _row(series: Sequence[Series], one: Series, case: str) -> tuple[str, ...]:
    of_it = ratio(series, one)
    values = (min(one.values), statistics.median(one.values), max(one.values))
    amounts = (_amount(value, one.unit) for value in values)
    return (case, one.contender, str(len(one.values)), *amounts, "-" if of_it is None else f"{of_it:.2f}")


def _amount(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:,.0f} ms" if value < 10 else f"{value:.1f} s"
    return f"{value / 1024:,.0f} KiB"


def _goals(found: Sequence[Verdict]) -> list[str]:
    rows: list[Sequence[str]] = [("Goal (ratio of medians)", "at most", "measured", "", "case")]
    for verdict in found:
        measured = "-" if verdict.measured is None else f"{verdict.measured:.2f}"
        word = "not measured" if verdict.measured is None else "met" if verdict.met else "MISSED"
        rows.append((verdict.goal.text, f"{verdict.goal.limit:.2f}", measured, word, verdict.case))
    return table(rows)
