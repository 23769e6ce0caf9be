"""What waits for a subscriber to read it: bounded, and at the bound doing what the subscription said."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

__all__ = ["AtBound", "Budget", "LatestQueue", "Queue", "Run", "Total"]

_STEP_BYTES = 64 * 1024


class AtBound(StrEnum):
    """What happens to a message for which a queue has no room."""

    LATEST = "latest"
    """Of each topic only the newest message is kept, full or not; beyond, the topic that waits longest is dropped."""
    DROP_OLDEST = "drop-oldest"
    """Those that wait longest make room."""
    BLOCK = "block"
    """Its publisher waits, within limits; then it is dropped."""
    DISCONNECT = "disconnect"
    """The subscriber's connection is ended: it misses nothing without noticing."""


class Total:
    """What all budgets may take together."""

    __slots__ = ("dropped", "most", "used")

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self.dropped = 0
        """Messages that queues have dropped to make room, or for a newer one of their topic."""


class Budget:
    """What all queues of one peer may hold. It takes from the total in steps, so that a message costs one count.

    Invariant: `used` <= `most` but for the last words to connections that are ended; `most` is taken from the total.
    """

    __slots__ = ("_limit", "_total", "dropped", "most", "used")

    def __init__(self, limit: int, total: Total) -> None:
        self._limit = limit
        self._total = total
        self.most = 0
        """So much is taken from the total now."""
        self.used = 0
        self.dropped = 0
        """Messages for the peer that were lost at the bounds of its queues."""

    def has_room(self, size: int) -> bool:
        """Whether `size` more bytes fit; takes another step from the total when they need it."""
        missing = self.used + size - self.most
        if missing <= 0:
            return True
        for step in (max(missing, _STEP_BYTES), missing):  # the last bytes come one by one
            if self.most + step <= self._limit and self._total.used + step <= self._total.most:
                self.most += step
                self._total.used += step
                return True
        return False

    def charge(self, size: int) -> None:
        """Take `size` bytes, whether there is room or not."""
        self.has_room(size)  # takes another step from the total
        self.used += size

    def count_dropped(self) -> None:
        """A message was dropped for another."""
        self.dropped += 1
        self._total.dropped += 1

    def give_back(self, size: int) -> None:
        """So much was read; what is no longer needed goes back to the total."""
        self.used -= size
        if not self.used:
            self._total.used -= self.most
            self.most = 0


class Run(NamedTuple):
    """Several messages in one piece."""

    text: bytes
    """Each ends in a line break, and has none within."""
    messages: int

    def lines(self) -> list[bytes]:
        """The messages one by one."""
        return [line + b"\n" for line in self.text[:-1].split(b"\n")]


