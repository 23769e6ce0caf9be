from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from aurora.errors import AuroraError, InputError, NotFound, Refused
from aurora.host.fake import Program
from aurora.host.staging import copy_folder
from aurora.runtime import install as install_module
from aurora.runtime.control import stop
from aurora.runtime.install import Installed, install_folder, remove
from aurora.runtime.records import Record, read_record
from tests.unit.runtime.rig import BAD, Rig


def install(rig: Rig, folder: Path, *, start: bool = True) -> Installed:
    return install_folder(rig.paths, rig.systemd, folder, start=start)


def record(rig: Rig, name: str = "hello") -> Record:
    found = read_record(rig.paths, name)
    assert found is not None
    return found


def snapshot(rig: Rig) -> dict[str, bytes]:
    """Every file of the machine but the lock, which is there once it was taken."""
    return {
        str(path): path.read_bytes() for path in rig.paths.root.rglob("*") if path.is_file() and path != rig.paths.lock
    }


def test_an_installed_module_is_recorded_enabled_and_up(rig: Rig) -> None:
    done = install(rig, rig.module(more='[limits]\nmemory_max = "64M"\n'))
    assert rig.installed == {"hello": ("1", True)}
    assert rig.running == {"hello": "1"}
    assert done.record == record(rig)
    assert (done.before, done.outcome is not None and done.outcome.problem) == (None, None)
    assert rig.leftovers() == []


def test_it_runs_from_a_copy_that_nobody_else_changes(rig: Rig) -> None:
    folder = rig.module()
    install(rig, folder)
    shutil.rmtree(folder)
    assert rig.damage() == []
    assert rig.systemd.argv("aurora@hello.service")[-1] == str(rig.paths.modules / "hello/a/run.py")


def test_its_profile_is_loaded_before_it_starts(rig: Rig) -> None:
    install(rig, rig.module())
    text = (rig.paths.profiles / "aurora.hello").read_text()
    assert f"{rig.paths.modules}/hello/a/** mrix," in text


def test_without_start_it_is_recorded_and_stays_down(rig: Rig) -> None:
    done = install(rig, rig.module(), start=False)
    assert rig.installed == {"hello": ("1", False)}
    assert rig.running == {}
    assert done.outcome is None


def test_installed_again_it_is_replaced_and_the_new_one_runs(rig: Rig) -> None:
    install(rig, rig.module())
    before = rig.pid()
    done = install(rig, rig.module(version="2"))
    assert rig.installed == {"hello": ("2", True)}
    assert rig.running == {"hello": "2"}
    assert rig.pid() != before
    assert done.before is not None
    assert done.before.version == "1"


def test_versions_are_staged_in_turn_and_never_over_the_one_that_counts_or_runs(rig: Rig) -> None:
    slots = []
    for version in "1234":
        install(rig, rig.module(version=version))
        slots.append(record(rig).slot)
        assert rig.damage() == []
    assert slots == ["a", "b", "a", "b"]


def test_one_that_runs_from_neither_a_nor_b_being_free_is_staged_in_c(rig: Rig) -> None:
    install(rig, rig.module())
    install(rig, rig.module(version="2"), start=False)
    assert record(rig).slot == "b"
    assert rig.running == {"hello": "1"}
    install(rig, rig.module(version="3"), start=False)
    assert record(rig).slot == "c"
    assert rig.running == {"hello": "1"}
    assert rig.damage() == []


def test_a_replacement_without_start_keeps_its_owners_word_about_boot(rig: Rig) -> None:
    install(rig, rig.module())
    install(rig, rig.module(version="2"), start=False)
    assert rig.installed == {"hello": ("2", True)}


@pytest.mark.parametrize("program", [Program(status=1), Program(status=0), Program(setup_status=203)])
def test_a_first_install_that_does_not_come_up_leaves_nothing(rig: Rig, program: Program) -> None:
    rig.systemd.behaviour = lambda _unit, _argv: program
    done = install(rig, rig.module())
    assert done.record is None
    assert done.outcome is not None
    assert done.outcome.problem is not None
    assert done.outcome.problem.what == "start the module hello"
    assert rig.installed == {}
    assert rig.leftovers() == []
    assert not rig.systemd.list_units(["aurora*"])


def test_a_replacement_that_does_not_come_up_puts_the_old_one_back(rig: Rig) -> None:
    install(rig, rig.module())
    before = record(rig)
    done = install(rig, rig.module(version="2", program=BAD))
    assert done.record == before == record(rig)
    assert done.outcome is not None
    assert done.outcome.taken_back
    assert rig.running == {"hello": "1"}
    assert rig.damage() == []


def test_a_replacement_of_one_that_was_stopped_and_does_not_come_up_leaves_it_stopped(rig: Rig) -> None:
    install(rig, rig.module())
    stop(rig.paths, rig.systemd, ["hello"])
    done = install(rig, rig.module(version="2", program=BAD))
    assert done.outcome is not None
    assert not done.outcome.taken_back
    assert rig.installed == {"hello": ("1", True)}
    assert rig.running == {}


def test_the_problem_of_a_start_that_failed_says_why(rig: Rig) -> None:
    done = install(rig, rig.module(program=BAD))
    assert done.outcome is not None
    assert done.outcome.problem is not None
    assert done.outcome.problem.why == "its program ended with status 1"
    assert done.outcome.problem.where == "aurora@hello.service"


# What is refused, and that nothing was changed


