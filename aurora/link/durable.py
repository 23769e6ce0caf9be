"""Durable messages: on disk before they are acknowledged, and read by cursors, which acknowledge in turn.

A module's messages of the topics that its manifest calls durable go to the ledger, and are delivered and acknowledged
once they are there. A cursor belongs to a peer and has a name and a pattern; it is sent what the ledger has for it, in
order, and again from behind what it has acknowledged whenever it is subscribed anew. So each message comes once at
least, always with the same id.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from aurora.link.envelope import deliver, opening, quoted, say, stamp
from aurora.link.kept import Found, cost_bytes
from aurora.link.publishing import Publishing
from aurora.link.refusal import Code, LinkError
from aurora.link.retained import Retained
from aurora.link.rules import Durable
from aurora.link.session import Client, Core, Cursor, Subscription
from aurora.link.topics import matches

TYPE_CHECKING = False  # to type checkers it is true; the database is loaded where something is kept
if TYPE_CHECKING:
    from aurora.link.ledger import Ledger

__all__ = ["Keeping", "Store"]


class Store(Protocol):
    """Where the ledger is, which blocks."""

    def submit[T](self, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]) -> None:
        """Have `job` done after those before it; `done` gets what it gave once it is on disk, or why it is not."""


JOB_BYTES = 1024
"""What a job that waits for the disk is charged with beside what it writes."""


class NoStore:
    """Where nothing can be kept."""

    def submit[T](self, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]) -> None:  # noqa: ARG002  # a Store
        """Refuse it."""
        why = "this hub has no directory of its own"
        done(LinkError(Code.DISK, "keep it on disk", why, remedy="systemctl start aurora-link"))


class Keeping:
    """What is kept on disk for publishers, and read from there for cursors."""

    def __init__(self, core: Core, publishing: Publishing, end: Callable[[Subscription], None]) -> None:
        """`end` ends a subscription."""
        self._core = core
        self._publishing = publishing
        self._end = end
        self.store: Store = NoStore()
        self.used = False
        """Whether there is anything on disk, as far as is known here."""
        self._cursors: dict[tuple[str, str], Cursor] = {}
        """By peer and name: of each one is subscribed at most."""
        self._outliving: set[str] = set()
        """Topics of which a value may be on disk: what this hub has kept, at most `retained_max`, or found there."""
        self._trim_msec = 0

    # --- publishers ---------------------------------------------------------------------------------------

    def publish(
        self, client: Client, topic: str, data: bytes, durable: Durable, *, retain: bool, message_id: str
    ) -> None:
        """Keep it on disk; then deliver and acknowledge it. LinkError when too much waits for the disk."""
        wall_msec, name = self._core.wall_msec, client.peer.name
        size = cost_bytes(topic, data)
        self._check_room(client, f"publish {topic!r}", size)
        value = Retained(topic=topic, data=data, sender=name, wall_msec=wall_msec) if retain else None
        kept = None if value is None else self._kept(client, value)

        def job(ledger: Ledger) -> int:
            number = ledger.append(name, topic, data, wall_msec, durable)
            if kept is not None:
                kept(ledger)
            return number

        def done(result: int | LinkError) -> None:
            if isinstance(result, LinkError):
                if value is not None and result.code is not Code.DISK:
                    self._settle(topic)
                self._core.refuse(client, result, message_id=message_id, topic=topic)
                return
            self._publish(client, topic, data, value)
            if value is not None:
                self._settle(topic)
            if message_id:
                self._core.answer(client, say("ack", id=message_id))
            for cursor in list(self._cursors.values()):
                if matches(cursor.subscription.pattern, topic):
                    cursor.behind = True
                    self._pump(cursor)

        self._submit(client, size, job, done)

    def _publish(self, client: Client, topic: str, data: bytes, value: Retained | None) -> None:
        """To all who are there; to those who come later as far as the hub has room for the value."""
        if value is not None:
            with suppress(LinkError):  # it had room when it came
                self._publishing.keep(value.sender, topic, data)
        if client.ended:
            self._publishing.publish(client.peer.name, topic, data)
        else:
            # Who waits for a full queue already is not held back again: what it sent before is on its way, too.
            publisher = None if client.waits else client
            self._publishing.deliver(self._publishing.route(client, topic), data, publisher)

    def _kept(self, client: Client, value: Retained) -> Callable[[Ledger], None] | None:
        """What is to be done on disk for a value that is retained; None for nothing. LinkError at a bound."""
        topic, removed = value.topic, value.data.strip() == b"null"
        if not removed:
            self._publishing.retained.check(value)
        outlives = self._core.gatekeeper.outlives(client.peer, topic)
        if outlives and not removed:
            if topic not in self._outliving and len(self._outliving) >= self._core.bounds.retained_max:
                why = "as many values are on disk as may be kept"
                raise LinkError(Code.TOO_MANY, f"retain {topic!r}", why, remedy="removing some with null as data")
            self._outliving.add(topic)
            return lambda ledger: ledger.retain(value)
        if outlives or topic in self._outliving:  # an older one must not come again
            return lambda ledger: ledger.release(topic)
        return None

    def _check_room(self, client: Client, what: str, size: int = 0) -> None:
        """LinkError when too much of the client's peer waits for the disk to charge it with another job."""
        if not client.budget.has_room(size + JOB_BYTES):
            why = f"too much of {client.peer.name} waits for the disk"
            raise LinkError(Code.BUSY, what, why, remedy="waiting for acks")

    def _submit[T](
        self, client: Client, size: int, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]
    ) -> None:
        """Have it done, charged to the client's peer while it waits; there has to be room."""
        budget, charge = client.budget, size + JOB_BYTES
        budget.charge(charge)
        self.used = True

        def finished(result: T | LinkError) -> None:
            budget.give_back(charge)
            done(result)

        self.store.submit(job, finished)

    def retain(
        self, client: Client, topic: str, data: bytes, done: Callable[[None | LinkError], None] = lambda _result: None
    ) -> None:
        """Keep the value in the hub, and where it is to outlive the hub on disk; then `done` is called.

        LinkError, with nothing changed, when the hub keeps too much already, or too much waits for the disk.
        """
        size, name = cost_bytes(topic, data), client.peer.name
        if topic in self._outliving or self._core.gatekeeper.outlives(client.peer, topic):
            self._check_room(client, f"retain {topic!r}", size)
        kept = self._kept(client, Retained(topic=topic, data=data, sender=name, wall_msec=self._core.wall_msec))
        self._publishing.keep(name, topic, data)
        if kept is None:
            done(None)
            return

        def finish(result: None | LinkError) -> None:
            if not isinstance(result, LinkError):
                self._settle(topic)
            done(result)

        self._submit(client, size, kept, finish)

    def _settle(self, topic: str) -> None:
        """Something was done on disk for a topic: where there is no value any more, none is there either."""
        if self._publishing.retained.find(topic) is None:
            self._outliving.discard(topic)

    def recall(self, values: list[Retained]) -> None:
        """Keep in the hub what was kept on disk; what no longer fits its bounds is left out."""
        for value in values:
            self._outliving.add(value.topic)
            try:
                self._publishing.retained.keep(value)
            except LinkError:
                continue

    def look(self) -> None:
        """Once in a while: remove what is too old."""
        now, wall_msec = self._core.now_msec, self._core.wall_msec
        if self.used and now >= self._trim_msec:
            self._trim_msec = now + self._core.bounds.trim_msec
            self._trim(wall_msec)

    def _trim(self, wall_msec: int) -> None:
        def done(more: bool | LinkError) -> None:
            if more is True:
                self._trim(wall_msec)

        self.store.submit(lambda ledger: ledger.trim(wall_msec), done)

    # --- cursors ------------------------------------------------------------------------------------------

    def check(self, client: Client, name: str, pattern: str) -> None:
        """LinkError when the cursor is read by another pattern now, or too much waits for the disk."""
        self._check_room(client, f"subscribe {pattern!r}")
        known = self._cursors.get((client.peer.name, name))
        if known is not None and known.subscription.pattern != pattern:
            why = f"the cursor {name!r} is for {known.subscription.pattern!r}"
            raise LinkError(Code.IN_USE, f"subscribe {pattern!r}", why, remedy="another name")

    def subscribe(self, cursor: Cursor, *, newest: bool, acknowledged: Callable[[], None]) -> None:
        """Send what it has to read, once the ledger knows it; a connection that had the cursor before loses it."""
        subscription, name = cursor.subscription, cursor.name
        client, pattern = subscription.client, subscription.pattern
        owner = client.peer.name
        self._take_over(owner, name)
        self._cursors[owner, name] = cursor

        def done(result: int | LinkError) -> None:
            cursor.asking = False
            if subscription.closed:
                return
            if isinstance(result, LinkError):
                self._end(subscription)
                self._core.refuse(client, result, topic=pattern)
                return
            cursor.acked = cursor.saved = cursor.after = result
            acknowledged()
            self._pump(cursor)

        self._submit(client, 0, lambda ledger: ledger.open_cursor(owner, name, pattern, newest=newest), done)

    def resume(self, cursor: Cursor) -> None:
        """Go on with a cursor where the hub before has left it: the ledger knows it."""
        self._cursors[cursor.subscription.client.peer.name, cursor.name] = cursor
        cursor.asking = False
        self._save(cursor)
        self._pump(cursor)

    def leave(self, cursor: Cursor) -> None:
        """It is subscribed no more; on disk it stays, with all that it has acknowledged."""
        client = cursor.subscription.client
        key = owner, name = client.peer.name, cursor.name
        if self._cursors.get(key) is cursor:
            del self._cursors[key]
        self._core.timers.cancel(cursor.timer)
        acked = cursor.acked
        if acked > cursor.saved:  # now, before it may be forgotten, and another one have its name
            self._submit(client, 0, lambda ledger: ledger.acknowledge(owner, name, acked), lambda _result: None)

    def forget(self, client: Client, name: str, done: Callable[[None | LinkError], None]) -> None:
        """Have a cursor of the client's peer forgotten for good; whichever connection reads by it does so no more.

        LinkError when too much waits for the disk.
        """
        self._check_room(client, f"forget the cursor {name!r}")
        owner = client.peer.name
        own = self._cursors.get((owner, name))
        if own is not None and own.subscription.client is client:
            self._end(own.subscription)
        self._take_over(owner, name)
        self._submit(client, 0, lambda ledger: ledger.drop_cursor(owner, name), done)

    def ask[T](self, client: Client, job: Callable[[Ledger], T], done: Callable[[T | LinkError], None]) -> None:
        """Have the ledger say something; LinkError when too much waits for it."""
        self._check_room(client, "ask the disk")
        self._submit(client, 0, job, done)

    def forget_all(self, client: Client, name: str, done: Callable[[None | LinkError], None]) -> None:
        """Have everything forgotten that a module, or user:NAME, has on disk, and the values that it retains.

        LinkError when too much waits for the disk.
        """
        self._check_room(client, f"forget {name!r}")
        for owner, cursor in list(self._cursors):
            if owner == name:
                self._take_over(owner, cursor)
        for value in self._publishing.retained.match("#"):
            if value.sender == name:
                self._publishing.retained.remove(value.topic)
        self._submit(client, 0, lambda ledger: ledger.forget(name), done)

    def _take_over(self, owner: str, name: str) -> None:
        older = self._cursors.get((owner, name))
        if older is not None:
            subscription = older.subscription
            error = LinkError(Code.IN_USE, f"read by the cursor {name!r}", "another connection has taken it")
            self._core.refuse(subscription.client, error, topic=subscription.pattern)
            self._end(subscription)

    def acknowledge(self, client: Client, name: str, message_id: str) -> None:
        """The cursor has everything up to the message; LinkError when that was not sent to it."""
        cursor = self._cursors.get((client.peer.name, name))
        what = f"acknowledge {message_id!r}"
        if cursor is None or cursor.subscription.client is not client:
            why = f"this connection reads by no cursor {name!r}"
            raise LinkError(Code.NO_SUCH, what, why, remedy="the cursor of the message, which stands in it")
        number = message_id[1:]
        seq = int(number) if message_id[:1] == "d" and number.isascii() and number.isdigit() else 0
        if seq > cursor.acked and not any(seq == one for one, _ in cursor.sent):
            seq = 0
        if not seq:
            raise LinkError(Code.NO_SUCH, what, f"no such message was sent to {name!r}", remedy="the id of a message")
        while cursor.sent and cursor.sent[0][0] <= seq:
            cursor.sent.popleft()
        cursor.acked = max(cursor.acked, seq)
        self._save(cursor)
        self._pump(cursor)

    def _save(self, cursor: Cursor) -> None:
        """Tell the ledger how far it is; one such job waits at a time, and the next takes what came meanwhile."""
        if cursor.saving or cursor.saved >= cursor.acked or cursor.subscription.closed:
            return
        cursor.saving = True
        owner, name, acked = cursor.subscription.client.peer.name, cursor.name, cursor.acked

        def again() -> None:
            cursor.saving = False
            self._save(cursor)

        def done(result: None | LinkError) -> None:
            if isinstance(result, LinkError):
                self._core.timers.at(self._core.now_msec + self._core.bounds.cursor_retry_msec, again)
                return
            cursor.saved = max(cursor.saved, acked)
            again()

        self.store.submit(lambda ledger: ledger.acknowledge(owner, name, acked), done)

    def _pump(self, cursor: Cursor) -> None:
        """Ask for more, if there may be some and it may be sent."""
        subscription = cursor.subscription
        queue = subscription.queue
        messages = queue.max_messages - len(cursor.sent)
        size = cursor.window_bytes - sum(size for _, size in cursor.sent)
        if cursor.asking or not cursor.behind or subscription.closed or messages < 1 or (cursor.sent and size < 1):
            return
        cursor.asking, cursor.behind = True, False
        pattern, after = subscription.pattern, cursor.after
        size = min(size, self._core.bounds.cursor_read_max_bytes)

        def done(found: Found | LinkError) -> None:
            cursor.asking = False
            if subscription.closed:
                return
            if isinstance(found, LinkError):
                self._core.refuse(subscription.client, found, topic=pattern)
                self._later(cursor)
                return
            self._send(cursor, found)

        self.store.submit(
            lambda ledger: ledger.find(pattern, after, max_messages=messages, max_bytes=size), done
        )  # fmt: skip

    def _send(self, cursor: Cursor, found: Found) -> None:
        more = f'"cursor":{quoted(cursor.name).decode()},'
        for one in found.messages:
            begun = opening("pub", one.publisher, topic=one.topic, message_id=f"d{one.seq}", more=more)
            line = deliver(begun, stamp(one.wall_msec), one.data)
            if not cursor.subscription.queue.put(line, one.topic):
                self._later(cursor)
                return
            cursor.sent.append((one.seq, len(line)))
            cursor.after = one.seq
        cursor.after = max(cursor.after, found.scanned)
        cursor.behind = cursor.behind or found.more
        self._pump(cursor)

    def _later(self, cursor: Cursor) -> None:
        """What its peer has not read leaves no room, or the disk does not answer: try again in a while."""
        cursor.behind = True
        due = self._core.now_msec + self._core.bounds.cursor_retry_msec
        self._core.timers.cancel(cursor.timer)
        cursor.timer = self._core.timers.at(due, lambda: self._pump(cursor))
