from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from aurora.errors import HostError, StartFailed
from aurora.host.fake import Program
from aurora.host.process import Completed
from aurora.plan import safe_plan, without_volumes
from aurora.runtime import incidents, safe_request, witness
from aurora.runtime.install import install_folder
from aurora.runtime.recorder import record_incident
from aurora.runtime.records import require
from aurora.runtime.safe_request import reason_for_safe_state, request_safe_state
from aurora.runtime.safe_state import enter_safe_state
from aurora.runtime.saferuns import read_safe_run
from aurora.runtime.witness import Failure
from tests.unit.examples import plan
from tests.unit.runtime.rig import Rig

RUN, LATER = "1" * 32, "2" * 32
SAFE = '[safe_state]\ncommand = ["/bin/true", "--safe"]\n'


def now(active: str, result: str = "success", run: str = RUN, restarts: int = 0) -> dict[str, str]:
    return {"ActiveState": active, "Result": result, "InvocationID": run, "NRestarts": str(restarts)}


@pytest.mark.parametrize(
    ("result", "unit", "restarts", "reason"),
    [
        ("exit-code", now("activating", "exit-code"), True, None),
        ("exit-code", now("active", run=LATER, restarts=1), True, None),
        ("timeout", now("activating", "timeout"), True, None),
        ("timeout", now("active", run=LATER, restarts=1), True, None),
        ("watchdog", now("activating", "watchdog"), True, "watchdog"),
        ("watchdog", now("active", run=LATER, restarts=1), True, "watchdog"),
        ("exit-code", now("failed", "exit-code"), True, "failed"),
        ("timeout", now("failed", "timeout"), True, "failed"),
        ("exit-code", now("failed", "exit-code"), False, "failed"),
        ("exit-code", {}, False, "failed"),
        ("exit-code", {}, True, None),
        ("timeout", now("active", run=LATER), True, "forced"),
        ("", now("failed", "exit-code"), True, "failed"),
        ("", now("active"), True, None),
        ("", now("inactive"), False, None),
    ],
)
def test_what_calls_for_the_safe_state_and_what_does_not(
    result: str, unit: Mapping[str, str], restarts: bool, reason: str | None
) -> None:
    assert reason_for_safe_state(Failure(invocation=RUN, result=result), unit, restarts=restarts) == reason


def test_a_safe_state_runs_once_in_the_sandbox_and_limits_of_its_module() -> None:
    module = plan('[limits]\nmemory_max = "32M"\n[directories]\nstate = true\nruntime = true\n' + SAFE)
    made = safe_plan(module)
    assert made.settings["ExecStart"] == ("/bin/true", "--safe")
    assert made.settings["Type"] == "oneshot"
    assert made.settings["Restart"] == "no"
    same = ("User", "MemoryMax", "TasksMax", "AppArmorProfile", "SystemCallFilter", "StateDirectory", "Environment")
    assert {name: made.settings[name] for name in same} == {name: module.settings[name] for name in same}
    assert "RuntimeDirectory" not in made.settings
    assert made.settings["OnFailure"] == ("aurora-incident@hello.safe.service",)
    assert made.unit != module.unit


def test_a_safe_state_is_bound_to_what_its_module_stores_and_can_do_without() -> None:
    budget = '[limits]\nstate_max = "8M"\n[directories]\nstate = true\nlogs = true\nruntime = true\n'
    made = safe_plan(plan(budget + SAFE))
    (volume,) = made.volumes
    assert made.settings["BindsTo"] == made.settings["After"] == (volume.unit,)
    without = without_volumes(made)
    assert without.volumes == ()
    gone = {"BindsTo", "After", "StateDirectory", "StateDirectoryMode"}
    assert without.settings == {name: value for name, value in made.settings.items() if name not in gone}


def test_the_safe_state_of_a_safe_state_is_none() -> None:
    with pytest.raises(ValueError, match="no command"):
        safe_plan(safe_plan(plan(SAFE)))


