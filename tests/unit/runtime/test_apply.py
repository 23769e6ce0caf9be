from __future__ import annotations

from pathlib import Path

import pytest

from aurora.errors import HostError, InputError
from aurora.host.files import remove_tree
from aurora.plan import Action
from aurora.runtime import install as removal
from aurora.runtime.apply import Applied, apply
from aurora.runtime.control import enable, stop
from aurora.runtime.install import install_folder
from aurora.runtime.records import Removal, read_record
from tests.unit.runtime.rig import BAD, Rig


def run(rig: Rig) -> Applied:
    return apply(rig.paths, rig.systemd)


def install(rig: Rig, *, up: bool = True, **about: str) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(**about), start=up)  # type: ignore[arg-type]  # texts all


def steps(done: Applied) -> list[tuple[str, str, bool]]:
    """Action, module, and whether it went well."""
    return [(one.step.action, one.step.module, one.problem is None) for one in done.outcomes]


def test_on_an_empty_machine_there_is_nothing_to_do(rig: Rig) -> None:
    assert run(rig) == Applied([], [], [], [])


def test_at_boot_what_is_enabled_is_started_and_nothing_else(rig: Rig) -> None:
    install(rig, name="a")
    install(rig, name="b")
    install(rig, name="c", up=False)
    rig.reboot()
    assert steps(run(rig)) == [("start", "a", True), ("start", "b", True)]
    assert rig.running == {"a": "1", "b": "1"}


def test_what_runs_as_it_should_is_not_touched(rig: Rig) -> None:
    install(rig)
    before = rig.pid()
    assert steps(run(rig)) == []
    assert rig.pid() == before


def test_a_module_that_is_not_enabled_and_runs_goes_on(rig: Rig) -> None:
    install(rig)
    enable(rig.paths, ["hello"], enabled=False)
    assert steps(run(rig)) == []
    assert rig.running == {"hello": "1"}


def test_a_module_that_its_owner_has_stopped_stays_down(rig: Rig) -> None:
    install(rig)
    stop(rig.paths, rig.systemd, ["hello"])
    assert steps(run(rig)) == []
    assert rig.running == {}


def test_a_change_of_policy_restarts_what_it_concerns_and_only_that(rig: Rig) -> None:
    install(rig, name="a")
    rig.write("etc/aurora/policies/mine.toml", 'description = "Mine"')
    install_folder(rig.paths, rig.systemd, rig.module(name="b", more='[sandbox]\npolicy = "mine"\n'), start=True)
    a, b = rig.pid("a"), rig.pid("b")
    rig.write("etc/aurora/policies/mine.toml", 'description = "Mine"\n[directives]\nPrivateTmp = true')
    assert steps(run(rig)) == [("replace", "b", True)]
    assert rig.pid("a") == a
    assert rig.pid("b") != b


def test_a_unit_of_ours_that_no_record_counts_is_stopped(rig: Rig) -> None:
    install(rig)
    (rig.paths.records / "hello").unlink()
    assert steps(run(rig)) == [("release", "hello", True)]
    assert not rig.systemd.list_units(["aurora*"])
    assert rig.leftovers() == []


def test_one_module_that_cannot_be_planned_does_not_keep_the_others_from_theirs(rig: Rig) -> None:
    install(rig, name="a")
    install(rig, name="b")
    rig.reboot()
    (rig.paths.modules / "a/a/run.py").unlink()
    done = run(rig)
    assert [problem.what for problem in done.problems] == ["repair a"]
    assert rig.running == {"b": "1"}


def test_a_module_that_runs_and_cannot_be_planned_any_more_is_left_as_it_is(rig: Rig) -> None:
    install(rig)
    before = rig.pid()
    rig.write("sys/module/apparmor/parameters/enabled", "N")
    done = run(rig)
    assert len(done.problems) == 1
    assert steps(done) == []
    assert rig.pid() == before


def test_one_module_that_does_not_come_up_does_not_keep_the_others_from_theirs(rig: Rig) -> None:
    install(rig, name="a")
    install(rig, name="b")
    rig.reboot()
    rig.rewrite(BAD, name="a")
    assert steps(run(rig)) == [("start", "a", False), ("start", "b", True)]
    assert rig.running == {"b": "1"}


def test_one_profile_that_the_parser_refuses_does_not_keep_the_others_from_theirs(rig: Rig) -> None:
    install(rig, name="a")
    install(rig, name="b")
    rig.reboot()
    rig.refused_profile = "profile aurora.a "
    done = run(rig)
    assert steps(done) == [("start", "a", False), ("start", "b", True)]
    assert [one.problem.why for one in done.outcomes if one.problem is not None] == [
        "AppArmor parser error: syntax error"
    ]
    assert rig.running == {"b": "1"}


def test_what_fails_at_boot_is_left_to_systemd_which_goes_on_trying(rig: Rig) -> None:
    install(rig)
    rig.reboot()
    rig.rewrite(BAD)
    run(rig)
    assert [(row.active, row.sub) for row in rig.systemd.list_units(["aurora@*"])] == [("activating", "auto-restart")]


