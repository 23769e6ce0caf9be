from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from aurora.plan import Action, Plan, Running, Step, changes
from tests.unit.examples import plan

MODULES = ("a", "b", "c")
PLANS = {(name, version): plan(name=name, version=version) for name in MODULES for version in ("1", "2")}

type Machine = dict[str, Running]
"""What systemd holds, by module. One that is in nothing it holds is left out."""


def running(of: Plan | None, *, pinned: bool = True, active: bool = True) -> Running:
    return Running(plan=of, pinned=pinned, active=active, loaded=pinned or active)


def taken(machine: Machine, steps: Iterable[Step]) -> Machine:
    """The machine after the steps; one that cannot be taken there is an error."""
    after = dict(machine)
    for step in steps:
        now = after.get(step.module)
        held = now is not None and (now.pinned or now.active)
        if step.action is Action.START:
            assert not held, "a loaded unit would refuse it"
        else:
            assert held, "there is nothing to stop"
            del after[step.module]
        if step.plan is not None:
            after[step.module] = running(step.plan)
    return after


def only_step(wanted: dict[str, Plan], machine: Machine) -> Step:
    (step,) = changes(wanted, machine)
    return step


OLD, NEW = PLANS["a", "1"], PLANS["a", "2"]


def test_nothing_wanted_and_nothing_there_is_nothing_to_do() -> None:
    assert changes({}, {}) == ()


def test_a_module_that_is_not_there_is_started() -> None:
    assert only_step({"a": NEW}, {}) == Step(action=Action.START, module="a", plan=NEW, before=None)


def test_a_module_whose_unit_is_neither_pinned_nor_up_is_started() -> None:
    gone = running(OLD, pinned=False, active=False)
    assert only_step({"a": NEW}, {"a": gone}) == Step(action=Action.START, module="a", plan=NEW, before=None)


def test_a_module_that_runs_from_an_equal_plan_is_left_alone() -> None:
    assert changes({"a": NEW}, {"a": running(NEW)}) == ()


def test_a_module_that_its_owner_has_stopped_is_left_alone() -> None:
    assert changes({"a": NEW}, {"a": running(NEW, active=False)}) == ()


def test_a_module_that_runs_from_another_plan_is_replaced() -> None:
    assert only_step({"a": NEW}, {"a": running(OLD)}) == Step(
        action=Action.REPLACE, module="a", plan=NEW, before=OLD
    )  # fmt: skip


def test_a_module_that_runs_from_a_plan_that_is_not_known_is_replaced() -> None:
    assert only_step({"a": NEW}, {"a": running(None)}) == Step(
        action=Action.REPLACE, module="a", plan=NEW, before=None
    )  # fmt: skip


def test_a_module_that_is_stopped_and_whose_plan_has_changed_is_released() -> None:
    step = only_step({"a": NEW}, {"a": running(OLD, active=False)})
    assert step == Step(action=Action.RELEASE, module="a", plan=None, before=OLD)


def test_a_module_that_is_wanted_no_more_is_released_whether_it_is_up_or_not() -> None:
    for active in (True, False):
        step = only_step({}, {"a": running(OLD, active=active)})
        assert step == Step(action=Action.RELEASE, module="a", plan=None, before=OLD)


def test_a_module_that_is_wanted_no_more_and_not_held_is_nothing_to_do() -> None:
    assert changes({}, {"a": running(OLD, pinned=False, active=False)}) == ()


def test_a_unit_that_is_up_without_its_pin_is_replaced_as_any() -> None:
    step = only_step({"a": NEW}, {"a": running(OLD, pinned=False)})
    assert (step.action, step.plan) == (Action.REPLACE, NEW)


def test_what_stops_something_comes_first_and_each_kind_in_the_order_of_names() -> None:
    wanted = {"c": PLANS["c", "1"], "a": NEW}
    machine = {"d": running(None), "b": running(PLANS["b", "1"]), "a": running(OLD)}
    steps = changes(wanted, machine)
    assert [(step.action, step.module) for step in steps] == [
        (Action.RELEASE, "b"),
        (Action.RELEASE, "d"),
        (Action.REPLACE, "a"),
        (Action.START, "c"),
    ]


WANTED = st.fixed_dictionaries({}, optional={name: st.sampled_from("12") for name in MODULES}).map(
    lambda versions: {name: PLANS[name, version] for name, version in versions.items()}
)
MACHINES = st.fixed_dictionaries(
    {},
    optional={
        name: st.builds(
            Running,
            plan=st.sampled_from([None, PLANS[name, "1"], PLANS[name, "2"]]),
            pinned=st.booleans(),
            active=st.booleans(),
        )
        for name in MODULES
    },
)


@given(WANTED, MACHINES)
def test_the_steps_make_the_machine_equal_to_what_is_wanted(wanted: dict[str, Plan], machine: Machine) -> None:
    after = taken(machine, changes(wanted, machine))
    for name in MODULES:
        before, now, want = machine.get(name), after.get(name), wanted.get(name)
        stopped_by_owner = before is not None and before.pinned and not before.active
        if want is None:
            assert now is None or not (now.pinned or now.active)
        elif stopped_by_owner:
            # It stays as it is, or, where that is out of date, only what is out of date goes.
            assert before is not None
            assert now == (before if before.plan == want else None)
        else:
            assert now is not None
            assert (now.plan, now.active) == (want, True)


@given(WANTED, MACHINES)
def test_what_needs_no_change_is_not_touched(wanted: dict[str, Plan], machine: Machine) -> None:
    touched = {step.module for step in changes(wanted, machine)}
    for name, now in machine.items():
        if now.plan is not None and now.plan == wanted.get(name) and now.pinned:
            assert name not in touched


@given(WANTED, MACHINES)
def test_done_twice_is_done_once(wanted: dict[str, Plan], machine: Machine) -> None:
    steps = changes(wanted, machine)
    released = {step.module for step in steps if step.plan is None}
    after = taken(machine, steps)
    assert {step.module for step in changes(wanted, after)} <= released & wanted.keys()


@given(WANTED, MACHINES)
def test_a_step_is_taken_back_to_what_was_there(wanted: dict[str, Plan], machine: Machine) -> None:
    for step in changes(wanted, machine):
        now = machine.get(step.module)
        if now is None or (now.plan is not None and now == running(now.plan)):
            assert taken(taken(machine, [step]), [step.undo]) == machine
