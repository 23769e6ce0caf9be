"""Slots that were damaged: found, mended from whatever still holds the bytes, and never made worse."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora.errors import HostError, Refused
from aurora.runtime import doctor
from aurora.runtime.apply import apply
from aurora.runtime.control import restart, start, stop
from aurora.runtime.damage import Slot, active_slot, check, check_all
from aurora.runtime.damaged import read_damaged
from aurora.runtime.doctor import examine
from aurora.runtime.folders import folder_digest
from aurora.runtime.install import install_folder, remove, sweep
from aurora.runtime.inventory import inventory_file, known_inventory
from aurora.runtime.records import Record, read_records, require
from aurora.runtime.repair import Mended, Source, Sources, repair
from aurora.runtime.update import Source as Version
from aurora.runtime.update import roll_back, update
from tests.unit.runtime.kill import killed_before
from tests.unit.runtime.rig import BAD, GOOD, Rig

UNWATCHED = '[update]\nwindow = "0s"\n'


def nothing() -> list[Source]:
    return []


def install(rig: Rig, version: str = "1", *, start: bool = True) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(version=version, more=UNWATCHED), start=start)


def updated(rig: Rig) -> None:
    """A module at version 2 in slot b, with 1 in slot a to go back to; all but their versions is alike."""
    install(rig)
    folder = rig.module(version="2", more=UNWATCHED)
    one = update(
        rig.paths, rig.systemd, [Version(folder, str(folder), "folder")], accept=False, window_usec=0,
        tell=lambda _words: None,
    )  # fmt: skip
    assert one is not None
    assert one.end == "updated"


def packaged(rig: Rig) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)


def record(rig: Rig) -> Record:
    return require(rig.paths, "hello")


def slot(rig: Rig) -> Path:
    return Path(record(rig).folder(rig.paths))


def mended(rig: Rig, *, more: Sources = nothing) -> list[Mended]:
    return repair(rig.paths, ["hello"], more=more)["hello"]


def words(rig: Rig) -> str:
    return check(rig.paths, active_slot(record(rig))).words


def tree(folder: Path) -> dict[str, tuple[object, ...]]:
    """Every place below, with what tells whether it was touched."""
    found = {}
    for path in sorted(folder.rglob("*")):
        info = path.lstat()
        found[str(path.relative_to(folder))] = (info.st_ino, info.st_mode, info.st_mtime_ns, info.st_ctime_ns)
    return found


# Found


def test_what_was_staged_is_written_down_and_as_it_was(rig: Rig) -> None:
    install(rig)
    inventory = known_inventory(rig.paths, "hello", "a", record(rig).source_digest)
    assert inventory is not None
    assert [item.path for item in inventory.items] == ["data", "data/values", "module.toml", "run.py"]
    assert words(rig) == ""


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "other bytes": (lambda at: (at / "run.py").write_text("goes OFF"[:7]), "run.py: its content is another"),
    "cut off": (lambda at: os.truncate(at / "run.py", 3), "run.py: it has another length (3 bytes, not 7)"),
    "missing": (lambda at: (at / "data/values").unlink(), "data/values: it is missing"),
    "extra": (lambda at: (at / "data/more").write_text("x"), "data/more: it was not staged"),
    "extra folder": (lambda at: (at / "more/in").mkdir(parents=True), "more: it was not staged"),
    "mode": (lambda at: (at / "run.py").chmod(0o4755), "run.py: it has another mode (4755, not 0644)"),
    "mode of a folder": (lambda at: (at / "data").chmod(0o777), "data: it has another mode (0777, not 0755)"),
    "a link": (
        lambda at: ((at / "run.py").unlink(), (at / "run.py").symlink_to("data/values")),
        "run.py: it is of another kind (a link, not a file)",
    ),
    "a folder for a file": (
        lambda at: ((at / "run.py").unlink(), (at / "run.py/in").mkdir(parents=True)),
        "run.py: it is of another kind (a folder, not a file)",
    ),
    "a pipe": (
        lambda at: ((at / "run.py").unlink(), os.mkfifo(at / "run.py")),
        "run.py: it is of another kind (a device, socket or pipe, not a file)",
    ),
    "the slot gone": (shutil.rmtree, "the slot: it is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_named_and_mended_from_the_package_and_nothing_else_is_touched(rig: Rig, name: str) -> None:
    packaged(rig)
    damage, said = DAMAGES[name]
    damage(slot(rig))
    before = tree(slot(rig))
    assert words(rig) == said
    (one,) = mended(rig)
    assert (one.left.damages, words(rig)) == ((), "")
    assert rig.damage() == []
    touched = {path for path, _ in one.mended}
    after = tree(slot(rig))
    above = {str(Path(path).parent) for path in touched}
    assert {path for path in before if after.get(path) != before[path]} <= touched | above | {
        f"{path}/in" for path in touched
    }
    assert rig.leftovers() == []
    assert mended(rig)[0].mended == (), "there is nothing more to do"


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_found_and_mended(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    rig = Rig(tmp_path_factory.mktemp("any"))
    install_folder(rig.paths, rig.systemd, rig.module(), start=False)
    install_folder(rig.paths, rig.systemd, rig.module(name="other"), start=False)
    at, other = slot(rig), rig.paths.modules / "other"
    whole = folder_digest(at)
    bystander = tree(other)
    for _ in range(data.draw(st.integers(1, 4))):
        _damage(at, data.draw)
    damaged = not at.is_dir() or at.is_symlink() or bool(check(rig.paths, active_slot(record(rig))).damages)
    (one,) = mended(rig, more=lambda: [Source(rig.folder / "hello-1", "the folder it came from")])
    assert one.left.damages == ()
    assert bool(one.mended) == damaged
    assert folder_digest(at) == whole
    assert tree(other) == bystander
    assert (rig.folder / "outside").read_text() == "keep" if (rig.folder / "outside").exists() else True


def _damage(at: Path, draw: Callable[..., object]) -> None:
    outside = at.parents[5] / "outside"
    outside.write_text("keep")
    places = sorted(at.rglob("*")) if at.is_dir() and not at.is_symlink() else []
    place = draw(st.sampled_from([at, *places]))
    assert isinstance(place, Path)
    how = draw(st.sampled_from(["flip", "cut", "grow", "gone", "mode", "link", "link to a folder", "folder", "extra"]))
    regular = place.is_file() and not place.is_symlink()
    if how in ("flip", "cut", "grow") and regular and place.stat().st_nlink == 1:
        held = bytearray(place.read_bytes())
        if how == "cut":
            del held[len(held) // 2 :]
        elif how == "grow":
            held += b"\0"
        elif held:
            held[draw(st.integers(0, len(held) - 1))] ^= 1  # type: ignore[index]  # it is a number
        place.write_bytes(held)
    elif how == "mode" and place.exists() and not place.is_symlink():
        place.chmod(draw(st.integers(0, 0o7777)))  # type: ignore[arg-type]  # it is a number
    elif how == "extra" and place.is_dir() and not place.is_symlink():
        (place / "extra").write_text("x")
    else:
        if place.is_symlink() or place.is_file():
            place.unlink()
        elif place.is_dir():
            shutil.rmtree(place)
        if how.startswith("link"):
            place.symlink_to(outside if how == "link" else outside.parent)
        elif how == "folder":
            (place / "in").mkdir(parents=True)


def test_a_quick_look_sees_all_but_bytes_of_large_modules_that_no_start_goes_by(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(rig)
    (slot(rig) / "data/values").write_text("2")
    assert check(rig.paths, active_slot(record(rig)), read=()).words == "data/values: its content is another"
    monkeypatch.setattr("aurora.runtime.damage.QUICK_READ_MAX_BYTES", 0)
    assert check(rig.paths, active_slot(record(rig)), read=()).words == ""
    assert words(rig) == "data/values: its content is another"
    (slot(rig) / "data/values").write_text("22")
    assert check(rig.paths, active_slot(record(rig)), read=()).words.startswith("data/values: it has another length")


# Sources


def test_a_file_is_taken_from_the_other_slot_and_the_version_to_go_back_to_is_mended_too(rig: Rig) -> None:
    updated(rig)
    (rig.paths.modules / "hello/b/run.py").unlink()
    (rig.paths.modules / "hello/a/module.toml").unlink()
    active, before = mended(rig, more=lambda: [Source(rig.folder / "hello-1", "its folder")])
    assert (active.active, active.mended) == (True, (("run.py", "slot a"),))
    assert (before.version, before.mended) == ("1", (("module.toml", "its folder"),))
    assert [one.words for one in check_all(rig.paths, record(rig))] == ["", ""]
    roll_back(rig.paths, rig.systemd, "hello", tell=lambda _words: None)
    assert rig.running == {"hello": "1"}


def test_a_hard_link_shares_the_damage_and_is_not_taken(rig: Rig) -> None:
    updated(rig)
    place, other = (rig.paths.modules / f"hello/{one}/run.py" for one in "ba")
    assert place.samefile(other), "it did not change, so it was not written again"
    place.write_text(BAD)
    active, before = mended(rig)
    assert [one.left.words for one in (active, before)] == [
        f"run.py: it has another length (18 bytes, not {len(GOOD)})"
    ] * 2
    active, before = mended(rig, more=lambda: [Source(rig.folder / "hello-1", "its folder")])
    assert (active.mended, before.mended) == ((("run.py", "its folder"),), (("run.py", "slot b"),))
    assert [one.words for one in check_all(rig.paths, record(rig))] == ["", ""]


def test_a_source_is_believed_for_nothing_but_the_bytes_that_were_staged(rig: Rig) -> None:
    packaged(rig)
    (slot(rig) / "run.py").unlink()
    theirs = rig.paths.package_modules / "hello/run.py"
    for make in (lambda: theirs.write_text(BAD), lambda: theirs.symlink_to("/etc/passwd"), lambda: os.mkfifo(theirs)):
        theirs.unlink()
        make()
        (one,) = mended(rig)
        assert (one.mended, one.left.words) == ((), "run.py: it is missing")
        assert not (slot(rig) / "run.py").exists()


def test_sources_that_cost_something_are_asked_last_and_only_where_the_others_do_not_do(rig: Rig) -> None:
    asked: list[str] = []

    def more() -> Iterator[Source]:
        asked.append("more")
        yield Source(rig.folder / "hello-1", "the file")

    packaged(rig)
    (slot(rig) / "run.py").unlink()
    mended(rig, more=more)
    assert asked == []
    (slot(rig) / "run.py").unlink()
    (rig.paths.package_modules / "hello/run.py").write_text(BAD)
    rig.module()
    assert mended(rig, more=more)[0].mended == (("run.py", "the file"),)
    assert asked == ["more"]


def test_one_staged_before_there_were_inventories_is_known_from_what_it_still_is_or_from_its_package(rig: Rig) -> None:
    packaged(rig)
    file = inventory_file(rig.paths, "hello", "a")
    whole = file.read_bytes()
    file.unlink()
    assert words(rig) == ""
    mended(rig)
    assert file.read_bytes() == whole
    file.write_bytes(whole.replace(b"run.py", b"ran.py"))  # damaged itself
    (slot(rig) / "run.py").unlink()
    assert words(rig).startswith("the slot: it is not what was staged")
    assert mended(rig)[0].mended == (("run.py", "what dpkg has of its package"),)
    assert file.read_bytes() == whole


def test_one_staged_before_there_were_inventories_gets_one_at_the_next_boot(rig: Rig) -> None:
    install(rig)
    file = inventory_file(rig.paths, "hello", "a")
    whole = file.read_bytes()
    file.unlink()
    rig.reboot()
    done = apply(rig.paths, rig.systemd)
    assert (done.problems, list(done.mended)) == ([], [])
    assert file.read_bytes() == whole


# Out of the slot


def test_nothing_is_written_through_a_link(rig: Rig) -> None:
    packaged(rig)
    outside = rig.folder / "outside"
    shutil.copytree(slot(rig), outside)
    (outside / "run.py").write_text("theirs")
    before = tree(outside)
    for place in (slot(rig), slot(rig) / "data", slot(rig).parent):
        shutil.rmtree(place)
        place.symlink_to(outside)
        assert words(rig)
        (one,) = mended(rig)
        assert one.left.damages == ()
        assert not place.is_symlink()
        assert tree(outside) == before


# Not repairable


def test_what_cannot_be_mended_is_named_and_status_doctor_and_start_say_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "read_groups", lambda: None)
    install(rig)
    stop(rig.paths, rig.systemd, ["hello"])
    (slot(rig) / "run.py").write_text(BAD)
    (one,) = mended(rig)
    assert one.left.words.startswith("run.py: ")
    assert read_damaged(rig.paths, [record(rig)])["hello"].startswith("run.py: it has another length")
    (found,) = examine(rig.paths, rig.systemd, [record(rig)])
    (row,) = [row for row in found.rows if row.name == "files"]
    assert not row.good
    assert "auroractl update repair hello" in row.why
    for act in (start, restart):
        with pytest.raises(HostError, match="cannot start hello, because its files are damaged: run"):
            act(rig.paths, rig.systemd, ["hello"])
    assert rig.running == {}
    install(rig)  # again
    assert rig.running == {"hello": "1"}
    assert words(rig) == ""


def test_the_note_of_one_that_is_mended_or_gone_goes(rig: Rig) -> None:
    install(rig)
    for gone in (lambda: mended(rig, more=lambda: [Source(rig.folder / "hello-1", "")]),
                 lambda: remove(rig.paths, rig.systemd, "hello", purge=False)):  # fmt: skip
        (slot(rig) / "run.py").unlink()
        mended(rig)
        assert os.listdir(rig.paths.damaged_text) == ["hello"]  # noqa: PTH208  # a text
        gone()
        assert os.listdir(rig.paths.damaged_text) == []  # noqa: PTH208  # a text


def test_one_that_is_being_updated_is_left_alone(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    updated(rig)
    monkeypatch.setattr("aurora.runtime.updates.busy_modules", lambda _paths: frozenset({"hello"}))
    with pytest.raises(Refused, match="has not ended"):
        mended(rig)


# At boot


@pytest.mark.parametrize("path", ["run.py", "module.toml"])
def test_a_boot_mends_what_a_start_goes_by_before_it_starts_it(
    rig: Rig, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurora.runtime.damage.QUICK_READ_MAX_BYTES", 0)
    packaged(rig)
    rig.reboot()
    held = bytearray((slot(rig) / path).read_bytes())
    held[0] ^= 1
    (slot(rig) / path).write_bytes(held)
    done = apply(rig.paths, rig.systemd)
    assert done.problems == []
    assert [(name, one.mended) for name, one in done.mended] == [("hello", ((path, "what dpkg has of its package"),))]
    assert rig.running == {"hello": "1"}
    assert rig.damage() == []


def test_a_boot_that_cannot_mend_says_so_and_starts_the_others(rig: Rig) -> None:
    install(rig)
    install_folder(rig.paths, rig.systemd, rig.module(name="other"), start=True)
    rig.reboot()
    (slot(rig) / "run.py").write_text(BAD)
    done = apply(rig.paths, rig.systemd)
    (problem,) = done.problems
    assert problem.what == "repair hello"
    assert "run.py" in problem.why
    assert "auroractl install" in problem.remedy
    assert rig.running == {"other": "1"}
    assert "hello" in read_damaged(rig.paths, read_records(rig.paths))


def test_damage_that_no_start_goes_by_is_said_and_keeps_nothing_down(rig: Rig) -> None:
    install(rig)
    rig.reboot()
    (slot(rig) / "data/values").unlink()
    done = apply(rig.paths, rig.systemd)
    assert ["data/values: it is missing" in problem.why for problem in done.problems] == [True]
    assert rig.running == {"hello": "1"}


# Killed


@pytest.mark.parametrize("name", ["cut off", "missing", "extra folder", "mode", "a link", "a folder for a file",
                                  "the slot gone"])  # fmt: skip
def test_a_kill_leaves_it_as_damaged_or_less_and_the_next_repair_ends_it(name: str, tmp_path: Path) -> None:
    damage, _ = DAMAGES[name]
    at = 0
    while True:
        rig = Rig(tmp_path / str(at))
        install(rig, start=False)
        rig.package()  # as a source; it is not taken in
        shutil.copytree(rig.folder / "hello-1", rig.paths.package_modules / "hello", dirs_exist_ok=True)
        damage(slot(rig))
        before = {one.path for one in check(rig.paths, active_slot(record(rig))).damages}
        with killed_before(at) as killer:
            repair(rig.paths, ["hello"])
        after = {one.path for one in check(rig.paths, active_slot(record(rig))).damages}
        assert after <= before, f"killed before call {at}, after {killer.calls[-3:]}"
        (one,) = mended(rig)
        assert one.left.damages == ()
        sweep(rig.paths)
        assert [path for path in rig.leftovers() if "modules" in path] == []
        if not killer.killed:
            break
        at += 1
    assert at > 3, "there was something to interrupt"


def test_a_slot_is_told_by_where_it_is(rig: Rig) -> None:
    assert Slot("hello", "b", "1", "", True).folder(rig.paths).endswith("/var/lib/aurora-core/modules/hello/b")
