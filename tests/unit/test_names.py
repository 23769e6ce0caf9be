from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aurora import names

NAMES = st.from_regex(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", fullmatch=True).filter(
    lambda text: len(text) <= names.NAME_MAX_LENGTH
)
BAD_NAMES = [
    "",
    "A",
    "Hello",
    "1st",
    "-x",
    "x-",
    "a--b",
    "a/b",
    "a@b",
    "a.b",
    "x.service",
    "a b",
    "a_b",
    "..",
    "hello\n",
    "hello\0",
    "a%i",
    "a\\x2db",
    "h\u0435llo",  # a Cyrillic letter
    "caf\u00e9",
    "\uff41",  # a full-width letter
    "\u0661",  # an Arabic digit
    "a\u0661",
    "a" * 49,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_text_that_would_break_a_unit_name_is_no_module_name(name: str) -> None:
    assert not names.is_module_name(name)


@pytest.mark.parametrize("name", ["a", "hello", "web-2", "a-b-c", "x1", "a" * 48])
def test_plain_words_are_module_names(name: str) -> None:
    assert names.is_module_name(name)


@given(NAMES)
def test_a_unit_leads_back_to_its_module(name: str) -> None:
    assert names.module_of_unit(names.unit_name(name)) == name


@pytest.mark.parametrize(
    "unit",
    ["", "aurora@.service", "aurora@A.service", "aurora@a.socket", "b@a.service", "aurora@a", "aurora@a/b.service"],
)
def test_the_unit_of_something_else_leads_to_no_module(unit: str) -> None:
    assert names.module_of_unit(unit) is None


@given(NAMES)
def test_a_slice_stands_directly_below_aurora_slice(name: str) -> None:
    stem = names.slice_name(name).removesuffix(".slice").removeprefix("aurora-")
    assert "-" not in stem
    assert stem.replace("\\x2d", "-") == name


@given(NAMES, NAMES)
def test_two_modules_never_share_a_unit_a_slice_a_profile_or_a_package(one: str, other: str) -> None:
    assume(one != other)
    for derive in (names.unit_name, names.slice_name, names.profile_name, names.package_name):
        assert derive(one) != derive(other)


def test_a_package_name_is_one_that_dpkg_takes() -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", names.package_name("hello-2"))
