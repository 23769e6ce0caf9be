"""Start to ready of N programs, and what supervising them takes in memory while they are up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tests.bench import names
from tests.bench.guest import modules
from tests.bench.guest.contenders import Contender, Floor, Ours, Plain
from tests.bench.guest.modules import EXEC, NOTIFY, Kind
from tests.bench.guest.peers import COMMAND, Podman, Supervisord
from tests.bench.guest.results import Results
from tests.bench.guest.tools import Failed, say


class Entry(NamedTuple):
    """A contender in a case."""

    contender: Contender
    rounds: int


@dataclass(frozen=True)
class Case:
    """N programs of a kind, and who starts them."""

    kind: Kind
    count: int
    warm_up: bool
    """Whether a first round is thrown away: it reads from disk what the others find in memory."""
    entries: Sequence[Entry]


def cases() -> list[Case]:
    """Every case. The rounds are what a quarter of an hour in emulation allows."""
    floor, loaded, reboot = Floor(EXEC), Ours(EXEC, names.OURS_LOADED), Ours(EXEC, names.OURS_REBOOT)
    cold, plain = Ours(EXEC, names.OURS_COLD), Plain(EXEC, COMMAND)
    shells: list[Contender] = [floor, loaded, reboot, cold, plain]
    pythons: list[Contender] = [Floor(NOTIFY), Ours(NOTIFY, names.OURS_LOADED), Ours(NOTIFY, names.OURS_REBOOT)]
    supervisord, podman = Supervisord(), Podman()
    return [
        Case(EXEC, 1, True, [*(Entry(one, 5) for one in shells), Entry(supervisord, 3), Entry(podman, 3)]),
        Case(NOTIFY, 1, True, [Entry(one, 4) for one in pythons]),
        Case(EXEC, 10, False, [*(Entry(one, 3) for one in shells), Entry(supervisord, 2), Entry(podman, 1)]),
        Case(NOTIFY, 10, False, [Entry(one, 2) for one in pythons]),
        Case(
            EXEC,
            100,
            False,
            [Entry(floor, 2), Entry(loaded, 2), Entry(reboot, 2), Entry(cold, 1), Entry(supervisord, 2)],
        ),
    ]


def measure(results: Results, *, counts: Sequence[int], quick: bool) -> None:
    """Measure every case with one of these counts; `quick` takes one round of each."""
    for case in cases():
        if case.count in counts:
            modules.install(case.kind, modules.names(case.kind, case.count))
            modules.write_floor(modules.names(case.kind, case.count))
            _measure_case(results, case, quick=quick)


def _measure_case(results: Results, case: Case, *, quick: bool) -> None:
    label = names.start_case(case.kind.name, case.count)
    broken: set[str] = set()
    first = -1 if case.warm_up and not quick else 0
    for number in range(first, 1 if quick else max(entry.rounds for entry in case.entries)):
        for contender, rounds in case.entries:
            if number >= rounds or contender.name in broken:
                continue
            try:
                seconds, kib = _one_round(contender, case.count)
            except Failed as error:
                broken.add(contender.name)
                results.miss(names.START, label, contender.name, str(error))
                continue
            if number >= 0:
                results.add(names.START, label, contender.name, "s", seconds)
                results.add(names.MEMORY, label, contender.name, "KiB", kib)


def _one_round(contender: Contender, count: int) -> tuple[float, float]:
    """Seconds from start to ready, and KiB while up. It is disarmed even when it failed."""
    try:
        contender.arm(count)
        before = time.monotonic()
        contender.start(count)
        seconds = time.monotonic() - before
        contender.check(count)
        kib = contender.memory_kib(count)
    finally:
        contender.disarm(count)
    say(f"{count} by {contender.name}: {seconds:.2f} s")
    return seconds, kib
