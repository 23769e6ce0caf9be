from __future__ import annotations

from types import SimpleNamespace

import pytest

from aurora.cli import render, status
from aurora.host import journal
from aurora.host.cgroup import Usage
from aurora.runtime.records import Record
from aurora.runtime.status import Disk, Status

LONG = "goes on and on " * 12


def module(name: str, **more: object) -> Status:
    usage = Usage(12 << 20, 64 << 20, 1_500_000, 200_000, 3, 16, 0)
    fields: dict[str, object] = {
        "name": name, "version": "1.0.0", "description": "", "unit": f"aurora@{name}.service", "enabled": True,
        "active": "active", "sub": "running", "since_sec": 1_700_000_000, "restarts": 0, "result": "success",
        "exit_status": 0, "main_pid": 7, "usage": usage, "disk": (), "unenforced": (), "outdated": False, "damaged": "",
        "scheduled": False, "next_sec": 0, **more,
    }  # fmt: skip
    return Status(**fields)  # type: ignore[arg-type]  # the defaults are of the right types


FOUND = [
    module("hello", disk=(Disk("state", 9 << 20, 50 << 20), Disk("cache", None, 8 << 20))),
    module("disk-watch", unenforced=("apparmor", "cpu", "memory", "pids", "seccomp"), outdated=True),
    module("broken", active="failed", sub="failed", result="oom-kill", restarts=17),
    module("a-very-long-name-of-a-module-of-48-characters-xx", description=LONG),
]


@pytest.fixture(params=[None, 40, 80, 132])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """How wide the terminal is; None: there is none."""
    records = [
        Record(name=one.name, version="1", description=LONG, enabled=True, origin="folder", slot="a", source_digest="")
        for one in FOUND
    ]
    monkeypatch.setattr(status, "read_records", lambda _paths: records)
    monkeypatch.setattr(status, "read_status", lambda _paths, _records: FOUND[-1:] if len(_records) == 1 else FOUND)
    monkeypatch.setattr(status, "require", lambda _paths, _name: records[-1])
    line = journal.Line(1_700_000_000_000_000, 3, "systemd", LONG + "\n" + LONG, "")
    monkeypatch.setattr(journal, "last_failure", lambda _unit: line)
    monkeypatch.setattr(render, "width", lambda: request.param)
    found: int | None = request.param
    return found


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_table_is_cut_to_the_terminal_and_whole_elsewhere(
    columns: int | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.status(SimpleNamespace(name=None, json=False)) == status.EXIT_DOWN
    said = lines(capsys)
    assert len(said) == 1 + len(FOUND)
    if columns is None:
        assert "not enforced: apparmor, cpu, memory, pids, seccomp; runs an older version" in said[2]
        assert said[0].split()[-2:] == ["RESTARTS", "NOTE"]
    else:
        assert max(map(len, said)) <= columns
        assert said[2].endswith("…")


def test_in_80_columns_a_note_can_be_read(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "read_records", lambda _paths: [SimpleNamespace(installed=True)])
    monkeypatch.setattr(status, "read_status", lambda _paths, _records: FOUND[:3])
    monkeypatch.setattr(render, "width", lambda: 80)
    status.status(SimpleNamespace(name=None, json=False))
    said = lines(capsys)
    assert "STATE" in said[0]
    assert "MEMORY" in said[0]
    assert "not enforced: appar" in said[2]
    assert "failed (oom-kill)" in said[3]


def test_the_list_is_cut_to_the_terminal(columns: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.listing(SimpleNamespace(json=False)) == 0
    said = lines(capsys)
    assert len(said) == 1 + len(FOUND)
    assert (LONG.strip() in said[1]) == (columns is None)
    assert max(map(len, said)) <= (columns or 10_000)


def test_the_full_view_has_one_line_for_each_thing(columns: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.status(SimpleNamespace(name=FOUND[-1].name, json=False)) == 0
    said = lines(capsys)
    assert said[0].startswith("● a-very-long-name")
    assert max(map(len, said)) <= (columns or 10_000)
    labels = [line.partition(":")[0].strip() for line in said[1:]]
    assert labels == [
        "state", "at boot", "unit", "main pid", "memory", "cpu", "tasks", "restarts", "last failure"
    ]  # fmt: skip
