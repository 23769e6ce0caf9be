from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from aurora.emit import service_properties
from aurora.errors import HostError, InputError, NotFound, Refused
from aurora.host.fake import Program
from aurora.host.files import locked
from aurora.host.systemd import Transient
from aurora.names import check_unit, unit_name
from aurora.plan import check_plan
from aurora.plan.inventory import Inventory
from aurora.plan.update import End, Kind, State, Transaction
from aurora.runtime import reconcile, transaction, updates, watch
from aurora.runtime.applied import applied_plan
from aurora.runtime.apply import apply
from aurora.runtime.control import stop
from aurora.runtime.damage import check, slots_of
from aurora.runtime.install import install_folder, remove
from aurora.runtime.learn import learn, subject
from aurora.runtime.packages import behind
from aurora.runtime.reconcile import safe_lock
from aurora.runtime.records import read_record, require
from aurora.runtime.update import Source, allow_version, confirm, hold, roll_back, update
from aurora.runtime.updates import (
    HISTORY_MAX,
    RESERVE_BYTES,
    open_transaction,
    read_known,
    read_transactions,
    write_transaction,
)
from tests.unit.runtime.rig import BAD, ENDS_WELL, GOOD, Rig, what_the_file_says

MINUTE = 60_000_000


class Clock:
    """Time that passes only while somebody waits, and what happens then."""

    def __init__(self) -> None:
        self.now_sec = 0.0
        self.then: Callable[[float], object] = lambda _now: None

    def pause(self, seconds: float) -> None:
        self.now_sec += seconds
        self.then(self.now_sec)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watch, "pause", clock.pause)
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: clock.now_sec))
    return clock


def install(rig: Rig, *, name: str = "hello", version: str = "1", more: str = "") -> None:
    install_folder(rig.paths, rig.systemd, rig.module(name=name, version=version, more=more), start=True)


def attempt(
    rig: Rig,
    *folders: Path,
    accept: bool = False,
    window_usec: int | None = MINUTE,
    origin: str = "folder",
    packages: Callable[[], None] = lambda: None,
) -> Transaction | None:
    return update(
        rig.paths,
        rig.systemd,
        [Source(folder, str(folder), origin) for folder in folders],
        accept=accept,
        window_usec=window_usec,
        tell=lambda _words: None,
        packages=packages,
    )


def ended(one: Transaction | None) -> tuple[str, str]:
    assert one is not None
    assert not one.open
    return one.end, one.why


def refused(rig: Rig, name: str = "hello") -> list[str]:
    return [one.version for one in read_known(rig.paths, name).refused]


# A good version


def test_a_version_that_is_as_good_is_confirmed_after_its_window(rig: Rig, clock: Clock) -> None:
    install(rig)
    one = attempt(rig, rig.module(version="2"))
    assert ended(one) == (End.UPDATED, "")
    assert clock.now_sec == 60
    assert (rig.installed, rig.running) == ({"hello": ("2", True)}, {"hello": "2"})
    assert (refused(rig), rig.damage()) == ([], [])
    assert one is not None
    assert one.moves[0].written_bytes > 0
    assert [row.id for row in read_transactions(rig.paths)[0]] == [one.id]


def test_the_window_is_the_manifests_where_the_command_does_not_say(rig: Rig, clock: Clock) -> None:
    install(rig)
    assert (
        ended(attempt(rig, rig.module(version="2", more='[update]\nwindow = "7s"\n'), window_usec=None))[0] == "updated"
    )
    assert clock.now_sec == 7


def test_what_is_active_already_is_not_tried(rig: Rig, clock: Clock) -> None:
    install(rig)
    before = rig.pid()
    assert attempt(rig, rig.module(version="1")) is None
    assert (rig.pid(), clock.now_sec, read_transactions(rig.paths)[0]) == (before, 0, [])


def test_a_module_that_is_down_is_swapped_and_neither_started_nor_looked_at(rig: Rig, clock: Clock) -> None:
    install(rig)
    stop(rig.paths, rig.systemd, ["hello"])
    assert ended(attempt(rig, rig.module(version="2", program=BAD)))[0] == End.UPDATED
    assert (rig.installed, rig.running, clock.now_sec) == ({"hello": ("2", True)}, {}, 0)


