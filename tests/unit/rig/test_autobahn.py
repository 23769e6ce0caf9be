"""What the Autobahn test suite reports of a case counts as passed, refused or failed."""

from __future__ import annotations

import pytest

from tests.vm.autobahn import Verdict, verdict


@pytest.mark.parametrize(
    ("name", "behavior", "close", "code", "expected"),
    [
        ("1.1.1", "OK", "OK", 1000, Verdict.GOOD),
        ("6.4.3", "NON-STRICT", "OK", 1007, Verdict.GOOD),
        ("7.1.6", "INFORMATIONAL", "INFORMATIONAL", 1000, Verdict.GOOD),
        ("12.1.1", "UNIMPLEMENTED", "OK", 1000, Verdict.GOOD),
        ("1.2.1", "FAILED", "FAILED", 1003, Verdict.BINARY),
        ("1.2.1", "FAILED", "FAILED", 1002, Verdict.WRONG),
        ("1.1.1", "FAILED", "FAILED", 1003, Verdict.WRONG),
        ("7.1.5", "FAILED", "WRONG CODE", 1002, Verdict.WRONG),
        ("7.1.1", "OK", "UNCLEAN", None, Verdict.WRONG),
    ],
)
def test_a_case_is_good_refused_or_wrong(
    name: str, behavior: str, close: str, code: int | None, expected: Verdict
) -> None:
    assert verdict(name, {"behavior": behavior, "behaviorClose": close, "remoteCloseCode": code}) is expected
