"""Times that are given on the command line."""

from __future__ import annotations

from aurora.errors import UsageError
from aurora.quantity import format_duration, parse_duration

__all__ = ["span"]


def span(text: str, flag: str, *, example: str, least_usec: int = 0, most_usec: int) -> int:
    """Microseconds of what an option was given; UsageError when it is no time, or out of its bounds."""
    what, remedy = "understand the command line", f"{flag} {example}"
    try:
        usec = parse_duration(text)
    except ValueError as error:
        raise UsageError(what, str(error), where=flag, remedy=remedy) from error
    if not least_usec <= usec <= most_usec:
        why = f"{text} is not {format_duration(least_usec)} to {format_duration(most_usec)}"
        raise UsageError(what, why, where=flag, remedy=remedy)
    return usec
