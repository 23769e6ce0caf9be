from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.link.queue import AtBound, Budget, LatestQueue, Queue, Run, Total


def nothing() -> None:
    pass


def made(at_bound: AtBound, budget: Budget, messages: int = 3, size: int = 100) -> Queue:
    if at_bound is AtBound.LATEST:
        return LatestQueue(max_messages=messages, max_bytes=size, budget=budget, wake=nothing)
    return Queue(at_bound=at_bound, max_messages=messages, max_bytes=size, budget=budget, wake=nothing)


def budget(limit: int = 10**6, total: int = 10**6) -> Budget:
    return Budget(limit, Total(total))


def filled(at_bound: AtBound, *lines: bytes) -> tuple[Queue, list[bool]]:
    queue = made(at_bound, budget())
    return queue, [queue.put(line, line[:1].decode()) for line in lines]


@pytest.mark.parametrize("at_bound", [AtBound.BLOCK, AtBound.DISCONNECT])
def test_a_full_queue_takes_no_more(at_bound: AtBound) -> None:
    queue, taken = filled(at_bound, b"1", b"2", b"3", b"4")
    assert taken == [True, True, True, False]
    assert queue.take(100) == [b"1", b"2", b"3"]
    assert queue.dropped == 0


def test_the_oldest_make_room() -> None:
    queue, taken = filled(AtBound.DROP_OLDEST, b"1", b"2", b"3", b"4", b"5" * 99)
    assert all(taken)
    assert queue.take(1000) == [b"4", b"5" * 99]
    assert queue.dropped == 3


def test_what_is_larger_than_the_queue_drops_nothing_for_itself() -> None:
    queue, taken = filled(AtBound.DROP_OLDEST, b"1", b"2" * 101)
    assert taken == [True, False]
    assert queue.take(1000) == [b"1"]


def test_of_each_topic_the_latest_is_kept() -> None:
    queue, taken = filled(AtBound.LATEST, b"a1", b"b1", b"a2", b"c1", b"d1")
    assert all(taken)
    assert queue.take(1000) == [b"a2", b"c1", b"d1"]
    assert queue.dropped == 2


def test_an_older_value_is_gone_even_when_the_newer_has_no_room() -> None:
    queue, taken = filled(AtBound.LATEST, b"a1", b"b1", b"a" * 101)
    assert taken == [True, True, False]
    assert queue.take(1000) == [b"b1"]


def test_the_first_message_wakes_and_others_do_not() -> None:
    woken: list[int] = []
    for queue in (
        Queue(at_bound=AtBound.BLOCK, max_messages=9, max_bytes=99, budget=budget(), wake=lambda: woken.append(1)),
        LatestQueue(max_messages=9, max_bytes=99, budget=budget(), wake=lambda: woken.append(1)),
    ):
        woken.clear()
        queue.put(b"1", "a")
        queue.put(b"2", "b")
        assert woken == [1]
        queue.take(100)
        queue.put(b"3", "c")
        assert woken == [1, 1]


def test_nothing_is_taken_while_held() -> None:
    queue = made(AtBound.BLOCK, budget())
    queue.hold(held=True)
    assert not queue.put(b"1", "a")
    queue.hold(held=False)
    assert queue.put(b"1", "a")


def test_a_peer_that_does_not_read_leaves_room_for_others() -> None:
    total = Total(1000)
    greedy, other = Budget(600, total), Budget(600, total)
    full = made(AtBound.BLOCK, greedy, messages=1000, size=10_000)
    taken = 0
    while full.put(b"x" * 50, "a"):
        taken += 50
    assert taken == 600
    assert made(AtBound.BLOCK, other, messages=10, size=1000).put(b"y" * 400, "a")
    assert total.used == 1000
    full.take(10_000)
    assert total.used == 400


lines = st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from("abc"))