def test_its_profile_is_compiled_while_the_version_before_still_runs(
    rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(reconcile, "compile_profiles", lambda _paths, texts: seen.append((list(texts), rig.running)))
    install(rig)
    assert seen == [], "nothing ran"
    attempt(rig, rig.module(version="2"))
    assert seen[0] == (["aurora.hello"], {"hello": "1"})
    assert rig.running == {"hello": "2"}


def test_what_did_not_change_is_not_written_again(rig: Rig, clock: Clock) -> None:
    install(rig)
    one = attempt(rig, rig.module(version="2"))
    assert one is not None
    changed = [rig.paths.modules / "hello/b" / name for name in ("module.toml", "data/values")]
    assert one.moves[0].written_bytes == sum(path.stat().st_size for path in changed)
    first, then = (rig.paths.modules / f"hello/{slot}/run.py" for slot in "ab")
    assert first.samefile(then)


# A version that is worse


def test_one_that_does_not_come_up_is_rolled_back_and_refused(rig: Rig, clock: Clock) -> None:
    install(rig)
    end, why = ended(attempt(rig, rig.module(version="2", program=BAD)))
    assert end == End.ROLLED_BACK
    assert why
    assert (rig.installed, rig.running, refused(rig)) == ({"hello": ("1", True)}, {"hello": "1"}, ["2"])
    assert clock.now_sec == 60, "the version before is looked at as long"


def test_one_that_is_restarted_too_often_is_rolled_back(rig: Rig, clock: Clock) -> None:
    install(rig)

    def later(now_sec: float) -> None:
        if now_sec == 5:
            rig.systemd._units[unit_name("hello")].restarts = 2

    clock.then = later
    more = "[update]\nrestarts_max = 1\n"
    end, why = ended(attempt(rig, rig.module(version="2", more=more)))
    assert (end, why) == (End.ROLLED_BACK, "hello: it was restarted 2 times, and 1 are allowed")
    assert rig.running == {"hello": "1"}


def test_one_that_ends_is_rolled_back_at_once(rig: Rig, clock: Clock) -> None:
    install(rig)

    def later(now_sec: float) -> None:
        if now_sec == 3:
            rig.systemd.ends(unit_name("hello"), 0)

    clock.then = later
    assert ended(attempt(rig, rig.module(version="2"))) == (End.ROLLED_BACK, "hello: it has ended")
    assert clock.now_sec == 63


def test_what_apply_sweeps_meanwhile_is_not_the_version_to_go_back_to(rig: Rig, clock: Clock) -> None:
    install(rig)

    def later(now_sec: float) -> None:
        if now_sec == 3:
            apply(rig.paths, rig.systemd)
            rig.systemd.ends(unit_name("hello"), 0)

    clock.then = later
    assert ended(attempt(rig, rig.module(version="2")))[0] == End.ROLLED_BACK
    assert (rig.running, rig.damage()) == ({"hello": "1"}, [])


@pytest.mark.parametrize(("mib", "end"), [(18, End.UPDATED), (19, End.ROLLED_BACK)])
def test_memory_beyond_the_margin_is_rolled_back(rig: Rig, clock: Clock, mib: int, end: End) -> None:
    install(rig)
    rig.set_memory(10)
    clock.then = lambda _now: rig.set_memory(mib if rig.running == {"hello": "2"} else 10)
    one = attempt(rig, rig.module(version="2", more='[update]\nmemory_growth = "8M"\n'))
    assert ended(one)[0] == end
    assert ("it holds 19M of memory; the version before held 10M" in ended(one)[1]) == (end is End.ROLLED_BACK)


@pytest.mark.parametrize(("check", "end"), [(ENDS_WELL, End.UPDATED), (BAD, End.ROLLED_BACK)])
def test_a_modules_own_check_decides(rig: Rig, clock: Clock, check: str, end: End) -> None:
    install(rig)
    folder = rig.module(version="2", more='[update]\nwindow = "3s"\ncheck = "check.py"\n')
    (folder / "check.py").write_text(check)
    got, why = ended(attempt(rig, folder, window_usec=None))
    assert got == end
    assert ("hello: its check failed" in why) == (end is End.ROLLED_BACK)
    assert clock.now_sec == (3 if end is End.UPDATED else 6)


def test_a_safe_state_does_not_wait_for_a_check(rig: Rig, clock: Clock) -> None:
    install(rig)
    folder = rig.module(version="2", more='[update]\nwindow = "0s"\ncheck = "check.py"\n')
    (folder / "check.py").write_text(ENDS_WELL)
    begun = []

    def behaves(unit: str, argv: Sequence[str]) -> Program:
        if unit == check_unit("hello"):
            with locked(safe_lock(rig.paths, "hello"), wait=False):
                begun.append(unit)
        return what_the_file_says(unit, argv)

    rig.systemd.behaviour = behaves
    assert ended(attempt(rig, folder, window_usec=None))[0] == End.UPDATED
    assert begun == [check_unit("hello")]


def test_a_check_whose_command_was_killed_ends_with_its_module(rig: Rig) -> None:
    install(rig)
    plan = applied_plan(rig.paths, "hello")
    assert plan is not None
    check = check_plan(plan, plan.settings["ExecStart"])  # goes on
    properties = tuple(one for one in service_properties(check) if one[0] != "Type")
    rig.systemd.start_transient([Transient(check.unit, properties)], deadline_sec=1)
    assert [row.active for row in rig.systemd.list_units([check.unit])] == ["active"]
    remove(rig.paths, rig.systemd, "hello", purge=False)
    assert rig.systemd.list_units([check.unit]) == []


def test_a_check_that_is_not_there_is_told_before_anything_is_done(rig: Rig, clock: Clock) -> None:
    install(rig)
    with pytest.raises(InputError, match=r"key update\.check"):
        attempt(rig, rig.module(version="2", more='[update]\ncheck = "check.py"\n'))
    assert clock.now_sec == 0


def test_that_the_version_before_is_not_well_either_is_told(rig: Rig, clock: Clock) -> None:
    install(rig)

    def later(_now_sec: float) -> None:
        if unit_name("hello") in rig.systemd._units and rig.running:
            rig.systemd.ends(unit_name("hello"), 0)

    clock.then = later
    end, why = ended(attempt(rig, rig.module(version="2")))
    assert (end, why) == (End.NOT_WELL, "hello: it has ended; and the version before: hello: it has ended")
    assert rig.installed == {"hello": ("1", True)}


def test_what_it_may_on_the_hub_goes_back_with_it(rig: Rig, clock: Clock) -> None:
    install(rig, more='[link]\npublish = ["one"]\n')
    rules = rig.paths.link_rules / "hello.json"
    before = rules.read_text()
    seen = []
    clock.then = lambda _now: (seen.append(rules.read_text()), rig.systemd.ends(unit_name("hello"), 0))
    more = '[link]\npublish = ["one", "two"]\n'
    assert ended(attempt(rig, rig.module(version="2", more=more), accept=True))[0] == End.NOT_WELL
    assert "two" in seen[0]
    assert (seen[-1], rules.read_text()) == (before, before)


# Several at once


def test_all_or_none(rig: Rig, clock: Clock) -> None:
    install(rig, name="a")
    install(rig, name="b", more='[order]\nrequires = ["a"]\n')
    good, bad = rig.module(name="a", version="2"), rig.module(name="b", version="2", program=BAD)
    assert ended(attempt(rig, good, bad))[0] == End.ROLLED_BACK
    assert rig.running == {"a": "1", "b": "1"}
    assert (refused(rig, "a"), refused(rig, "b")) == (["2"], ["2"])
    better = rig.module(name="b", version="3", more='[order]\nrequires = ["a"]\n')
    assert ended(attempt(rig, better, good))[0] == End.UPDATED
    assert rig.running == {"a": "2", "b": "3"}
    assert refused(rig, "a") == []


def test_one_that_cannot_go_back_does_not_keep_the_others(rig: Rig, clock: Clock) -> None:
    grant = '[sandbox]\ngrants = ["network.loopback"]\n'
    install(rig, name="a", more=grant)
    install(rig, name="b")

    def later(now_sec: float) -> None:
        if now_sec == 1:
            rig.write("etc/aurora/core.toml", 'grants_never = ["network.loopback"]\n')
            rig.systemd.ends(unit_name("b"), 0)

    clock.then = later
    end, why = ended(attempt(rig, rig.module(name="a", version="2", more=grant), rig.module(name="b", version="2")))
    assert end == End.NOT_WELL
    assert why.startswith("b: it has ended; and the version before: ")
    assert rig.installed == {"a": ("1", True), "b": ("1", True)}
    assert rig.running["b"] == "1"


@pytest.mark.parametrize("program", [GOOD, BAD])
def test_what_leans_on_it_is_up_afterwards(rig: Rig, clock: Clock, program: str) -> None:
    install(rig)
    install(rig, name="user", more='[order]\nrequires = ["hello"]\n')
    attempt(rig, rig.module(version="2", program=program))
    assert rig.running == {"hello": "2" if program == GOOD else "1", "user": "1"}


def test_one_module_twice_is_refused(rig: Rig, clock: Clock) -> None:
    install(rig)
    with pytest.raises(InputError, match="it is there twice"):
        attempt(rig, rig.module(version="2"), rig.module(version="3"))


# What may not be tried


def test_permissions_that_grow_need_the_owners_word(rig: Rig, clock: Clock) -> None:
    install(rig)
    folder = rig.module(version="2", more='[sandbox]\ngrants = ["network.loopback"]\n')
    with pytest.raises(Refused, match="2 may do more") as caught:
        attempt(rig, folder)
    assert caught.value.problems[0].remedy == "--accept"
    assert (rig.installed, read_transactions(rig.paths)[0]) == ({"hello": ("1", True)}, [])
    one = attempt(rig, folder, accept=True)
    assert ended(one)[0] == End.UPDATED
    assert one is not None
    assert one.moves[0].permissions


def test_a_module_that_is_not_installed_is_not_updated(rig: Rig, clock: Clock) -> None:
    with pytest.raises(NotFound, match="auroractl install"):
        attempt(rig, rig.module())


def test_a_package_does_not_follow_a_folder(rig: Rig, clock: Clock) -> None:
    install(rig)
    with pytest.raises(Refused, match="it was installed from a folder"):
        attempt(rig, rig.module(version="2"), origin="package")


def test_a_held_module_is_left_alone(rig: Rig, clock: Clock) -> None:
    install(rig)
    assert hold(rig.paths, "hello", held=True)
    assert not hold(rig.paths, "hello", held=True)
    with pytest.raises(Refused, match="its owner holds it"):
        attempt(rig, rig.module(version="2"))
    hold(rig.paths, "hello", held=False)
    assert ended(attempt(rig, rig.module(version="2")))[0] == End.UPDATED


def test_nothing_else_is_installed_from_a_folder_while_its_owner_holds_it(rig: Rig, clock: Clock) -> None:
    install(rig)
    hold(rig.paths, "hello", held=True)
    with pytest.raises(Refused, match="auroractl update unhold hello"):
        install(rig, version="2")
    install(rig)
    assert rig.running == {"hello": "1"}


def test_what_is_being_learned_from_is_not_updated(rig: Rig, clock: Clock) -> None:
    install(rig)
    with locked(rig.paths.learning_lock("hello")), pytest.raises(Refused, match="auroractl learn runs it now"):
        attempt(rig, rig.module(version="2"))
    assert read_transactions(rig.paths)[0] == []


def test_while_one_command_updates_no_other_does(rig: Rig, clock: Clock) -> None:
    install(rig)
    with locked(rig.paths.update_lock), pytest.raises(Refused, match="another command is updating"):
        attempt(rig, rig.module(version="2"))


def test_while_a_module_is_updated_it_is_neither_replaced_nor_removed(rig: Rig, clock: Clock) -> None:
    install(rig)
    said = []

    def later(now_sec: float) -> None:
        if now_sec == 1:
            for act in (
                lambda: install_folder(rig.paths, rig.systemd, rig.module(version="9"), start=True),
                lambda: remove(rig.paths, rig.systemd, "hello", purge=False),
                lambda: allow_version(rig.paths, "hello", rig.module(version="9")),
                lambda: learn(rig.paths, rig.systemd, subject(rig.paths, "hello"), box_usec=1_000_000),
            ):
                with pytest.raises(Refused, match="an update of hello has not ended") as caught:
                    act()
                said.append(str(caught.value))
            assert apply(rig.paths, rig.systemd).problems == []

    clock.then = later
    assert ended(attempt(rig, rig.module(version="2")))[0] == End.UPDATED
    assert len(said) == 4


# Packages


def test_a_package_is_recorded_once_it_is_staged(rig: Rig, clock: Clock) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)
    new = rig.module(version="2")

    def dpkg() -> None:
        assert (rig.paths.modules / "hello/b/run.py").exists()
        rig.package(version="2")
        assert apply(rig.paths, rig.systemd).staged == [], "its trigger leaves alone what is being updated"

    assert ended(attempt(rig, new, origin="package", packages=dpkg))[0] == End.UPDATED
    assert rig.running == {"hello": "2"}
    done = apply(rig.paths, rig.systemd)
    assert (done.staged, done.outcomes, done.withheld) == ([], [], ())


