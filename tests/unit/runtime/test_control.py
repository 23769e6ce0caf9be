from __future__ import annotations

from collections.abc import Sequence

import pytest

from aurora.errors import HostError, NotFound, StartFailed
from aurora.host.systemd import JobResult, UnitRow
from aurora.names import incident_unit, slice_name, unit_name
from aurora.runtime.applied import applied_plan
from aurora.runtime.control import enable, restart, start, stop
from aurora.runtime.install import install_folder
from aurora.runtime.reconcile import raise_failures
from tests.unit.runtime.rig import BAD, Rig

UNIT = unit_name("hello")


@pytest.fixture
def two(rig: Rig) -> Rig:
    """A machine where hello and other are installed and up."""
    for name in ("hello", "other"):
        install_folder(rig.paths, rig.systemd, rig.module(name=name, more='[restart]\npolicy = "no"\n'), start=True)
    return rig


def test_a_stopped_module_stays_known_to_systemd(two: Rig) -> None:
    stop(two.paths, two.systemd, ["hello"])
    assert two.running == {"other": "1"}
    assert [row.active for row in two.systemd.list_units([UNIT])] == ["inactive"]
    assert two.systemd.start([UNIT], deadline_sec=1)[UNIT].ok


def test_a_module_is_started_with_its_current_plan(two: Rig) -> None:
    stop(two.paths, two.systemd, ["hello"])
    two.write("etc/aurora/policies/strict.toml", 'description = "Nothing"')
    outcomes = start(two.paths, two.systemd, ["hello"])
    assert [one.problem for one in outcomes] == [None]
    found = applied_plan(two.paths, "hello")
    assert found is not None
    assert found.apparmor == ()
    assert two.running == {"hello": "1", "other": "1"}


def test_a_module_that_is_up_is_left_alone_by_start(two: Rig) -> None:
    before = two.pid()
    assert start(two.paths, two.systemd, ["hello", "hello"]) == []
    assert two.pid() == before


def test_a_module_that_has_failed_can_be_started(two: Rig) -> None:
    two.systemd.ends(UNIT, 1)
    outcomes = start(two.paths, two.systemd, ["hello"])
    assert [one.problem for one in outcomes] == [None]
    assert two.running == {"hello": "1", "other": "1"}


def test_a_start_that_fails_says_why_and_leaves_nothing_running(two: Rig) -> None:
    stop(two.paths, two.systemd, ["hello"])
    two.rewrite(BAD)
    outcomes = start(two.paths, two.systemd, ["hello"])
    with pytest.raises(StartFailed, match="its program ended with status 1"):
        raise_failures(outcomes)
    assert not two.systemd.list_units([UNIT, slice_name("hello")])
    assert applied_plan(two.paths, "hello") is None
    assert two.running == {"other": "1"}


def test_a_restart_runs_every_module_named_anew_and_no_other(two: Rig) -> None:
    hello, other = two.pid(), two.pid("other")
    outcomes = restart(two.paths, two.systemd, ["hello"])
    assert [one.problem for one in outcomes] == [None]
    assert two.pid() != hello
    assert two.pid("other") == other


def test_a_restart_that_fails_with_a_new_plan_brings_the_old_one_back(two: Rig) -> None:
    install_folder(two.paths, two.systemd, two.module(version="2", program=BAD), start=False)
    (outcome,) = restart(two.paths, two.systemd, ["hello"])
    assert outcome.problem is not None
    assert outcome.taken_back
    assert two.running == {"hello": "1", "other": "1"}


def test_a_restart_that_fails_with_the_same_plan_leaves_it_down(two: Rig) -> None:
    two.rewrite(BAD)
    (outcome,) = restart(two.paths, two.systemd, ["hello"])
    assert outcome.problem is not None
    assert not outcome.taken_back
    assert two.running == {"other": "1"}


def test_a_module_that_cannot_be_planned_keeps_all_named_with_it_as_they_are(two: Rig) -> None:
    (two.paths.modules / "hello/a/run.py").unlink()
    before = two.pid("other")
    with pytest.raises(HostError, match=r"run\.py: it is missing, at .*hello/a; try auroractl update repair hello"):
        restart(two.paths, two.systemd, ["hello", "other"])
    assert two.pid("other") == before


def test_a_wrong_name_changes_nothing(two: Rig) -> None:
    hello = two.pid()
    for act in (start, restart, stop):
        with pytest.raises(NotFound, match="try one of hello, other"):
            act(two.paths, two.systemd, ["hello", "helo"])
    for enabled in (True, False):
        with pytest.raises(NotFound):
            enable(two.paths, ["hello", "helo"], enabled=enabled)
    assert two.pid() == hello
    assert two.installed == {"hello": ("1", True), "other": ("1", True)}


def test_enable_and_disable_say_what_changed(two: Rig) -> None:
    assert enable(two.paths, ["hello", "hello"], enabled=True) == []
    assert enable(two.paths, ["hello", "other"], enabled=False) == ["hello", "other"]
    assert enable(two.paths, ["hello"], enabled=True) == ["hello"]
    assert two.installed == {"hello": ("1", True), "other": ("1", False)}
    assert two.running == {"hello": "1", "other": "1"}


def test_a_stop_that_systemd_does_not_carry_out_is_an_error(two: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {UNIT: JobResult(UNIT, "canceled")}
    monkeypatch.setattr(two.systemd, "stop", lambda _units, **_more: refused)
    with pytest.raises(HostError, match=f"canceled, at {UNIT}"):
        stop(two.paths, two.systemd, ["hello"])


def test_a_unit_is_made_anew_once_the_record_of_its_failure_is_written(
    two: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def wait(units: Sequence[str], *, deadline_sec: float) -> bool:
        seen.append((tuple(units), two.running.get("hello"), deadline_sec > 0))
        return True

    listed = two.systemd.list_units
    active = "inactive"

    def rows(patterns: Sequence[str]) -> Sequence[UnitRow]:
        writing = UnitRow(incident_unit("hello"), "loaded", active, "")
        return [*listed(patterns), *([writing] if writing.name in patterns else [])]

    monkeypatch.setattr(two.systemd, "wait_ended", wait)
    monkeypatch.setattr(two.systemd, "list_units", rows)
    install_folder(two.paths, two.systemd, two.module(version="3"), start=True)
    assert seen == [], "nothing is written"
    active = "activating"
    install_folder(two.paths, two.systemd, two.module(version="2"), start=True)
    assert seen == [((incident_unit("hello"),), None, True)]
    assert two.running["hello"] == "2"
