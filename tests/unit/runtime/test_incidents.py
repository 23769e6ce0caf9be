from __future__ import annotations

import stat
from pathlib import Path

from aurora.paths import Paths
from aurora.runtime.evidence import EVIDENCE_MAX_BYTES, Evidence
from aurora.runtime.incidents import (
    INCIDENTS_MAX,
    WRITE_EVERY_USEC,
    forget_incidents,
    read_incidents,
    remember_incident,
)
from tests.unit.runtime.test_cause import NOTHING


def failure(number: int, **fields: object) -> Evidence:
    """The failure of another run each time, far enough from the one before."""
    made = NOTHING._replace(invocation=f"{number:032x}", when_usec=number * WRITE_EVERY_USEC, restarts=number)
    return made._replace(**fields)  # type: ignore[arg-type]  # the names are a test's own


def test_incidents_are_kept_oldest_first_and_the_oldest_goes(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for number in range(INCIDENTS_MAX + 5):
        assert remember_incident(paths, failure(number, status=number))
    assert [one.status for one in read_incidents(paths, "hello")] == list(range(5, INCIDENTS_MAX + 5))


def test_a_file_of_incidents_stays_small_whatever_they_hold(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    for number in range(INCIDENTS_MAX + 5):
        remember_incident(paths, failure(number, status=number, lines=("x" * 5000,) * 30))
    assert (paths.incidents / "hello").stat().st_size <= INCIDENTS_MAX * EVIDENCE_MAX_BYTES
    assert [file.name for file in paths.incidents.iterdir()] == ["hello"]


def test_equal_failures_in_a_row_are_one_incident_that_counts(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    remember_incident(paths, failure(1, status=1))
    remember_incident(paths, failure(2))
    remember_incident(paths, failure(3))
    remember_incident(paths, failure(9))  # those between were not seen, but systemd counted its restarts
    other, same = read_incidents(paths, "hello")
    assert (other.status, other.times) == (1, 1)
    assert (same.times, same.first_usec, same.when_usec) == (8, NOTHING.first_usec, 9 * WRITE_EVERY_USEC)


def test_equal_failures_that_follow_at_once_are_not_written_each(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert remember_incident(paths, failure(1))
    assert not remember_incident(paths, failure(2, when_usec=failure(1).when_usec + 1))
    assert remember_incident(paths, failure(3, when_usec=failure(1).when_usec + 2, gave_up=True))


def test_one_failure_that_is_seen_twice_is_one_incident(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    remember_incident(paths, failure(1))
    assert not remember_incident(paths, failure(1))
    assert remember_incident(paths, failure(1, gave_up=True))
    (kept,) = read_incidents(paths, "hello")
    assert (kept.gave_up, kept.times) == (True, 1)


def test_a_damaged_line_costs_that_incident_alone(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    remember_incident(paths, failure(1, status=1))
    remember_incident(paths, failure(2, status=2))
    file = paths.incidents / "hello"
    file.write_bytes(b"{}\nnonsense\n\xff\n[]\n" + file.read_bytes())
    assert [one.status for one in read_incidents(paths, "hello")] == [1, 2]


def test_log_lines_are_not_for_everybody(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    remember_incident(paths, failure(1))
    assert stat.S_IMODE((paths.incidents / "hello").stat().st_mode) & 0o007 == 0


def test_what_is_forgotten_is_gone(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    remember_incident(paths, failure(1))
    forget_incidents(paths, "hello")
    forget_incidents(paths, "hello")
    assert read_incidents(paths, "hello") == []
