from __future__ import annotations

import json
from dataclasses import replace

import pytest

from aurora.plan.core import CoreEnd, Found, Trial, ended, found, idle_slot, next_trial_id, refused_digests

TRIAL = Trial(
    id="00000001", slot="b", before="a", version="2", version_before="1", digest="two", boot="first", tries=1,
    up=("hello",), begun_sec=7,
)  # fmt: skip


def test_a_trial_is_read_back_as_it_was_written() -> None:
    one = replace(TRIAL, end=CoreEnd.ROLLED_BACK, why="it hangs", ended_sec=9)
    assert Trial.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_what_a_later_version_writes_beside_it_is_passed_over() -> None:
    assert Trial.from_json({**TRIAL.to_json(), "mood": "good"}) == TRIAL


@pytest.mark.parametrize(
    "wrong",
    [{"slot": "c"}, {"before": "b"}, {"before": "/"}, {"end": "odd"}, {"up": "hello"}, {"id": "../1"}, {"slot": 1}],
)
def test_anything_else_is_no_trial(wrong: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Trial.from_json({**TRIAL.to_json(), **wrong})
    with pytest.raises((KeyError, TypeError, ValueError)):
        Trial.from_json({})


@pytest.mark.parametrize(
    ("changes", "active", "boot", "expected"),
    [
        ({}, "b", "first", Found.GO_ON),
        ({}, "b", "second", Found.TRY_AGAIN),
        ({"tries": 2}, "b", "second", Found.ROLL_BACK),
        ({"tries": 2}, "b", "first", Found.GO_ON),
        ({}, "a", "first", Found.GIVE_UP),
        ({}, "a", "second", Found.GIVE_UP),
        ({"before": ""}, "", "first", Found.GIVE_UP),
        ({"end": CoreEnd.ROLLING_BACK}, "b", "first", Found.ROLL_BACK),
        ({"end": CoreEnd.ROLLING_BACK}, "a", "second", Found.ROLL_BACK),
        ({"end": CoreEnd.CONFIRMED}, "b", "second", Found.PUT_AWAY),
        ({"end": CoreEnd.ROLLED_BACK}, "a", "second", Found.PUT_AWAY),
    ],
)
def test_a_trial_goes_on_once_more_after_a_power_cut_and_not_twice(
    changes: dict[str, object], active: str, boot: str, expected: Found
) -> None:
    one = replace(TRIAL, **changes)  # type: ignore[arg-type]  # each of its field's type
    assert found(one, active=active, boot=boot) is expected


def test_only_the_idle_slot_is_written() -> None:
    assert [idle_slot(active) for active in ("", "a", "b")] == ["a", "b", "a"]


def test_a_trial_ends_once_and_one_that_is_rolled_back_in_no_other_way() -> None:
    rolling = replace(TRIAL, end=CoreEnd.ROLLING_BACK, why="first")
    assert ended(rolling, CoreEnd.ROLLED_BACK, now_sec=9, why="second").why == "first"
    for one, end in (
        (ended(TRIAL, CoreEnd.CONFIRMED, now_sec=9), CoreEnd.ROLLED_BACK),
        (rolling, CoreEnd.CONFIRMED),
        (TRIAL, CoreEnd.OPEN),
    ):
        with pytest.raises(ValueError, match=r"no way|rolled back"):
            ended(one, end, now_sec=10)


def test_a_version_that_did_not_stay_is_refused_until_it_was_confirmed() -> None:
    bad = replace(TRIAL, end=CoreEnd.ROLLED_BACK)
    good = replace(TRIAL, digest="three", end=CoreEnd.CONFIRMED)
    given_up = replace(TRIAL, digest="four", end=CoreEnd.GIVEN_UP)
    assert refused_digests([bad, good, given_up]) == {"two"}
    assert refused_digests([bad, replace(bad, end=CoreEnd.CONFIRMED)]) == frozenset()
    assert refused_digests([replace(TRIAL, end=CoreEnd.ROLLING_BACK)]) == {"two"}


def test_a_later_trial_has_a_later_name() -> None:
    assert next_trial_id([]) == "00000001"
    assert next_trial_id(["00000009", "00000010", "odd"]) == "00000011"