def test_a_package_that_cannot_be_installed_leaves_all_as_it_is(rig: Rig, clock: Clock) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)

    def dpkg() -> None:
        raise HostError("apt-get install", "it ended with status 100")

    with pytest.raises(HostError):
        attempt(rig, rig.module(version="2"), origin="package", packages=dpkg)
    assert rig.running == {"hello": "1"}
    assert [one.end for one in read_transactions(rig.paths)[0]] == [End.GIVEN_UP]
    assert refused(rig) == []


class GoneError(BaseException):
    """The command was killed."""


@pytest.mark.parametrize("error", [HostError("apt-get install", "it ended with status 100"), GoneError()])
def test_packages_of_which_dpkg_has_but_some_are_not_taken_in_one_by_one(
    rig: Rig, clock: Clock, error: BaseException
) -> None:
    for name in ("a", "b"):
        rig.package(name=name)
    apply(rig.paths, rig.systemd)
    new = [rig.module(name=name, version="2") for name in ("a", "b")]

    def dpkg() -> None:
        rig.package(name="a", version="2")
        raise error

    with pytest.raises(type(error)):
        attempt(rig, *new, origin="package", packages=dpkg)
    for withheld in (("a",), ("a", "b")):
        done = apply(rig.paths, rig.systemd)
        assert (done.staged, done.withheld, rig.running) == ([], withheld, {"a": "1", "b": "1"})
        rig.package(name="b", version="2")  # dpkg ends what it began
    assert ended(attempt(rig, *new, origin="package"))[0] == End.UPDATED
    assert (rig.running, apply(rig.paths, rig.systemd).withheld) == ({"a": "2", "b": "2"}, ())