class Asked:
    """Stands for systemctl: what it was asked to start, and what it says of units."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, unit: Mapping[str, str]) -> None:
        self.started: list[str] = []
        self.unit = unit
        monkeypatch.setattr(safe_request, "run", self.run)
        for room in (safe_request, witness):
            monkeypatch.setattr(room, "show_units", lambda _patterns, _names: {"aurora@hello.service": self.unit})

    def run(self, argv: Sequence[str], **_more: object) -> Completed:
        self.started.append(argv[-1])
        return Completed(0, "", "")


def installed(rig: Rig, more: str = SAFE) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(more=more), start=True)


def test_the_safe_state_is_asked_for_once_for_each_run_that_failed(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(rig)
    asked = Asked(monkeypatch, now("failed", "exit-code"))
    assert request_safe_state(rig.paths, "hello", Failure(RUN, "exit-code")) == "failed"
    assert request_safe_state(rig.paths, "hello", Failure()) is None
    asked.unit = now("failed", "exit-code", run=LATER)
    assert request_safe_state(rig.paths, "hello", Failure(LATER, "exit-code")) == "failed"
    assert asked.started == ["aurora-safe-state@hello.service"] * 2


def test_a_module_that_declares_none_has_none(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(rig, more="")
    asked = Asked(monkeypatch, now("failed", "exit-code"))
    assert request_safe_state(rig.paths, "hello", Failure(RUN, "exit-code")) is None
    assert asked.started == []


def test_a_disk_that_is_full_keeps_no_module_from_its_safe_state(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(rig)
    asked = Asked(monkeypatch, now("failed", "exit-code"))

    def full(*_any: object, **_more: object) -> None:
        raise HostError("write a file", "No space left on device")

    monkeypatch.setattr(safe_request, "write_atomic", full)
    monkeypatch.setattr(incidents, "write_atomic", full)
    done = record_incident(rig.paths, "hello", Failure(RUN, "exit-code", "exited", "7"))
    assert asked.started == ["aurora-safe-state@hello.service"]
    assert "its safe state is started (failed)" in done
    assert "could not be recorded" in done


def test_the_failure_of_a_safe_state_is_an_incident_and_starts_no_other(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(rig)
    asked = Asked(monkeypatch, now("failed", "exit-code"))
    record_incident(rig.paths, "hello.safe", Failure(RUN, "exit-code", "exited", "7"))
    (kept,) = incidents.read_incidents(rig.paths, "hello")
    assert (kept.safe_state, kept.status) == (True, 7)
    assert asked.started == []


def test_an_incident_of_a_module_that_is_not_installed_leaves_nothing(rig: Rig) -> None:
    assert record_incident(rig.paths, "nobody", Failure(RUN, "exit-code")) == "nobody is not installed"
    assert not rig.paths.incidents.exists()


def test_the_command_of_a_safe_state_is_run_and_its_end_is_noted(rig: Rig) -> None:
    installed(rig)
    rig.systemd.behaviour = lambda _unit, _argv: Program(status=0)
    enter_safe_state(rig.paths, rig.systemd, require(rig.paths, "hello"))
    found = read_safe_run(rig.paths, "hello")
    assert found is not None
    assert found.ended == "well"


def test_a_command_that_fails_is_told_and_noted(rig: Rig) -> None:
    installed(rig)
    rig.systemd.behaviour = lambda _unit, _argv: Program(setup_status=203)
    with pytest.raises(StartFailed, match="run the safe state of hello"):
        enter_safe_state(rig.paths, rig.systemd, require(rig.paths, "hello"))
    found = read_safe_run(rig.paths, "hello")
    assert found is not None
    assert found.ended == "badly"


def test_a_module_that_takes_over_is_started(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(name="other"), start=False)
    installed(rig, more='[safe_state]\nmodule = "other"\n')
    enter_safe_state(rig.paths, rig.systemd, require(rig.paths, "hello"))
    assert "other" in rig.running


def test_a_safe_state_needs_no_unit_of_a_module_that_is_not_started_again(rig: Rig) -> None:
    installed(rig, more='[restart]\npolicy = "no"\n' + SAFE)
    rig.reboot()
    rig.systemd.behaviour = lambda _unit, _argv: Program(status=0)
    enter_safe_state(rig.paths, rig.systemd, require(rig.paths, "hello"))
    assert rig.running == {}


def test_a_start_that_was_taken_back_is_not_for_good_where_systemd_would_go_on_trying(rig: Rig) -> None:
    installed(rig)
    rig.reboot()
    assert enter_safe_state(rig.paths, rig.systemd, require(rig.paths, "hello")) == "its start was taken back"
    assert read_safe_run(rig.paths, "hello") is None
