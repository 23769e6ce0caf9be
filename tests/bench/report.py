"""The tables that people read. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.bench import figures
from tests.bench.figures import Verdict
from tests.bench.names import Miss, Series

_HEAD = ("", "rounds", "min", "median", "ratio", "ratio of min")


def amount(value: float, unit: str) -> str:
    """A value with its unit, to three or four digits."""
    if unit == "s" and abs(value) < 1:
        return f"{value * 1000:.0f} ms"
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:.0f} {unit}" if abs(value) >= 100 or value == int(value) else f"{value:.1f} {unit}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines: the first column left, the others right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join((first, *others)).rstrip())
    return lines


def by_figure(
    series: Sequence[Series], title: Callable[[str], str], last: str, row: Callable[[Series, str], Sequence[str]]
) -> list[str]:
    """A table for each figure below its title, a row for each contender in a case; `last` is above their last column.

    `row` makes one; the name of its case is given with the first of a case alone.
    """
    lines: list[str] = []
    for figure in dict.fromkeys(one.figure for one in series):
        lines += ["", title(figure)]
        rows: list[Sequence[str]] = [("", "", "rounds", "min", "median", "max", last)]
        for case in dict.fromkeys(one.case for one in series if one.figure == figure):
            of_case = [one for one in series if (one.figure, one.case) == (figure, case)]
            rows += [row(one, case if number == 0 else "") for number, one in enumerate(of_case)]
        lines += [f"  {line}" for line in table(rows)]
    return lines


def render(series: Sequence[Series], misses: Sequence[Miss], conditions: Sequence[str]) -> str:
    """Everything, as text."""
    every = [*series, *figures.growth(series)]
    lines = [*conditions]
    places = list(dict.fromkeys((one.figure, one.case) for one in every))
    for figure in dict.fromkeys(one.figure for one in every):
        for case in (case for name, case in places if name == figure):
            lines += ["", *_case(every, figure, case)]
    if misses:
        lines += ["", "Not measured"]
        lines += [f"  {miss.figure}, {miss.case}, {miss.contender}: {miss.why}" for miss in misses]
    lines += ["", *goals(figures.verdicts(series))]
    return "\n".join(lines) + "\n"


def _case(every: Sequence[Series], figure: str, case: str) -> list[str]:
    rows: list[Sequence[str]] = [_HEAD]
    for one in every:
        if (one.figure, one.case) == (figure, case):
            rows.append(_row(every, one))
    title = f"{figure[0].upper()}{figure[1:]}: {case}"
    reference = figures.REFERENCES.get(figure)
    if reference is not None:
        title += f" (1.00 = {reference})"
    return [title, *(f"  {line}" for line in table(rows))]


def _row(every: Sequence[Series], one: Series) -> tuple[str, ...]:
    found = figures.summary(one.values)
    reference = figures.reference_of(every, one)
    ratio = None if reference is None else figures.ratio(one.values, reference.values)
    return (
        one.contender,
        str(found.rounds),
        amount(found.smallest, one.unit),
        amount(found.median, one.unit),
        "-" if ratio is None else f"{ratio.of_medians:.2f}",
        "-" if ratio is None else f"{ratio.of_smallest:.2f}",
    )


def goals(verdicts: Sequence[Verdict]) -> list[str]:
    """One line a goal: limit, measured, met or not."""
    rows: list[Sequence[str]] = [("Goal (ratio of medians)", "limit", "measured", "")]
    for verdict in verdicts:
        measured = "-" if verdict.measured is None else f"{verdict.measured:.2f}"
        word = "not measured" if verdict.measured is None else "met" if verdict.met else "MISSED"
        rows.append((verdict.goal.text, f"{verdict.goal.limit:.2f}", measured, word))
    return table(rows)
