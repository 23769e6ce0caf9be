"""apply: what aurora-core.service runs."""

from __future__ import annotations

import os
from types import SimpleNamespace

from aurora.cli import render
from aurora.host.dbus import connect
from aurora.paths import Paths
from aurora.runtime.apply import apply as make_equal

__all__ = ["apply"]


def apply(arguments: SimpleNamespace) -> int:
    """`auroractl apply`."""
    done = make_equal(Paths(), connect())
    problems = [*done.problems, *(one.problem for one in done.outcomes if one.problem is not None)]
    if arguments.json:
        render.dump(
            {
                "removed": done.removed,
                "staged": done.staged,
                "steps": [
                    {"action": one.step.action, "module": one.step.module, "ok": one.problem is None}
                    for one in done.outcomes
                ],
                "problems": [problem.to_json() for problem in problems],
            }
        )
    for name in done.staged:
        render.tell(f"{name} was taken in from its package")
    for name in done.removed:
        render.tell(f"{name} was removed")
    for one in done.outcomes:
        if one.problem is None:
            render.tell(f"{one.step.module}: {one.step.action} done")
    # In the journal a problem is an error (sd-daemon(3)); a terminal needs no telling.
    prefix = "<3>" if "JOURNAL_STREAM" in os.environ else ""
    for problem in problems:
        for line in f"auroractl: {problem}".splitlines():
            render.tell(prefix + line)
    return os.EX_SOFTWARE if problems else 0
