"""What a new version makes of a module's state is taken back with it, whatever interrupts that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from aurora.errors import HostError, Refused
from aurora.host import snapshot
from aurora.host.fake import Program
from aurora.names import unit_name
from aurora.plan.update import End
from aurora.runtime import snapshots
from aurora.runtime.update import Source, finish_interrupted, update
from aurora.runtime.updates import open_transaction, read_known
from tests.unit.runtime.kill import killed_before
from tests.unit.runtime.rig import BAD, GOOD, Rig, what_the_file_says
from tests.unit.runtime.test_update import attempt, ended, install

SNAPSHOT = '[directories]\nstate = true\n[update]\nwindow = "0s"\nsnapshot = true\n'


class Storing:
    """A module that writes down which version it is as soon as it runs, and what was there before."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.place = rig.paths.root / "var/lib/private/aurora/hello"

    def __call__(self, unit: str, argv: Sequence[str]) -> Program:
        if unit == unit_name("hello"):
            self.place.mkdir(parents=True, exist_ok=True)
            version = (Path(argv[-1]).parent / "data/values").read_text()
            (self.place / version).write_text("")
            (self.place / "log").open("a").write(version)
        return what_the_file_says(unit, argv)

    @property
    def stored(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted(self.place.iterdir()) if not path.is_symlink()}


@pytest.fixture
def storing(rig: Rig) -> Storing:
    rig.systemd.behaviour = one = Storing(rig)
    install(rig, more=SNAPSHOT)
    (one.place / "link").symlink_to("nowhere")
    (one.place / "1").chmod(0o640)
    return one


def copies(rig: Rig) -> list[str]:
    return sorted(str(path) for path in rig.paths.snapshots.rglob("*"))


def test_a_version_that_stays_keeps_what_it_stored(rig: Rig, storing: Storing) -> None:
    assert ended(attempt(rig, rig.module(version="2", more=SNAPSHOT)))[0] == End.UPDATED
    assert storing.stored == {"1": "", "2": "", "log": "12"}
    assert copies(rig) == []


def test_one_that_does_not_takes_it_along(rig: Rig, storing: Storing) -> None:
    assert ended(attempt(rig, rig.module(version="2", program=BAD, more=SNAPSHOT)))[0] == End.ROLLED_BACK
    assert (storing.place / "link").readlink() == Path("nowhere")
    assert storing.stored == {"1": "", "log": "11"}, "the version before has gone on from where it was"
    assert (storing.place / "1").stat().st_mode & 0o777 == 0o640
    assert copies(rig) == []


def test_a_new_version_that_does_not_ask_for_it_goes_on_with_what_is_there(rig: Rig, storing: Storing) -> None:
    without = '[directories]\nstate = true\n[update]\nwindow = "0s"\n'
    attempt(rig, rig.module(version="2", program=BAD, more=without))
    assert storing.stored["log"] == "121"


def test_state_that_was_not_there_is_not_there_again(rig: Rig) -> None:
    install(rig, more=SNAPSHOT)
    rig.systemd.behaviour = storing = Storing(rig)
    attempt(rig, rig.module(version="2", program=BAD, more=SNAPSHOT))
    assert storing.stored["log"] == "1"


def test_without_room_for_the_copy_nothing_is_done(rig: Rig, storing: Storing, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rig.pid()
    monkeypatch.setattr(snapshots, "free_bytes", lambda _folder: 100)
    with pytest.raises(Refused, match=r"copies of the state of hello take .*, and 100B are free"):
        attempt(rig, rig.module(version="2", more=SNAPSHOT))
    assert (rig.pid(), open_transaction(rig.paths), read_known(rig.paths, "hello").refused) == (before, None, ())


def test_a_copy_that_cannot_be_made_leaves_the_version_before(
    rig: Rig, storing: Storing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_argv: Sequence[str], **_more: object) -> None:
        raise HostError("run cp", "No space left on device")

    monkeypatch.setattr(snapshot, "run", full)
    end, why = ended(attempt(rig, rig.module(version="2", more=SNAPSHOT)))
    assert (end, why) == (End.ROLLED_BACK, "No space left on device")
    assert (rig.running, storing.stored["log"], copies(rig)) == ({"hello": "1"}, "11", [])


@pytest.mark.parametrize("program", [GOOD, BAD])
def test_a_kill_at_any_point_leaves_a_version_with_its_own_state(tmp_path: Path, program: str) -> None:
    at = 0
    killed = True
    while killed:
        rig = Rig(tmp_path / str(at))
        rig.systemd.behaviour = storing = Storing(rig)
        install(rig, more=SNAPSHOT)
        folder = rig.module(version="2", program=program, more=SNAPSHOT)
        with killed_before(at) as killer:
            sources = [Source(folder, "", "folder")]
            update(rig.paths, rig.systemd, sources, accept=False, window_usec=0, tell=lambda _words: None)
        killed = killer.killed
        finish_interrupted(rig.paths, rig.systemd, lambda _words: None)
        (version,) = rig.running.values()
        assert set(storing.stored) == {"1", "log"} | {version}, killer.calls[-3:]
        assert copies(rig) == []
        at += 1
    assert at > 20