@pytest.mark.parametrize("version", ["3", ""])
def test_a_package_that_changes_while_its_module_is_tried_is_followed_afterwards(
    rig: Rig, clock: Clock, version: str
) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)

    def later(now_sec: float) -> None:
        if now_sec == 1:
            assert not behind(rig.paths, ["hello"])
            if version:
                rig.package(version=version)
            else:
                rig.unpackage(purge=False)
            apply(rig.paths, rig.systemd)  # apt's trigger

    clock.then = later
    new = rig.module(version="2")
    assert ended(attempt(rig, new, origin="package", packages=lambda: rig.package(version="2")))[0] == End.UPDATED
    assert rig.running == {"hello": "2"}
    assert behind(rig.paths, ["hello"])
    apply(rig.paths, rig.systemd)
    assert rig.running == ({"hello": version} if version else {})
    assert not behind(rig.paths, ["hello"])


def test_a_packages_version_that_is_refused_is_not_taken_in_by_itself(rig: Rig, clock: Clock) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)
    bad = rig.module(version="2", program=BAD)
    attempt(rig, bad, origin="package", packages=lambda: rig.package(version="2", program=BAD))
    rig.reboot()
    done = apply(rig.paths, rig.systemd)
    assert (done.staged, done.withheld, rig.running) == ([], ("hello",), {"hello": "1"})
    allow_version(rig.paths, "hello", bad)
    assert apply(rig.paths, rig.systemd).staged == ["hello"]


