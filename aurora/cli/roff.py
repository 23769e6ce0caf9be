"""roff, the language of manual pages: text to lines of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from aurora import __version__

__all__ = ["SPECIAL", "bold", "code", "escape", "italic", "page", "prose", "references", "tagged"]

LINE_MAX_CHARS = 78

SPECIAL = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", '"': r"\(dq"}
"""Characters that have a meaning, and how they are written."""


def escape(text: str) -> str:
    """`text` as man(7) shows it character by character, in ASCII."""
    return "".join(SPECIAL.get(char, char if char.isascii() else f"\\[u{ord(char):04X}]") for char in text)


def prose(text: str) -> list[str]:
    """Lines of running text: each sentence begins one, as roff wants it."""
    lines: list[str] = []
    for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", escape(text)):
        lines += textwrap.wrap(sentence, LINE_MAX_CHARS, break_long_words=False, break_on_hyphens=False)
    return [rf"\&{line}" if line.startswith(".") else line for line in lines]


def tagged(tag: str, text: Iterable[str]) -> list[str]:
    """An entry: what it is about, and lines on it."""
    return [".TP", tag, *text]


def code(lines: Iterable[str]) -> list[str]:
    """Lines as they are."""
    shown = (escape(line) for line in lines)
    return [".PP", ".RS 4", ".nf", *(rf"\&{line}" if line.startswith(".") else line for line in shown), ".fi", ".RE"]


def bold(text: str) -> str:
    """What is typed as it stands."""
    return rf"\fB{escape(text)}\fR"


def italic(text: str) -> str:
    """What stands for something."""
    return rf"\fI{escape(text)}\fR"


def references(*names: tuple[str, int]) -> list[str]:
    """Other pages, with their sections."""
    last = len(names) - 1
    return [
        f".BR {escape(name)} ({section})" + ("" if at == last else " ,") for at, (name, section) in enumerate(names)
    ]


def page(title: str, section: int, date: str, body: Iterable[str]) -> str:
    """A whole page; `date` is its day, YYYY-MM-DD."""
    head = [
        r".\" Made from the program's own tables when the package is built.",
        f'.TH {escape(title.upper())} {section} {date} "aurora\\-core {__version__}" "AuroraOS Core"',
    ]
    return "\n".join([*head, *body]) + "\n"
