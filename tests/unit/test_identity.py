from __future__ import annotations

import re

from hypothesis import assume, given
from hypothesis import strategies as st

from aurora import identity, names

from .test_names import NAMES

LONG_NAMES = st.from_regex(r"[a-z]{26}[a-z0-9]{1,8}(-[a-z0-9]{1,6})?", fullmatch=True)
ANY_NAMES = NAMES | LONG_NAMES


@given(ANY_NAMES)
def test_a_user_name_is_one_that_systemd_takes(name: str) -> None:
    # The strict form of user names in systemd's valid_user_group_name; UT_NAMESIZE bounds the length.
    for one in (identity.installed(name), identity.foreground(name)):
        assert re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", one.user)


@given(ANY_NAMES, ANY_NAMES)
def test_two_modules_never_share_a_user(one: str, other: str) -> None:
    assume(one != other)
    assert identity.user_name(one) != identity.user_name(other)


@given(st.from_regex(r"[a-z][a-z0-9]{20,40}", fullmatch=True), st.integers(0, 9), st.integers(0, 9))
def test_two_modules_whose_long_names_differ_at_the_end_do_not_share_a_user(stem: str, one: int, other: int) -> None:
    assume(one != other)
    assert identity.user_name(f"{stem}{one}") != identity.user_name(f"{stem}{other}")


@given(LONG_NAMES)
def test_a_cut_user_name_is_never_that_of_another_module(name: str) -> None:
    user = identity.user_name(name)
    assume(user != f"au-{name}")
    assert not names.is_module_name(user.removeprefix("au-"))


@given(ANY_NAMES, ANY_NAMES)
def test_a_module_in_a_terminal_shares_nothing_with_an_installed_one(one: str, other: str) -> None:
    installed, foreground = identity.installed(one)._asdict(), identity.foreground(other)._asdict()
    del installed["module"], foreground["module"]
    assert not set(installed.values()).intersection(foreground.values())
