"""A kill at every single point of every command that changes something: the old state or the new, never another.

Each case runs a command again and again, killed one call later each time, until it comes through. After each kill
what counts is looked at, and `apply` has to bring everything to an end, with and without a reboot in between.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from aurora.host import apparmor
from aurora.policy import Catalogue, read_catalogue
from aurora.runtime import folders
from aurora.runtime.apply import Applied, apply
from aurora.runtime.control import enable, restart, start, stop
from aurora.runtime.install import install_folder, remove
from aurora.runtime.transaction import Carrier
from aurora.runtime.update import Source, roll_back, update
from aurora.runtime.updates import open_transaction
from tests.unit.runtime.kill import KilledError, killed_before
from tests.unit.runtime.rig import BAD, GOOD, Rig

type Installed = dict[str, tuple[str, bool]]
UNWATCHED = '[update]\nwindow = "0s"\n'
"""No test here waits for a window."""


def install(rig: Rig, version: str = "1", *, name: str = "hello", program: str = "goes on", up: bool = True) -> None:
    folder = rig.module(name=name, version=version, program=program, more=UNWATCHED)
    install_folder(rig.paths, rig.systemd, folder, start=up)


def nothing(rig: Rig) -> None:
    del rig


def both(first: Callable[[Rig], object], then: Callable[[Rig], object]) -> Callable[[Rig], None]:
    def done(rig: Rig) -> None:
        first(rig)
        then(rig)

    return done


@dataclass(frozen=True, kw_only=True)
class Case:
    """One command, and what there is before and after it."""

    before: Callable[[Rig], object] = nothing
    command: Callable[[Rig], object]
    old: Installed
    new: Installed
    purges: bool = False
    """Whether, once it has happened, the module's state is gone."""
    between: tuple[Installed, ...] = ()
    """For a command on several modules: what there may be when only some of them have been dealt with."""
    whole: bool = False
    """Whether `apply` has to end with all of the old or all of the new."""
    resumes: bool = False
    """Whether what it does has been decided before: `apply` has to end with all of the new."""
    stopped: bool = False
    """Whether the module's owner has stopped it, so that `apply` leaves it so."""


def packaged(rig: Rig) -> None:
    """A module that came as a package, is up, and has state."""
    rig.package()
    apply(rig.paths, rig.systemd)
    rig.make_state()


def try_versions(rig: Rig, version: str = "2", *, bad: str = "", names: tuple[str, ...] = ("hello",)) -> None:
    """`auroractl update apply`; the module named by `bad` does not come up."""
    folders = [
        rig.module(name=name, version=version, program=BAD if name == bad else GOOD, more=UNWATCHED) for name in names
    ]
    sources = [Source(folder, str(folder), "folder") for folder in folders]
    update(rig.paths, rig.systemd, sources, accept=False, window_usec=0, tell=lambda _words: None)


def go_back(rig: Rig) -> None:
    roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)


def two(rig: Rig) -> None:
    install(rig)
    install(rig, name="other")


def dead_in(act: str, *arguments: object) -> Callable[[Rig], None]:
    """An update of two whose command was killed as it came to an act of its carrier, with these first arguments."""

    def done(rig: Rig) -> None:
        two(rig)
        real = getattr(Carrier, act)

        def call(carrier: Carrier, *given: object) -> object:
            if given[: len(arguments)] == arguments:
                raise KilledError(act)
            return real(carrier, *given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Carrier, act, call)
            with pytest.raises(KilledError):
                try_versions(rig, names=BOTH)
        assert open_transaction(rig.paths) is not None

    return done


BOTH = ("hello", "other")
ONE: Installed = {"hello": ("1", True)}
TWO: Installed = {"hello": ("2", True)}

