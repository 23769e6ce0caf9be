"""A disk that is full from any single point of a command on: a clear error, the old state or the new, and then an end.

The cases are those of kills. A full disk differs from a kill in that the command goes on: it takes back what it has
begun, and finds no room for that either.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from aurora.errors import AuroraError
from aurora.host import apparmor
from aurora.runtime import folders
from aurora.runtime.apply import apply
from tests.unit.runtime.full import full_from
from tests.unit.runtime.rig import Rig
from tests.unit.runtime.test_interrupted import CASES, catalogue, check_end, check_kill


@pytest.mark.parametrize("name", CASES)
def test_a_full_disk_leaves_the_old_state_or_the_new_and_apply_finishes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "read_catalogue", lambda files: catalogue(tuple(files)))
    case = CASES[name]
    at = 0
    while True:
        rig = Rig(tmp_path / str(at))
        monkeypatch.setattr(apparmor, "run", rig.parser)
        case.before(rig)
        with full_from(at, below=rig.paths.prefix) as disk:
            try:
                case.command(rig)
            except AuroraError as error:
                said = str(error)
            else:
                said = ""
        print(
            f"full from call {at} on, after {disk.calls[at - 3 : at]}, of {disk.calls[at:]}: {said}"
        )  # shown when it fails
        check_kill(case, rig)
        last = rig.installed
        check_end(case, rig, apply(rig.paths, rig.systemd))
        if not disk.was_full:
            break
        at += 1
    assert (at == 0) == (name in ("start", "restart")), "to start what is installed needs no room on the disk"
    assert last == case.new
