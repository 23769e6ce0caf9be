from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from aurora.link.timers import Timers


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=40), st.lists(st.integers(0, 60), max_size=5))
def test_what_is_due_is_called_once_in_order_and_what_is_cancelled_never(
    wanted: list[tuple[int, bool]], times: list[int]
) -> None:
    timers = Timers()
    called: list[int] = []
    numbers = [timers.at(due, partial(called.append, due)) for due, _ in wanted]
    for number, (_, cancelled) in zip(numbers, wanted, strict=True):
        if cancelled:
            timers.cancel(number)
    left = sorted(due for due, cancelled in wanted if not cancelled)
    for now in sorted(times):
        timers.run(now)
        assert called == [due for due in left if due <= now]
        assert timers.next_msec() == min((due for due in left if due > now), default=None)
    assert len(timers) == len(left) - len(called)


def test_what_was_cancelled_takes_no_room() -> None:
    timers = Timers()
    for _ in range(10_000):
        timers.cancel(timers.at(1000, lambda: None))
    assert len(timers._heap) < 200