def test_a_package_is_not_taken_in_while_its_module_is_held(rig: Rig, clock: Clock) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)
    hold(rig.paths, "hello", held=True)
    rig.package(version="2")
    assert apply(rig.paths, rig.systemd).withheld == ("hello",)
    hold(rig.paths, "hello", held=False)
    assert apply(rig.paths, rig.systemd).staged == ["hello"]


# The owner's word


def test_an_owner_confirms_before_the_window_is_over(rig: Rig, clock: Clock) -> None:
    install(rig)
    clock.then = lambda now_sec: confirm(rig.paths, "hello") if now_sec == 4 else None
    assert ended(attempt(rig, rig.module(version="2")))[0] == End.UPDATED
    assert (clock.now_sec, rig.running) == (4, {"hello": "2"})


def test_an_owner_goes_back_before_the_window_is_over(rig: Rig, clock: Clock) -> None:
    install(rig)

    def later(now_sec: float) -> None:
        if now_sec == 4:
            assert roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None) is None

    clock.then = later
    assert ended(attempt(rig, rig.module(version="2"))) == (End.ROLLED_BACK, "its owner wanted it back")
    assert rig.running == {"hello": "1"}


def test_ctrl_c_goes_back(rig: Rig, clock: Clock) -> None:
    install(rig)

    def later(now_sec: float) -> None:
        if now_sec == 4:
            raise KeyboardInterrupt

    clock.then = later
    assert ended(attempt(rig, rig.module(version="2"))) == (End.ROLLED_BACK, "the command was interrupted")
    assert (rig.running, open_transaction(rig.paths)) == ({"hello": "1"}, None)


