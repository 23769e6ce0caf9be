from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from aurora.link.bounds import Bounds
from aurora.link.ledger import Ledger
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import Durable
from aurora.link.writer import Writer
from aurora.topics import WhenFull

DEADLINE_SEC = 20.0
DURABLE = Durable(patterns=("a",), size_max_bytes=1 << 20, age_max_msec=86_400_000, full=WhenFull.REFUSE)


def append(number: int) -> Callable[[Ledger], int]:
    return lambda ledger: ledger.append("alarm", "a", b"%d" % number, 0, DURABLE)


class Rig:
    """A writer, and what it hands out."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.acts: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.writer = Writer(place, Bounds(), self.acts.put)
        self.results: list[Any] = []

    def submit(self, *jobs: Callable[[Ledger], Any]) -> None:
        for job in jobs:
            self.writer.submit(job, self.results.append)

    def wait(self, count: int) -> list[Any]:
        """The results, once there are so many."""
        while len(self.results) < count:
            self.acts.get(timeout=DEADLINE_SEC)()
        return self.results


def numbers(place: Path) -> list[bytes]:
    ledger = Ledger(place, Bounds())
    found = [one.data for one in ledger.find("a", 0, max_messages=1000, max_bytes=1 << 20).messages]
    ledger.close()
    return found


def test_jobs_are_done_in_order_and_what_waits_when_it_closes_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "link.db")
    rig.submit(*map(append, range(600)))
    rig.writer.close()
    assert rig.wait(600) == list(range(1, 601))
    assert numbers(rig.place) == [b"%d" % n for n in range(600)]
    rig.submit(append(600))
    assert rig.results[600].code is Code.DISK, "a hub that ends is not held up by what comes too late"


def test_nothing_is_handed_out_before_it_is_on_disk(tmp_path: Path) -> None:
    """Another process sees it, which is what is left after a kill."""
    rig = Rig(tmp_path / "link.db")
    for number in range(5):
        rig.submit(append(number))
        rig.wait(number + 1)
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        for file in tmp_path.glob("link.db*"):
            (copy / file.name).write_bytes(file.read_bytes())
        assert numbers(copy / "link.db") == [b"%d" % n for n in range(number + 1)]
    rig.writer.close()


def test_what_waits_while_the_disk_is_busy_goes_in_one_transaction_and_fails_as_one(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "link.db")
    begun, go_on = threading.Event(), threading.Event()

    def blocks(_: Ledger) -> str:
        begun.set()
        assert go_on.wait(DEADLINE_SEC)
        return "first"

    def is_full(_: Ledger) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def refuses(_: Ledger) -> None:
        raise LinkError(Code.FULL, "publish", "it is full")

    rig.submit(blocks)
    assert begun.wait(DEADLINE_SEC)
    rig.submit(append(1), is_full, append(2))
    go_on.set()
    first, *others = rig.wait(4)
    assert first == "first"
    assert [one.code for one in others] == [Code.DISK] * 3
    assert "database or disk is full" in str(others[0])
    rig.submit(append(3), refuses, append(4))
    assert [getattr(one, "code", one) for one in rig.wait(7)[4:]] == [1, Code.FULL, 2]
    rig.writer.close()
    assert numbers(rig.place) == [b"3", b"4"]


def test_a_database_that_cannot_be_opened_fails_every_job_is_logged_once_and_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path / "folder/link.db")
    for count in (1, 2):
        rig.submit(append(count))
        assert rig.wait(count)[-1].code is Code.DISK
    assert len(caplog.records) == 1
    rig.place.parent.mkdir()
    rig.submit(append(3))
    assert rig.wait(3)[-1] == 1
    rig.writer.close()


def test_a_writer_that_was_never_used_makes_no_file(tmp_path: Path) -> None:
    Rig(tmp_path / "link.db").writer.close()
    assert list(tmp_path.iterdir()) == []
