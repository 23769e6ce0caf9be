"""What has to happen at a time. Time is told to it; nothing here has a clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable

__all__ = ["Timers"]

_STALE_MAX = 64


class Timers:
    """Calls that are due at a time; their number is bounded by whoever asks for them."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int]] = []
        self._calls: dict[int, Callable[[], None]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._calls)

    def at(self, due_msec: int, call: Callable[[], None]) -> int:
        """Call it then; the number is for `cancel`."""
        self._number += 1
        self._calls[self._number] = call
        heapq.heappush(self._heap, (due_msec, self._number))
        return self._number

    def cancel(self, number: int) -> None:
        """Do not; nothing happens when it was called already."""
        if self._calls.pop(number, None) is not None and len(self._heap) > 2 * len(self._calls) + _STALE_MAX:
            self._heap = [entry for entry in self._heap if entry[1] in self._calls]
            heapq.heapify(self._heap)

    def next_msec(self) -> int | None:
        """When something is due next; None when nothing is."""
        while self._heap and self._heap[0][1] not in self._calls:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self) -> dict[int, int]:
        """When each call is due, by its number."""
        return {number: due for due, number in self._heap if number in self._calls}

    def run(self, now_msec: int) -> None:
        """Call what is due by now, in order of time."""
        while (due := self.next_msec()) is not None and due <= now_msec:
            _, number = heapq.heappop(self._heap)
            self._calls.pop(number)()