def test_a_changed_module_that_does_not_come_up_is_taken_back(rig: Rig) -> None:
    rig.package()
    run(rig)
    rig.package(version="2", program=BAD)
    done = run(rig)
    (outcome,) = done.outcomes
    assert (outcome.step.action, outcome.taken_back) == (Action.REPLACE, True)
    assert rig.running == {"hello": "1"}
    assert rig.damage() == []


def test_a_policy_file_that_is_wrong_changes_nothing_and_is_named(rig: Rig) -> None:
    install(rig)
    before = rig.pid()
    rig.write("etc/aurora/policies/mine.toml", "x = 1")
    with pytest.raises(InputError, match=r"mine\.toml, key x"):
        run(rig)
    assert rig.pid() == before


# What interrupted commands left


def test_leftovers_are_swept_and_nothing_else(rig: Rig) -> None:
    install(rig)
    kept = sorted(path for path in rig.paths.root.rglob("*") if "cache" not in path.parts)
    for place in (
        "var/lib/aurora-core/modules/gone/a/run.py",
        "var/lib/aurora-core/modules/hello/b/run.py",
        "var/lib/aurora-core/records/.hello.0a1b2c3d",
        "run/aurora/applied/.hello.json.0a1b2c3d",
        "run/aurora/apparmor/.aurora.hello.new",
    ):
        rig.write(place, "left")
    run(rig)
    assert sorted(path for path in rig.paths.root.rglob("*") if "cache" not in path.parts) == kept
    assert rig.leftovers() == []


def test_a_version_that_runs_is_not_swept_while_it_runs(rig: Rig) -> None:
    install(rig)
    install(rig, version="2", up=False)
    rig.write("sys/module/apparmor/parameters/enabled", "N")  # nothing can be planned, so it goes on
    run(rig)
    assert rig.running == {"hello": "1"}
    assert rig.damage() == []


def test_a_removal_that_was_decided_is_carried_out(rig: Rig) -> None:
    install(rig)
    rig.make_state()
    found = read_record(rig.paths, "hello")
    assert found is not None
    (rig.paths.records / "hello").write_bytes(found._replace(removal=Removal.PURGING).to_bytes())
    assert run(rig).removed == ["hello"]
    assert (rig.installed, rig.running, rig.state()) == ({}, {}, 0)


# Packages


def test_a_package_that_came_is_taken_in_enabled_and_started(rig: Rig) -> None:
    rig.package()
    assert run(rig).staged == ["hello"]
    assert rig.installed == {"hello": ("1", True)}
    assert rig.running == {"hello": "1"}
    assert run(rig) == Applied([], [], [], [])


def test_a_package_that_changed_replaces_what_runs(rig: Rig) -> None:
    rig.package()
    run(rig)
    rig.package(version="2")
    done = run(rig)
    assert (done.staged, steps(done)) == (["hello"], [("replace", "hello", True)])
    assert rig.running == {"hello": "2"}


def test_a_changed_package_keeps_its_owners_word_about_boot(rig: Rig) -> None:
    rig.package()
    run(rig)
    enable(rig.paths, ["hello"], enabled=False)
    rig.package(version="2")
    run(rig)
    assert rig.installed == {"hello": ("2", False)}
    assert rig.running == {"hello": "2"}


def test_a_package_that_was_removed_leaves_its_state_and_one_that_was_purged_does_not(rig: Rig) -> None:
    rig.package()
    run(rig)
    rig.make_state()
    rig.unpackage(purge=False)
    assert run(rig).removed == ["hello"]
    assert (rig.installed, rig.running, rig.state()) == ({}, {}, 6)
    assert run(rig).removed == []
    rig.unpackage(purge=True)
    assert run(rig).removed == ["hello"]
    assert rig.state() == 0
    assert read_record(rig.paths, "hello") is None


def test_a_package_that_is_purged_at_once_goes_with_its_state(rig: Rig) -> None:
    rig.package()
    run(rig)
    rig.make_state()
    rig.unpackage(purge=True)
    run(rig)
    assert (rig.installed, rig.running, rig.state()) == ({}, {}, 0)


def test_a_package_that_comes_back_finds_its_state(rig: Rig) -> None:
    rig.package()
    run(rig)
    rig.make_state()
    rig.unpackage(purge=False)
    run(rig)
    rig.package(version="2")
    run(rig)
    assert rig.running == {"hello": "2"}
    assert rig.state() == 6


