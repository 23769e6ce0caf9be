"""What several tests of the command line are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.runtime.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A machine with dpkg and no packages, and a folder `work` to work in."""
    (tmp_path / "work").mkdir()
    made = Rig(tmp_path)
    made.write("var/lib/dpkg/status", "")
    return made
