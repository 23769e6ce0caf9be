"""Topics, patterns and who is subscribed to what, by the rules of MQTT 5.0, section 4.7.

A topic is levels with `/` between them; a level may be empty. In a pattern the level `+` stands for any one level, and
`#`, as the last one, for any number of them, none included: `a/#` matches `a`. A wildcard in the first level does not
match a topic that begins with `$`. Letters are compared byte for byte: nothing is folded or normalised.
"""

from __future__ import annotations

from collections.abc import Hashable

from aurora.link.bounds import Bounds
from aurora.link.refusal import Code, LinkError
from aurora.topics import covers, pattern_fault, topic_fault

__all__ = ["Index", "check_pattern", "check_topic", "covers", "matches"]

_SHOWN_MAX = 256
"""Characters of a topic that an error shows whole."""


def check_topic(topic: str, bounds: Bounds) -> None:
    """LinkError when nothing can be published under `topic`."""
    fault = topic_fault(topic, max_bytes=bounds.topic_max_bytes, levels_max=bounds.levels_max)
    if fault is not None:
        raise _bad("use the topic", topic, fault)


def check_pattern(pattern: str, bounds: Bounds) -> None:
    """LinkError when nothing can be subscribed to by `pattern`."""
    fault = pattern_fault(pattern, max_bytes=bounds.topic_max_bytes, levels_max=bounds.levels_max)
    if fault is not None:
        raise _bad("use the pattern", pattern, fault)


def _bad(what: str, text: str, fault: tuple[str, str]) -> LinkError:
    why, remedy = fault
    whole = text.encode(errors="replace").decode()  # half of a UTF-16 pair could not be sent
    shown = repr(whole if len(whole) <= _SHOWN_MAX else whole[:40] + "…")
    return LinkError(Code.BAD_TOPIC, f"{what} {shown}", why, remedy=remedy)


def matches(pattern: str, topic: str) -> bool:
    """Whether a checked `pattern` matches a checked `topic`."""
    return covers(pattern, topic)


class _Node[S: Hashable]:
    """A level of patterns."""

    __slots__ = ("below", "here")

    def __init__(self) -> None:
        self.below: dict[str, _Node[S]] = {}
        self.here: dict[S, int] = {}
        """Who is subscribed by the pattern that ends here, with the number of their subscription."""


class Index[S: Hashable]:
    """Who is subscribed by which pattern, asked by topic.

    Patterns and topics are checked before they come here. It grows with `add` alone, whose caller bounds it. Answers
    are remembered for at most `cached_max` topics, with `subscribers_max` subscribers together (or one topic with
    more), until the next change or the next topic beyond.
    """

    def __init__(self, cached_max: int, subscribers_max: int = 65_536) -> None:
        self._root: _Node[S] = _Node()
        self._cached_max = cached_max
        self._subscribers_max = subscribers_max
        self._remembered = 0
        """Subscribers in the cache."""
        self._cache: dict[str, tuple[S, ...]] = {}
        self._number = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, pattern: str, subscriber: S) -> None:
        """Subscribe; a second time changes nothing."""
        node = self._root
        for level in pattern.split("/"):
            node = node.below.setdefault(level, _Node())
        if subscriber not in node.here:
            self._number += 1
            self._count += 1
            node.here[subscriber] = self._number
            self._forget()

    def remove(self, pattern: str, subscriber: S) -> bool:
        """Unsubscribe and leave nothing behind; False when there was no such subscription."""
        way: list[tuple[_Node[S], str]] = []
        node = self._root
        for level in pattern.split("/"):
            if level not in node.below:
                return False
            way.append((node, level))
            node = node.below[level]
        if node.here.pop(subscriber, None) is None:
            return False
        self._count -= 1
        self._forget()
        for above, level in reversed(way):
            if above.below[level].here or above.below[level].below:
                break
            del above.below[level]
        return True

    def match(self, topic: str) -> tuple[S, ...]:
        """All whose patterns match, each once, in the order in which they subscribed."""
        found = self._cache.get(topic)
        if found is None:
            found = self._search(topic)
            self._remembered += len(found)
            if len(self._cache) >= self._cached_max or self._remembered > self._subscribers_max:
                self._forget()
                self._remembered = len(found)
            self._cache[topic] = found
        return found

    def _forget(self) -> None:
        self._cache.clear()
        self._remembered = 0

    def _search(self, topic: str) -> tuple[S, ...]:
        """Each node is looked at once at most: the work is bounded by what is subscribed."""
        found: dict[S, int] = {}
        levels = topic.split("/")
        nodes = [self._root]
        for place, level in enumerate(levels):
            wild = place > 0 or level[:1] != "$"
            following = []
            for node in nodes:
                if wild and (rest := node.below.get("#")) is not None:
                    _collect(found, rest)
                if (same := node.below.get(level)) is not None:
                    following.append(same)
                if wild and (any_one := node.below.get("+")) is not None:
                    following.append(any_one)
            nodes = following
        for node in nodes:
            _collect(found, node)
            if (rest := node.below.get("#")) is not None:
                _collect(found, rest)
        return tuple(sorted(found, key=found.__getitem__))


def _collect[S: Hashable](found: dict[S, int], node: _Node[S]) -> None:
    for subscriber, number in node.here.items():
        if found.setdefault(subscriber, number) > number:
            found[subscriber] = number
