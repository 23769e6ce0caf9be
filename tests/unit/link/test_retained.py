from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError
from aurora.link.retained import HUB, Retained, RetainedStore

from .test_topics import naively, patterns, topics


def value(topic: str, data: bytes = b"1", sender: str = "a") -> Retained:
    return Retained(topic=topic, data=data, sender=sender, wall_msec=0)


@given(st.lists(st.tuples(topics, st.binary(max_size=4) | st.none(), st.sampled_from("ab")), max_size=25), patterns)
def test_a_pattern_finds_what_is_kept_for_the_topics_that_it_matches(
    steps: list[tuple[str, bytes | None, str]], pattern: str
) -> None:
    store = RetainedStore(Bounds())
    model: dict[str, Retained] = {}
    for topic, data, sender in steps:
        if data is None:
            store.remove(topic)
            model.pop(topic, None)
        else:
            model[topic] = value(topic, data, sender)
            store.keep(model[topic])
        assert store.find(topic) == model.get(topic)
    found = store.match(pattern)
    assert found == [model[topic] for topic in sorted(model) if naively(pattern, topic)]
    assert len(store) == len(model)
    assert store.used_bytes == sum(kept.cost_bytes for kept in model.values())
    for topic in list(model):
        store.remove(topic)
    assert (len(store), store.used_bytes, store._used_by, store._root.below) == (0, 0, {}, {})
    assert store._count_of == {}


@pytest.mark.parametrize(
    "bounds",
    [
        Bounds(retained_max=2), Bounds(retained_max_bytes=5), Bounds(retained_of_one_max_bytes=5),
        Bounds(retained_of_one_max=2),
    ],
)  # fmt: skip
def test_at_a_bound_nothing_changes_and_a_newer_value_still_takes_its_place(bounds: Bounds) -> None:
    store = RetainedStore(bounds)
    store.keep(value("x"))
    store.keep(value("y"))
    with pytest.raises(LinkError) as caught:
        store.keep(value("z"))
    assert caught.value.code is Code.TOO_MANY
    store.keep(value("y", b"2"))
    assert [kept.data for kept in store.match("#")] == [b"1", b"2"]
    store.keep(value("$sys/x", sender=HUB))


def test_what_is_kept_is_charged_to_who_published_it() -> None:
    store = RetainedStore(Bounds(retained_of_one_max_bytes=4))
    store.keep(value("x", b"123", "a"))
    with pytest.raises(LinkError, match="a keeps 4 bytes already"):
        store.keep(value("y", b"1", "a"))
    store.keep(value("x", b"123", "b"))
    store.keep(value("y", b"123", "a"))
