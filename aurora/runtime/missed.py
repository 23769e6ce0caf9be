"""What modules miss on AuroraLink while an update has them down: when that is, and what it comes to.

Who counts is given: nothing here knows the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from aurora.paths import Paths
from aurora.plan.update import Move, Transaction
from aurora.runtime.applied import applied_link

__all__ = ["Absences", "Tally", "Witness", "durable_topics", "listening"]


class Tally(Protocol):
    """A count that goes on."""

    def end(self) -> int | str:
        """How many messages were missed; or why that is not known. Never fails."""
        ...


type Witness = Callable[[str, Sequence[str]], Tally]
"""Begins to count what is published for a module, under these patterns. Never fails."""


def listening(paths: Paths, one: Transaction) -> dict[str, tuple[str, ...]]:
    """The modules of an update that were up and may subscribe, each with its patterns: only these can miss anything."""
    found = {move.module: _patterns(paths, move.module, "subscribe") for move in one.moves if move.up}
    return {module: patterns for module, patterns in found.items() if patterns}


def durable_topics(paths: Paths) -> dict[str, tuple[str, ...]]:
    """Where the hub keeps on disk what a module publishes: its patterns, of each module that systemd holds."""
    names = [file.stem for file in paths.link_rules.glob("*.json") if not file.name.startswith(".")]
    return {name: patterns for name in names if (patterns := _patterns(paths, name, "durable"))}


def _patterns(paths: Paths, module: str, key: str) -> tuple[str, ...]:
    found = (applied_link(paths, module) or {}).get(key, ())
    return found if isinstance(found, tuple) else ()


class Absences:
    """How much each module of an update has missed in all the times that it was down for it."""

    def __init__(
        self, patterns: Mapping[str, Sequence[str]], witness: Witness | None, tell: Callable[[str], None]
    ) -> None:
        """Of the modules in `patterns`; without a witness it is known of none that goes down."""
        self._patterns = patterns
        self._witness = witness
        self._tell = tell
        self._open: dict[str, Tally] = {}
        self._lost: dict[str, int | None] = dict.fromkeys(patterns, 0)

    def begin(self, modules: Iterable[str]) -> None:
        """These are about to be stopped; one that is down already stays so."""
        for module in modules:
            if module not in self._patterns or module in self._open:
                continue
            if self._witness is None:
                self._lost[module] = None
            else:
                self._open[module] = self._witness(module, self._patterns[module])

    def end(self, modules: Iterable[str]) -> None:
        """These are up again, or are not to come up."""
        for module in modules:
            tally = self._open.pop(module, None)
            if tally is None:
                continue
            before, self._lost[module] = self._lost[module], None  # should this be interrupted
            found = tally.end()
            if isinstance(found, str):
                self._tell(f"how many messages {module} missed is not known: {found}")
            elif before is not None:
                self._lost[module] = before + found

    def end_all(self) -> None:
        """No module is to come up any more."""
        self.end(list(self._open))

    def noted(self, moves: Iterable[Move], *, over: bool) -> tuple[Move, ...]:
        """The moves with what is known. Before it is `over` that is nothing: whoever goes on has not seen the rest."""
        return tuple(
            replace(move, messages_lost=self._lost[move.module] if over else None)
            if move.module in self._patterns
            else move
            for move in moves
        )
