from __future__ import annotations

from aurora.plan.watch import Seen, regressions

MIB = 1 << 20


def seen(*, up: bool = True, result: str = "success", restarts: int = 0, mib: int | None = 10) -> Seen:
    return Seen(up=up, result=result, restarts=restarts, memory_bytes=None if mib is None else mib * MIB)


def found(
    *looks: Seen, restarts_max: int = 0, before: int | None = 10, over: bool = False, misses: int = 0
) -> tuple[str, ...]:
    return regressions(
        looks,
        restarts_max=restarts_max,
        memory_before_bytes=None if before is None else before * MIB,
        memory_growth_bytes=5 * MIB,
        over=over,
        watchdog_misses=misses,
    )


def test_what_is_as_before_is_not_worse() -> None:
    assert found(seen(), over=True) == ()
    assert found(seen(mib=15), over=True) == ()
    assert found(seen(restarts=2), restarts_max=2) == ()


def test_what_ended_or_failed_is_worse() -> None:
    assert found(seen(up=False)) == ("it has ended",)
    assert found(seen(), seen(up=False, result="oom-kill")) == ("it has failed (oom-kill)",)


def test_more_restarts_than_are_allowed_are_worse() -> None:
    assert found(seen(restarts=3), restarts_max=2) == ("it was restarted 3 times, and 2 are allowed",)


def test_a_missed_watchdog_is_worse_however_many_restarts_are_allowed() -> None:
    assert found(seen(result="watchdog"), seen(restarts=1), restarts_max=9) == ("it missed its watchdog",)
    assert found(seen(), misses=1, over=True, restarts_max=9) == ("it missed its watchdog",)


def test_memory_beyond_the_margin_is_worse_when_it_stays() -> None:
    over = seen(mib=16)
    assert found(over) == ()
    assert found(over, over) == ()
    assert found(over, seen(), over, over) == ()
    assert found(over, over, over) == ("it holds 16M of memory; the version before held 10M, and 5M more are allowed",)
    assert found(over, over, seen()) == ()


def test_at_the_end_the_last_look_counts() -> None:
    assert found(seen(mib=16), over=True) != ()
    assert found(seen(mib=16), seen(), over=True) == ()


def test_memory_that_is_not_known_is_not_judged() -> None:
    assert found(seen(mib=None), over=True) == ()
    assert found(seen(mib=99), before=None, over=True) == ()
