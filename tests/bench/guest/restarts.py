"""SIGKILL to ready again, beyond the delay that was declared.

All contenders run side by side, one program each, and are killed in turn. Ready is, for all alike, a new process
that has become `sleep`, looked for from outside; for units also what PID 1 itself wrote down.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.bench import names
from tests.bench.guest import modules
from tests.bench.guest.modules import EXEC, RESTART_DELAY_SEC
from tests.bench.guest.peers import Podman, Supervisord
from tests.bench.guest.results import Results
from tests.bench.guest.tools import Failed, comm, processes, run, say, stop_units, unit_property

_OURS, _BARE = "again001", "again002"
DEADLINE_SEC = 120.0
LOOK_EVERY_SEC = 0.005


class Victim(NamedTuple):
    """A supervised program."""

    contender: str
    pid: Callable[[], int]
    delay_sec: float
    """That it was declared to be restarted after."""
    unit: str | None
    """systemd's, where it is one."""


def measure(results: Results, *, quick: bool) -> None:
    """Kill and wait, in turn, eight rounds."""
    supervisord, podman = Supervisord(), Podman("--restart=always")
    victims = [
        _unit_victim(names.FLOOR, modules.floor_unit(_BARE)),
        _unit_victim(names.OURS, modules.unit(_OURS)),
        Victim(names.SUPERVISORD, supervisord.pid, 0.0, None),
        Victim(names.PODMAN, podman.pid, 0.0, None),
    ]
    modules.install(EXEC, [_OURS, _BARE])
    modules.ensure_loaded([_BARE])
    modules.write_floor([_BARE])
    run(["systemctl", "start", modules.floor_unit(_BARE)])
    run(["auroractl", "start", _OURS])
    for peer in (supervisord, podman):
        try:
            peer.arm(1)
            peer.start(1)
        except Failed as error:
            victims = [victim for victim in victims if victim.contender != peer.name]
            results.miss(names.RESTART, names.SEEN, peer.name, str(error))
    for _ in range(1 if quick else 8):
        for victim in list(victims):
            try:
                _one_round(results, victim)
            except Failed as error:
                victims.remove(victim)
                results.miss(names.RESTART, names.SEEN, victim.contender, str(error))
    podman.disarm(1)
    supervisord.disarm(1)
    stop_units([modules.floor_unit(_BARE)])
    modules.forget([_OURS, _BARE])


def _unit_victim(contender: str, unit: str) -> Victim:
    return Victim(contender, lambda: int(unit_property(unit, "MainPID")), RESTART_DELAY_SEC, unit)


def _one_round(results: Results, victim: Victim) -> None:
    pid = victim.pid()
    known = _sleepers()
    if pid not in known:
        raise Failed(f"its process {pid} is not the program that was to run")
    before = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while not _sleepers() - known:
        if time.monotonic() > before + DEADLINE_SEC:
            raise Failed(f"it was not up again within {DEADLINE_SEC:g} s")
        time.sleep(LOOK_EVERY_SEC)
    beyond = time.monotonic() - before - victim.delay_sec
    say(f"up again, {victim.contender}: {beyond:.3f} s beyond {victim.delay_sec:g} s")
    results.add(names.RESTART, names.SEEN, victim.contender, "s", beyond)
    if victim.unit is not None:
        results.add(names.RESTART, names.BY_PID1, victim.contender, "s", _by_pid1(victim.unit) - victim.delay_sec)


def _sleepers() -> set[int]:
    return {pid for pid in processes() if comm(pid) == "sleep"}


def _by_pid1(unit: str) -> float:
    """Seconds between PID 1's seeing the process gone and its calling the unit active again."""
    gone = int(unit_property(unit, "ActiveExitTimestampMonotonic"))
    back = int(unit_property(unit, "ActiveEnterTimestampMonotonic"))
    if back < gone:
        raise Failed("systemd does not call it active again")
    return (back - gone) / 1_000_000