def test_a_removal_that_fails_keeps_nobody_else_from_theirs(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        rig.package(name=name)
    run(rig)
    for name in ("a", "b"):
        rig.unpackage(name=name, purge=True)
    rig.package(name="c")

    def stubborn(path: Path) -> None:
        if path == rig.paths.modules / "a":
            raise HostError("remove a folder", "it is busy", where=str(path))
        remove_tree(path)

    monkeypatch.setattr(removal, "remove_tree", stubborn)
    done = run(rig)
    assert (done.removed, [problem.why for problem in done.problems]) == (["b"], ["it is busy"])
    assert rig.running == {"c": "1"}
    monkeypatch.undo()
    assert run(rig).removed == ["a"], "the next time does the rest"


def test_one_bad_package_does_not_keep_the_others_out(rig: Rig) -> None:
    rig.package(name="a")
    rig.package(name="b")
    (rig.paths.package_modules / "a/module.toml").write_text("x")
    done = run(rig)
    assert done.staged == ["b"]
    assert len(done.problems) == 1
    assert str(rig.paths.package_modules / "a") in done.problems[0].where
    assert rig.running == {"b": "1"}


def test_a_package_whose_manifest_has_another_name_is_not_taken_in(rig: Rig) -> None:
    rig.package()
    rig.module(name="other", at=rig.paths.package_modules / "hello")
    (problem,) = run(rig).problems
    assert problem.why == "its manifest names other"
    assert rig.installed == {}


def test_a_module_from_a_folder_is_not_replaced_by_a_package_of_its_name(rig: Rig) -> None:
    install(rig)
    rig.package(version="2")
    (problem,) = run(rig).problems
    assert problem.remedy == "auroractl remove hello"
    assert rig.running == {"hello": "1"}


def test_what_is_no_module_in_the_packages_place_is_passed_over(rig: Rig) -> None:
    for name in ("README", ".hidden/x"):
        rig.write(f"usr/lib/aurora/modules/{name}", "x")
    assert run(rig) == Applied([], [], [], [])
    assert Path(rig.paths.package_modules / "README").exists()


def test_a_folder_there_with_a_name_that_no_module_can_have_is_told(rig: Rig) -> None:
    rig.write("usr/lib/aurora/modules/Hello/module.toml", "x")
    (problem,) = run(rig).problems
    assert "'Hello' is no module's name" in problem.why


# Packages that somebody gave to apt or dpkg, past `auroractl install`


def refused(rig: Rig) -> str:
    """Why the package is not taken in; that nothing of it was staged, recorded or started is checked."""
    before = rig.installed, rig.running
    done = run(rig)
    assert done.problems
    assert (rig.installed, rig.running) == before
    assert rig.leftovers() == []
    assert rig.damage() == []
    return "\n".join(map(str, done.problems))


def test_a_packages_folder_that_is_a_link_is_not_followed(rig: Rig) -> None:
    rig.package()
    folder = rig.paths.package_modules / "hello"
    folder.rename(rig.folder / "secret")
    folder.symlink_to(rig.folder / "secret")
    assert "its folder is a link" in refused(rig)


def test_a_hard_link_in_a_package_is_not_copied(rig: Rig) -> None:
    rig.write("etc/shadow", "secret")
    rig.package()
    (rig.paths.package_modules / "hello/x").hardlink_to(rig.paths.root / "etc/shadow")
    assert "it is a hard link" in refused(rig)


def test_a_link_in_a_package_is_not_followed(rig: Rig) -> None:
    rig.package()
    (rig.paths.package_modules / "hello/x").symlink_to("/etc/shadow")
    assert "it is a link" in refused(rig)


def test_a_setuid_file_in_a_package_is_refused(rig: Rig) -> None:
    rig.package()
    (rig.paths.package_modules / "hello/run.py").chmod(0o4755)
    assert "it is setuid" in refused(rig)


def test_a_module_that_came_with_another_package_is_refused(rig: Rig) -> None:
    rig.package()
    (rig.paths.dpkg_info / "aurora-module-hello.list").rename(rig.paths.dpkg_info / "sudo.list")
    assert "no package aurora-module-hello is installed" in refused(rig)


def test_a_package_that_brought_more_than_its_module_is_refused(rig: Rig) -> None:
    rig.package()
    note = rig.paths.dpkg_info / "aurora-module-hello.list"
    note.write_text(note.read_text() + "/etc/cron.d\n/etc/cron.d/x\x1b\n/usr/lib/aurora/modules/other\n")
    said = refused(rig)
    assert "its package has '/etc/cron.d/x\\x1b' as well" in said
    assert "/usr/lib/aurora/modules/other" in said


@pytest.mark.parametrize("state", ["install ok half-installed", "install reinstreq unpacked"])
def test_a_package_that_dpkg_has_not_unpacked_whole_is_refused(rig: Rig, state: str) -> None:
    noted = "Package: aurora-module-hello\nStatus: {}\nMaintainer: x\nArchitecture: all\nVersion: 1\nDescription: x\n\n"
    rig.package()
    rig.write("var/lib/dpkg/status", noted.format(state))
    assert "neither the old version nor the new" in refused(rig)
    rig.write("var/lib/dpkg/status", noted.format("install ok installed"))
    assert not run(rig).problems
    assert rig.running == {"hello": "1"}


def test_a_package_with_scripts_is_refused(rig: Rig) -> None:
    rig.package()
    rig.write("var/lib/dpkg/info/aurora-module-hello.postinst", "x")
    assert "its package has a postinst" in refused(rig)


def test_a_module_that_runs_goes_on_when_its_new_package_is_refused(rig: Rig) -> None:
    rig.package()
    run(rig)
    rig.package(version="2")
    rig.write("var/lib/dpkg/info/aurora-module-hello.postinst", "x")
    assert "postinst" in refused(rig)
    assert rig.running == {"hello": "1"}
