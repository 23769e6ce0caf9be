"""What was measured, as it is handed to the host."""

from __future__ import annotations

from tests.bench.guest.tools import say
from tests.bench.names import Miss, Series


class Results:
    """Series and misses, in the order in which they came."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str], Series] = {}
        self._misses: list[Miss] = []

    def add(self, figure: str, case: str, contender: str, unit: str, value: float) -> None:
        """One more value of a series."""
        series = self._series.setdefault((figure, case, contender), Series(figure, case, contender, unit, []))
        series.values.append(value)

    def miss(self, figure: str, case: str, contender: str, why: str) -> None:
        """A contender that could not be measured, and its own words on that."""
        say(f"not measured, {figure}, {case}, {contender}: {why}")
        self._misses.append(Miss(figure, case, contender, why))

    def to_json(self) -> dict[str, object]:
        """All of it."""
        return {
            "series": [series._asdict() for series in self._series.values()],
            "misses": [miss._asdict() for miss in self._misses],
        }
