from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import InputError
from aurora.policy import Local, next_opening, read_owner
from aurora.policy.window import DAY_MIN, LOOK_AHEAD_DAYS, parse_window

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)


@pytest.fixture
def berlin() -> Iterator[None]:
    """The clock of a machine in Berlin: on 2026-03-29 it leaves 2 to 3 out, on 2026-10-25 it shows that hour twice."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "CET-1CEST,M3.5.0,M10.5.0/3"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def local(sec: int) -> Local:
    shown = time.localtime(sec)
    return Local(shown.tm_wday, shown.tm_hour * 60 + shown.tm_min)


def utc(sec: int) -> Local:
    day, rest = divmod(sec // 60, DAY_MIN)
    return Local((day + THU) % 7, rest)  # 1970-01-01 was one


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def opens(window: str, now: str) -> str | None:
    """When it opens, in UTC."""
    found = next_opening([parse_window(window)], at(now), local)
    return None if found is None else datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M")


def holds(window: str, weekday: int, clock: str) -> bool:
    hour, _, minute = clock.partition(":")
    return parse_window(window).holds(Local(weekday, int(hour) * 60 + int(minute)))


@pytest.mark.parametrize(
    ("window", "days"),
    [
        ("02:00-04:00", {MON, TUE, WED, THU, FRI, SAT, SUN}),
        ("Mon..Fri 02:00-04:00", {MON, TUE, WED, THU, FRI}),
        ("Sat,Sun 02:00-04:00", {SAT, SUN}),
        ("Fri..Mon,Wed 02:00-04:00", {FRI, SAT, SUN, MON, WED}),
        ("Tue 02:00-04:00", {TUE}),
    ],
)
def test_a_window_is_open_on_its_days_from_its_first_minute_until_before_its_last(window: str, days: set[int]) -> None:
    for weekday in range(7):
        seen = [holds(window, weekday, clock) for clock in ("01:59", "02:00", "03:59", "04:00")]
        assert seen == [False, weekday in days, weekday in days, False]


def test_one_over_midnight_ends_on_the_day_after_that_on_which_it_began() -> None:
    window = "Sat 22:00-02:00"
    assert holds(window, SAT, "22:00")
    assert holds(window, SAT, "23:59")
    assert holds(window, SUN, "01:59")
    assert not holds(window, SUN, "02:00")
    assert not holds(window, SAT, "01:00")
    assert holds("Sun 22:00-02:00", MON, "00:00")


def test_a_whole_day_can_be_said() -> None:
    assert all(holds("Sat 00:00-24:00", SAT, clock) for clock in ("00:00", "12:00", "23:59"))
    assert not holds("Sat 00:00-24:00", SUN, "00:00")


@pytest.mark.parametrize(
    "text",
    ["", "always", "02:00", "2:00-4:00", "02:00-04:00 Mon", "Mon 02:00", "mon 02:00-04:00", "Monday 02:00-04:00",
     "Mon..  02:00-04:00", "Mon-Fri 02:00-04:00", "24:00-02:00", "02:60-04:00", "02:00-25:00", "02:00-24:01",
     "02:00-02:00", "Mon,,Tue 02:00-04:00", "Mon  02:00-04:00", "02:00-04:00\n", "02:00..04:00",
     "\u0660\u0662:00-04:00"],
)  # fmt: skip
def test_what_is_no_window_is_told_with_the_key(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any of its words
        parse_window(text)
    with pytest.raises(InputError) as caught:
        read_owner(f"[update]\nwindows = ['''{text}''', 'nonsense', '03:00-04:00']\n".encode(), file="core.toml")
    assert [problem.where for problem in caught.value.problems] == ["core.toml, key update.windows"] * 2


@pytest.mark.parametrize("value", ["'02:00-04:00'", "[2]", "[['02:00-04:00']]", str(["02:00-04:00"] * 33)])
def test_what_is_no_list_of_windows_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="at most 32 texts"):
        read_owner(f"[update]\nwindows = {value}\n".encode(), file="core.toml")


def test_the_owners_file_has_them_below_update() -> None:
    owner = read_owner(b'[update]\nwindows = ["Mon..Fri 02:00-04:00", "Sun 03:00-05:00"]\n', file="core.toml")
    assert owner.windows == (parse_window("Mon..Fri 02:00-04:00"), parse_window("Sun 03:00-05:00"))
    assert read_owner(b"", file="core.toml").windows == ()
    with pytest.raises(InputError, match="no such key"):
        read_owner(b'[update]\nwindow = "1min"\n', file="core.toml")


def test_the_next_opening_is_by_the_machines_clock(berlin: None) -> None:
    assert opens("02:00-04:00", "2026-06-10T20:00:10") == "2026-06-11 00:00"
    assert opens("02:00-04:00", "2026-01-10T20:00:10") == "2026-01-11 01:00"
    assert opens("Mon 02:00-04:00", "2026-06-10T20:00:10") == "2026-06-15 00:00"
    assert opens("02:00-04:00", "2026-06-11T01:59:59") is None
    assert opens("02:00-04:00", "2026-06-11T02:00:00") == "2026-06-12 00:00"


def test_an_hour_that_the_clock_leaves_out_opens_nothing(berlin: None) -> None:
    assert opens("02:00-03:00", "2026-03-29T00:30:00") == "2026-03-30 00:00"
    assert opens("02:00-04:00", "2026-03-29T00:30:00") == "2026-03-29 01:00", "what is left of it opens"
    assert opens("Sun 02:00-03:00", "2026-03-28T12:00:00") == "2026-04-05 00:00", "a week later"


def test_an_hour_that_it_shows_twice_is_open_twice(berlin: None) -> None:
    assert opens("02:00-03:00", "2026-10-24T23:30:00") == "2026-10-25 00:00"
    assert opens("02:00-03:00", "2026-10-25T00:59:00") is None
    assert opens("02:00-03:00", "2026-10-25T01:30:00") is None
    assert opens("02:00-03:00", "2026-10-25T02:00:00") == "2026-10-26 01:00"


def test_without_windows_it_is_always_open() -> None:
    assert next_opening([], 0, utc) is None


def test_a_clock_that_never_shows_it_is_looked_at_again() -> None:
    found = next_opening([parse_window("Mon 02:00-04:00")], 0, lambda _sec: Local(TUE, 0))
    assert found == (LOOK_AHEAD_DAYS * DAY_MIN + 1) * 60


TIMES = st.integers(0, DAY_MIN - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")


@given(st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]), st.sets(st.sampled_from(["Mon", "Wed", "Sun"])),
       st.integers(0, 4_000_000_000))  # fmt: skip
def test_it_is_open_when_it_opens_and_at_no_minute_before(times: tuple[str, str], days: set[str], now_sec: int) -> None:
    window = parse_window(f"{','.join(days)} {times[0]}-{times[1]}".strip())
    found = next_opening([window], now_sec, utc)
    if found is None:
        assert window.holds(utc(now_sec))
    else:
        assert window.holds(utc(found))
        assert not any(window.holds(utc(sec)) for sec in range(now_sec - now_sec % 60, found, 60))
