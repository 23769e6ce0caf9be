"""core-stage, core-check, core-confirm: what aurora-core-trial.service runs to have another version of the core."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.verbs import INTERNAL, VERBS
from aurora.errors import AuroraError, StartFailed
from aurora.paths import Paths
from aurora.runtime.core import blame_trial, check_trial, confirm_trial, stage_wanted

__all__ = ["check", "confirm", "stage"]

EXIT_NOTHING = 3
"""There is nothing to try: ExecCondition= goes no further, and nothing has failed."""
_CODE = __file__.removesuffix("/aurora/cli/slots.py")
_PROGRAMS = ("aurora.link.main", "aurora.link.edge_main", "aurora.sdk")
"""What runs beside the verbs."""


def stage(arguments: SimpleNamespace) -> int:
    """`auroractl core-stage`: by the version that is active so far."""
    del arguments
    one = stage_wanted(Paths())
    if one is None:
        return EXIT_NOTHING
    render.tell(f"aurora-core {one.version} is in slot {one.slot}, and is tried")
    return 0


def check(arguments: SimpleNamespace) -> int:
    """`auroractl core-check`: by the version that is tried."""
    del arguments

    def checked() -> None:
        if check_trial(Paths(), _CODE) is not None:
            _import_all()

    return _tried(checked)


def confirm(arguments: SimpleNamespace) -> int:
    """`auroractl core-confirm`: the same."""
    del arguments

    def confirmed() -> None:
        one = confirm_trial(Paths())
        if one is not None:
            render.tell(f"aurora-core {one.version} is confirmed")

    return _tried(confirmed)


def _import_all() -> None:
    """Every verb's code, which is imported when it is called, and the programs beside them."""
    codes = {verb.code.partition(":")[::2] for verb in (*VERBS, *INTERNAL)}
    for module, function in sorted({*codes, *((name, "") for name in _PROGRAMS)}):
        try:
            found = __import__(module, fromlist=[function])
        except Exception as error:
            raise StartFailed("try the core", f"{module} cannot be imported ({error!r})", where=_CODE) from error
        if function and not hasattr(found, function):
            raise StartFailed("try the core", f"{module} has no {function}", where=_CODE)


def _tried(act: Callable[[], object]) -> int:
    """What the version that is tried finds against itself is written down by it, if it still can."""
    try:
        act()
    except AuroraError as error:
        blame_trial(Paths(), "; ".join(problem.why for problem in error.problems))
        raise
    return os.EX_OK
