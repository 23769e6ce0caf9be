from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import pytest

from aurora.cli import core_again, slots, status, update, version
from aurora.cli.main import main
from aurora.errors import Refused, StartFailed
from aurora.runtime import core
from aurora.runtime.core import confirm_trial, ended_trials, open_trial, stage_wanted
from tests.unit.runtime.rig import Rig
from tests.unit.runtime.slots import packaged, rolls_back, whole


@pytest.fixture
def machine(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    """With version 1 of the core active, and 2 as dpkg's."""
    monkeypatch.setattr(core, "is_torn", lambda _paths, _package: False)
    for module in (core_again, slots, status, update, version):
        monkeypatch.setattr(module, "Paths", lambda: rig.paths)
    packaged(rig, "1")
    stage_wanted(rig.paths)
    confirm_trial(rig.paths)
    packaged(rig, "2")
    return rig


def test_a_version_is_staged_looked_at_and_confirmed(
    machine: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["core-stage"]) == 0
    assert whole(machine) == "2"
    monkeypatch.setattr(slots, "_CODE", str(machine.paths.core / "b"))
    assert main(["core-check"]) == 0, "every verb and every program beside them can be imported"
    assert main(["core-confirm"]) == 0
    assert open_trial(machine.paths) is None
    said = capsys.readouterr().err
    assert said == "aurora-core 2 is in slot b, and is tried\naurora-core 2 is confirmed\n"


def test_where_nothing_is_to_be_tried_the_unit_goes_no_further(machine: Rig) -> None:
    main(["core-stage"])
    main(["core-confirm"])
    assert main(["core-stage"]) == slots.EXIT_NOTHING
    assert main(["core-check"]) == main(["core-confirm"]) == 0


def test_code_that_is_not_what_is_tried_does_not_pass(machine: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    main(["core-stage"])
    assert main(["core-check"]) == os.EX_SOFTWARE
    assert "what runs is in" in capsys.readouterr().err
    rolls_back(machine)
    assert "what runs is in" in ended_trials(machine.paths)[-1].why
    assert main(["core-stage"]) == os.EX_UNAVAILABLE


def test_a_program_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_PROGRAMS", ("aurora.link.nothing",))
    with pytest.raises(StartFailed, match=r"aurora\.link\.nothing cannot be imported"):
        slots._import_all()


# What an owner sees


@pytest.mark.parametrize("verb", [["list"], ["status"], ["version"]])
def test_the_short_verbs_say_that_another_version_is_active_than_dpkg_has(
    machine: Rig, verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(verb)
    assert "aurora-core 1 is active, and dpkg has 2 (auroractl update status)\n" in capsys.readouterr().err
    stage_wanted(machine.paths)
    main(verb)
    assert "aurora-core 2 is being tried (auroractl update status)\n" in capsys.readouterr().err
    confirm_trial(machine.paths)
    main(verb)
    assert "aurora-core" not in capsys.readouterr().err
    machine.paths.core_active.unlink()
    main(verb)
    assert "aurora-core" not in capsys.readouterr().err


def test_the_status_of_updates_says_why_a_version_did_not_stay(
    machine: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["update", "status"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "aurora-core: 1 is active, and dpkg has 2, which was not tried yet (journalctl -u aurora-core-trial)\n"
    )
    stage_wanted(machine.paths)
    main(["update", "status"])
    assert capsys.readouterr().out.startswith("aurora-core: 2 is tried since ")
    rolls_back(machine)
    main(["update", "status"])
    said = capsys.readouterr().out
    assert "aurora-core: 1 is active, and dpkg has 2: it was rolled back, it was not confirmed (failed)\n" in said
    main(["update", "status", "--json"])
    found = json.loads(capsys.readouterr().out)["core"]
    assert (found["active"], found["slot"], found["package"], found["trying"]) == ("1", "a", "2", None)
    assert [(one["version"], one["why"]) for one in found["refused"]] == [("2", "it was not confirmed (failed)")]


def test_the_history_has_the_core_among_the_others(machine: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    stage_wanted(machine.paths)
    rolls_back(machine)
    assert main(["update", "history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[2:] == ["the", "core", "-", "1", "-", "-", "-", "-", "updated"]
    assert lines[2].endswith("rolled back: it was not confirmed (failed)")
    main(["update", "history", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [(row["kind"], row["from"], row["to"], row["end"]) for row in rows] == [
        ("core", None, "1", "updated"),
        ("core", "1", "2", "rolled back"),
    ]
    assert main(["update", "history", "hello"]) == 0
    assert capsys.readouterr() == ("", "nothing was updated\n"), "of one module, the core is none"


def test_a_trial_that_cannot_be_read_hides_nothing_else(machine: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    Path(machine.paths.core_trial).write_text("{")
    assert main(["update", "status"]) == 0
    said = capsys.readouterr()
    assert "cannot read the trial of the core" in said.err
    assert "MODULE" in said.out


def test_the_owner_has_a_version_tried_again_that_did_not_stay(
    machine: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_wanted(machine.paths)
    rolls_back(machine)
    monkeypatch.setattr(core_again, "require_root", lambda _what: None)
    ends = iter((rolls_back, lambda _machine: None, lambda one: confirm_trial(one.paths), lambda _machine: None))

    def systemd(_argv: list[str], *, check: bool, timeout_sec: float) -> None:
        assert not check
        assert timeout_sec > 600
        with suppress(Refused):
            stage_wanted(machine.paths)
        next(ends)(machine)

    monkeypatch.setattr(core_again, "run", systemd)
    assert main(["update", "core"]) == os.EX_SOFTWARE
    said = capsys.readouterr().err
    assert "\naurora-core 2 is being tried\n" in said
    assert "\naurora-core: 1 is active, and dpkg has 2: it was rolled back" in said
    assert len(ended_trials(machine.paths)) == 3, "tried once, not twice"
    assert main(["update", "core", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["active"] == "2"
    assert main(["update", "core"]) == 0
    assert capsys.readouterr().err == "aurora-core 2 is in use\n", "there is nothing to try"
