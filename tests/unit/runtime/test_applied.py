from __future__ import annotations

import json

import pytest

from aurora.names import slice_name, unit_name
from aurora.plan import Running
from aurora.runtime.applied import applied_plan, forget_plan, read_running, remember_plan
from aurora.runtime.install import install_folder
from aurora.runtime.reconcile import release
from tests.unit.examples import plan
from tests.unit.runtime.rig import Rig

UNIT, SLICE = unit_name("hello"), slice_name("hello")


def seen(rig: Rig) -> tuple[bool, bool] | None:
    """Whether the module is pinned and active; None when systemd does not know it."""
    found = read_running(rig.paths, rig.systemd).get("hello")
    return None if found is None else (found.pinned, found.active)


@pytest.fixture
def up(rig: Rig) -> Rig:
    """A machine where hello is up, and is not restarted when it ends."""
    install_folder(rig.paths, rig.systemd, rig.module(more='[restart]\npolicy = "no"\n'), start=True)
    return rig


def test_a_module_that_is_up_is_pinned_and_active(up: Rig) -> None:
    assert seen(up) == (True, True)


def test_a_module_that_is_stopped_is_pinned_only(up: Rig) -> None:
    up.systemd.stop([UNIT], deadline_sec=1)
    assert seen(up) == (True, False)


def test_a_module_that_has_failed_is_not_active(up: Rig) -> None:
    up.systemd.ends(UNIT, 1)
    assert seen(up) == (True, False)


def test_a_module_that_has_failed_and_lost_its_slice_is_neither(up: Rig) -> None:
    up.systemd.ends(UNIT, 1)
    up.systemd.stop([SLICE], deadline_sec=1)
    assert seen(up) == (False, False)


def test_a_module_that_waits_for_its_next_restart_is_active(rig: Rig) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(), start=True)
    rig.systemd.ends(UNIT, 1)
    assert seen(rig) == (True, True)


def test_a_module_that_was_released_is_not_known(up: Rig) -> None:
    up.systemd.stop([SLICE], deadline_sec=1)
    assert seen(up) is None


def test_only_the_modules_asked_for_are_told(up: Rig) -> None:
    install_folder(up.paths, up.systemd, up.module(name="other"), start=True)
    assert list(read_running(up.paths, up.systemd)) == ["hello", "other"]
    assert list(read_running(up.paths, up.systemd, ["other", "nobody"])) == ["other"]


def test_the_plan_that_systemd_was_given_is_known_until_it_is_forgotten(rig: Rig) -> None:
    made = plan("[limits]\ntasks = 7")
    remember_plan(rig.paths, made)
    assert applied_plan(rig.paths, "hello") == made
    forget_plan(rig.paths, "hello")
    forget_plan(rig.paths, "hello")
    assert applied_plan(rig.paths, "hello") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"settings": {}}', "1", '"x"', "\x00"])
def test_a_note_that_cannot_be_read_means_that_the_plan_is_not_known(up: Rig, text: str) -> None:
    (up.paths.applied / "hello.json").write_text(text)
    assert applied_plan(up.paths, "hello") is None
    assert read_running(up.paths, up.systemd)["hello"] == Running(plan=None, pinned=True, active=True, loaded=True)


def test_what_a_module_may_do_on_the_hub_comes_before_its_start_and_goes_with_it(rig: Rig) -> None:
    more = '[link]\npublish = ["site/+/temp"]\nserve = ["lamp"]\n'
    install_folder(rig.paths, rig.systemd, rig.module(more=more), start=True)
    file = rig.paths.link_rules / "hello.json"
    assert json.loads(file.read_text()) == {"publish": ["site/+/temp"], "serve": ["lamp"]}
    assert file.stat().st_mode & 0o777 == 0o644, "the hub runs as a user of its own"
    release(rig.paths, rig.systemd, ["hello"], coming_back=["hello"])
    assert file.exists(), "what others send to it still has to be approved until its next plan is there"
    assert applied_plan(rig.paths, "hello") is None
    release(rig.paths, rig.systemd, ["hello"])
    assert not file.exists()
    remember_plan(rig.paths, plan())
    assert not file.exists()
