"""Counting what a module misses while it is down: a reader of root's, in a thread of its own, subscribed as it was.

What it counts of what is published meanwhile is never less than what the module misses. It may be more: a message that
comes before the module is really gone, or once it reads again and has not said yet that it is up, is counted as well.
Not counted is what the module has itself published, what the hub tells of itself below `$`, and what is held for it:

    durable     What its publisher's manifest has on disk, where the module had a cursor for it before it went down.
    retained    The value that is kept of a topic at the end: whoever subscribes is given it.

It blocks no publisher. Of each pattern as much waits for it as the hub keeps for anybody; when it does not keep up with
that, the hub ends its connection, and the count is not known.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from aurora.errors import AuroraError, HostError
from aurora.link.bounds import Bounds
from aurora.link.client import ANSWER_SEC, LinkClient
from aurora.link.phrases import Message
from aurora.link.topics import matches
from aurora.topics import BROADCAST, DURABLE

__all__ = ["TOPICS_MAX", "LinkWitness", "Missed"]

TOPICS_MAX = 10_000
"""Topics of which the last message is remembered, to find it among what is retained: as many as the hub retains values.
Of further ones all messages count.
"""
READ_OUT_SEC = 4.0
"""What is left is read in that time, or the count is not known. The hub gives it LAST_WORDS_SEC, and would then cut it
off without a word.
"""

type Durable = Mapping[str, Sequence[str]]
"""The patterns of the topics that the hub keeps on disk, by the module that publishes there."""


class LinkWitness:
    """Begins to count, for one module at a time. A hub that was not reached is not tried again: that may take long."""

    def __init__(self, durable: Callable[[], Durable], connect: Callable[[], LinkClient]) -> None:
        """`durable` is asked when a count begins, and when it ends."""
        self._durable = durable
        self._connect = connect
        self._fault = ""

    def __call__(self, module: str, patterns: Sequence[str]) -> Missed:
        """Count what is published under these patterns from now on. Never fails: the count then says why."""
        try:
            if BROADCAST in patterns:
                raise HostError("count messages", "what older clients send to their group is seen by that group alone")
            # What the hub tells of itself it tells again.
            wanted = [one for one in patterns if not one.startswith("$")]
            if self._fault or not wanted:
                return Missed(self._fault or 0)
            return Missed(_Reading(module, wanted, self._durable, self._reached))
        except (AuroraError, OSError, RuntimeError) as error:  # RuntimeError: there is no further thread
            return Missed(_words(error))

    def _reached(self) -> LinkClient:
        try:
            return self._connect()
        except AuroraError as error:
            self._fault = _words(error)
            raise


class Missed:
    """A count that goes on; or one that is known already, or why it never will be."""

    def __init__(self, found: _Reading | int | str) -> None:
        self._found = found

    def end(self) -> int | str:
        """How many messages were missed; or why that is not known."""
        if isinstance(self._found, int | str):
            return self._found
        try:
            return self._found.end()
        except (AuroraError, OSError) as error:
            return _words(error)


class _Reading:
    """One module's messages, read by a thread until `end`."""

    def __init__(
        self, module: str, patterns: Sequence[str], durable: Callable[[], Durable], connect: Callable[[], LinkClient]
    ) -> None:
        self._module = module
        self._patterns = patterns
        self._ask_durable = durable
        self._connect = connect
        self._durable = durable()
        self._lost = 0
        self._held: Counter[str] = Counter()
        """Messages on disk, by who published them."""
        self._last: dict[str, tuple[object, object]] = {}
        """Who published the last message of a topic that counts, and when."""
        self._fault = "what was missed could not be read to its end"
        self._client = connect()
        try:
            self._cursors = self._ask_cursors() if self._durable else ()
            self._subscribe(self._client)
            self._thread = threading.Thread(target=self._read, name=f"missed by {module}", daemon=True)
            self._thread.start()
        except BaseException:
            self._client.close()
            raise

    def _subscribe(self, client: LinkClient) -> None:
        bounds = Bounds()
        for pattern in self._patterns:
            client.subscribe_all(pattern, messages=bounds.queue_max_messages, size_bytes=bounds.queue_max_bytes)

    def _ask_cursors(self) -> tuple[str, ...]:
        """The patterns that the module reads by cursors."""
        said = self._client.request(DURABLE, None, deadline_sec=ANSWER_SEC)
        found = said.get("cursors") if isinstance(said, dict) else None
        if not isinstance(found, list):
            raise HostError("ask AuroraLink for cursors", "its answer is not understood")
        return tuple(
            str(one.get("pattern")) for one in found if isinstance(one, dict) and one.get("owner") == self._module
        )

    def _read(self) -> None:
        try:
            for message in self._client.messages():
                self._see(message)
            self._fault = ""
        except (AuroraError, OSError) as error:
            self._fault = _words(error)

    def _see(self, message: Message) -> None:
        topic, sender = str(message.get("topic", "")), str(message.get("from", ""))
        if message.get("retained") or sender == self._module:
            return
        if _any(self._durable.get(sender, ()), topic) and _any(self._cursors, topic):
            self._held[sender] += 1
            return
        self._lost += 1
        if topic in self._last or len(self._last) < TOPICS_MAX:
            self._last[topic] = sender, message.get("ts")

    def end(self) -> int | str:
        """How many of them count; or why that is not known."""
        try:
            self._client.finish()
            self._thread.join(READ_OUT_SEC)
            if self._thread.is_alive():
                return f"more was published than could be read out in {READ_OUT_SEC:g} s"
        finally:
            self._client.close()
        if self._fault:
            return self._fault
        now = self._ask_durable()
        changed = [sender for sender in self._held if now.get(sender) != self._durable.get(sender)]
        lost = self._lost + sum(self._held[sender] for sender in changed)
        return lost - (self._retained() if self._last else 0)

    def _retained(self) -> int:
        """How many of them are given to whoever subscribes now; none where that cannot be read."""
        found = 0
        try:
            with self._connect() as client:
                self._subscribe(client)
                client.finish()
                for message in client.messages(within_sec=READ_OUT_SEC):
                    topic = str(message.get("topic", ""))
                    if message.get("retained") and self._last.get(topic) == (message.get("from"), message.get("ts")):
                        del self._last[topic]  # another pattern may give it again
                        found += 1
        except (AuroraError, OSError):
            return found
        return found


def _any(patterns: Sequence[str], topic: str) -> bool:
    return any(matches(pattern, topic) for pattern in patterns)


def _words(error: Exception) -> str:
    return error.problems[0].why if isinstance(error, AuroraError) else str(error)