@pytest.mark.parametrize(
    ("spoil", "kind", "why"),
    [
        (lambda folder: (folder / "module.toml").write_text("x"), InputError, "it is not TOML"),
        (lambda folder: (folder / "module.toml").unlink(), NotFound, "neither module.toml nor module.json"),
        (lambda folder: (folder / "run.py").unlink(), InputError, "its folder has no file 'run.py'"),
        (lambda folder: (folder / "x").symlink_to("/etc/shadow"), InputError, "it is a link"),
        (shutil.rmtree, NotFound, "there is no such folder"),
        (
            lambda folder: (folder / "module.toml").write_text(
                (folder / "module.toml").read_text() + '[sandbox]\npolicy = "lax"\n'
            ),
            InputError,
            "no policy of that name",
        ),
    ],
    ids=["bad manifest", "no manifest", "no program", "link", "no folder", "no policy"],
)
@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
def test_a_folder_that_is_no_module_changes_nothing(
    rig: Rig, spoil: Callable[[Path], object], kind: type[AuroraError], why: str, again: bool
) -> None:
    if again:
        install(rig, rig.module())
    folder = rig.module(version="2")
    spoil(folder)
    before = snapshot(rig)
    with pytest.raises(kind, match=why):
        install(rig, folder)
    assert snapshot(rig) == before


def test_a_machine_that_cannot_enforce_it_refuses_and_changes_nothing(rig: Rig) -> None:
    rig.write("sys/module/apparmor/parameters/enabled", "N")
    before = snapshot(rig)
    with pytest.raises(Refused, match="it relies on apparmor"):
        install(rig, rig.module())
    assert snapshot(rig) == before
    rig.write("etc/aurora/core.toml", 'accept_unenforced = ["apparmor"]')
    install(rig, rig.module())
    assert rig.running == {"hello": "1"}
    assert not rig.paths.profiles.exists()


def test_a_module_that_came_as_a_package_is_not_replaced_by_a_folder(rig: Rig) -> None:
    install(rig, rig.module())
    kept = record(rig)._replace(origin="package")
    (rig.paths.records / "hello").write_bytes(kept.to_bytes())
    with pytest.raises(Refused, match="it is installed as a package"):
        install(rig, rig.module(version="2"))
    assert record(rig) == kept


def test_a_module_whose_user_would_be_anothers_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    install(rig, rig.module())
    monkeypatch.setattr(install_module, "user_name", lambda _name: "au-same")
    with pytest.raises(Refused, match="its user au-same would be that of the module hello"):
        install(rig, rig.module(name="other"))
    assert rig.installed == {"hello": ("1", True)}


def test_more_modules_than_the_bound_are_not_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install_module, "MODULES_MAX", 1)
    install(rig, rig.module())
    with pytest.raises(Refused, match="1 modules are installed"):
        install(rig, rig.module(name="other"))
    install(rig, rig.module(version="2"))
    assert rig.installed == {"hello": ("2", True)}


def test_a_folder_that_changes_while_it_is_copied_is_not_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rig.module()

    def late(source: Path, target: Path, *, check: Callable[[Path], object], alike: Path | None) -> None:
        rig.module(version="2", at=folder)
        copy_folder(source, target, check=check, alike=alike)

    monkeypatch.setattr(install_module, "copy_folder", late)
    with pytest.raises(InputError, match="it changed while it was read"):
        install(rig, folder)
    assert rig.installed == {}
    assert list(rig.paths.modules.glob("*/*")) == [], "nobody gets to read what was copied in its place"


# remove


def test_a_removed_module_is_gone_and_its_state_stays(rig: Rig) -> None:
    install(rig, rig.module())
    rig.make_state()
    remove(rig.paths, rig.systemd, "hello", purge=False)
    assert rig.installed == {}
    assert not rig.systemd.list_units(["aurora*"])
    assert rig.leftovers() == []
    assert rig.state() == 6


def test_a_purged_module_is_gone_with_its_state(rig: Rig) -> None:
    install(rig, rig.module())
    rig.make_state()
    remove(rig.paths, rig.systemd, "hello", purge=True)
    assert rig.installed == {}
    assert rig.leftovers() == []
    assert rig.state() == 0


def test_purging_one_module_leaves_the_others_alone(rig: Rig) -> None:
    install(rig, rig.module())
    install(rig, rig.module(name="hello-2"))
    before = rig.pid("hello-2")
    remove(rig.paths, rig.systemd, "hello", purge=True)
    assert rig.installed == {"hello-2": ("1", True)}
    assert rig.pid("hello-2") == before


def test_state_that_is_all_there_is_left_can_be_purged(rig: Rig) -> None:
    rig.make_state()
    remove(rig.paths, rig.systemd, "hello", purge=True)
    assert rig.state() == 0


@pytest.mark.parametrize("name", ["hello", "../etc", ""])
@pytest.mark.parametrize("purge", [False, True])
def test_what_is_not_there_cannot_be_removed(rig: Rig, name: str, purge: bool) -> None:
    with pytest.raises(NotFound):
        remove(rig.paths, rig.systemd, name, purge=purge)


def test_a_package_is_not_removed_behind_apts_back(rig: Rig) -> None:
    install(rig, rig.module())
    (rig.paths.records / "hello").write_bytes(record(rig)._replace(origin="package").to_bytes())
    with pytest.raises(Refused, match="it came as a package"):
        remove(rig.paths, rig.systemd, "hello", purge=True)
    assert rig.running == {"hello": "1"}


def test_a_module_that_has_failed_is_removed_as_any(rig: Rig) -> None:
    install(rig, rig.module(more='[restart]\npolicy = "no"\n'))
    rig.systemd.ends("aurora@hello.service", 1)
    assert [row.active for row in rig.systemd.list_units(["aurora@*.service"])] == ["failed"]
    remove(rig.paths, rig.systemd, "hello", purge=False)
    assert not rig.systemd.list_units(["aurora*"])
