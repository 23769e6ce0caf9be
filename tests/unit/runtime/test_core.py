"""The core's slots: staged, tried, confirmed, and rolled back by debian/rollback, killed at every call of each."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aurora.errors import HostError, Refused, StartFailed
from aurora.host import staging
from aurora.host.cgroup import Usage
from aurora.host.files import replace_link
from aurora.plan.core import ENDED_MAX, SLOTS, TRIES_MAX, CoreEnd, Trial
from aurora.runtime import core
from aurora.runtime.core import blame_trial, check_trial, confirm_trial, ended_trials, open_trial, stage_wanted
from aurora.runtime.install import install_folder
from aurora.runtime.slots import active_slot, behind, slot_version
from aurora.runtime.status import Status
from tests.unit.runtime.kill import KilledError, killed_before
from tests.unit.runtime.rig import Rig
from tests.unit.runtime.slots import boots, outside, packaged, rollback, rolls_back, whole


@pytest.fixture(autouse=True)
def no_dpkg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "is_torn", lambda _paths, _package: False)


def confirmed(rig: Rig, version: str = "1") -> None:
    packaged(rig, version)
    assert stage_wanted(rig.paths) is not None
    assert confirm_trial(rig.paths) is not None
    assert whole(rig) == version


def test_a_version_is_staged_beside_the_one_that_runs_and_confirmed(rig: Rig) -> None:
    confirmed(rig)
    assert active_slot(rig.paths) == "a"
    packaged(rig, "2")
    one = stage_wanted(rig.paths)
    assert one is not None
    assert (one.slot, one.before, one.version, one.version_before) == ("b", "a", "2", "1")
    assert whole(rig) == "2"
    assert slot_version(rig.paths, "a") == "1", "there is a way back"
    assert behind(rig.paths) == ("2", "2"), "it is being tried"
    confirm_trial(rig.paths)
    assert open_trial(rig.paths) is None
    assert behind(rig.paths) is None
    assert not rig.paths.core_wanted.exists(), "what dpkg has is active"
    assert [(one.version, one.end) for one in ended_trials(rig.paths)] == [("1", "confirmed"), ("2", "confirmed")]
    packaged(rig, "3")
    stage_wanted(rig.paths)
    assert active_slot(rig.paths) == "a"


def test_the_same_code_under_another_version_is_not_tried(rig: Rig) -> None:
    confirmed(rig)
    rig.write("var/lib/aurora-core/core/wanted", "1+rebuilt\n")
    assert stage_wanted(rig.paths) is None
    assert slot_version(rig.paths, "a") == "1+rebuilt"
    assert stage_wanted(rig.paths) is None
    assert len(ended_trials(rig.paths)) == 1


def test_policies_are_a_part_of_what_is_tried(rig: Rig) -> None:
    confirmed(rig)
    rig.write("usr/share/aurora/policies/more.toml", "")
    rig.write("var/lib/aurora-core/core/wanted", "1\n")
    assert stage_wanted(rig.paths) is not None
    assert (rig.paths.core / "b/policies/more.toml").exists()


def test_a_version_that_fails_is_rolled_back_and_refused_and_a_later_one_is_tried(rig: Rig) -> None:
    confirmed(rig)
    packaged(rig, "2")
    stage_wanted(rig.paths)
    assert rolls_back(rig) == 0
    assert whole(rig) == "1"
    last = ended_trials(rig.paths)[-1]
    assert (last.end, last.version) == (CoreEnd.ROLLED_BACK, "2")
    assert "was not confirmed" in last.why
    assert behind(rig.paths) == ("1", "2")
    with pytest.raises(Refused, match="did not stay"):
        stage_wanted(rig.paths)
    assert rig.paths.core_wanted.read_text() == "2\n", "dpkg has another version than is active"
    assert rolls_back(rig) == 0, "there is nothing to roll back any more"
    packaged(rig, "3")
    assert stage_wanted(rig.paths) is not None
    assert whole(rig) == "3"


def test_a_version_that_never_was_active_is_not_refused(rig: Rig) -> None:
    confirmed(rig)
    packaged(rig, "2")
    stage_wanted(rig.paths)
    replace_link(rig.paths.core_active, "a")  # as before a kill between writing it down and the swap
    rolls_back(rig)
    assert ended_trials(rig.paths)[-1].end is CoreEnd.GIVEN_UP
    assert stage_wanted(rig.paths) is not None
    assert whole(rig) == "2"


def test_without_a_slot_before_dpkgs_own_copy_is_what_is_left(rig: Rig) -> None:
    packaged(rig, "1")
    stage_wanted(rig.paths)
    rolls_back(rig)
    assert active_slot(rig.paths) == ""
    assert not rig.paths.core_active.is_symlink()


def test_a_power_cut_amid_a_trial_gives_it_one_more_boot(rig: Rig) -> None:
    confirmed(rig)
    packaged(rig, "2")
    stage_wanted(rig.paths)
    for boot in range(2, TRIES_MAX + 1):
        boots(rig, f"number {boot}")
        assert rolls_back(rig, "--found") == 0
        assert whole(rig) == "2"
        one = open_trial(rig.paths)
        assert one is not None
        assert (one.tries, one.up, one.boot) == (boot, (), f"number {boot}")
        assert rolls_back(rig, "--found") == 0, "in the same boot nothing happens"
        assert stage_wanted(rig.paths) == open_trial(rig.paths) == one, "it is gone on with"
    boots(rig, "the last")
    rolls_back(rig, "--found")
    assert whole(rig) == "1"
    assert f"the machine went down in {TRIES_MAX} boots" in ended_trials(rig.paths)[-1].why


def test_the_slot_to_go_back_to_is_never_written_when_another_version_comes_amid_a_trial(rig: Rig) -> None:
    confirmed(rig)
    packaged(rig, "2")
    stage_wanted(rig.paths)
    packaged(rig, "3")
    one = stage_wanted(rig.paths)
    assert one is not None
    assert (one.slot, one.before, one.version) == ("b", "a", "3")
    assert [each.end for each in ended_trials(rig.paths)] == [CoreEnd.CONFIRMED, CoreEnd.GIVEN_UP]
    rolls_back(rig)
    assert whole(rig) == "1"


def test_what_dpkg_has_torn_is_not_staged(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed(rig)
    packaged(rig, "2")
    monkeypatch.setattr(core, "is_torn", lambda _paths, package: package == "aurora-core")
    with pytest.raises(HostError, match="neither the old version nor the new"):
        stage_wanted(rig.paths)
    assert whole(rig) == "1"


def test_a_full_disk_leaves_what_is_active_and_says_so(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed(rig)
    packaged(rig, "2")

    def full(_handle: int, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(staging, "_write_all", full)
    with pytest.raises(HostError, match=r"cannot stage the core, because .*No space left"):
        stage_wanted(rig.paths)
    assert whole(rig) == "1"
    assert not (rig.paths.core / "b").exists()
    assert rig.paths.core_wanted.read_text() == "2\n"


def test_what_the_disk_gives_back_otherwise_is_not_made_active(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed(rig)
    packaged(rig, "2")
    compiled = core.compile_folder

    def rots(code: Path, elsewhere: Path) -> None:
        compiled(code, elsewhere)
        (code / "cli/main.py").write_text("said = 'x'\n")

    monkeypatch.setattr(core, "compile_folder", rots)
    with pytest.raises(HostError, match="what was written is not what was read"):
        stage_wanted(rig.paths)
    assert whole(rig) == "1"
    assert open_trial(rig.paths) is None


def test_code_that_is_no_python_is_not_made_active(rig: Rig) -> None:
    confirmed(rig)
    packaged(rig, "2")
    rig.write("usr/lib/python3/dist-packages/aurora/cli/main.py", "said = (\n")
    with pytest.raises(HostError, match="no program of this Python"):
        stage_wanted(rig.paths)
    assert whole(rig) == "1"


# What is looked at


def now(name: str, active: str = "active", sub: str = "running") -> Status:
    usage = Usage(None, None, None, None, 0, None, 0)
    return Status(
        name=name, version="1", description="", unit=f"aurora@{name}.service", enabled=True, active=active, sub=sub,
        since_sec=0, restarts=0, result="success", exit_status=0, main_pid=1, usage=usage, disk=(), unenforced=(),
        outdated=False, damaged="", scheduled=False, next_sec=0,
    )  # fmt: skip


@pytest.fixture
def trial(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Trial:
    """Of version 2, begun while hello was up and other was not."""
    for name in ("hello", "other"):
        install_folder(rig.paths, rig.systemd, rig.module(name=name), start=True)
    confirmed_before = [now("hello"), now("other", "active", "exited")]
    monkeypatch.setattr(core, "read_status", lambda _paths, _records: confirmed_before)
    confirmed(rig)
    packaged(rig, "2")
    one = stage_wanted(rig.paths)
    assert one is not None
    assert one.up == ("hello",)
    return one


def test_what_is_looked_at_is_the_new_version_itself(rig: Rig, trial: Trial) -> None:
    with pytest.raises(StartFailed, match="what runs is in /usr"):
        check_trial(rig.paths, "/usr/lib/python3/dist-packages")
    assert check_trial(rig.paths, str(rig.paths.core / trial.slot)) == trial


def test_a_version_that_cannot_plan_what_was_up_is_not_good(rig: Rig, trial: Trial) -> None:
    (rig.paths.owner_modules).mkdir(parents=True, exist_ok=True)
    (rig.paths.owner_modules / "hello.toml").write_text("odd = 1\n")
    with pytest.raises(StartFailed, match=r"hello: .*odd"):
        check_trial(rig.paths, str(rig.paths.core / trial.slot))


@pytest.mark.parametrize("active", ["failed", "inactive"])
def test_a_version_under_which_a_module_is_down_is_not_confirmed(
    rig: Rig, trial: Trial, active: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def found(_paths: object, records: list[Status]) -> list[Status]:
        asked.append([one.name for one in records])
        return [now("hello", active, "dead")]

    monkeypatch.setattr(core, "read_status", found)
    with pytest.raises(StartFailed, match=f"hello is {active} now"):
        confirm_trial(rig.paths)
    assert asked == [["hello"]], "what was not up before is no affair of the core's"
    assert open_trial(rig.paths) == trial
    monkeypatch.setattr(core, "read_status", lambda _paths, _records: [now("hello", "activating", "auto-restart")])
    assert confirm_trial(rig.paths) is not None


def test_what_a_version_finds_against_itself_is_why_it_did_not_stay(rig: Rig, trial: Trial) -> None:
    blame_trial(rig.paths, "hello is down")
    blame_trial(rig.paths, "and more")
    rolls_back(rig)
    assert ended_trials(rig.paths)[-1].why == "hello is down"
    blame_trial(rig.paths, "nothing is tried")


# Bounds


def test_trials_that_ended_are_bounded(rig: Rig) -> None:
    for number in range(ENDED_MAX + 3):
        confirmed(rig, str(number))
    assert len(list(rig.paths.core_ended.iterdir())) == ENDED_MAX
    assert ended_trials(rig.paths)[-1].version == str(ENDED_MAX + 2)


def test_a_trial_that_cannot_be_read_is_said_by_both(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    confirmed(rig)
    packaged(rig, "2")
    rig.paths.core_trial.write_text("{}")
    with pytest.raises(HostError, match="damaged"):
        stage_wanted(rig.paths)
    assert rolls_back(rig) == 1
    assert "cannot end the trial of the core" in capsys.readouterr().err
    assert whole(rig) == "1"


@pytest.mark.parametrize("wrong", [{"slot": "../../x"}, {"before": "/etc"}, {"id": "../x"}, {"before": "b"}])
def test_a_trial_that_names_no_slots_moves_nothing(rig: Rig, wrong: dict[str, str]) -> None:
    confirmed(rig)
    packaged(rig, "2")
    stage_wanted(rig.paths)
    document = json.loads(rig.paths.core_trial.read_text())
    rig.paths.core_trial.write_text(json.dumps({**document, **wrong}))
    assert rolls_back(rig) == 1
    assert active_slot(rig.paths) == "b"


def test_both_sides_have_the_same_bounds() -> None:
    assert (rollback.TRIES_MAX, rollback.SLOTS) == (TRIES_MAX, SLOTS) == (TRIES_MAX, outside("aurora_launch.py").SLOTS)


# Kills


def tries(rig: Rig) -> None:
    stage_wanted(rig.paths)


def tries_and_confirms(rig: Rig) -> None:
    tries(rig)
    confirm_trial(rig.paths)


def tries_and_fails(rig: Rig) -> None:
    tries(rig)
    rolls_back(rig)


def nothing(rig: Rig) -> None:
    del rig


def another_comes(rig: Rig) -> None:
    tries(rig)
    packaged(rig, "3")


KILLS: dict[str, tuple[Callable[[Rig], None], Callable[[Rig], None]]] = {
    "trying and confirming": (nothing, tries_and_confirms),
    "trying and failing": (nothing, tries_and_fails),
    "another version amid a trial": (another_comes, tries),
}
"""What comes before, and what is killed."""


@pytest.mark.parametrize("rebooted", [False, True], ids=["same boot", "rebooted"])
@pytest.mark.parametrize("first", [False, True], ids=["a slot before", "no slot before"])
@pytest.mark.parametrize("name", KILLS)
def test_a_kill_anywhere_leaves_one_whole_version_and_whoever_comes_next_goes_on(
    name: str, first: bool, rebooted: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "_running", lambda _paths: ())
    before = "" if first else "1"
    for at in itertools.count():
        rig = Rig(tmp_path / "machine")
        if not first:
            confirmed(rig)
        packaged(rig, "2")
        prepare, command = KILLS[name]
        prepare(rig)
        with killed_before(at) as killer:
            command(rig)
        print(f"killed before call {at}, after {killer.calls[-3:]}")  # shown when it fails
        assert whole(rig) in (before, "2", "3")
        if rebooted:
            boots(rig, "second")
        goes_on(rig)
        one = open_trial(rig.paths)
        assert one is None or (one.version == whole(rig) and one.before != one.slot)
        assert whole(rig) in (before, "2", "3")
        # And the next version goes its way.
        confirmed(rig, "9")
        left = {entry.name for entry in rig.paths.core.iterdir()}
        assert left <= {"a", "b", "active", "ended"}, left
        shutil.rmtree(rig.folder)
        if not killer.killed:
            break
    assert at > 10, "there was something to interrupt"


def goes_on(rig: Rig) -> None:
    """What the units do, at boot or when they are started again."""
    assert rolls_back(rig, "--found") == 0
    version = whole(rig)
    try:
        one = stage_wanted(rig.paths)
    except Refused:
        assert [each.end for each in ended_trials(rig.paths)][-1] is CoreEnd.ROLLED_BACK
        assert whole(rig) == version
        return
    assert one is None or whole(rig) == one.version


@pytest.mark.parametrize("how", ["--found", "--failed"])
def test_a_kill_amid_rolling_back_is_ended_by_whoever_comes_next(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "_running", lambda _paths: ())
    for at in itertools.count():
        rig = Rig(tmp_path / "machine")
        confirmed(rig)
        packaged(rig, "2")
        tries(rig)
        if how == "--found":
            for boot in ("second", "third"):
                boots(rig, boot)
                if boot == "second":
                    rolls_back(rig, how)
        killed = False
        with killed_before(at) as killer:
            try:
                rolls_back(rig, how)
            except KilledError:
                killed = True
        assert whole(rig) in ("1", "2")
        with pytest.MonkeyPatch.context():
            boots(rig, "fourth")
            rolls_back(rig, "--found")
        if how == "--failed" and killed and whole(rig) == "2":
            rolls_back(rig)  # nothing was written down: that boot tried it once more
        assert whole(rig) == "1"
        assert ended_trials(rig.paths)[-1].end is CoreEnd.ROLLED_BACK
        assert open_trial(rig.paths) is None
        shutil.rmtree(rig.folder)
        if not killer.killed:
            break
    assert at > 5, "there was something to interrupt"
