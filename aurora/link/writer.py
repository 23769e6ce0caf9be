"""The thread that the ledger belongs to. What waits when it is free goes to disk in one transaction, with one sync."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError

TYPE_CHECKING = False  # to type checkers it is true
if TYPE_CHECKING:
    from aurora.link.ledger import Ledger

__all__ = ["Writer"]

_REMEDY = "systemctl restart aurora-link"
BATCH_MAX = 512
"""Jobs in one transaction."""

type _Job = tuple[Callable[[Ledger], Any], Callable[[Any], None]]
type _Results = list[tuple[Callable[[Any], None], Any]]

_log = logging.getLogger("aurora.link")


class Writer:
    """Does jobs in the order in which they are submitted; whoever submits bounds how many wait.

    The database is opened by the first of them. While that fails, or a transaction does, jobs end with LinkError
    (disk), and nothing of them is on disk.
    """

    def __init__(self, place: Path, bounds: Bounds, call: Callable[[Callable[[], None]], object]) -> None:
        """`call` has something done where the jobs come from, as `loop.call_soon_threadsafe` does."""
        self._place = place
        self._bounds = bounds
        self._call = call
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._ledger: Ledger | None = None
        self._broken = False
        self._closed = False
        self.waiting = 0
        """Jobs of which `done` was not called yet."""

    def submit[T](self, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]) -> None:
        """Have `job` done; `done` gets what it gave, once that is on disk, or why it could not be."""
        if self._closed:
            done(LinkError(Code.DISK, "keep it on disk", "the hub ends", remedy="again"))
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="ledger")
            self._thread.start()
        if not self._thread.is_alive():  # by a fault of its own, which is in the journal
            done(LinkError(Code.DISK, "keep it on disk", "the hub's thread for that has failed", remedy=_REMEDY))
            return
        self.waiting += 1
        self._jobs.put((job, done))

    def close(self) -> None:
        """Do what was submitted, and close the database; nothing more is done.

        What `done` would get comes only if the loop still runs.
        """
        self._closed = True
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            taken = [self._jobs.get()]
            while len(taken) < BATCH_MAX:
                try:
                    taken.append(self._jobs.get_nowait())
                except Empty:
                    break
            goes_on = None not in taken
            results = self._do([job for job in taken if job is not None])
            if results:
                self._call(partial(self._hand_out, results))
        self._close_ledger()

    def _do(self, batch: list[_Job]) -> _Results:
        try:
            if self._ledger is None:
                from aurora.link.ledger import Ledger  # noqa: PLC0415  # most hubs keep nothing

                self._ledger = Ledger(self._place, self._bounds)
            results = self._ledger.transact([job for job, _ in batch])
        except LinkError as error:
            if not self._broken:
                _log.error("%s", error)
            self._broken = True
            self._close_ledger()
            return [(done, error) for _, done in batch]
        self._broken = False
        return [(done, result) for (_, done), result in zip(batch, results, strict=True)]

    def _close_ledger(self) -> None:
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _hand_out(self, results: _Results) -> None:
        for done, result in results:
            self.waiting -= 1
            done(result)
