"""Who starts after whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aurora.plan.order import find_cycle, in_order, reached

NAMES = st.sampled_from("abcdefg")
GRAPHS = st.dictionaries(NAMES, st.frozensets(NAMES, max_size=4), max_size=7)


def test_each_stands_behind_those_that_it_is_after() -> None:
    assert in_order({"a": ("b", "c"), "b": ("c",), "c": (), "d": ()}) == ["c", "b", "a", "d"]


def test_without_an_order_names_decide() -> None:
    assert in_order({"b": (), "a": (), "c": ()}) == ["a", "b", "c"]


def test_one_that_is_not_there_does_not_matter() -> None:
    assert in_order({"a": ("ghost",)}) == ["a"]
    assert find_cycle({"a": ("ghost",)}) == ()


def test_a_cycle_is_named_in_its_order() -> None:
    assert find_cycle({"a": ("b",), "b": ("c",), "c": ("a",), "d": ("a",)}) in {
        ("a", "b", "c"),
        ("b", "c", "a"),
        ("c", "a", "b"),
    }
    assert find_cycle({"a": ("a",)}) == ("a",)


def test_all_that_is_required_is_reached() -> None:
    assert reached(["a"], {"a": ("b",), "b": ("c",), "d": ("a",)}) == {"a", "b", "c"}


@given(GRAPHS)
def test_either_there_is_a_cycle_or_everything_stands_behind_what_it_is_after(after: dict[str, frozenset[str]]) -> None:
    order = in_order(after)
    assert sorted(order) == sorted(after)
    cycle = find_cycle(after)
    if cycle:
        assert all(there in after[here] for here, there in zip(cycle, (*cycle[1:], cycle[0]), strict=True))
    else:
        place = {name: number for number, name in enumerate(order)}
        assert all(place[other] < place[name] for name in order for other in after[name] if other in place)
