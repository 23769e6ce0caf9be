from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from aurora.host import journal
from aurora.runtime import recorder, why, witness
from aurora.runtime.cause import CauseKind
from aurora.runtime.given import Given
from aurora.runtime.incidents import read_incidents, remember_incident
from aurora.runtime.install import install_folder, remove
from aurora.runtime.recorder import record_incident
from aurora.runtime.records import require
from aurora.runtime.why import Why, explain_module
from aurora.runtime.witness import Failure, read_failure
from tests.unit.runtime.rig import Rig
from tests.unit.runtime.test_cause import NOTHING

RUN = "ab" * 16
SECOND = 1_000_000


def note(usec: int, message_id: str = "", **fields: str) -> dict[str, str]:
    return {"__REALTIME_TIMESTAMP": str(usec), "MESSAGE_ID": message_id, "INVOCATION_ID": RUN, **fields}


NOTES = [
    note(10 * SECOND, journal.STARTED_MESSAGE_ID, JOB_RESULT="done"),
    note(12 * SECOND, journal.EXITED_MESSAGE_ID, EXIT_CODE="exited", EXIT_STATUS="7", COMMAND="ExecStart"),
    note(12 * SECOND, journal.EXITED_MESSAGE_ID, EXIT_CODE="exited", EXIT_STATUS="1", COMMAND="ExecStopPost"),
    note(12 * SECOND, journal.FAILED_MESSAGE_ID, UNIT_RESULT="exit-code"),
    note(12 * SECOND, journal.RESOURCES_MESSAGE_ID, MEMORY_PEAK="20971520"),
    note(12 * SECOND, journal.RESTART_MESSAGE_ID, N_RESTARTS="3"),
]


def entries_of(notes: Sequence[Mapping[str, str]], lines: Sequence[str] = ()) -> Callable[..., list[Mapping[str, str]]]:
    """A journal that holds systemd's notes and the module's lines."""

    def read(matches: Sequence[str], *, last: int, **_more: object) -> list[Mapping[str, str]]:
        wanted = dict(one.split("=", 1) for one in matches)
        if "_SYSTEMD_INVOCATION_ID" in wanted:
            return [{"MESSAGE": line} for line in lines][-last:]
        keys = {key: value for key, value in wanted.items() if key in ("MESSAGE_ID", "INVOCATION_ID", "JOB_RESULT")}
        return [one for one in notes if all(one.get(key) == value for key, value in keys.items())][-last:]

    return read