ALL_OLD: Installed = {"hello": ("1", True), "other": ("1", True)}
ALL_NEW: Installed = {"hello": ("2", True), "other": ("2", True)}
MIXED: tuple[Installed, ...] = (
    {"hello": ("2", True), "other": ("1", True)},
    {"hello": ("1", True), "other": ("2", True)},
)
"""Amid a swap; whoever comes next ends that."""

CASES = {
    "install": Case(command=lambda rig: install(rig), old={}, new=ONE),
    "install without start": Case(command=lambda rig: install(rig, up=False), old={}, new={"hello": ("1", False)}),
    "install that does not come up": Case(
        command=lambda rig: install(rig, program=BAD), old={}, new={}, between=(ONE,)
    ),
    "reinstall": Case(before=install, command=lambda rig: install(rig, "2"), old=ONE, new=TWO),
    "reinstall without start": Case(before=install, command=lambda rig: install(rig, "2", up=False), old=ONE, new=TWO),
    "reinstall that does not come up": Case(
        before=install, command=lambda rig: install(rig, "2", program=BAD), old=ONE, new=ONE, between=(TWO,)
    ),
    "reinstall of a third version": Case(
        before=both(install, lambda rig: install(rig, "2", up=False)),
        command=lambda rig: install(rig, "3"),
        old=TWO,
        new={"hello": ("3", True)},
    ),
    "enable": Case(
        before=lambda rig: install(rig, up=False),
        command=lambda rig: enable(rig.paths, ["hello"], enabled=True),
        old={"hello": ("1", False)},
        new=ONE,
    ),
    "disable": Case(
        before=install,
        command=lambda rig: enable(rig.paths, ["hello"], enabled=False),
        old=ONE,
        new={"hello": ("1", False)},
    ),
    "disable two": Case(
        before=both(install, lambda rig: install(rig, name="other")),
        command=lambda rig: enable(rig.paths, ["hello", "other"], enabled=False),
        old={"hello": ("1", True), "other": ("1", True)},
        new={"hello": ("1", False), "other": ("1", False)},
        between=({"hello": ("1", False), "other": ("1", True)},),
    ),
    "start": Case(
        before=both(install, lambda rig: stop(rig.paths, rig.systemd, ["hello"])),
        command=lambda rig: start(rig.paths, rig.systemd, ["hello"]),
        old=ONE,
        new=ONE,
        stopped=True,
    ),
    "restart": Case(before=install, command=lambda rig: restart(rig.paths, rig.systemd, ["hello"]), old=ONE, new=ONE),
    "remove": Case(
        before=both(install, Rig.make_state),
        command=lambda rig: remove(rig.paths, rig.systemd, "hello", purge=False),
        old=ONE,
        new={},
    ),
    "remove and purge": Case(
        before=both(install, Rig.make_state),
        command=lambda rig: remove(rig.paths, rig.systemd, "hello", purge=True),
        old=ONE,
        new={},
        purges=True,
    ),
    "update": Case(before=install, command=try_versions, old=ONE, new=TWO, whole=True),
    "update of two": Case(
        before=two,
        command=lambda rig: try_versions(rig, names=BOTH),
        old=ALL_OLD,
        new=ALL_NEW,
        between=MIXED,
        whole=True,
    ),
    "update of two, of which one does not come up": Case(
        before=two,
        command=lambda rig: try_versions(rig, names=BOTH, bad="other"),
        old=ALL_OLD,
        new=ALL_OLD,
        between=(*MIXED, ALL_NEW),
        whole=True,
    ),
    **{
        f"ending an update of two that was killed before its {act}": Case(
            before=dead_in(act, *arguments),
            command=lambda rig: apply(rig.paths, rig.systemd),
            old=old,
            new=new,
            between=MIXED,
            resumes=True,
        )
        for act, arguments, old, new in (
            ("run", (), ALL_OLD, ALL_OLD),
            ("_swap", (), ALL_OLD, ALL_OLD),
            ("_point", ("other",), MIXED[0], ALL_OLD),
            ("_restart", (), ALL_NEW, ALL_OLD),
            ("_observe", (), ALL_NEW, ALL_OLD),
            ("_keep", (), ALL_NEW, ALL_NEW),
        )
    },
    "going back": Case(before=both(install, try_versions), command=go_back, old=TWO, new=ONE, whole=True),
    "taking in a package": Case(
        before=lambda rig: rig.package(), command=lambda rig: apply(rig.paths, rig.systemd), old={}, new=ONE
    ),
    "taking in a newer package": Case(
        before=both(packaged, lambda rig: rig.package(version="2")),
        command=lambda rig: apply(rig.paths, rig.systemd),
        old=ONE,
        new=TWO,
    ),
    "letting a removed package go": Case(
        before=both(packaged, lambda rig: rig.unpackage(purge=False)),
        command=lambda rig: apply(rig.paths, rig.systemd),
        old=ONE,
        new={},
    ),
    "letting a purged package go": Case(
        before=both(packaged, lambda rig: rig.unpackage(purge=True)),
        command=lambda rig: apply(rig.paths, rig.systemd),
        old=ONE,
        new={},
        purges=True,
    ),
}


