from __future__ import annotations

import pytest

from aurora.runtime import doctor
from aurora.runtime.control import stop
from aurora.runtime.doctor import Examined, examine
from aurora.runtime.install import install_folder
from aurora.runtime.records import read_records
from aurora.runtime.verdict import Verdict
from tests.unit.runtime.observed import GROUPS
from tests.unit.runtime.rig import Rig


def examined(rig: Rig) -> Examined:
    (found,) = examine(rig.paths, rig.systemd, read_records(rig.paths))
    return found


@pytest.fixture(autouse=True)
def no_groups_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "read_groups", lambda: GROUPS)


def test_a_module_that_was_never_started_has_a_row_for_each_thing_it_declares(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=False)
    found = examined(rig)
    assert found.state == "not loaded"
    assert found.good
    assert {"MemoryMax", "AppArmorProfile", "Restart"} - {row.name for row in found.rows} == {"MemoryMax"}
    assert {row.verdict for row in found.rows if row.name != "files"} == {Verdict.NOT_RUNNING}


def test_a_module_that_this_machine_refuses_says_why_and_is_not_as_declared(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=False)
    rig.write("sys/module/apparmor/parameters/enabled", "N")
    found = examined(rig)
    assert not found.good
    ((why, effective),) = [(row.why, row.effective) for row in found.rows if row.name != "files"]
    assert effective == "refused"
    assert "it relies on apparmor" in why
    assert "accept_unenforced" in why


def test_what_the_owner_accepts_to_go_without_is_told_before_the_module_ever_ran(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=False)
    rig.write("proc/sys/kernel/seccomp/actions_avail", "")
    rig.write("etc/aurora/core.toml", 'accept_unenforced = ["seccomp"]')
    found = examined(rig)
    bad = {row.name for row in found.rows if not row.good}
    assert "SystemCallFilter" in bad
    assert "MemoryDenyWriteExecute" in bad
    assert "ProtectSystem" not in bad


def test_a_module_that_is_stopped_is_compared_with_what_systemd_holds(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(more='[limits]\nmemory_max = "64M"\n'), start=True)
    stop(rig.paths, rig.systemd, ["hello"])
    found = examined(rig)
    rows = {row.name: row for row in found.rows}
    assert found.state == "inactive"
    assert (rows["MemoryMax"].declared, rows["MemoryMax"].effective) == ("64M", "64M")
    assert rows["MemoryMax"].verdict is Verdict.NOT_RUNNING


def test_a_module_whose_plan_is_lost_is_not_taken_for_enforced(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=True)
    (rig.paths.applied / "hello.json").unlink()
    found = examined(rig)
    assert not found.good
    assert found.rows[0].verdict is Verdict.NOT_READ


def test_the_values_of_variables_are_not_shown(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(more='[environment]\nTOKEN = "s3cret"\n'), start=True)
    assert all("s3cret" not in str(row) for row in examined(rig).rows)
