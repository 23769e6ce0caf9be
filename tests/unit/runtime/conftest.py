from __future__ import annotations

from pathlib import Path

import pytest

from aurora.host import apparmor, journal
from aurora.host.process import Completed
from tests.unit.runtime.rig import Rig


@pytest.fixture(autouse=True)
def no_other_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here runs a program of this machine: the journal is empty, and only a rig has an AppArmor parser."""
    monkeypatch.setattr(journal, "run", lambda _argv, **_more: Completed(0, "", ""))
    monkeypatch.setattr(apparmor, "run", lambda _argv, **_more: Completed(0, "", ""))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A machine with the shipped policies and nothing installed."""
    rig = Rig(tmp_path)
    monkeypatch.setattr(apparmor, "run", rig.parser)
    return rig
