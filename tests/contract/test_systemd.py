"""What the house relies on in systemd, and what its stand-in must do as well."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from aurora.errors import DeadlineExceeded, HostError
from aurora.host.systemd import Systemd, Transient
from aurora.quantity import INFINITY
from tests.contract.units import (
    DEADLINE_SEC,
    FAILS,
    MISSING,
    OTHER,
    PIN,
    SAYS_READY,
    SCOPE,
    STAYS,
    UNIT,
    UNKNOWN,
    Properties,
    active,
    argv_of,
    main_pid,
    pinned,
    scope,
    started,
    transient,
)

HARD_WORDS = [
    "%n", "%%", "100%", "$HOME", "${HOME}", "$$", "'", '"', "it's", 'say "hi"', "two words", " before", "after ", "\\",
    "a\\nb", "\\x41", "\\\\", "a\\", "\t", "a\nb", "", ";", "\\;", "-x", "@x", ":x", "+x", "!x", "#x", "*", "~",
    "caf\u00e9", "\u4e16\u754c", "a=b", "{}", "|", "&&", ">", "`id`",
]  # fmt: skip
LISTENS = ("/bin/sh", "-c", "while :; do sleep 3600; done")


def test_a_started_unit_is_listed_as_active(systemd: Systemd) -> None:
    (job,) = started(systemd, transient(*STAYS))
    assert job == (UNIT, "done", "")
    assert job.ok
    (row,) = systemd.list_units([UNIT])
    assert row == (UNIT, "loaded", "active", "running")


def test_a_glob_pattern_picks_units_by_name(systemd: Systemd) -> None:
    started(systemd, transient(*STAYS), transient(*STAYS, unit=OTHER))
    found = {
        pattern: sorted(row.name for row in systemd.list_units([pattern]))
        for pattern in ("auroracontract-?.service", "auroracontract-[b-z].*", "auroracontract", "*contract-a*")
    }
    assert found == {
        "auroracontract-?.service": [UNIT, OTHER],
        "auroracontract-[b-z].*": [OTHER],
        "auroracontract": [],
        "*contract-a*": [UNIT],
    }
    assert {row.name for row in systemd.list_units([UNIT, OTHER])} == {UNIT, OTHER}


def test_a_notify_unit_is_up_when_it_says_so(systemd: Systemd) -> None:
    (job,) = started(systemd, transient(*SAYS_READY, kind="notify"))
    assert job.ok
    assert active(systemd) == {UNIT: "active"}


def test_a_notify_unit_that_ends_before_it_is_up_has_failed(systemd: Systemd) -> None:
    (job,) = started(systemd, transient(*FAILS, kind="notify"))
    assert job == (UNIT, "failed", "")
    assert not job.ok
    assert active(systemd) == {UNIT: "failed"}
    assert systemd.get(UNIT, "Service", "Result", "s") == "exit-code"
    assert systemd.get(UNIT, "Service", "ExecMainCode", "i") == 1
    assert systemd.get(UNIT, "Service", "ExecMainStatus", "i") == 1
    assert main_pid(systemd) == 0


def test_a_notify_unit_that_ends_well_before_it_is_up_has_failed_too(systemd: Systemd) -> None:
    (job,) = started(systemd, transient("/bin/true", kind="notify"))
    assert job.result == "failed"
    assert systemd.get(UNIT, "Service", "Result", "s") == "protocol"


def test_an_exec_unit_without_its_program_has_failed(systemd: Systemd) -> None:
    (job,) = started(systemd, transient(*MISSING))
    assert job == (UNIT, "failed", "")
    assert systemd.get(UNIT, "Service", "Result", "s") == "exit-code"
    assert systemd.get(UNIT, "Service", "ExecMainStatus", "i") == 203


def test_a_unit_that_restarts_by_itself_is_on_its_way_up(systemd: Systemd) -> None:
    again = [("Restart", "s", "on-failure"), ("RestartUSec", "t", 3_600_000_000)]
    (job,) = started(systemd, pinned(*FAILS, kind="notify", more=again))
    assert job.result == "failed"
    (row,) = systemd.list_units([UNIT])
    assert (row.active, row.sub) == ("activating", "auto-restart")
    assert systemd.get(UNIT, "Service", "Result", "s") == "exit-code"


def test_a_unit_that_is_stopped_is_forgotten(systemd: Systemd) -> None:
    started(systemd, transient(*STAYS))
    assert systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)[UNIT] == (UNIT, "done", "")
    assert active(systemd) == {}


def test_a_unit_that_failed_is_remembered_until_it_is_reset(systemd: Systemd) -> None:
    started(systemd, transient(*FAILS, kind="notify"))
    systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)
    assert active(systemd) == {UNIT: "failed"}
    systemd.reset_failed([UNIT])
    assert active(systemd) == {}


def test_a_pinned_unit_stays_loaded_when_it_stops_and_can_be_started_again(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS))
    before = main_pid(systemd)
    systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)
    assert active(systemd) == {UNIT: "inactive", PIN: "active"}
    assert main_pid(systemd) == 0
    assert systemd.start([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok
    assert active(systemd) == {UNIT: "active", PIN: "active"}
    assert main_pid(systemd) not in (0, before)


def test_a_pinned_unit_that_failed_stays_loaded_when_it_is_reset(systemd: Systemd) -> None:
    started(systemd, pinned(*FAILS, kind="notify"))
    assert active(systemd) == {UNIT: "failed", PIN: "active"}
    systemd.reset_failed([UNIT])
    assert active(systemd) == {UNIT: "inactive", PIN: "active"}


def test_starting_a_unit_that_is_up_leaves_it_alone(systemd: Systemd) -> None:
    started(systemd, transient(*STAYS))
    before = main_pid(systemd)
    assert systemd.start([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok
    assert main_pid(systemd) == before


def test_a_restart_runs_the_program_anew(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS))
    before = main_pid(systemd)
    assert systemd.restart([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok
    assert main_pid(systemd) not in (0, before)


def test_a_restart_brings_up_a_pinned_unit_that_is_down(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS))
    systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)
    assert systemd.restart([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok
    assert active(systemd)[UNIT] == "active"


def test_stopping_the_pin_stops_the_unit_and_releases_its_name(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS))
    assert systemd.stop([PIN], deadline_sec=DEADLINE_SEC)[PIN].ok
    assert active(systemd) == {}
    (job,) = started(systemd, pinned(*LISTENS))
    assert job.ok
    assert argv_of(systemd) == list(LISTENS)


def test_stopping_unit_and_pin_in_one_go_releases_the_name(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS))
    jobs = systemd.stop([UNIT, PIN], deadline_sec=DEADLINE_SEC)
    assert {job.result for job in jobs.values()} == {"done"}
    assert active(systemd) == {}


def test_a_unit_that_failed_holds_its_name_until_it_is_reset_even_without_its_pin(systemd: Systemd) -> None:
    started(systemd, pinned(*FAILS, kind="notify"))
    systemd.stop([UNIT, PIN], deadline_sec=DEADLINE_SEC)
    assert active(systemd)[UNIT] == "failed"
    (job,) = started(systemd, pinned(*STAYS))
    assert job.result == "refused"
    systemd.reset_failed([UNIT, PIN])
    assert active(systemd) == {}


@pytest.mark.parametrize("relation", ["After", "Requires"])
def test_a_unit_that_another_one_refers_to_holds_its_name_though_it_is_down(systemd: Systemd, relation: str) -> None:
    leaning = transient(*STAYS, unit=OTHER, more=[(relation, "as", [UNIT])])
    started(systemd, pinned(*STAYS), leaning)
    systemd.stop([UNIT, PIN], deadline_sec=DEADLINE_SEC)
    up = {OTHER: "active"} if relation == "After" else {}
    assert {name: state for name, state in active(systemd).items() if state == "active"} == up
    (job,) = started(systemd, pinned(*LISTENS))
    assert job.ok == (not up), job
    systemd.stop([UNIT, PIN, OTHER], deadline_sec=DEADLINE_SEC)
    assert active(systemd) == {}


@pytest.mark.parametrize("up", [True, False])
def test_a_second_start_of_a_pinned_name_is_refused_and_changes_nothing(systemd: Systemd, up: bool) -> None:
    started(systemd, pinned(*STAYS))
    if not up:
        systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)
    before = (main_pid(systemd), active(systemd))
    (job,) = started(systemd, pinned(*LISTENS))
    assert job.result == "refused"
    assert "already loaded" in job.message
    assert (main_pid(systemd), active(systemd)) == before
    if not up:
        systemd.start([UNIT], deadline_sec=DEADLINE_SEC)
    assert argv_of(systemd) == list(STAYS)


def test_a_start_whose_pin_is_taken_is_refused_and_creates_nothing(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS))
    (job,) = started(systemd, pinned(*STAYS, unit=OTHER))
    assert job.result == "refused"
    assert active(systemd) == {UNIT: "active", PIN: "active"}


@pytest.mark.parametrize(
    "wanted",
    [
        transient("bin/sleep", "infinity"),
        transient(*STAYS, more=[("NoSuchProperty", "s", "x")]),
        Transient(UNIT, [("Type", "s", "exec")]),
    ],
    ids=["relative program", "unknown property", "no program"],
)
def test_what_systemd_cannot_take_is_refused_in_its_words_and_creates_nothing(
    systemd: Systemd, wanted: Transient
) -> None:
    (job,) = started(systemd, wanted)
    assert job.result == "refused"
    assert job.message
    assert active(systemd) == {}


def test_stopping_a_unit_that_is_not_there_is_done(systemd: Systemd) -> None:
    assert systemd.stop([UNKNOWN], deadline_sec=DEADLINE_SEC)[UNKNOWN].ok


def test_a_unit_that_is_not_there_cannot_be_started(systemd: Systemd) -> None:
    for ask in (systemd.start, systemd.restart):
        job = ask([UNKNOWN], deadline_sec=DEADLINE_SEC)[UNKNOWN]
        assert job.result == "not loaded"
        assert UNKNOWN in job.message


def test_waiting_for_the_end_of_a_unit_says_whether_it_came(systemd: Systemd) -> None:
    started(systemd, transient(*STAYS), transient(*STAYS, unit=OTHER))
    systemd.stop([OTHER], deadline_sec=DEADLINE_SEC)
    assert systemd.wait_ended([OTHER, UNKNOWN], deadline_sec=DEADLINE_SEC)
    assert not systemd.wait_ended([OTHER, UNIT], deadline_sec=1.5)


def test_resetting_a_unit_that_is_not_there_does_nothing(systemd: Systemd) -> None:
    systemd.reset_failed([UNKNOWN])
    assert active(systemd) == {}


def test_an_answer_that_does_not_come_in_time_raises_and_names_the_unit(systemd: Systemd) -> None:
    silent = transient(*STAYS, kind="notify", more=[("TimeoutStartUSec", "t", 3_600_000_000)])
    with pytest.raises(DeadlineExceeded, match=UNIT):
        systemd.start_transient([silent, transient(*STAYS, unit=OTHER)], deadline_sec=2.0)
    (row,) = systemd.list_units([UNIT])
    assert (row.active, row.sub) == ("activating", "start")
    # The connection is as good as before.
    assert systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok
    assert active(systemd) == {OTHER: "active"}


def test_every_one_of_many_units_submitted_at_once_gets_its_own_result(systemd: Systemd) -> None:
    started(systemd, transient(*STAYS))
    good = [f"auroracontract-n{number}.service" for number in range(40)]
    wanted = [transient(*STAYS, unit=unit) for unit in good]
    wanted.insert(7, transient(*FAILS, unit=OTHER, kind="notify"))
    wanted.insert(20, transient(*STAYS))
    results = systemd.start_transient(wanted, deadline_sec=DEADLINE_SEC)
    assert {unit: job.result for unit, job in results.items()} == {
        **dict.fromkeys(good, "done"),
        OTHER: "failed",
        UNIT: "refused",
    }
    assert all(job.unit == unit for unit, job in results.items())
    stopped = systemd.stop(good, deadline_sec=DEADLINE_SEC)
    assert {unit: job.result for unit, job in stopped.items()} == dict.fromkeys(good, "done")


def test_nothing_asked_is_nothing_done(systemd: Systemd) -> None:
    assert not systemd.start_transient([], deadline_sec=DEADLINE_SEC)
    assert not systemd.stop([], deadline_sec=DEADLINE_SEC)


def test_figures_of_a_unit_that_is_up_can_be_read(systemd: Systemd) -> None:
    started(systemd, transient(*STAYS))
    assert systemd.get(UNIT, "Service", "NRestarts", "u") == 0
    assert systemd.get(UNIT, "Service", "Result", "s") == "success"
    assert systemd.get(UNIT, "Service", "Type", "s") == "exec"
    assert systemd.get(UNIT, "Unit", "ActiveState", "s") == "active"
    since = systemd.get(UNIT, "Unit", "StateChangeTimestamp", "t")
    systemd.restart([UNIT], deadline_sec=DEADLINE_SEC)
    later = systemd.get(UNIT, "Unit", "StateChangeTimestamp", "t")
    assert isinstance(since, int)
    assert isinstance(later, int)
    assert 0 < since < later


def test_a_unit_that_is_not_there_reads_as_one_that_never_ran(systemd: Systemd) -> None:
    assert systemd.get(UNKNOWN, "Unit", "ActiveState", "s") == "inactive"
    assert systemd.get(UNKNOWN, "Service", "MainPID", "u") == 0


@pytest.mark.parametrize(
    ("interface", "prop", "signature"),
    [("Service", "NoSuchProperty", "s"), ("Slice", "MainPID", "u"), ("Unit", "MainPID", "u")],
)
def test_a_property_that_does_not_exist_cannot_be_read(
    systemd: Systemd, interface: str, prop: str, signature: str
) -> None:
    started(systemd, transient(*STAYS))
    with pytest.raises(HostError, match=prop):
        systemd.get(UNIT, interface, prop, signature)


@pytest.fixture
def process() -> Iterator[int]:
    """A process of ours that does nothing."""
    with subprocess.Popen(STAYS) as running:
        yield running.pid
        running.kill()


def test_a_process_that_there_is_gets_a_scope_of_its_own(systemd: Systemd, process: int) -> None:
    (job,) = started(systemd, scope(process))
    assert job.ok
    assert systemd.list_units([SCOPE]) == [(SCOPE, "loaded", "active", "running")]
    systemd.stop([SCOPE], deadline_sec=DEADLINE_SEC)
    assert active(systemd) == {}


def test_a_scope_without_a_process_is_refused(systemd: Systemd) -> None:
    (job,) = started(systemd, Transient(SCOPE, [("CollectMode", "s", "inactive-or-failed")]))
    assert job.result == "refused"
    assert active(systemd) == {}


def test_a_scope_that_is_bound_to_a_unit_ends_with_it(systemd: Systemd, process: int) -> None:
    started(systemd, pinned(*STAYS))
    bound: Properties = [("Slice", "s", PIN), ("BindsTo", "as", [UNIT]), ("After", "as", [UNIT])]
    started(systemd, scope(process, more=bound))
    systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)
    assert active(systemd) == {UNIT: "inactive", PIN: "active"}


def test_a_limit_can_be_set_and_lifted_while_a_unit_is_up(systemd: Systemd) -> None:
    started(systemd, pinned(*STAYS, more=[("MemoryMax", "t", 1 << 28)]))
    assert systemd.get(UNIT, "Service", "MemoryMax", "t") == 1 << 28
    assert systemd.get(PIN, "Slice", "MemoryMax", "t") == INFINITY
    for value in (1 << 28, INFINITY):
        systemd.set_properties(PIN, [("MemoryMax", "t", value), ("TasksMax", "t", value)])
        assert systemd.get(PIN, "Slice", "MemoryMax", "t") == value
        assert systemd.get(PIN, "Slice", "TasksMax", "t") == value


@pytest.mark.parametrize("prop", ["NoSuchProperty", "MemoryMax"])
def test_what_cannot_be_set_is_told(systemd: Systemd, prop: str) -> None:
    unit = PIN if prop == "NoSuchProperty" else UNKNOWN
    started(systemd, pinned(*STAYS))
    with pytest.raises(HostError, match=unit):
        systemd.set_properties(unit, [(prop, "t", 1 << 28)])


def test_every_word_of_a_command_arrives_as_it_was_written(systemd: Systemd) -> None:
    (job,) = started(systemd, transient(*LISTENS, *HARD_WORDS))
    assert job.ok
    assert argv_of(systemd) == [*LISTENS, *HARD_WORDS]
