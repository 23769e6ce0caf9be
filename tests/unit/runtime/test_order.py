"""Modules that lean on one another: started in order, refused when that cannot be, and back when they fell together."""

from __future__ import annotations

import pytest

from aurora.errors import InputError, NotFound, Refused
from aurora.names import unit_name
from aurora.runtime.apply import apply
from aurora.runtime.control import enable, restart, start, stop
from aurora.runtime.install import install_folder, remove
from tests.unit.runtime.rig import BAD, Rig

ON_BROKER = '[order]\nrequires = ["broker"]\n'


@pytest.fixture
def pair(rig: Rig) -> Rig:
    """broker, and a reader that requires it; both installed, neither up nor enabled."""
    for name, more in (("broker", ""), ("reader", ON_BROKER)):
        install_folder(rig.paths, rig.systemd, rig.module(name=name, more=more), start=False)
    return rig


def test_what_is_required_is_started_with_it_and_first(pair: Rig) -> None:
    outcomes = start(pair.paths, pair.systemd, ["reader"])
    assert [one.problem for one in outcomes] == [None, None]
    assert pair.running == {"broker": "1", "reader": "1"}
    assert [row.name for row in pair.systemd.list_units(["aurora@*.service"])] == [
        unit_name("broker"),
        unit_name("reader"),
    ]


def test_at_boot_what_is_required_comes_up_though_it_is_not_enabled(pair: Rig) -> None:
    enable(pair.paths, ["reader"], enabled=True)
    assert apply(pair.paths, pair.systemd).problems == []
    assert pair.running == {"broker": "1", "reader": "1"}


def test_a_module_that_requires_what_is_not_there_is_not_installed(rig: Rig) -> None:
    with pytest.raises(NotFound, match="requires the module broker, which is not installed"):
        install_folder(rig.paths, rig.systemd, rig.module(name="reader", more=ON_BROKER), start=True)
    assert rig.installed == {}


def test_a_circle_is_refused_and_named(pair: Rig) -> None:
    after_reader = pair.module(name="broker", version="2", more='[order]\nafter = ["reader"]\n')
    with pytest.raises(InputError, match=r"broker -> reader -> broker|reader -> broker -> reader"):
        install_folder(pair.paths, pair.systemd, after_reader, start=False)
    assert pair.installed["broker"][0] == "1"


def test_what_another_requires_is_not_removed(pair: Rig) -> None:
    with pytest.raises(Refused, match="reader"):
        remove(pair.paths, pair.systemd, "broker", purge=False)
    for name in ("broker", "reader"):
        remove(pair.paths, pair.systemd, name, purge=False, beside=("broker", "reader"))
    assert pair.installed == {}


def test_what_is_required_no_more_is_removed(pair: Rig) -> None:
    remove(pair.paths, pair.systemd, "reader", purge=False)
    remove(pair.paths, pair.systemd, "broker", purge=False)
    assert pair.installed == {}


def test_at_boot_a_circle_costs_only_those_in_it(pair: Rig) -> None:
    install_folder(pair.paths, pair.systemd, pair.module(name="other"), start=False)
    enable(pair.paths, ["reader", "other"], enabled=True)
    manifest = pair.paths.modules / "broker/a/module.toml"
    pair.rewrite(f'{manifest.read_text()}[order]\nafter = ["reader"]\n', name="broker", path="module.toml")
    (problem,) = apply(pair.paths, pair.systemd).problems
    assert "starts after the next" in problem.why
    assert pair.running == {"other": "1"}


def test_a_module_that_fell_with_the_one_it_requires_is_up_again_when_that_is(pair: Rig) -> None:
    start(pair.paths, pair.systemd, ["reader"])
    before = pair.pid("reader")
    restart(pair.paths, pair.systemd, ["broker"])
    assert pair.running == {"broker": "1", "reader": "1"}
    assert pair.pid("reader") != before


def test_one_that_is_not_up_is_not_started_because_what_it_requires_was(pair: Rig) -> None:
    start(pair.paths, pair.systemd, ["broker"])
    restart(pair.paths, pair.systemd, ["broker"])
    assert pair.running == {"broker": "1"}


def test_one_whose_requirement_does_not_come_up_is_told_so(pair: Rig) -> None:
    pair.rewrite(BAD, name="broker")
    problems = {one.step.module: one.problem for one in start(pair.paths, pair.systemd, ["reader"])}
    assert problems["broker"] is not None
    assert problems["reader"] is not None
    assert "a module that it requires is not up (broker)" in problems["reader"].why


@pytest.fixture
def loose(rig: Rig) -> Rig:
    """broker, and a reader that only comes after it; both up."""
    for name, more in (("broker", ""), ("reader", '[order]\nafter = ["broker"]\n')):
        install_folder(rig.paths, rig.systemd, rig.module(name=name, more=more), start=True)
    return rig


def test_one_that_is_after_another_is_left_alone_while_that_restarts(loose: Rig) -> None:
    before = loose.pid("reader"), loose.pid("broker")
    restart(loose.paths, loose.systemd, ["broker"])
    assert loose.running == {"broker": "1", "reader": "1"}
    assert loose.pid("reader") == before[0]
    assert loose.pid("broker") != before[1]


def test_one_that_is_after_another_comes_up_again_with_the_others_new_version(loose: Rig) -> None:
    install_folder(loose.paths, loose.systemd, loose.module(name="broker", version="2"), start=True)
    assert loose.running == {"broker": "2", "reader": "1"}


def test_one_that_is_after_another_outlives_it_and_does_not_hinder_its_return(loose: Rig) -> None:
    before = loose.pid("reader")
    remove(loose.paths, loose.systemd, "broker", purge=False)
    assert loose.running == {"reader": "1"}
    assert loose.pid("reader") == before
    install_folder(loose.paths, loose.systemd, loose.module(name="broker", version="2"), start=False)
    start(loose.paths, loose.systemd, ["broker"])
    assert loose.running == {"broker": "2", "reader": "1"}


def test_one_that_is_after_another_and_was_stopped_stays_down(loose: Rig) -> None:
    stop(loose.paths, loose.systemd, ["reader"])
    install_folder(loose.paths, loose.systemd, loose.module(name="broker", version="2"), start=True)
    assert loose.running == {"broker": "2"}
    start(loose.paths, loose.systemd, ["reader"])
    assert loose.running == {"broker": "2", "reader": "1"}
