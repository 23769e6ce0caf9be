"""Running a test again when the emulation under it broke, which is no verdict on what it tests.

QEMU's software emulation now and then breaks a kernel in the middle of its work: it came back from an interrupt with
registers that no program had set, and panicked. All that was set up is then set up afresh, on another machine, and
the one test is run again; what panics a kernel each time still fails.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from _pytest.runner import runtestprotocol

from tests.vm.errors import EmulationBroke
from tests.vm.progress import say

RUNS_MAX = 3
"""How often a test is run that breaks the emulation each time."""

_BROKE = pytest.StashKey[bool]()


def note(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note on `item` whether this phase of it failed because the emulation broke."""
    if call.excinfo is not None and _means_broken(call.excinfo.value):
        item.stash[_BROKE] = True


def _means_broken(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, EmulationBroke):
            return True
        error = error.__cause__ or error.__context__
    return False


def run(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    """What pytest itself does with a test (pytest_runtest_protocol), and does again after the emulation broke."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in reversed(range(RUNS_MAX)):
        item.stash[_BROKE] = False
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if not item.stash[_BROKE]:
            break
        with suppress(Exception):  # a fixture that tidies up in the machine, which is gone
            item.session._setupstate.teardown_exact(None)
        if left:
            say(f"vm: the emulated kernel panicked in {item.nodeid}; running it again on a new machine")
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
