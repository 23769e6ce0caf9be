"""Quantities as people write them, and as the kernel wants them: the only conversions in the tree.

Sizes are bytes with the binary suffixes of systemd.syntax(7) (K = 1024); times are microseconds with the
units of systemd.time(7); a CPU share is microseconds of CPU per second of wall time (20% = 200,000), the unit
of CPUQuotaPerSecUSec in org.freedesktop.systemd1(5), where 100% is one whole CPU.

On the path of `auroractl status`: no regular expressions, whose import costs more than all that is done here.
"""

from __future__ import annotations

__all__ = [
    "INFINITY",
    "MAX_BYTES",
    "MAX_USEC",
    "format_duration",
    "format_score",
    "format_share",
    "format_size",
    "parse_duration",
    "parse_score",
    "parse_share",
    "parse_size",
]

INFINITY = 2**64 - 1
"""What systemd takes for "no limit", for sizes, counts and times alike."""
MAX_BYTES = 2**60
"""The largest size that is taken: one exbibyte, far below where 64 bits would wrap."""
MAX_USEC = 366 * 86400 * 1_000_000
"""The longest time that is taken: a leap year."""
MAX_SHARE_USEC = 1024 * 1_000_000
"""The largest CPU share that is taken: 1024 whole CPUs."""

MAX_SCORE_TENTHS = 100
"""The exposure score of a unit without any protection, 10.0 (systemd-analyze(1), security)."""

_SIZE_FACTOR = {"": 1, "B": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_TIME_FACTOR = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "sec": 1_000_000,
    "min": 60_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
}
_WHOLE_MAX_DIGITS = 19  # of MAX_BYTES
_FRACTION_MAX_DIGITS = 3
_SHARE_FRACTION_MAX_DIGITS = 2  # of what CPUQuota= takes in a unit file


def _split(text: str) -> tuple[str, str, str] | None:
    """Whole digits, fraction digits and unit of "1.5G"; None when it is no number with at most a unit behind it."""
    number = text.rstrip("BKMGTabcdefghijklmnopqrstuvwxyz%")
    whole, point, fraction = number.partition(".")
    if not number.isascii() or not whole.isdecimal() or (point and not fraction.isdecimal()):
        return None
    if len(whole) > _WHOLE_MAX_DIGITS or len(fraction) > _FRACTION_MAX_DIGITS:
        return None
    return whole, fraction, text[len(number) :]


def _scaled(whole: str, fraction: str, factor: int) -> int:
    """`whole.fraction` times `factor`, in integers (no rounding surprise), rounded down."""
    return int(whole + fraction) * factor // int("1" + "0" * len(fraction))


def parse_size(text: str) -> int:
    """Bytes of a size such as "64M" or "1.5G"; ValueError with a reason a user can read."""
    parts = _split(text)
    if parts is None or parts[2] not in _SIZE_FACTOR:
        raise ValueError(f"{text!r} is not a size (a number and B, K, M, G or T, such as 64M)")
    size_bytes = _scaled(parts[0], parts[1], _SIZE_FACTOR[parts[2]])
    if size_bytes > MAX_BYTES:
        raise ValueError(f"{text!r} is more than {format_size(MAX_BYTES)}")
    return size_bytes


def parse_duration(text: str) -> int:
    """Microseconds of a time such as "10s", "1min 30s" or "250ms"; ValueError with a reason."""
    total_usec = 0
    for word in text.split(" "):
        parts = _split(word)
        if parts is None or parts[2] not in _TIME_FACTOR:
            raise ValueError(f"{text!r} is not a time (numbers with us, ms, s, min, h or d, such as 1min 30s)")
        total_usec += _scaled(parts[0], parts[1], _TIME_FACTOR[parts[2]])
    if total_usec > MAX_USEC:
        raise ValueError(f"{text!r} is longer than {format_duration(MAX_USEC)}")
    return total_usec


def parse_share(text: str) -> int:
    """Microseconds of CPU per second of a share such as "20%" (100% is one CPU); ValueError with a reason."""
    parts = _split(text)
    if parts is None or parts[2] != "%" or len(parts[1]) > _SHARE_FRACTION_MAX_DIGITS:
        raise ValueError(f"{text!r} is not a share (a number and %, such as 20%; 100% is one CPU)")
    share_usec = _scaled(parts[0], parts[1], 10_000)
    if share_usec > MAX_SHARE_USEC:
        raise ValueError(f"{text!r} is more than {format_share(MAX_SHARE_USEC)}")
    return share_usec


def parse_score(text: str) -> int:
    """Tenths of an exposure score such as "2.0"; ValueError with a reason a user can read."""
    parts = _split(text)
    if parts is None or parts[2] or len(parts[1]) > 1 or _scaled(parts[0], parts[1], 10) > MAX_SCORE_TENTHS:
        raise ValueError(f"{text!r} is not a score (0.0 to 10.0, one digit after the point, such as 2.0)")
    return _scaled(parts[0], parts[1], 10)


def format_score(tenths: int) -> str:
    """The score as text that `parse_score` reads: 20 is "2.0"."""
    return f"{tenths // 10}.{tenths % 10}"


def format_size(size_bytes: int, *, exact: bool = True) -> str:
    """The size as text that `parse_size` reads; with `exact=False`, at most one digit after the point."""
    if size_bytes >= INFINITY:
        return "infinity"
    for suffix in ("T", "G", "M", "K"):
        factor = _SIZE_FACTOR[suffix]
        if size_bytes >= factor and (size_bytes % factor == 0 or not exact):
            short = f"{size_bytes / factor:.1f}"
            return f"{short.removesuffix('.0')}{suffix}"
    return f"{size_bytes}B"


def format_duration(usec: int) -> str:
    """The time as text that `parse_duration` reads, exactly: 90,000,000 is "1min 30s"."""
    if usec >= INFINITY:
        return "infinity"
    if usec == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "min", "s", "ms", "us"):
        count, usec = divmod(usec, _TIME_FACTOR[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts)


def format_share(share_usec: int) -> str:
    """The share as text that `parse_share` reads: 200,000 is "20%"; exact to a hundredth of a percent."""
    if share_usec >= INFINITY:
        return "infinity"
    percent = f"{share_usec / 10_000:.2f}".rstrip("0").rstrip(".")
    return f"{percent}%"
