"""apply: what aurora-core.service runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import SimpleNamespace

from aurora.cli import render
from aurora.errors import AuroraError
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.apply import Applied
from aurora.runtime.apply import apply as make_equal
from aurora.runtime.repair import Mended

__all__ = ["apply", "take_in", "told_mended"]

MENDED_SHOWN_MAX = 20
"""More files of one slot are counted and not named; --json has them all."""


def apply(arguments: SimpleNamespace) -> int:
    """`auroractl apply`."""
    return _report(make_equal(Paths(), connect()), as_json=arguments.json)


def take_in(names: Sequence[str], *, as_json: bool) -> int:
    """The same, where what the packages of these modules brought waits for no window."""
    return _report(make_equal(Paths(), connect(), at_once=names), as_json=as_json)


def _report(done: Applied, *, as_json: bool) -> int:
    problems = [*done.problems, *(one.problem for one in done.outcomes if one.problem is not None)]
    if done.purged:
        from aurora.cli.durable import forget_kept  # noqa: PLC0415  # hardly any run purges a module

        try:
            forget_kept(Paths(), done.purged)
        except AuroraError as error:
            problems += error.problems
    resumed = done.resumed
    ended = None if resumed is None else {"modules": list(resumed.modules), "end": resumed.end}
    if as_json:
        render.dump(
            {
                "removed": done.removed,
                "staged": done.staged,
                "withheld": list(done.withheld),
                "waiting": list(done.waiting),
                "opens_sec": done.opens_sec,
                "resumed": ended,
                "mended": [
                    {"module": module, "slot": slot.slot, "paths": [path for path, _ in slot.mended]}
                    for module, slot in done.mended
                ],
                "steps": [
                    {"action": one.step.action, "module": one.step.module, "ok": one.problem is None}
                    for one in done.outcomes
                ],
                "problems": [problem.to_json() for problem in problems],
                "warnings": [problem.to_json() for problem in done.warnings],
            }
        )
    _tell(done)
    # In the journal a problem is an error, and a warning one (sd-daemon(3)); a terminal needs no telling.
    in_journal = "JOURNAL_STREAM" in os.environ
    said = [("<3>", f"auroractl: {problem}") for problem in problems]
    said += [("<4>", f"auroractl: warning: {problem.why}, at {problem.where}") for problem in done.warnings]
    for prefix, text in said:
        for line in text.splitlines():
            render.tell((prefix if in_journal else "") + line)
    return os.EX_SOFTWARE if problems else 0


def _tell(done: Applied) -> None:
    """What was done, for a reader."""
    for name in done.staged:
        render.tell(f"{name} was taken in from its package")
    for module, slot in done.mended:
        told_mended(module, slot)
    resumed = done.resumed
    if resumed is not None:
        render.tell(f"an interrupted update of {', '.join(resumed.modules)} was ended: {resumed.end}")
    for name in done.withheld:
        render.tell(f"{name} stays as it is: the version of its package is refused or held (auroractl update status)")
    if done.waiting and done.opens_sec is not None:
        when = render.moment(done.opens_sec)
        render.tell(f"{', '.join(done.waiting)}: new versions wait until {when} (auroractl update apply --now)")
    for name in done.removed:
        render.tell(f"{name} was removed")
    for one in done.outcomes:
        if one.problem is None:
            render.tell(f"{one.step.module}: {one.step.action} done")


def told_mended(name: str, one: Mended) -> None:
    """Say what of a slot was damaged and is mended."""
    for path, source in one.mended[:MENDED_SHOWN_MAX]:
        render.tell(f"{name}, slot {one.slot}: {path or 'the slot itself'} was damaged, and is mended: {source}")
    if len(one.mended) > MENDED_SHOWN_MAX:
        render.tell(f"{name}, slot {one.slot}: and {len(one.mended) - MENDED_SHOWN_MAX} files more")