@functools.cache
def catalogue(files: tuple[tuple[str, bytes], ...]) -> Catalogue:
    """What these policy files say: read once for each machine, as that is half of what a command costs here."""
    return read_catalogue(files)


def check_kill(case: Case, rig: Rig) -> None:
    """What counts after a kill is a state that there may be, and it is whole."""
    assert rig.installed in (case.old, case.new, *case.between)
    assert rig.damage() == []


def check_end(case: Case, rig: Rig, applied: Applied) -> None:
    """After `apply` what counts runs, nothing else does, and nothing else is on disk."""
    assert applied.problems == []
    assert open_transaction(rig.paths) is None
    if case.whole:
        assert rig.installed in (case.old, case.new)
    if case.resumes:
        assert rig.installed == case.new
    assert rig.damage() == []
    assert rig.leftovers() == []
    assert rig.running.keys() <= rig.installed.keys()
    failed = {one.step.module for one in applied.outcomes if one.problem is not None}
    for name, (version, enabled) in rig.installed.items():
        assert (name in failed) <= rig.is_bad(name)
        if enabled and not rig.is_bad(name) and not case.stopped:
            assert rig.running.get(name) == version
    again = apply(rig.paths, rig.systemd)
    assert not [one for one in again.outcomes if one.problem is None], "there was something left to do"
    if case.whole or case.resumes:
        try_versions(rig, "9", names=tuple(rig.installed))
        assert rig.installed == dict.fromkeys(rig.installed, ("9", True)), "the next update works"
        assert rig.running == dict.fromkeys(rig.installed, "9")
        assert rig.damage() == []


@pytest.mark.parametrize("rebooted", [False, True], ids=["same boot", "rebooted"])
@pytest.mark.parametrize("name", CASES)
def test_a_kill_leaves_the_old_state_or_the_new_and_apply_finishes_it(
    name: str, rebooted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "read_catalogue", lambda files: catalogue(tuple(files)))
    case = CASES[name]
    first: Installed | None = None
    at = 0
    while True:
        rig = Rig(tmp_path / str(at))
        monkeypatch.setattr(apparmor, "run", rig.parser)
        case.before(rig)
        state = rig.state()
        with killed_before(at) as killer:
            case.command(rig)
        print(f"killed before call {at}, after {killer.calls[-3:]}")  # shown when it fails
        check_kill(case, rig)
        first = rig.installed if first is None else first
        last = rig.installed
        if rebooted:
            rig.reboot()
        check_end(case, rig, apply(rig.paths, rig.systemd))
        assert rig.state() == (0 if case.purges and not rig.installed else state)
        if not killer.killed:
            break
        at += 1
    assert at > 3, "there was something to interrupt"
    assert (first, last) == (case.old, case.new)
