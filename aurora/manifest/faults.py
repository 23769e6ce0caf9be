"""What is wrong with one value, and how a value is shown to its author."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["Fault", "Faults", "kind_of", "shown", "unfit"]

# Control characters (C0, DEL, C1) and line separators break lines of units, tables and logs; those that turn
# the writing direction make a line read as another than it is (CVE-2021-42574); systemd refuses a unit with
# halves of surrogate pairs or noncharacters (unichar_is_valid in its src/basic/utf8.c).
_NONCHARACTERS = "".join(chr((plane << 16) | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufdd0-\ufdef" + _NONCHARACTERS + "]"
)


class Fault(NamedTuple):
    """One reason against a value."""

    reason: str
    """Reads after "because"."""
    key: str = ""
    """The key inside the value, for a table; empty when the reason is against the whole value."""
    remedy: str = ""
    """What to try; empty when an example of the key says enough."""


class Faults(ValueError):
    """All that is wrong with one value; `str` joins the reasons."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(fault.reason for fault in self.faults))


def shown(text: str) -> str:
    """`text` as an error shows it: quoted, cut, in ASCII, so that a look-alike letter cannot hide."""
    return ascii(text) if len(text) <= 60 else f"{text[:60]!a}..."


def kind_of(raw: object) -> str:
    """What a user would call the type of `raw`: "a text", "a list of texts"."""
    match raw:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case str():
            return "a text"
        case float():
            return "a decimal number"
        case dict():
            return "a table"
        case []:
            return "an empty list"
        case list():
            of_texts = all(isinstance(element, str) for element in raw)
            return "a list of texts" if of_texts else "a list"
        case _:
            return "a date or time"


def unfit(text: str, *, allowed: str = "") -> str | None:
    """Why `text` cannot stand in a unit and on a terminal; None when it can."""
    for match in _UNFIT.finditer(text):
        if match[0] not in allowed:
            return f"it has the character U+{ord(match[0]):04X}, which can harm a unit, a log or a terminal"
    return None
