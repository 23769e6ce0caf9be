"""What AuroraLink keeps on disk: durable messages, how far each cursor has come, and values that outlive the hub.

One SQLite database, with a write-ahead log and synchronous=FULL: what a transaction has written is on disk when it is
committed, and a power cut leaves all of it or nothing (https://sqlite.org/wal.html). Everything here blocks and belongs
to one thread; `writer` is that thread.

    message    seq, publisher, topic, wall_msec, data: `seq` only grows, also over restarts, and is never used twice
    cursor     owner, name, pattern, acked: everything up to `acked` is acknowledged
    log        publisher, age_max_msec: what the publisher's manifest said last
    retained   topic, sender, wall_msec, data
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from aurora.link.bounds import Bounds
from aurora.link.kept import COST_BYTES, CursorState, Found, Kept, LogState, cost_bytes
from aurora.link.refusal import Code, LinkError
from aurora.link.retained import Retained
from aurora.link.rules import Durable
from aurora.link.topics import matches
from aurora.topics import WhenFull

__all__ = ["Ledger"]

SCHEMA_VERSION = 1
CACHE_KIB = 512
SCANNED_MAX = 1024
"""Messages that one search looks at."""
TRIMMED_MAX = 500
"""Messages that are looked at, to be removed, at once."""

_SCHEMA = """
create table message (
    seq integer primary key autoincrement, publisher text not null, topic text not null, wall_msec integer not null,
    data blob not null
);
create index message_of on message (publisher);
create table cursor (
    owner text not null, name text not null, pattern text not null, acked integer not null, primary key (owner, name)
) without rowid;
create table log (publisher text primary key, age_max_msec integer not null) without rowid;
create table retained (topic text primary key, sender text not null, wall_msec integer not null, data blob not null);
"""


class _Log:
    """The sums of one publisher."""

    def __init__(self, messages: int = 0, size: int = 0, dropped: int = 0) -> None:
        self.messages = messages
        self.bytes = size
        self.dropped = dropped


class Ledger:
    """The open database. Methods that change it are for the jobs of `transact`; they raise LinkError before they have
    changed anything.
    """

    def __init__(self, place: Path, bounds: Bounds) -> None:
        """Open it, or make it; LinkError, with the database as it was, when that cannot be."""
        self._bounds = bounds
        self._logs: dict[str, _Log] = {}
        self._ages: dict[str, int] = {}
        self._cursors: dict[tuple[str, str], tuple[str, int]] = {}
        """(owner, name) -> pattern, acked."""
        try:
            self._db = sqlite3.connect(place, isolation_level=None, timeout=0)
            try:
                self._prepare()
                self._load()
            except BaseException:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise _broken("open", place, error) from None

    def _prepare(self) -> None:
        run = self._db.execute
        run(f"pragma cache_size=-{CACHE_KIB}")
        run("pragma locking_mode=exclusive")  # nobody else opens it; so the index of the log is no file of its own
        version = run("pragma user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}, and this hub knows {SCHEMA_VERSION}")
        if not version:
            run("pragma auto_vacuum=incremental")
        run("pragma journal_mode=wal")
        run("pragma synchronous=full")
        run("pragma journal_size_limit=4194304")
        if not version:
            self._db.executescript(f"begin; {_SCHEMA} pragma user_version={SCHEMA_VERSION}; commit;")

    def _load(self) -> None:
        run = self._db.execute
        sums = "select publisher, count(*), sum(length(data) + length(cast(topic as blob))) from message"
        dropped = {publisher: log.dropped for publisher, log in self._logs.items()}
        self._logs = {
            publisher: _Log(count, size + count * COST_BYTES, dropped.get(publisher, 0))
            for publisher, count, size in run(f"{sums} group by publisher")
        }
        self._ages = dict(run("select publisher, age_max_msec from log"))
        rows = run("select owner, name, pattern, acked from cursor")
        self._cursors = {(owner, name): (pattern, acked) for owner, name, pattern, acked in rows}

    def close(self) -> None:
        """Close it; what was not committed is undone."""
        self._db.close()

    def transact(self, jobs: Sequence[Callable[[Ledger], object]]) -> list[object]:
        """What each job gives, or the LinkError that it raises, once all of them are on disk.

        LinkError (disk) when nothing of them is; then close it.
        """
        results: list[object] = []
        try:
            self._db.execute("begin immediate")
            for job in jobs:
                try:
                    results.append(job(self))
                except LinkError as error:
                    results.append(error)
            self._db.execute("commit")
        except sqlite3.Error as error:
            why = str(error)
            raise LinkError(Code.DISK, "write durable messages to disk", why, remedy="df /var/lib") from None
        return results

    # --- messages -----------------------------------------------------------------------------------------

    def append(self, publisher: str, topic: str, data: bytes, wall_msec: int, durable: Durable) -> int:
        """Keep a message; its number. LinkError when the publisher's log is full and nothing may be removed."""
        size = cost_bytes(topic, data)
        what = f"publish {topic!r}"
        if size > durable.size_max_bytes:
            why = f"it takes {size} bytes, and all that is kept of {publisher} may take {durable.size_max_bytes}"
            raise LinkError(Code.TOO_LARGE, what, why, remedy="a larger durable_size_max below [link] in its manifest")
        log = self._logs.setdefault(publisher, _Log())
        if log.bytes + size > durable.size_max_bytes and not self._make_room(publisher, log, size, durable):
            why = f"the {durable.size_max_bytes} bytes that may be kept of {publisher} are full of messages to be read"
            raise LinkError(Code.FULL, what, why, remedy="auroractl link durable, which lists who has not read them")
        if self._ages.get(publisher) != durable.age_max_msec:
            self._db.execute("insert or replace into log values (?, ?)", (publisher, durable.age_max_msec))
            self._ages[publisher] = durable.age_max_msec
        row = (publisher, topic, wall_msec, data)
        done = self._db.execute("insert into message (publisher, topic, wall_msec, data) values (?, ?, ?, ?)", row)
        log.messages += 1
        log.bytes += size
        return int(done.lastrowid or 0)

    def find(self, pattern: str, after: int, *, max_messages: int, max_bytes: int) -> Found:
        """Messages behind number `after` whose topics match, with at most so many bytes of data, but one at least."""
        # The data of what does not match is never read.
        rows = self._db.execute(
            "select seq, topic from message where seq > ? order by seq limit ?", (after, SCANNED_MAX)
        ).fetchall()
        found: list[Kept] = []
        left, scanned = max_bytes, after
        for seq, topic in rows:
            if matches(pattern, topic):
                if len(found) == max_messages or (found and left <= 0):
                    return Found(found, scanned, more=True)
                row = self._db.execute(
                    "select publisher, wall_msec, data from message where seq = ?", (seq,)
                ).fetchone()
                if found and len(row[2]) > left:
                    return Found(found, scanned, more=True)
                found.append(Kept(seq, row[0], topic, row[1], row[2]))
                left -= len(row[2])
            scanned = seq
        return Found(found, scanned, more=len(rows) == SCANNED_MAX)

    def trim(self, wall_msec: int) -> bool:
        """Remove what is older than its publisher's manifest wants to have it kept; whether there may be more of it."""
        more = False
        for publisher, age_msec in list(self._ages.items()):
            due_msec = wall_msec - age_msec
            old = list(takewhile(lambda row: row[2] < due_msec, self._oldest(publisher)))  # noqa: B023  # used at once
            if old:
                self._remove(publisher, old)
            more = more or len(old) == TRIMMED_MAX
        self._db.execute("pragma incremental_vacuum(64)").fetchall()  # a row for each page that is given back
        return more

    def _make_room(self, publisher: str, log: _Log, size: int, durable: Durable) -> bool:
        """Remove the publisher's oldest messages, as far as its manifest allows it and the new one needs it."""
        while log.bytes + size > durable.size_max_bytes:
            rows = self._oldest(publisher)
            if durable.full is WhenFull.REFUSE:
                rows = list(self._read_prefix(rows))
            gone, left = [], log.bytes
            for row in rows:
                if left + size <= durable.size_max_bytes:
                    break
                gone.append(row)
                left -= row[3]
            if not gone:
                return False
            if durable.full is WhenFull.DROP_OLDEST:
                log.dropped += len(gone) - len(list(self._read_prefix(gone)))
            self._remove(publisher, gone)
        return True

    def _oldest(self, publisher: str) -> list[tuple[int, str, int, int]]:
        """Number, topic, time and cost of the publisher's oldest messages."""
        return self._db.execute(
            "select seq, topic, wall_msec, length(data) + length(cast(topic as blob)) + ? from message"
            " where publisher = ? order by seq limit ?",
            (COST_BYTES, publisher, TRIMMED_MAX),
        ).fetchall()

    def _read_prefix(self, rows: list[tuple[int, str, int, int]]) -> Iterator[tuple[int, str, int, int]]:
        """The first of them, as far as there is a cursor for each and all such cursors have acknowledged it."""
        for row in rows:
            acked = [acked for pattern, acked in self._cursors.values() if matches(pattern, row[1])]
            if not acked or min(acked) < row[0]:
                return
            yield row

    def _remove(self, publisher: str, rows: list[tuple[int, str, int, int]]) -> None:
        """The publisher's oldest messages, which these are."""
        self._db.execute("delete from message where publisher = ? and seq <= ?", (publisher, rows[-1][0]))
        log = self._logs[publisher]
        log.messages -= len(rows)
        log.bytes -= sum(row[3] for row in rows)

    # --- cursors ------------------------------------------------------------------------------------------

    def open_cursor(self, owner: str, name: str, pattern: str, *, newest: bool) -> int:
        """Up to which message the cursor has acknowledged. A new one begins with the oldest message, or behind the
        `newest`. LinkError when there are too many, or it has another pattern.
        """
        what = f"subscribe {pattern!r}"
        known = self._cursors.get((owner, name))
        if known is not None:
            if known[0] != pattern:
                why = f"the cursor {name!r} of {owner} is for {known[0]!r}"
                raise LinkError(Code.IN_USE, what, why, remedy="another name, or unsub of that pattern and cursor")
            return known[1]
        own = sum(one == owner for one, _ in self._cursors)
        if own >= self._bounds.cursors_of_one_max or len(self._cursors) >= self._bounds.cursors_max:
            whose = owner if own >= self._bounds.cursors_of_one_max else "the hub"
            raise LinkError(
                Code.TOO_MANY, what, f"{whose} has as many cursors as may be", remedy="unsub of one of them"
            )
        acked = 0
        if newest:
            last = "select coalesce(max(seq), 0) from sqlite_sequence where name = 'message'"
            acked = self._db.execute(last).fetchone()[0]
        self._db.execute("insert into cursor values (?, ?, ?, ?)", (owner, name, pattern, acked))
        self._cursors[owner, name] = (pattern, acked)
        return acked

    def acknowledge(self, owner: str, name: str, seq: int) -> None:
        """Everything up to `seq` is acknowledged; nothing when there is no such cursor any more."""
        known = self._cursors.get((owner, name))
        if known is not None and seq > known[1]:
            self._db.execute("update cursor set acked = ? where owner = ? and name = ?", (seq, owner, name))
            self._cursors[owner, name] = (known[0], seq)

    def drop_cursor(self, owner: str, name: str) -> None:
        """Forget the cursor; LinkError when there is none."""
        if (owner, name) not in self._cursors:
            raise LinkError(Code.NO_SUCH, f"forget the cursor {name!r}", f"{owner} has no such cursor")
        self._db.execute("delete from cursor where owner = ? and name = ?", (owner, name))
        del self._cursors[owner, name]

    # --- values, and all that somebody has ----------------------------------------------------------------

    def retained(self) -> list[Retained]:
        """All values that are kept."""
        rows = self._db.execute("select topic, data, sender, wall_msec from retained")
        return [Retained(topic=topic, data=data, sender=who, wall_msec=wall) for topic, data, who, wall in rows]

    def retain(self, value: Retained) -> None:
        """Keep it in place of an older one of its topic."""
        row = (value.topic, value.sender, value.wall_msec, value.data)
        self._db.execute("insert or replace into retained values (?, ?, ?, ?)", row)

    def release(self, topic: str) -> None:
        """Keep no value for `topic`."""
        self._db.execute("delete from retained where topic = ?", (topic,))

    def forget(self, name: str) -> None:
        """Everything that a module, or user:NAME, has here: its messages, cursors and values."""
        for statement in (
            "delete from message where publisher = ?",
            "delete from log where publisher = ?",
            "delete from cursor where owner = ?",
            "delete from retained where sender = ?",
        ):
            self._db.execute(statement, (name,))
        self._load()
        self._db.execute("pragma incremental_vacuum").fetchall()

    def logs(self) -> list[LogState]:
        """Of each publisher of which there are messages, or were since the hub was started."""
        return [LogState(name, log.messages, log.bytes, log.dropped) for name, log in sorted(self._logs.items())]

    def cursors(self) -> list[CursorState]:
        """All cursors."""
        return [
            CursorState(owner, name, pattern, acked, self._left(pattern, acked))
            for (owner, name), (pattern, acked) in sorted(self._cursors.items())
        ]

    def _left(self, pattern: str, acked: int) -> int:
        rows = self._db.execute(
            "select topic from message where seq > ? order by seq limit ?", (acked, self._bounds.cursor_counted_max)
        ).fetchall()
        return sum(matches(pattern, topic) for (topic,) in rows)


def _broken(what: str, place: Path, error: sqlite3.Error) -> LinkError:
    remedy = "df /var/lib; a file that is damaged can be moved away, and what it holds is gone then"
    return LinkError(Code.DISK, f"{what} {place}", str(error), remedy=remedy)