def test_nothing_that_is_not_tried_is_confirmed(rig: Rig) -> None:
    install(rig)
    with pytest.raises(Refused, match="no version of it is being tried"):
        confirm(rig.paths, "hello")


def test_an_owner_goes_back_after_it_was_confirmed(rig: Rig, clock: Clock) -> None:
    install(rig)
    attempt(rig, rig.module(version="2"))
    apply(rig.paths, rig.systemd)
    one = roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)
    assert ended(one)[0] == End.UPDATED
    assert one is not None
    assert one.kind is Kind.ROLLBACK
    assert (rig.running, refused(rig), rig.damage()) == ({"hello": "1"}, ["2"], [])


def test_what_the_version_before_requires_has_to_be_there_still(rig: Rig, clock: Clock) -> None:
    install(rig, name="other")
    install(rig, more='[order]\nrequires = ["other"]\n')
    attempt(rig, rig.module(version="2"))
    remove(rig.paths, rig.systemd, "other", purge=False)
    with pytest.raises(NotFound, match="requires the module other"):
        roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)
    assert (rig.running, len(read_transactions(rig.paths)[0])) == ({"hello": "2"}, 1)


def test_there_is_nothing_to_go_back_to_but_what_is_whole(rig: Rig, clock: Clock) -> None:
    install(rig)
    with pytest.raises(NotFound, match="there is no version before this one"):
        roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)
    attempt(rig, rig.module(version="2"))
    (rig.paths.modules / "hello/a/run.py").write_text(BAD)
    with pytest.raises(NotFound, match="1 is not there any more"):
        roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)
    assert rig.running == {"hello": "2"}


def test_what_a_bad_version_was_written_over_is_nothing_to_go_back_to_and_no_damage(rig: Rig, clock: Clock) -> None:
    install(rig)
    attempt(rig, rig.module(version="2"))
    attempt(rig, rig.module(version="3", program=BAD))
    assert (rig.running, refused(rig)) == ({"hello": "2"}, ["3"])
    checked = [check(rig.paths, slot) for slot in slots_of(rig.paths, require(rig.paths, "hello"))]
    assert [(one.slot.version, one.words) for one in checked] == [("2", "")]
    with pytest.raises(NotFound, match="there is no version before this one"):
        roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)


# Interrupted


@pytest.mark.parametrize("rebooted", [False, True])
def test_an_interrupted_trial_ends_with_the_version_before(rig: Rig, clock: Clock, *, rebooted: bool) -> None:
    install(rig)

    def later(_now_sec: float) -> None:
        raise GoneError

    clock.then = later
    with pytest.raises(GoneError):
        attempt(rig, rig.module(version="2"))
    assert rig.running == {"hello": "2"}
    assert open_transaction(rig.paths) is not None
    with pytest.raises(Refused, match="its update was interrupted"):
        confirm(rig.paths, "hello")
    if rebooted:
        rig.reboot()
    done = apply(rig.paths, rig.systemd)
    assert done.problems == []
    assert done.resumed is not None
    assert ended(done.resumed) == (End.ROLLED_BACK, "it was interrupted while it was tried")
    assert (rig.running, refused(rig)) == ({"hello": "1"}, ["2"])


