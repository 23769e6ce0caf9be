from __future__ import annotations

import time

import pytest

from aurora.host.space import Space
from aurora.runtime import status
from aurora.runtime.install import install_folder
from aurora.runtime.records import read_records
from aurora.runtime.status import Disk, Status, read_status
from tests.unit.runtime.rig import Rig

UP = {
    "Id": "aurora@hello.service",
    "ActiveState": "active",
    "SubState": "running",
    "StateChangeTimestamp": "@1700000000",
    "NRestarts": "2",
    "Result": "success",
    "ExecMainStatus": "0",
    "MainPID": "77",
    "Environment": "AURORA_MODULE=hello",
}


def seen(rig: Rig, monkeypatch: pytest.MonkeyPatch, **fields: str) -> Status:
    install_folder(rig.paths, rig.systemd, rig.module(), start=True)
    folder = str(rig.paths.modules / "hello/a")
    units = {"aurora@hello.service": {**UP, "WorkingDirectory": folder, **fields}} if fields != {"Id": ""} else {}
    monkeypatch.setattr(status, "show_units", lambda _patterns, _properties: units)
    (found,) = read_status(rig.paths, read_records(rig.paths))
    return found


def test_a_module_that_is_up_shows_what_systemd_says(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(rig, monkeypatch, MainPID="78")
    assert (found.up, found.active, found.sub, found.since_sec) == (True, "active", "running", 1_700_000_000)
    assert (found.restarts, found.main_pid, found.exit_status, found.result) == (2, 78, 0, "success")
    assert (found.outdated, found.unenforced) == (False, ())


@pytest.mark.parametrize(
    ("timer", "next_sec"),
    [
        ({"NextElapseUSecRealtime": "Thu 2026-11-26 03:31:58 UTC"}, 1_795_663_918),
        ({"NextElapseUSecMonotonic": "1h 59.123456s"}, 3659 + 1_000_000 - 60),
        ({"NextElapseUSecMonotonic": "infinity", "NextElapseUSecRealtime": ""}, 0),
    ],
)
def test_a_module_with_a_schedule_is_up_between_its_runs_and_says_when_the_next_is(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, timer: dict[str, str], next_sec: int
) -> None:
    monkeypatch.setattr(status.time, "time", lambda: 1_000_000.0)
    monkeypatch.setattr(status.time, "monotonic", lambda: 60.0)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    install_folder(rig.paths, rig.systemd, rig.module(), start=False)
    units = {
        "aurora@hello.service": {**UP, "ActiveState": "inactive", "MainPID": "0"},
        "aurora@hello.timer": {"ActiveState": "active", **timer},
    }
    monkeypatch.setattr(status, "show_units", lambda _patterns, _properties: units)
    (found,) = read_status(rig.paths, read_records(rig.paths))
    assert (found.up, found.scheduled, found.next_sec) == (True, True, next_sec)


def test_a_module_that_systemd_does_not_know_is_down(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(rig, monkeypatch, Id="")
    assert (found.up, found.active, found.sub, found.main_pid) == (False, "inactive", "dead", 0)


def test_figures_come_from_the_modules_own_cgroup(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.write("sys/fs/cgroup/aurora.slice/aurora-hello.slice/aurora@hello.service/memory.current", "4096")
    assert seen(rig, monkeypatch, MainPID="78").usage.memory_bytes == 4096


def test_a_module_that_runs_from_another_folder_than_counts_is_outdated(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert seen(rig, monkeypatch, WorkingDirectory=str(rig.paths.modules / "hello/b")).outdated


def test_what_is_not_enforced_is_shown(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(rig, monkeypatch, Environment="AURORA_UNENFORCED=apparmor,cpu AURORA_MODULE=hello X=1")
    assert found.unenforced == ("apparmor", "cpu")


def test_a_module_cannot_hide_what_is_not_enforced(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(rig, monkeypatch, Environment="AURORA_UNENFORCED=apparmor A=AURORA_UNENFORCED= AURORA_MODULE=hello")
    assert found.unenforced == ("apparmor",)


def test_a_disk_budget_is_shown_and_what_is_used_of_it_where_that_can_be_seen(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = "AURORA_STATE_MAX=4194304 AURORA_CACHE_MAX=8388608 AURORA_MODULE=hello AURORA_LOGS_MAX=1"
    place = rig.paths.root / "var/lib/private/aurora/hello"
    monkeypatch.setattr(status, "space_of", lambda path: Space(4096, 1, False) if path == str(place) else None)
    found = seen(rig, monkeypatch, Environment=told)
    assert found.disk == (Disk("state", 4096, 4 << 20), Disk("cache", None, 8 << 20))
