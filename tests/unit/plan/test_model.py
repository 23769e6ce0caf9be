from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.plan import Action, Plan, Step
from tests.unit.examples import plan

TEXT = st.text(max_size=8)
VALUES = {
    "Switch": st.booleans(),
    "Number": st.integers(0, 2**64 - 1),
    "Word": TEXT,
    "Words": st.lists(TEXT, max_size=3).map(tuple),
}
"""A property has one type: Python's False == 0 would make two plans of equal settings of two texts."""

SETTINGS = st.sets(st.tuples(st.sampled_from(sorted(VALUES)), TEXT), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({f"{kind} {rest}": VALUES[kind] for kind, rest in names})
)
PLANS = st.builds(
    Plan,
    module=TEXT,
    version=TEXT,
    unit=TEXT,
    slice=TEXT,
    profile=st.none() | TEXT,
    folder=TEXT,
    settings=SETTINGS,
    timer=SETTINGS,
    apparmor=st.lists(TEXT, max_size=3).map(tuple),
    writable=st.lists(TEXT, max_size=3).map(tuple),
    start_timeout_usec=st.integers(0, 2**40),
    unenforced=st.lists(TEXT, max_size=2).map(tuple),
    link=st.dictionaries(TEXT, st.lists(TEXT, max_size=2).map(tuple), max_size=2),
)


@given(PLANS)
def test_a_plan_that_is_written_as_json_is_read_as_the_same_plan(one: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_real_plan_that_is_written_as_json_is_read_as_the_same_plan() -> None:
    made = plan('[limits]\ncpu = "20%"\n[directories]\nstate = true\n[sandbox]\ngrants = ["network.loopback"]')
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made


@given(PLANS, PLANS)
def test_two_plans_have_one_digest_exactly_when_they_are_equal(one: Plan, other: Plan) -> None:
    assert (one.digest == other.digest) == (one == other)


def test_the_order_of_settings_is_not_part_of_a_plan() -> None:
    document: dict[str, Any] = plan().to_json()
    document["settings"] = dict(reversed(document["settings"].items()))
    again = Plan.from_json(document)
    assert again == plan()
    assert again.digest == plan().digest
    assert list(again.to_json()["settings"]) == sorted(plan().settings)  # type: ignore[call-overload]  # a table


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None},
        {"settings": []},
        {"apparmor": "x"},
        {"writable": None},
        {"unenforced": 1},
        {"surprise": 1},
    ],
)
def test_json_of_another_version_is_not_taken_for_a_plan(change: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Plan.from_json({**plan().to_json(), **change})


@pytest.mark.parametrize("name", sorted(plan().to_json()))
def test_json_with_something_left_out_is_not_taken_for_a_plan(name: str) -> None:
    document = plan().to_json()
    del document[name]
    with pytest.raises((KeyError, TypeError, ValueError)):
        Plan.from_json(document)


OLD, NEW = plan(version="1"), plan(version="2")


@pytest.mark.parametrize(
    ("step", "undo"),
    [
        (
            Step(action=Action.START, module="hello", plan=NEW, before=None),
            Step(action=Action.RELEASE, module="hello", plan=None, before=NEW),
        ),
        (
            Step(action=Action.REPLACE, module="hello", plan=NEW, before=OLD),
            Step(action=Action.REPLACE, module="hello", plan=OLD, before=NEW),
        ),
        (
            Step(action=Action.RELEASE, module="hello", plan=None, before=OLD),
            Step(action=Action.START, module="hello", plan=OLD, before=None),
        ),
        (
            Step(action=Action.REPLACE, module="hello", plan=NEW, before=None),
            Step(action=Action.RELEASE, module="hello", plan=None, before=NEW),
        ),
    ],
)
def test_a_step_knows_the_step_that_takes_it_back(step: Step, undo: Step) -> None:
    assert step.undo == undo
