from __future__ import annotations

import pytest

from aurora.topics import LEVELS_MAX, TOPIC_MAX_BYTES, pattern_fault, topic_fault


@pytest.mark.parametrize("text", ["a", "a/b", "/", "a//b", "$sys/hub", "ä/ö", "a b", "x" * TOPIC_MAX_BYTES])
def test_a_topic_is_levels_with_slashes_between(text: str) -> None:
    assert topic_fault(text) is None
    assert pattern_fault(text) is None


@pytest.mark.parametrize("text", ["#", "+", "a/#", "+/a/+", "a/+/#"])
def test_wildcards_are_for_patterns_alone(text: str) -> None:
    assert pattern_fault(text) is None
    assert topic_fault(text) == ("+ and # are wildcards", "a topic without them")


@pytest.mark.parametrize(
    "text", ["", "\ud800", "ä" * TOPIC_MAX_BYTES, "/" * LEVELS_MAX, "a\nb", "a\0b", "a\x9bb", "a\u2028b"]
)
def test_what_nobody_could_read_or_keep_is_neither(text: str) -> None:
    assert topic_fault(text) is not None
    assert pattern_fault(text) is not None


@pytest.mark.parametrize("text", ["#/a", "a#", "a/b+", "+a", "##"])
def test_a_wildcard_stands_alone_in_its_level(text: str) -> None:
    assert pattern_fault(text) is not None
