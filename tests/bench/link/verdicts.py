"""From raw values to ratios, goals and the text that people read. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tests.bench.link import cases
from tests.bench.names import Series
from tests.bench.report import by_figure, table

KIB_PER_MB = 1_000_000 / 1024


class Goal(NamedTuple):
    """What was promised of all cases whose name begins so and ends so."""

    text: str
    figure: str
    begins: str
    ends: str
    peer: str
    """Against whom; empty when the value itself counts."""
    limit: float
    at_least: bool
    """Otherwise at most."""


GOALS = (
    Goal("unix socket, batched: times mosquitto", cases.RATE, "unix", cases.BATCHED, cases.MOSQUITTO, 10, True),
    Goal("unix socket, batched: times nats-server", cases.RATE, "unix", cases.BATCHED, cases.NATS, 1, True),
    Goal("unix socket, one a write: times nats-server", cases.RATE, "unix", cases.ONE, cases.NATS, 2, True),
    Goal("WebSocket, batched: times mosquitto", cases.RATE, "websocket", cases.BATCHED, cases.MOSQUITTO, 5, True),
    Goal("WebSocket, one a write: times mosquitto", cases.RATE, "websocket", cases.ONE, cases.MOSQUITTO, 5, True),
    Goal("ping-pong, p50: of mosquitto's", cases.P50, "", "", cases.MOSQUITTO, 1, False),
    Goal("hub with one idle client: KiB of PSS", cases.MEMORY, "unix, 1", "x, 1", "", round(14 * KIB_PER_MB), False),
    Goal("one more idle connection: KiB", cases.EACH, "", "", "", 4, False),
)


class Verdict(NamedTuple):
    """A goal, and how it stands: in the case where it stands worst."""

    goal: Goal
    case: str
    measured: float | None
    """None when there is no such measurement."""

    @property
    def met(self) -> bool:
        """Whether it was measured, and is within the limit."""
        if self.measured is None:
            return False
        return self.measured >= self.goal.limit if self.goal.at_least else self.measured <= self.goal.limit


def ratio(series: Sequence[Series], one: Series) -> float | None:
    """The hub's median by that of `one`; None where one of them is not there."""
    hub = _find(series, one.figure, one.case, cases.SUBJECT)
    theirs = statistics.median(one.values)
    return None if hub is None or theirs <= 0 else statistics.median(hub.values) / theirs


def _find(series: Sequence[Series], figure: str, case: str, contender: str) -> Series | None:
    return next((one for one in series if (one.figure, one.case, one.contender) == (figure, case, contender)), None)


def verdicts(series: Sequence[Series]) -> list[Verdict]:
    """Every goal, and how it stands."""
    return [_verdict(series, goal) for goal in GOALS]


def _verdict(series: Sequence[Series], goal: Goal) -> Verdict:
    found: list[tuple[float, str]] = []
    for one in series:
        here = one.figure == goal.figure and one.case.startswith(goal.begins) and one.case.endswith(goal.ends)
        if here and one.contender == (goal.peer or cases.SUBJECT):
            value = ratio(series, one) if goal.peer else statistics.median(one.values)
            found += [] if value is None else [(value, one.case)]
    if not found:
        return Verdict(goal, "", None)
    worst: Callable[[list[tuple[float, str]]], tuple[float, str]] = min if goal.at_least else max
    measured, case = worst(found)
    return Verdict(goal, case, measured)


def text(found: dict[str, Any], conditions: Sequence[str]) -> str:
    """Everything."""
    series = [Series(**fields) for fields in found["series"]]

    def title(figure: str) -> str:
        return figure[0].upper() + figure[1:]

    last = f"{cases.SUBJECT} is"
    lines = [*conditions, *by_figure(series, title, last, lambda one, case: _row(series, one, case))]
    for miss in found["misses"]:
        lines += ["", f"FAILED: {miss['figure']}, {miss['case']}, {miss['contender']}: {miss['why']}"]
    return "\n".join([*lines, "", *_goals(verdicts(series))]) + "\n"


def _row(series: Sequence[Series], one: Series, case: str) -> tuple[str, ...]:
    of_it = ratio(series, one)
    low, middle, high = min(one.values), statistics.median(one.values), max(one.values)
    times = "" if of_it is None or one.contender == cases.SUBJECT else f"{of_it:.2f} times"
    return (case, one.contender, str(len(one.values)), *(_amount(x, one.unit) for x in (low, middle, high)), times)


def _amount(value: float, unit: str) -> str:
    if unit.startswith("a "):
        return f"{value / 1000:,.0f} k"
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"


def _goals(found: Sequence[Verdict]) -> list[str]:
    rows: list[Sequence[str]] = [("Goal, in the case where it stands worst", "limit", "measured", "", "case")]
    for verdict in found:
        goal, measured = verdict.goal, "-" if verdict.measured is None else f"{verdict.measured:,.2f}"
        word = "not measured" if verdict.measured is None else "met" if verdict.met else "MISSED"
        limit = f"{'at least' if goal.at_least else 'at most'} {goal.limit:,}"
        rows.append((goal.text, limit, measured, word, verdict.case))
    return table(rows)
