"""The order in which modules start: pure questions about who is after whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["find_cycle", "in_order", "reached", "turned_round"]


def in_order(after: Mapping[str, Iterable[str]]) -> list[str]:
    """The names, each behind those that it is after; by name where the order does not say.

    Names that are no key of `after` are passed over, and of a cycle one is put first: see `find_cycle`.
    """
    found: dict[str, None] = {}
    entered: set[str] = set()
    for start in sorted(after):
        pending = [(start, False)]
        while pending:
            name, done = pending.pop()
            if done:
                found[name] = None
            elif name not in entered and name in after:
                entered.add(name)
                pending.append((name, True))
                pending += [(other, False) for other in sorted(after[name], reverse=True)]
    return list(found)


def find_cycle(after: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names of which each is after the next and the last after the first; empty when there is no such cycle."""
    place = {name: number for number, name in enumerate(in_order(after))}
    # Without a cycle all that a name is after stands in front of it; where that does not hold, the two are on one.
    for name, number in place.items():
        for other in after[name]:
            if other in place and place[other] >= number and (back := _path(other, name, after)):
                return back
    return ()


def _path(start: str, end: str, edges: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A shortest way from `start` to `end` along `edges`, both included; empty when there is none."""
    came_from = {start: ""}
    pending = [start]
    for name in pending:  # grows while it is walked
        if name == end:
            way = [name]
            while came_from[way[-1]]:
                way.append(came_from[way[-1]])
            return tuple(reversed(way))
        for other in edges.get(name, ()):
            if other not in came_from:
                came_from[other] = name
                pending.append(other)
    return ()


def reached(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that can be reached from `start` along `edges`, `start` included."""
    found: set[str] = set()
    pending = list(start)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += edges.get(name, ())
    return found


def turned_round(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The same edges, from their ends: who leans on whom."""
    found: dict[str, list[str]] = {}
    for start, ends in edges.items():
        for end in ends:
            found.setdefault(end, []).append(start)
    return found
