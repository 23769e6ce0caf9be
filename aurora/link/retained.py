"""Values that are kept for who subscribes later: one for each topic, bounded and charged to who published it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError

__all__ = ["HUB", "Retained", "RetainedStore"]

HUB = "$hub"
"""Who publishes below `$sys`: no module and no user has this name, and nothing is charged to it."""


@dataclass(frozen=True, kw_only=True)
class Retained:
    """One kept value."""

    topic: str
    data: bytes
    sender: str
    wall_msec: int
    """When it was published."""

    @property
    def cost_bytes(self) -> int:
        """What it is charged with."""
        return len(self.topic) + len(self.data)


class _Node:
    """A level of topics."""

    __slots__ = ("below", "kept")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.kept: Retained | None = None


class RetainedStore:
    """All kept values, found by pattern.

    Invariant: `used_bytes` is what all of them cost, and no sender but the hub costs more than its share.
    """

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._root = _Node()
        self._count = 0
        self.used_bytes = 0
        self._used_by: dict[str, int] = {}
        self._count_of: dict[str, int] = {}

    def __len__(self) -> int:
        return self._count

    def check(self, value: Retained) -> None:
        """LinkError when it could not be kept, because of a bound."""
        older = self.find(value.topic)
        cost = value.cost_bytes
        total = self.used_bytes + cost - (older.cost_bytes if older else 0)
        own = self._used_by.get(value.sender, 0) + cost
        count = self._count_of.get(value.sender, 0)
        if older is not None and older.sender == value.sender:
            own -= older.cost_bytes
            count -= 1
        bounds = self._bounds
        if value.sender != HUB:
            if count >= bounds.retained_of_one_max:
                raise _too_many(f"{value.sender} keeps {count} values already")
            if own > bounds.retained_of_one_max_bytes:
                raise _too_many(f"{value.sender} keeps {bounds.retained_of_one_max_bytes} bytes already")
            if total > bounds.retained_max_bytes or (older is None and self._count >= bounds.retained_max):
                raise _too_many("the hub keeps as much as it may already")

    def keep(self, value: Retained) -> None:
        """Keep it in place of an older one of its topic; LinkError, with nothing changed, at a bound."""
        self.check(value)
        self._forget(self.find(value.topic))
        cost = value.cost_bytes
        node = self._root
        for level in value.topic.split("/"):
            node = node.below.setdefault(level, _Node())
        node.kept = value
        self._count += 1
        self.used_bytes += cost
        self._used_by[value.sender] = self._used_by.get(value.sender, 0) + cost
        self._count_of[value.sender] = self._count_of.get(value.sender, 0) + 1

    def remove(self, topic: str) -> None:
        """Keep nothing for `topic`."""
        self._forget(self.find(topic))

    def find(self, topic: str) -> Retained | None:
        """What is kept for one topic."""
        node: _Node | None = self._root
        for level in topic.split("/"):
            if node is None:
                return None
            node = node.below.get(level)
        return node.kept if node is not None else None

    def match(self, pattern: str) -> list[Retained]:
        """All that are kept for topics that a checked `pattern` matches, in the order of their topics."""
        nodes = [self._root]
        levels = pattern.split("/")
        for place, level in enumerate(levels):
            if level == "#":
                nodes = [found for node in nodes for found in _all_below(node, hidden=place == 0)]
            elif level == "+":
                nodes = [
                    below
                    for node in nodes
                    for name, below in node.below.items()
                    if place > 0 or name[:1] != "$"
                ]  # fmt: skip
            else:
                nodes = [below for node in nodes if (below := node.below.get(level)) is not None]
        return sorted((node.kept for node in nodes if node.kept is not None), key=lambda kept: kept.topic)

    def _forget(self, kept: Retained | None) -> None:
        if kept is None:
            return
        way: list[tuple[_Node, str]] = []
        node = self._root
        for level in kept.topic.split("/"):
            way.append((node, level))
            node = node.below[level]
        node.kept = None
        for above, level in reversed(way):
            if above.below[level].kept is not None or above.below[level].below:
                break
            del above.below[level]
        self._count -= 1
        self.used_bytes -= kept.cost_bytes
        self._used_by[kept.sender] -= kept.cost_bytes
        self._count_of[kept.sender] -= 1
        if not self._count_of[kept.sender]:
            del self._used_by[kept.sender], self._count_of[kept.sender]


def _all_below(node: _Node, *, hidden: bool) -> Iterator[_Node]:
    """The node and all below it; `hidden` leaves out first levels with $."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        todo += [below for name, below in one.below.items() if not (hidden and one is node and name[:1] == "$")]


def _too_many(why: str) -> LinkError:
    return LinkError(Code.TOO_MANY, "keep the value", why, remedy="removing kept values with null as data")
