from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora import quantity


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("1K", 1024),
        ("64M", 64 * 2**20),
        ("1.5G", 3 * 2**29),
        ("2T", 2 * 2**40),
        ("1.001K", 1025),
    ],
)
def test_sizes_are_read_in_binary_units(text: str, size_bytes: int) -> None:
    assert quantity.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "M", "64 M", "64MB", "64m", "-1", "1e3", "1,5G", " 1", "1 ", "1\n", "0x10", "\u0661", "1.2345M"]
)
def test_what_is_not_a_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size .* such as 64M"):
        quantity.parse_size(text)


@pytest.mark.parametrize("text", ["2000000T", "999999999999999999T", "1152921504606846977"])
def test_a_size_that_could_wrap_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is more than"):
        quantity.parse_size(text)


@pytest.mark.parametrize(
    ("text", "usec"),
    [
        ("0s", 0),
        ("7us", 7),
        ("250ms", 250_000),
        ("10s", 10_000_000),
        ("1.5s", 1_500_000),
        ("1min 30s", 90_000_000),
        ("90sec", 90_000_000),
        ("2m", 120_000_000),
        ("1h", 3_600_000_000),
        ("1d", 86_400_000_000),
    ],
)
def test_times_are_read_in_the_units_of_systemd(text: str, usec: int) -> None:
    assert quantity.parse_duration(text) == usec


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "1min  30s", "10S", "-1s", "1s\n", "1y", "1min,30s"])
def test_what_is_not_a_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time .* such as 1min 30s"):
        quantity.parse_duration(text)


def test_a_time_of_more_than_a_year_is_refused() -> None:
    assert quantity.parse_duration("366d") == quantity.MAX_USEC
    with pytest.raises(ValueError, match="is longer than 366d"):
        quantity.parse_duration("366d 1us")


@pytest.mark.parametrize(
    ("text", "share_usec"),
    [("0%", 0), ("20%", 200_000), ("100%", 1_000_000), ("12.5%", 125_000), ("102400%", 1_024_000_000)],
)
def test_a_share_is_time_of_a_cpu_per_second(text: str, share_usec: int) -> None:
    assert quantity.parse_share(text) == share_usec


@pytest.mark.parametrize("text", ["", "20", "%", "20 %", "-20%", "1.234%", "20%\n", "0.2"])
def test_what_is_not_a_share_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a share .* such as 20%"):
        quantity.parse_share(text)


def test_a_share_of_more_than_1024_cpus_is_refused() -> None:
    with pytest.raises(ValueError, match="is more than 102400%"):
        quantity.parse_share("102401%")


@given(st.integers(0, quantity.MAX_BYTES))
def test_a_size_that_is_written_is_read_as_the_same_size(size_bytes: int) -> None:
    assert quantity.parse_size(quantity.format_size(size_bytes)) == size_bytes


@given(st.integers(0, quantity.MAX_BYTES), st.sampled_from([2**10, 2**20, 2**30, 2**40]))
def test_a_round_size_is_read_as_the_same_size(count: int, factor: int) -> None:
    size_bytes = count * factor % quantity.MAX_BYTES
    assert quantity.parse_size(quantity.format_size(size_bytes)) == size_bytes


@given(st.integers(0, quantity.MAX_BYTES))
def test_a_short_size_is_near_the_exact_one(size_bytes: int) -> None:
    near = quantity.parse_size(quantity.format_size(size_bytes, exact=False))
    assert abs(near - size_bytes) <= max(size_bytes * 0.05, 1)


@given(st.integers(0, quantity.MAX_USEC))
def test_a_time_that_is_written_is_read_as_the_same_time(usec: int) -> None:
    assert quantity.parse_duration(quantity.format_duration(usec)) == usec


@given(st.integers(0, quantity.MAX_SHARE_USEC // 100).map(lambda count: count * 100))
def test_a_share_that_is_written_is_read_as_the_same_share(share_usec: int) -> None:
    assert quantity.parse_share(quantity.format_share(share_usec)) == share_usec


@given(st.text(max_size=40))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for parse in (quantity.parse_size, quantity.parse_duration, quantity.parse_share):
        try:
            assert parse(text) >= 0
        except ValueError as error:
            assert repr(text) in str(error)  # noqa: PT017  # both outcomes are right


def test_infinity_is_written_as_systemd_writes_it() -> None:
    for form in (quantity.format_size, quantity.format_duration, quantity.format_share):
        assert form(quantity.INFINITY) == "infinity"


@pytest.mark.parametrize(("text", "tenths"), [("0.0", 0), ("2.0", 20), ("3", 30), ("0.7", 7), ("10.0", 100)])
def test_a_score_is_read_in_tenths(text: str, tenths: int) -> None:
    assert quantity.parse_score(text) == tenths
    assert quantity.parse_score(quantity.format_score(tenths)) == tenths


@pytest.mark.parametrize("text", ["", "10.1", "11", "2.05", "-1", "2,0", "2.0%", "x", "1e1"])
def test_what_is_no_score_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a score"):
        quantity.parse_score(text)