@pytest.fixture
def unit(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What systemctl says of the installed module hello."""
    fields: dict[str, str] = {"ActiveState": "inactive", "Result": "success", "NRestarts": "0"}
    for room in (recorder, why, witness):
        monkeypatch.setattr(room, "show_units", lambda _patterns, _names: {"aurora@hello.service": fields})
    install_folder(rig.paths, rig.systemd, rig.module(more='[limits]\nmemory_max = "32M"\n'), start=True)
    return fields


def answer(rig: Rig) -> Why:
    return explain_module(rig.paths, require(rig.paths, "hello"))


def test_what_the_journal_knows_of_a_run_is_evidence(
    rig: Rig, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "read_entries", entries_of(NOTES, ["a", "b"]))
    unit |= {"ActiveState": "activating", "SubState": "auto-restart", "NRestarts": "3"}
    rig.write("sys/fs/cgroup/aurora.slice/aurora-hello.slice/memory.events", "oom 1\noom_kill 2\n")
    found = witness.witness(rig.paths, require(rig.paths, "hello"), Failure())
    assert (found.invocation, found.result, found.code, found.status) == (RUN, "exit-code", "exited", 7)
    assert (found.was_up, found.ran_sec, found.restarts, found.gave_up) == (True, 2, 3, False)
    assert (found.memory_peak_bytes, found.oom_kills) == (20 << 20, 2)
    assert found.lines == ("a", "b")
    assert found.settings["memory_max"] == 32 << 20
    assert found.version == "1"


def test_without_a_journal_what_systemd_told_the_hook_is_evidence(rig: Rig, unit: dict[str, str]) -> None:
    told = {"MONITOR_INVOCATION_ID": RUN, "MONITOR_SERVICE_RESULT": "watchdog", "MONITOR_EXIT_CODE": "killed",
            "MONITOR_EXIT_STATUS": "ABRT"}  # fmt: skip
    found = witness.witness(rig.paths, require(rig.paths, "hello"), read_failure(told))
    assert (found.invocation, found.result, found.code, found.status) == (RUN, "watchdog", "killed", 6)


def test_what_systemd_tells_of_a_run_that_has_not_failed_is_not_believed() -> None:
    # The hook's process was started after the module had been started again.
    assert read_failure({"MONITOR_INVOCATION_ID": RUN, "MONITOR_SERVICE_RESULT": "success"}) == Failure()
    assert read_failure({}) == Failure()


def test_the_version_that_was_just_installed_is_told_as_a_change(rig: Rig, unit: dict[str, str]) -> None:
    found = witness.witness(rig.paths, require(rig.paths, "hello"), Failure())
    assert [change.what for change in found.changes] == ["version 1 was installed"]


def test_a_dependency_that_failed_is_named(rig: Rig, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "read_entries", entries_of([note(9, JOB_RESULT="dependency")]))
    rows = {
        "aurora@hello.service": {"Requires": "tmp.mount aurora@base.service"},
        "tmp.mount": {"ActiveState": "active"},
        "aurora@base.service": {"ActiveState": "failed"},
    }
    monkeypatch.setattr(witness, "show_units", lambda _patterns, _names: rows)
    assert witness.witness(rig.paths, require(rig.paths, "hello"), Failure()).dependency == "aurora@base.service"


def test_a_module_that_is_up_is_healthy(rig: Rig, unit: dict[str, str]) -> None:
    unit |= {"ActiveState": "active", "StateChangeTimestamp": "@1700000000"}
    assert answer(rig).cause.kind is CauseKind.HEALTHY


def test_a_module_that_is_up_again_has_a_failure_to_explain(rig: Rig, unit: dict[str, str]) -> None:
    unit |= {"ActiveState": "active", "NRestarts": "1"}
    remember_incident(rig.paths, NOTHING._replace(status=5))
    found = answer(rig)
    assert found.cause.sentence == "hello ended with status 5"
    assert found.failure is not None


def test_a_module_that_its_owner_stopped_is_told_from_one_that_ended(
    rig: Rig, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit |= {"StateChangeTimestamp": "@1700000000", "InvocationID": RUN}
    assert answer(rig).cause.kind is CauseKind.ENDED
    monkeypatch.setattr(why, "read_entries", entries_of([note(9, journal.STOPPED_MESSAGE_ID)]))
    assert answer(rig).cause.kind is CauseKind.STOPPED


def test_a_module_that_was_never_started_says_so(rig: Rig, unit: dict[str, str]) -> None:
    assert answer(rig).cause.kind is CauseKind.NEVER_STARTED


def test_one_whose_files_are_damaged_is_told_so_before_all_else(rig: Rig, unit: dict[str, str]) -> None:
    (rig.paths.modules / "hello/a/data/values").write_text("2")
    assert answer(rig).cause.kind is CauseKind.DAMAGED
    assert answer(rig).cause.sentence.startswith("hello is not started while its files are damaged on disk: data/")
    remember_incident(rig.paths, NOTHING._replace(gave_up=True))
    found = answer(rig)
    assert found.cause.remedy.startswith("auroractl update repair hello")
    assert found.failure is not None, "what it did is told as well"
    unit |= {"ActiveState": "active", "StateChangeTimestamp": "@1700000000"}
    assert answer(rig).cause.kind is CauseKind.HEALTHY, "doctor tells of the damage"


def test_one_that_ended_with_a_damaged_program_is_told_so(rig: Rig, unit: dict[str, str]) -> None:
    unit["StateChangeTimestamp"] = "@1700000000"
    assert answer(rig).cause.kind is CauseKind.ENDED
    (rig.paths.modules / "hello/a/data/values").write_text("2")
    assert answer(rig).cause.kind is CauseKind.DAMAGED
    assert answer(rig).cause.sentence.startswith("hello ended by itself while its files are damaged on disk: data/")


def test_after_a_boot_the_last_incident_explains_a_module_that_is_down(rig: Rig, unit: dict[str, str]) -> None:
    remember_incident(rig.paths, NOTHING._replace(gave_up=True))
    assert answer(rig).cause.kind is CauseKind.EXITED


def test_a_failure_that_was_not_written_down_is_looked_up(
    rig: Rig, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember_incident(rig.paths, NOTHING._replace(status=5))
    monkeypatch.setattr(witness, "read_entries", entries_of(NOTES))
    unit |= {"ActiveState": "failed", "InvocationID": RUN, "Result": "exit-code"}
    found = answer(rig)
    assert found.failure is not None
    assert (found.failure.evidence.status, len(found.past)) == (7, 1)


def test_a_failure_is_recorded_and_purged_with_its_module(rig: Rig, unit: dict[str, str]) -> None:
    assert "auroractl why hello" in record_incident(rig.paths, "hello", Failure(RUN, "exit-code", "exited", "7"))
    assert len(read_incidents(rig.paths, "hello")) == 1
    remove(rig.paths, rig.systemd, "hello", purge=True)
    assert read_incidents(rig.paths, "hello") == []


def failing_again(rig: Rig, unit: dict[str, str]) -> str:
    """What is noted after a module has failed twice at once in the same way, and is tried again."""
    unit |= {"ActiveState": "activating", "NRestarts": "3"}
    for run in (RUN, "cd" * 16):
        record_incident(rig.paths, "hello", Failure(run, "exit-code", "exited", "7"))
    try:
        return (rig.paths.repeated / "hello").read_text()
    except FileNotFoundError:
        return ""


def test_failures_like_the_one_before_are_held_back(rig: Rig, unit: dict[str, str]) -> None:
    assert failing_again(rig, unit) == "exit-code\n"
    remove(rig.paths, rig.systemd, "hello", purge=True)
    assert list(rig.paths.repeated.iterdir()) == []


def test_no_failure_of_a_module_with_a_safe_state_is_held_back(
    rig: Rig, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Given("1.0", {"restart": "always"}, has_safe_state=True)
    monkeypatch.setattr(recorder, "read_given", lambda _paths, _name: given)
    assert failing_again(rig, unit) == ""


def test_a_failure_that_is_recorded_is_not_looked_into_again(
    rig: Rig, unit: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit |= {"ActiveState": "failed", "InvocationID": RUN}
    record_incident(rig.paths, "hello", Failure(RUN, "exit-code", "exited", "7"))
    monkeypatch.setattr(recorder, "witness", lambda *_any, **_more: pytest.fail("it asks the journal again"))
    assert record_incident(rig.paths, "hello", Failure()) == ""
