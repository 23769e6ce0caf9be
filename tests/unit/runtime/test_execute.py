from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from aurora.errors import NotFound, Refused
from aurora.host.fake import FakeSystemd
from aurora.host.systemd import Transient
from aurora.quantity import INFINITY
from aurora.runtime import execute as module_of_execute
from aurora.runtime.execute import SPARE_BYTES, Sight, execute
from aurora.runtime.install import install_folder
from tests.unit.runtime.rig import Rig, what_the_file_says

SLICE = "aurora-hello.slice"
LIMITED = '[limits]\nmemory_max = "64M"\ncpu = "20%"\ntasks = 16\n'


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """A command takes the terminal's signals over for good."""
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Noting(FakeSystemd):
    """Notes what slices are held to, and the scopes there were."""

    def __init__(self) -> None:
        super().__init__(what_the_file_says)
        self.set: list[dict[str, object]] = []
        self.scopes: list[dict[str, object]] = []

    def set_properties(self, unit: str, properties: Sequence[tuple[str, str, object]]) -> None:
        super().set_properties(unit, properties)
        assert unit == SLICE
        self.set.append({name: value for name, _, value in properties})

    def start_transient(self, wanted, *, deadline_sec):  # type: ignore[no-untyped-def]  # as its parent
        for one in wanted:
            if one.unit.endswith(".scope"):
                self.scopes.append({"unit": one.unit} | {name: value for name, _, value in one.properties})
        return super().start_transient(wanted, deadline_sec=deadline_sec)

    def limit(self, name: str = "MemoryMax") -> object:
        return self.get(SLICE, "Slice", name, "t")

    def start_scope_of_another(self) -> None:
        """Somebody else runs a command there as well."""
        scope = Transient("aurora-exec-hello.1.scope", [("Slice", "s", SLICE), ("PIDs", "au", [1])])
        self.start_transient([scope], deadline_sec=1)

    @property
    def units(self) -> list[str]:
        return sorted(row.name for row in self.list_units(["aurora*"]))


@pytest.fixture
def noting(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Noting:
    systemd = Noting()
    monkeypatch.setattr(module_of_execute, "open_process", lambda _pid: os.pidfd_open(os.getpid()))
    install_folder(rig.paths, systemd, rig.module(more=LIMITED), start=True)
    return systemd


def ran(rig: Rig, noting: Noting, *argv: str) -> int:
    return execute(rig.paths, noting, "hello", argv, sight=Sight.OUTSIDE).status


def left(rig: Rig) -> list[Path]:
    folder = rig.paths.shared_limits
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_while_a_command_runs_the_slice_is_held_to_the_limits_of_the_service(rig: Rig, noting: Noting) -> None:
    assert ran(rig, noting, "sh", "-c", "exit 7") == 7
    during, after = noting.set
    assert during == {"MemoryMax": 64 << 20, "MemorySwapMax": 0, "CPUQuotaPerSecUSec": 200_000, "TasksMax": 16}
    assert set(after.values()) == {INFINITY}


def test_the_command_is_in_a_scope_of_the_slice_that_ends_with_the_module(rig: Rig, noting: Noting) -> None:
    ran(rig, noting, "echo", "two words\n", "100%")
    (scope,) = noting.scopes
    assert scope["Slice"] == SLICE
    assert scope["BindsTo"] == ["aurora@hello.service"]
    assert str(scope["Description"]).startswith("auroractl exec hello: echo 'two words\\n' ")
    assert scope["unit"] == f"aurora-exec-hello.{scope['PIDs'][0]}.scope"  # type: ignore[index]  # a list


def test_nothing_is_left_of_a_command_whether_it_could_run_or_not(rig: Rig, noting: Noting) -> None:
    before = noting.units
    ran(rig, noting, "true")
    with pytest.raises(NotFound):
        ran(rig, noting, "no-such-program")
    assert noting.units == before
    assert noting.limit() == INFINITY
    assert left(rig) == []


def test_a_drop_in_that_raises_a_limit_of_the_service_holds_for_both(rig: Rig, noting: Noting) -> None:
    FakeSystemd.set_properties(noting, "aurora@hello.service", [("MemoryMax", "t", 128 << 20)])
    ran(rig, noting, "true")
    assert noting.set[0]["MemoryMax"] == 128 << 20


def test_a_slice_that_its_owner_holds_to_less_stays_held_to_less(rig: Rig, noting: Noting) -> None:
    FakeSystemd.set_properties(noting, SLICE, [("MemoryMax", "t", 32 << 20)])
    ran(rig, noting, "true")
    during, after = noting.set
    assert during["MemoryMax"] == after["MemoryMax"] == 32 << 20


def test_a_module_that_has_used_up_its_memory_is_not_ended_by_looking_at_it(rig: Rig, noting: Noting) -> None:
    used = (64 << 20) + 8192
    rig.write(f"sys/fs/cgroup/aurora.slice/{SLICE}/memory.current", str(used))
    ran(rig, noting, "true")
    assert noting.set[0]["MemoryMax"] == used + SPARE_BYTES


def test_the_slice_is_let_go_by_the_last_of_several_commands(rig: Rig, noting: Noting) -> None:
    noting.start_scope_of_another()
    ran(rig, noting, "true")
    assert noting.limit() == 64 << 20, "the other still runs"
    assert len(left(rig)) == 1
    noting.stop(["aurora-exec-hello.1.scope"], deadline_sec=1)
    ran(rig, noting, "true")
    assert noting.limit() == INFINITY
    assert left(rig) == []


def test_what_a_killed_command_left_is_put_right_by_the_next(rig: Rig, noting: Noting) -> None:
    noting.start_scope_of_another()
    ran(rig, noting, "true")
    noting.stop(["aurora-exec-hello.1.scope"], deadline_sec=1)
    assert noting.limit() == 64 << 20
    ran(rig, noting, "true")
    assert noting.limit() == INFINITY


def test_a_module_that_does_not_run_takes_no_command(rig: Rig, noting: Noting) -> None:
    noting.stop(["aurora@hello.service"], deadline_sec=1)
    with pytest.raises(Refused, match=r"the module does not run.*auroractl start hello"):
        ran(rig, noting, "true")
    with pytest.raises(NotFound):
        execute(rig.paths, noting, "nobody", ["true"], sight=Sight.OUTSIDE)
    assert noting.set == []
