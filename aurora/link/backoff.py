"""When a client whose hub is away tries again, and what it says about that meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from aurora.errors import AuroraError, HostError, NotFound
from aurora.link.phrases import Gone

__all__ = ["DELAY_MAX_SEC", "FIRST_DELAY_SEC", "STEADY_SEC", "Absence", "delay_sec", "passes"]

FIRST_DELAY_SEC = 0.5
DELAY_MAX_SEC = 30.0
STEADY_SEC = 10.0
"""A connection that lasted so long counts: the next delay is the first again."""
_DOUBLINGS_MAX = 16


def delay_sec(failures: int, chance: float) -> float:
    """How long to wait after so many failures, one or more; `chance` is from 0 to 1."""
    most = min(DELAY_MAX_SEC, FIRST_DELAY_SEC * 2.0 ** min(failures - 1, _DOUBLINGS_MAX))
    return most * (1 - chance / 2)


class Absence:
    """Whether the hub is away and why, and when to try again; each change is said once, however often it is tried."""

    def __init__(self, warn: Callable[[str], None], inform: Callable[[str], None]) -> None:
        self._warn = warn
        self._inform = inform
        self._failures = 0
        self._came_sec: float | None = None
        self._said = False
        self.error: AuroraError | None = None
        """Why it is away; None while it is not."""
        self.again_sec = 0.0
        """When the next attempt is due, on the caller's clock."""

    def came(self, name: str, now_sec: float) -> None:
        """Connected, and known by that name."""
        self._came_sec = now_sec
        self.error = None
        if self._said:
            self._said = False
            self._inform(f"connected with AuroraLink again, as {name}")

    def went(self, error: AuroraError, now_sec: float, chance: float) -> None:
        """An attempt failed, or the connection ended; `chance`, from 0 to 1, spreads those who come back."""
        steady = self._came_sec is not None and now_sec - self._came_sec >= STEADY_SEC
        self._failures = 1 if steady else self._failures + 1
        self._came_sec = None
        self.error = error
        self.again_sec = now_sec + delay_sec(self._failures, chance)
        if not self._said:
            self._said = True
            self._warn(f"{error}; going on without it, and trying again")

    def check(self, now_sec: float) -> None:
        """Raise why the hub is away, while no attempt is due."""
        if now_sec < self.again_sec:
            self.raise_again()

    def raise_again(self) -> None:
        """Raise why the hub is away, where it is: Gone when that can pass, whatever it was, else what it was."""
        if self.error is not None:
            # Another one each time: one that is raised again has the tracebacks of all times.
            kind = Gone if passes(self.error) else type(self.error)
            raise kind.of(self.error.problems)


def passes(error: AuroraError) -> bool:
    """Whether the hub may take it back by itself: nobody listens, or something is full or broken."""
    return isinstance(error, NotFound | HostError)