@given(
    st.sampled_from(AtBound),
    st.lists(lines | st.integers(0, 80), max_size=60),
    st.integers(1, 5),
    st.integers(10, 100),
    st.integers(20, 120),
)
def test_no_bound_is_ever_passed_and_nothing_is_lost_uncounted(
    at_bound: AtBound, steps: list[tuple[bytes, str] | int], messages: int, size: int, limit: int
) -> None:
    total = Total(10**6)
    queue = made(at_bound, Budget(limit, total), messages, size)
    order: list[bytes] = []
    got: list[bytes] = []
    refused = put = 0
    for step in steps:
        if isinstance(step, int):
            had = len(queue)
            taken = queue.take(step)
            assert bool(taken) == bool(had)
            assert sum(map(len, taken)) <= max(step, len(taken[0]) if taken else 0)
            got += taken
        else:
            line, topic = step
            put += 1
            tagged = b"%d:" % put + line
            order.append(tagged)
            refused += not queue.put(tagged, topic)
        assert queue.bytes <= min(size, limit)
        assert len(queue) <= messages
        assert total.used <= limit
    got += queue.take(10**6)
    assert [line for line in order if line in got] == got
    assert len(got) + queue.dropped + refused == put
    assert queue.bytes == 0
    assert total.used == 0


def run(*lines: bytes) -> Run:
    return Run(b"".join(line + b"\n" for line in lines), len(lines))


def test_a_run_is_as_many_messages_and_is_read_in_pieces_of_whole_ones() -> None:
    queue = made(AtBound.BLOCK, budget(), messages=5)
    queue.put(b"1\n", "a")
    queue.put_run(run(b"22", b"333", b"4"))
    assert len(queue) == 4
    assert not queue.fits(1, 2)
    assert queue.fits(1, 1)
    assert queue.take(5) == [b"1\n"]
    assert queue.take(8) == [b"22\n333\n"]
    assert len(queue) == 1
    assert queue.take(1) == [b"4\n"]
    assert (len(queue), queue.bytes, queue.budget.used) == (0, 0, 0)


def test_a_message_of_a_run_that_is_larger_than_what_is_read_comes_alone() -> None:
    queue = made(AtBound.BLOCK, budget())
    queue.put_run(run(b"1" * 20, b"2" * 20))
    assert queue.take(5) == [b"1" * 20 + b"\n"]
    assert queue.take(5) == [b"2" * 20 + b"\n"]
    assert not queue


def test_the_oldest_of_a_run_make_room_one_by_one() -> None:
    queue = made(AtBound.DROP_OLDEST, budget())
    queue.put_run(run(b"1", b"2", b"3"))
    assert queue.put(b"4\n", "a")
    assert queue.dropped == 1
    assert b"".join(queue.take(100)) == b"2\n3\n4\n"
    assert (len(queue), queue.bytes, queue.budget.used) == (0, 0, 0)


@pytest.mark.parametrize("read", [0, 2, 6, 11])
def test_runs_go_on_in_the_next_hubs_queue_message_by_message(read: int) -> None:
    """Also one of which a part was read."""
    before = made(AtBound.DROP_OLDEST, budget(), messages=8, size=100)
    before.put(b"1\n", "a")
    before.put_run(run(b"22", b"333\r", b"4"))
    before.put(b"5\n", "a")
    before.put_run(run(b"6", b"7"))
    taken = b"".join(before.take(read)) if read else b""
    after = made(AtBound.DROP_OLDEST, budget(), messages=8, size=100)
    after.fill(before.items())
    left = [b"1\n", b"22\n", b"333\r\n", b"4\n", b"5\n", b"6\n", b"7\n"][taken.count(b"\n") :]
    assert after.items() == before.items() == [("", line) for line in left]
    size = sum(map(len, left))
    for queue in (before, after):
        assert (len(queue), queue.bytes, queue.budget.used) == (len(left), size, size)
        assert queue.fits(1, 8 - len(queue))
        assert not queue.fits(1, 9 - len(queue))
        queue.put_run(run(*[b"x"] * (8 - len(queue))))
        assert queue.put(b"y\n", "a")
        assert (len(queue), queue.dropped) == (8, 1)
    assert b"".join(after.take(100)) == b"".join(before.take(100))
    assert (len(after), after.bytes, after.budget.used) == (0, 0, 0)