class Queue:
    """Messages in order of arrival: at most `max_messages` of them with at most `max_bytes`, within the budget.

    Invariant: `bytes` is what its messages hold; the budget is charged with as much. `_count` is how many they are.
    """

    __slots__ = (
        "_count", "_items", "_room", "_wake", "at_bound", "budget", "bytes", "dropped", "max_bytes", "max_messages",
    )  # fmt: skip

    def __init__(
        self, *, at_bound: AtBound, max_messages: int, max_bytes: int, budget: Budget, wake: Callable[[], None]
    ) -> None:
        """`wake` is called when the queue, empty before, has something to read."""
        self.at_bound = at_bound
        self.max_messages = max_messages
        self._room = max_messages
        self.max_bytes = max_bytes
        self.bytes = 0
        self.dropped = 0
        """Messages that were for the subscriber, and lost at the bound."""
        self.budget = budget
        self._wake = wake
        self._items: deque[bytes | Run] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, line: bytes, topic: str) -> bool:  # noqa: ARG002  # of use to the other kind of queue
        """Take a message; False, and nothing changed but what DROP_OLDEST drops, when there is no room."""
        # This is on the path of every delivery: each attribute is read once.
        size = len(line)
        items = self._items
        budget = self.budget
        filled, charged = self.bytes + size, budget.used + size
        if filled > self.max_bytes or self._count >= self._room or charged > budget.most:
            if not (self.has_room(size) or self._make_room(size)):
                return False
            filled, charged = self.bytes + size, budget.used + size
        if not items:
            self._wake()
        items.append(line)
        self._count += 1
        self.bytes = filled
        budget.used = charged
        return True

    def put_run(self, run: Run) -> None:
        """Take several messages at once. The caller has asked whether they fit here (`fits`), and in the budget."""
        if not self._items:
            self._wake()
        self._items.append(run)
        self._count += run.messages
        self.bytes += len(run.text)
        self.budget.used += len(run.text)

    def fits(self, size: int, count: int = 1) -> bool:
        """Whether so many messages of `size` bytes together are within the queue's own bounds."""
        return self.bytes + size <= self.max_bytes and len(self) + count <= self._room

    def has_room(self, size: int) -> bool:
        """Whether a message of `size` bytes would be taken as things are."""
        return self.fits(size) and self.budget.has_room(size)

    def hold(self, *, held: bool) -> None:
        """Take nothing while held: others wait, and come first."""
        self._room = 0 if held else self.max_messages

    def take(self, max_bytes: int) -> list[bytes]:
        """The oldest messages with at most `max_bytes` together, one at least when there is any; those that were put
        at once may come in one piece.
        """
        items = self._items
        if self.bytes <= max_bytes:
            taken = [one if isinstance(one, bytes) else one.text for one in items]
            items.clear()
            self._count = 0
            size = self.bytes
        else:
            taken = [self._take_first(max_bytes)]
            size = len(taken[0])
            while items and size + _size(items[0]) <= max_bytes:
                taken.append(self._take_first(max_bytes))
                size += len(taken[-1])
        self.bytes -= size
        self.budget.give_back(size)
        return taken

    def items(self) -> list[tuple[str, bytes]]:
        """All that waits, one by one: topics, where they are of use, and lines."""
        found: list[tuple[str, bytes]] = []
        for one in self._items:
            found += [("", line) for line in ((one,) if isinstance(one, bytes) else one.lines())]
        return found

    def fill(self, items: list[tuple[str, bytes]]) -> None:
        """Have what `items` of an older queue gave, which had room for it; nobody is woken."""
        self._items.extend(line for _, line in items)
        self._count += len(items)
        self._take_in(items)

    def _take_in(self, items: list[tuple[str, bytes]]) -> None:
        size = sum(len(line) for _, line in items)
        self.bytes += size
        self.budget.charge(size)

    def _take_first(self, max_bytes: int) -> bytes:
        """What is first; of a run at most `max_bytes`, or one message."""
        first = self._items.popleft()
        text, count = (first, 1) if isinstance(first, bytes) else first
        if len(text) > max_bytes and count > 1:
            cut = text.rfind(b"\n", 0, max_bytes) + 1 or text.find(b"\n") + 1
            rest, text = text[cut:], text[:cut]
            taken = text.count(b"\n")
            self._items.appendleft(Run(rest, count - taken))
            count = taken
        self._count -= count
        return text

    def _make_room(self, size: int) -> bool:
        """Drop the oldest, when that is what was declared and helps."""
        if self.at_bound is not AtBound.DROP_OLDEST or size > self.max_bytes:
            return False
        while self._items and not self.has_room(size):
            oldest = self._items.popleft()
            if isinstance(oldest, bytes):
                self._count -= 1
                self._drop(oldest)
            else:
                self._items.extendleft(reversed(oldest.lines()))
        return self.has_room(size)

    def _drop(self, line: bytes) -> None:
        self.bytes -= len(line)
        self.budget.give_back(len(line))
        self.budget.count_dropped()
        self.dropped += 1


def _size(item: bytes | Run) -> int:
    return len(item) if isinstance(item, bytes) else len(item.text)


class LatestQueue(Queue):
    """Of each topic the newest message alone; a newer one goes to the end. Replaced ones count as dropped."""

    __slots__ = ("_newest",)

    def __init__(self, *, max_messages: int, max_bytes: int, budget: Budget, wake: Callable[[], None]) -> None:
        super().__init__(
            at_bound=AtBound.LATEST, max_messages=max_messages, max_bytes=max_bytes, budget=budget, wake=wake
        )
        self._newest: dict[str, bytes] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def put(self, line: bytes, topic: str) -> bool:
        """As of any queue; an older message of the topic is gone, even when there is no room for this one."""
        size = len(line)
        newest = self._newest
        if not newest:
            self._wake()
        if (older := newest.pop(topic, None)) is not None:
            self._drop(older)
        if size > self.max_bytes:
            return False
        while newest and not self.has_room(size):
            self._drop(newest.pop(next(iter(newest))))
        if not self.has_room(size):
            return False
        newest[topic] = line
        self.bytes += size
        self.budget.used += size
        return True

    def items(self) -> list[tuple[str, bytes]]:
        """As of any queue."""
        return list(self._newest.items())

    def fill(self, items: list[tuple[str, bytes]]) -> None:
        """As of any queue."""
        self._newest.update(items)
        self._take_in(items)

    def take(self, max_bytes: int) -> list[bytes]:
        """As of any queue."""
        taken: list[bytes] = []
        size = 0
        for line in self._newest.values():
            if taken and size + len(line) > max_bytes:
                break
            taken.append(line)
            size += len(line)
        if len(taken) == len(self._newest):
            self._newest.clear()
        else:
            for topic in list(self._newest)[: len(taken)]:
                del self._newest[topic]
        self.bytes -= size
        self.budget.give_back(size)
        return taken
