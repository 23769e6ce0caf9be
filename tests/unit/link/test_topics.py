from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError
from aurora.link.topics import Index, check_pattern, check_topic, covers, matches

BOUNDS = Bounds()

level = st.sampled_from(["", "a", "b", "$s", "ä"])
topics = st.lists(level, min_size=1, max_size=4).map("/".join).filter(bool)
patterns = (
    st.tuples(st.lists(level | st.just("+"), max_size=4), st.sampled_from([[], ["#"]]))
    .map(lambda parts: "/".join([*parts[0], *parts[1]]))
    .filter(bool)
)


def naive(pattern: list[str], topic: list[str], *, first: bool = True) -> bool:
    """MQTT 5.0, section 4.7, word by word."""
    if first and topic[0].startswith("$") and pattern[0] in ("+", "#"):
        return False
    if not pattern:
        return not topic
    if pattern[0] == "#":
        return True
    if not topic:
        return False
    return pattern[0] in ("+", topic[0]) and naive(pattern[1:], topic[1:], first=False)


def naively(pattern: str, topic: str) -> bool:
    return naive(pattern.split("/"), topic.split("/"))


@pytest.mark.parametrize(
    ("pattern", "topic", "expected"),
    [
        # The examples of the standard.
        ("sport/tennis/player1/#", "sport/tennis/player1", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", True),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", True),
        ("sport/#", "sport", True),
        ("#", "sport/x", True),
        ("sport/tennis/+", "sport/tennis/player1", True),
        ("sport/tennis/+", "sport/tennis/player1/ranking", False),
        ("sport/+", "sport", False),
        ("sport/+", "sport/", True),
        ("+/+", "/finance", True),
        ("/+", "/finance", True),
        ("+", "/finance", False),
        ("#", "$SYS/monitor/Clients", False),
        ("+/monitor/Clients", "$SYS/monitor/Clients", False),
        ("$SYS/#", "$SYS/monitor/Clients", True),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", True),
        ("accounts", "Accounts", False),
    ],
)
def test_wildcards_are_those_of_mqtt(pattern: str, topic: str, expected: bool) -> None:
    assert matches(pattern, topic) is expected
    assert naively(pattern, topic) is expected


@given(patterns, topics)
def test_a_pattern_matches_as_the_standard_says_word_by_word(pattern: str, topic: str) -> None:
    assert matches(pattern, topic) == naively(pattern, topic)


@given(patterns, patterns, topics)
def test_what_a_pattern_covers_it_matches(granted: str, asked: str, topic: str) -> None:
    if covers(granted, asked) and naively(asked, topic):
        assert naively(granted, topic)


@given(patterns)
def test_a_pattern_covers_itself(pattern: str) -> None:
    assert covers(pattern, pattern)


@pytest.mark.parametrize(
    ("granted", "asked"),
    [("a/+", "a/#"), ("a", "a/#"), ("a/b", "a/+"), ("#", "$sys/#"), ("+/#", "$sys/x"), ("a/+/#", "a/#"), ("a", "#")],
)
def test_a_wider_pattern_is_not_covered(granted: str, asked: str) -> None:
    assert not covers(granted, asked)


@given(st.lists(st.tuples(patterns, st.integers(0, 3), st.booleans()), max_size=30), st.lists(topics, max_size=5))
def test_the_index_finds_all_whose_patterns_match_in_the_order_of_subscribing(
    steps: list[tuple[str, int, bool]], asked: list[str]
) -> None:
    index: Index[int] = Index(2)
    model: dict[tuple[str, int], None] = {}
    for pattern, who, adds in steps:
        if adds:
            index.add(pattern, who)
            model.setdefault((pattern, who))
        else:
            assert index.remove(pattern, who) == ((pattern, who) in model)
            model.pop((pattern, who), None)
        for topic in asked:
            found = dict.fromkeys(one for pattern, one in model if naively(pattern, topic))
            assert index.match(topic) == tuple(found)
    assert len(index) == len(model)


def test_an_index_that_nobody_is_in_holds_nothing() -> None:
    index: Index[str] = Index(10)
    for pattern in ("a/b/c", "a/+/#", "#"):
        index.add(pattern, "x")
    for pattern in ("a/b/c", "a/+/#", "#"):
        assert index.remove(pattern, "x")
    assert index._root.below == {}


def test_no_more_answers_are_remembered_than_are_allowed() -> None:
    index: Index[str] = Index(10)
    for number in range(100):
        index.match(f"t/{number}")
    assert len(index._cache) <= 10


@pytest.mark.parametrize(
    "topic",
    ["", "a/+", "+", "#", "a#", "a+b", "a\0b", "a\nb", "a\x7fb", "a\u2028b", "\ud800", "x" * 257, "ä" * 129, "/" * 16],
)
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(LinkError) as caught:
        check_topic(topic, BOUNDS)
    assert caught.value.code is Code.BAD_TOPIC


@pytest.mark.parametrize("pattern", ["", "#/a", "a#", "a/#/b", "a+", "a/b+/c", "+#", "##", "\0", "x" * 257])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(LinkError) as caught:
        check_pattern(pattern, BOUNDS)
    assert caught.value.code is Code.BAD_TOPIC


@pytest.mark.parametrize("topic", ["a", "/", "a//b", "/a/", "$sys/hub", "a b", "ä" * 128, "/" * 15, "x" * 256])
def test_what_is_a_topic_is_taken_and_is_a_pattern_too(topic: str) -> None:
    check_topic(topic, BOUNDS)
    check_pattern(topic, BOUNDS)


@given(st.text(max_size=300))
def test_any_text_is_a_topic_or_refused_with_a_reason(text: str) -> None:
    for check in (check_topic, check_pattern):
        found: LinkError | None = None
        try:
            check(text, BOUNDS)
        except LinkError as error:
            found = error
        assert found is None or found.code is Code.BAD_TOPIC
        assert found is None or str(found).startswith("cannot use the ")


def test_what_is_remembered_is_bounded_by_its_subscribers_too() -> None:
    index: Index[int] = Index(1000, subscribers_max=100)
    for number in range(40):
        index.add("#", number)
    for number in range(20):
        assert len(index.match(f"a/{number}")) == 40
        assert sum(map(len, index._cache.values())) <= 100