@pytest.mark.parametrize("free_bytes", [0, RESERVE_BYTES])
def test_room_that_was_kept_is_there_to_end_it_by(rig: Rig, clock: Clock, free_bytes: int) -> None:
    install(rig)

    def later(_now_sec: float) -> None:
        raise GoneError

    clock.then = later
    with pytest.raises(GoneError):
        attempt(rig, rig.module(version="2"))
    assert rig.paths.update_reserve.stat().st_blocks * 512 >= RESERVE_BYTES, "no hole"
    disk = SimpleNamespace(f_bavail=free_bytes // 4096, f_bfree=1 << 20, f_frsize=4096)
    reserved: list[bool] = []
    clock.then = lambda _now: None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(updates.os, "statvfs", lambda _folder: disk)
        patch.setattr(transaction, "write_known", lambda *_: reserved.append(rig.paths.update_reserve.exists()))
        apply(rig.paths, rig.systemd)
    assert rig.running == {"hello": "1"}
    assert reserved
    assert set(reserved) == {free_bytes >= RESERVE_BYTES}, "it was given up before anything was written, or not at all"
    assert ended(attempt(rig, rig.module(version="3")))[0] == End.UPDATED
    assert rig.paths.update_reserve.exists(), "the next one keeps it again"


def test_without_that_room_no_update_is_begun(rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    install(rig)

    def full(_handle: int, _place: int, _length: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(updates.os, "posix_fallocate", full)
    with pytest.raises(HostError, match=r"cannot keep room to end an update by, because .*No space left"):
        attempt(rig, rig.module(version="2"))
    assert (rig.running, open_transaction(rig.paths)) == ({"hello": "1"}, None)
    assert not rig.paths.update_reserve.exists()


def test_going_back_needs_no_such_room(rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    install(rig)
    attempt(rig, rig.module(version="2"))
    monkeypatch.delattr(updates.os, "posix_fallocate")
    assert ended(roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None))[0] == End.UPDATED
    assert rig.running == {"hello": "1"}


def test_an_idle_slot_that_was_damaged_while_it_was_written_is_never_active(
    rig: Rig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(rig)
    monkeypatch.setattr("aurora.runtime.install.inventory_of", lambda _folder: Inventory(items=()))
    with pytest.raises(HostError, match="what was written is not what was read"):
        attempt(rig, rig.module(version="2"))
    assert (rig.installed, rig.running) == ({"hello": ("1", True)}, {"hello": "1"})
    assert not (rig.paths.modules / "hello/b").exists()


# On disk


def test_the_history_is_bounded_and_in_order_whatever_the_clock_says(rig: Rig, clock: Clock) -> None:
    install(rig)
    one = attempt(rig, rig.module(version="2"))
    assert one is not None
    for _ in range(HISTORY_MAX + 5):
        write_transaction(rig.paths, replace(one, id=updates.next_id(rig.paths), begun_usec=1))
    rows, problems = read_transactions(rig.paths)
    assert (len(rows), problems) == (HISTORY_MAX, [])
    assert rows[-1].id == f"{HISTORY_MAX + 6:08d}"


def test_a_damaged_transaction_is_told_and_hides_nothing(rig: Rig, clock: Clock) -> None:
    install(rig)
    attempt(rig, rig.module(version="2"))
    (rig.paths.updates / "00000009.json").write_text("{")
    rows, problems = read_transactions(rig.paths)
    assert ([one.state for one in rows], len(problems)) == ([State.NONE], 1)
    assert apply(rig.paths, rig.systemd).problems == problems


def test_what_is_removed_is_forgotten(rig: Rig, clock: Clock) -> None:
    install(rig)
    attempt(rig, rig.module(version="2", program=BAD))
    remove(rig.paths, rig.systemd, "hello", purge=False)
    assert refused(rig) == []
    assert read_record(rig.paths, "hello") is None
