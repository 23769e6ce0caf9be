from __future__ import annotations

import calendar
import time
from types import SimpleNamespace

import pytest

from aurora.errors import InputError
from aurora.runtime import windows
from aurora.runtime.apply import Applied, apply
from aurora.runtime.update import hold
from aurora.runtime.windows import WAKING_TIMER, opening_sec, waiting
from tests.unit.runtime.rig import Rig

NOON = calendar.timegm((2026, 6, 10, 12, 0, 0))  # a Wednesday
AT_TWO = NOON + 14 * 3600


class Clock:
    """The machine's, in UTC."""

    def __init__(self) -> None:
        self.now_sec = NOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    stands = SimpleNamespace(
        time=lambda: clock.now_sec + 0.5, localtime=time.gmtime, gmtime=time.gmtime, strftime=time.strftime
    )
    monkeypatch.setattr(windows, "time", stands)
    return clock


@pytest.fixture
def machine(rig: Rig, clock: Clock) -> Rig:
    """With hello 1, and version 2 that a package has brought, outside the window."""
    rig.package(version="1")
    apply(rig.paths, rig.systemd)
    rig.write("etc/aurora/core.toml", '[update]\nwindows = ["02:00-04:00"]\n')
    rig.package(version="2")
    return rig


def woken_at(rig: Rig) -> list[str]:
    """What systemd was told to wait for."""
    if not rig.systemd.list_units([WAKING_TIMER]):
        return []
    found = rig.systemd.get(WAKING_TIMER, "Timer", "TimersCalendar", "a(ss)")
    assert isinstance(found, list)
    return [f"{name}={value}" for name, value in found]


def waits(done: Applied) -> tuple[list[str], int | None]:
    assert not done.problems
    return list(done.waiting), done.opens_sec


def test_outside_the_windows_a_new_version_waits_and_is_taken_in_when_one_opens(machine: Rig, clock: Clock) -> None:
    assert waits(apply(machine.paths, machine.systemd)) == (["hello"], AT_TWO)
    assert (machine.installed, machine.running) == ({"hello": ("1", True)}, {"hello": "1"})
    assert woken_at(machine) == ["OnCalendar=2026-06-11 02:00:00 UTC"]
    assert waiting(machine.paths) == (["hello"], AT_TWO)

    clock.now_sec = AT_TWO
    assert waiting(machine.paths) == ([], 0)
    assert apply(machine.paths, machine.systemd).staged == ["hello"]
    assert (machine.installed, machine.running) == ({"hello": ("2", True)}, {"hello": "2"})
    assert woken_at(machine) == [], "nothing waits any more"


def test_one_that_is_wanted_now_does_not_wait_and_the_others_do(machine: Rig) -> None:
    machine.package(name="lamp", version="1")
    apply(machine.paths, machine.systemd)
    machine.package(name="lamp", version="2")
    assert waits(apply(machine.paths, machine.systemd, at_once=["hello"])) == (["lamp"], AT_TWO)
    assert machine.running == {"hello": "2", "lamp": "1"}
    assert woken_at(machine) == ["OnCalendar=2026-06-11 02:00:00 UTC"]


def test_a_module_that_is_new_and_one_that_goes_wait_for_nothing(machine: Rig) -> None:
    machine.package(name="lamp", version="1")
    assert apply(machine.paths, machine.systemd).staged == ["lamp"]
    machine.unpackage(name="hello", purge=True)
    done = apply(machine.paths, machine.systemd)
    assert (done.removed, list(done.waiting)) == (["hello"], [])
    assert woken_at(machine) == []


def test_what_is_held_does_not_wait(machine: Rig) -> None:
    hold(machine.paths, "hello", held=True)
    done = apply(machine.paths, machine.systemd)
    assert (list(done.withheld), list(done.waiting)) == (["hello"], [])
    assert waiting(machine.paths)[0] == []


def test_after_a_boot_it_waits_again(machine: Rig) -> None:
    apply(machine.paths, machine.systemd)
    machine.reboot()
    assert waits(apply(machine.paths, machine.systemd)) == (["hello"], AT_TWO)
    assert machine.running == {"hello": "1"}
    assert woken_at(machine) != []


def test_when_the_owner_changes_the_windows_it_is_woken_at_the_new_time(machine: Rig) -> None:
    apply(machine.paths, machine.systemd)
    machine.write("etc/aurora/core.toml", '[update]\nwindows = ["Fri 22:00-01:00"]\n')
    apply(machine.paths, machine.systemd)
    assert woken_at(machine) == ["OnCalendar=2026-06-12 22:00:00 UTC"]
    machine.write("etc/aurora/core.toml", "")
    assert opening_sec(machine.paths) is None
    assert apply(machine.paths, machine.systemd).staged == ["hello"]


def test_a_package_that_is_not_to_be_had_is_told_before_the_window(machine: Rig) -> None:
    machine.write("var/lib/dpkg/info/aurora-module-hello.postinst", "#!/bin/sh\n")
    done = apply(machine.paths, machine.systemd)
    assert [problem.why for problem in done.problems] == ["its package has a postinst, and a module's has none"]
    assert list(done.waiting) == []


def test_settings_that_cannot_be_read_let_nothing_in(machine: Rig) -> None:
    machine.write("etc/aurora/core.toml", '[update]\nwindows = ["at night"]\n')
    with pytest.raises(InputError, match="at night"):
        apply(machine.paths, machine.systemd)
    assert machine.installed == {"hello": ("1", True)}
