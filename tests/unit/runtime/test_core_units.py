"""What the units of a trial of the core decide in a line of shell, and what debian/rollback hears of systemd."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from aurora.cli.slots import EXIT_NOTHING
from aurora.runtime import core
from aurora.runtime.core import confirm_trial, ended_trials, stage_wanted
from tests.unit.runtime.rig import Rig
from tests.unit.runtime.slots import packaged, rollback, rolls_back

UNITS = Path(__file__).parents[3] / "units"
TRIAL = (UNITS / "aurora-core-trial.service").read_text().replace("\\\n", "")


def lines(setting: str) -> list[list[str]]:
    """The commands of a setting, in order."""
    found = re.findall(rf"^{setting}=[:-]*(.*)$", TRIAL, re.MULTILINE)
    return [shlex.split(line) for line in found]


STAGES = {
    # What the active version answers, what dpkg's does, whether a trial is open: what becomes of the unit.
    "it is staged": (0, 9, False, 0),
    "there is nothing to try": (EXIT_NOTHING, 9, False, EXIT_NOTHING),
    "it is refused": (os.EX_UNAVAILABLE, 9, False, os.EX_UNAVAILABLE),
    "what is active cannot stage, what dpkg has can": (1, 0, False, 0),
    "the disk is full for both": (os.EX_OSERR, os.EX_OSERR, False, os.EX_OSERR),
    "what is tried goes on": (0, 9, True, 0),
    "what is tried cannot even tell": (1, 0, True, 255),
}


@pytest.mark.parametrize("name", STAGES)
def test_only_a_version_that_is_tried_and_cannot_tell_fails_the_unit(name: str, tmp_path: Path) -> None:
    active, packaged, is_open, expected = STAGES[name]
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/auroractl"
    program.write_text(
        f"#!/bin/sh\ntest $1 = core-stage || exit 9\n[ $AURORA_SLOT ] && exit {packaged}\nexit {active}\n"
    )
    program.chmod(0o755)
    if is_open:
        (tmp_path / "trial.json").touch()
    shell = [word.replace("/var/lib/aurora-core/core", str(tmp_path)) for word in lines("ExecCondition")[1]]
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    assert subprocess.run(shell, env={"PATH": path}, check=False).returncode == expected


def test_what_was_left_open_is_ended_first_and_confirming_comes_last() -> None:
    assert lines("ExecCondition")[0][-1] == "--found"
    acts = lines("ExecStart")
    assert acts[0][-1] == "core-check"
    assert acts[-1][-1] == "core-confirm"
    assert "OnFailure=aurora-core-rollback.service\n" in TRIAL
    assert "rollback --failed\n" in (UNITS / "aurora-core-rollback.service").read_text()


@pytest.mark.parametrize("name", ["aurora-core.service", "aurora-incident@.service", "aurora-safe-state@.service"])
def test_a_unit_that_may_write_state_may_not_write_the_code_that_runs_as_root(name: str) -> None:
    assert "\nReadOnlyPaths=-/var/lib/aurora-core/core\n" in (UNITS / name).read_text()


def test_systemds_result_and_the_last_words_are_why_it_did_not_stay(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "is_torn", lambda _paths, _package: False)
    packaged(rig, "1")
    stage_wanted(rig.paths)
    confirm_trial(rig.paths)
    packaged(rig, "2")
    stage_wanted(rig.paths)
    asked: list[list[str]] = []

    def journal(argv: list[str], **_more: object) -> SimpleNamespace:
        asked.append(argv)
        return SimpleNamespace(stdout=b"RuntimeError: \xff on purpose\n")

    monkeypatch.setattr(rollback.subprocess, "run", journal)
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", "exit-code")
    monkeypatch.setenv("MONITOR_EXIT_STATUS", "1")
    monkeypatch.setenv("MONITOR_INVOCATION_ID", "0123abcd")
    rolls_back(rig)
    assert ended_trials(rig.paths)[-1].why == "it was not confirmed (exit-code 1): RuntimeError: \ufffd on purpose"
    assert asked[-1][-1] == "_SYSTEMD_INVOCATION_ID=0123abcd"


@pytest.mark.parametrize(("result", "status"), [("exit-code", "124"), ("timeout", "TERM")])
def test_a_version_that_hangs_is_said_to(rig: Rig, monkeypatch: pytest.MonkeyPatch, result: str, status: str) -> None:
    packaged(rig, "1")
    stage_wanted(rig.paths)
    monkeypatch.setenv("MONITOR_SERVICE_RESULT", result)
    monkeypatch.setenv("MONITOR_EXIT_STATUS", status)
    rolls_back(rig)
    assert ended_trials(rig.paths)[-1].why == "it hung, or took too long"
