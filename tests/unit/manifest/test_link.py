from __future__ import annotations

import pytest

from aurora.errors import InputError

from .reading import read


def test_a_module_without_the_table_may_talk_about_nothing() -> None:
    assert read("").link.patterns == {}


def test_patterns_stay_in_the_order_written() -> None:
    made = read('[link]\nsubscribe = ["site/#", "$sys/hub", "$broadcast"]\npublish = ["b", "a/+"]')
    assert made.link.patterns == {"publish": ("b", "a/+"), "subscribe": ("site/#", "$sys/hub", "$broadcast")}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('publish = ["a/#/b"]', "# has to be the last level"),
        ('publish = ["$sys/hub"]', "the hub's own"),
        ('request = ["$broadcast"]', "the hub's own"),
        ('serve = ["$sys/#"]', "the hub's own"),
        ('subscribe = ["a", "a"]', "is there twice"),
        ('subscribe = ["a\\u202eb"]', "is not a pattern of topics"),
        ('subscribe = [""]', "it is empty"),
        ('subscribe = "a"', "not a list of texts"),
        ("subscribe = [1]", "not a text"),
        (f"subscribe = [{', '.join(f'"a{number}"' for number in range(65))}]", "more than 64"),
    ],
)
def test_what_is_no_pattern_is_refused_with_its_line(line: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        read(f"[link]\n{line}")
    assert "key link." in str(caught.value)
