from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aurora.update.versions import VERSION_MAX_CHARS, is_older, is_version

IN_ORDER = ("0~~", "0~", "0", "0.9~rc1", "0.9", "0.10", "1.0~a", "1.0", "1.0-0a", "1.0-1", "1.0-1+b", "1.0+x", "1:0")
"""Each before the next, as deb-version(7) says and dpkg --compare-versions answers."""


def test_versions_are_in_the_order_of_dpkg() -> None:
    for at, one in enumerate(IN_ORDER):
        for other_at, other in enumerate(IN_ORDER):
            assert is_older(one, other) == (at < other_at), (one, other)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.00"), ("1", "1-0"), ("0:1", "1"), ("1.", "1.0"), ("01", "1")])
def test_versions_that_are_written_otherwise_and_are_the_same(one: str, other: str) -> None:
    assert not is_older(one, other)
    assert not is_older(other, one)


versions = st.from_regex(r"(?:[0-2]:)?[0-9][019a~.+-]{0,5}", fullmatch=True).filter(is_version)


@settings(max_examples=60, deadline=None)
@given(versions, versions)
def test_dpkg_says_the_same(one: str, other: str) -> None:
    done = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], capture_output=True, check=False)
    assert done.stderr == b""
    assert (done.returncode == 0) == is_older(one, other)


@pytest.mark.parametrize("text", ["", "a", "1 2", "1\n", "x:1", ":1", "1-", "1_0", "-1", "1/2", "é", "1" * 129])
def test_what_is_no_version_is_not_compared(text: str) -> None:
    assert not is_version(text)
    with pytest.raises(ValueError, match="is no version"):
        is_older(text, "1")


def test_the_longest_version_is_one() -> None:
    assert is_version("1" * VERSION_MAX_CHARS)
