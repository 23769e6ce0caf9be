"""Text of strangers on a terminal: names, log lines and errors may hold what a terminal would obey.

On the path of `auroractl status`: no regular expressions. `manifest.faults` refuses the same characters.
"""

from __future__ import annotations

__all__ = ["is_harmful", "visible"]


def is_harmful(char: str) -> bool:
    """Whether a character can command a terminal, break a line, turn the writing direction, or is none at all."""
    code = ord(char)
    return (
        code < 0x20
        or 0x7F <= code <= 0x9F
        or 0x2028 <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
        or 0xD800 <= code <= 0xDFFF
        or 0xFDD0 <= code <= 0xFDEF
        or code & 0xFFFE == 0xFFFE
    )


def visible(text: str, *, keep: str = "") -> str:
    r"""`text` with each harmful character but those in `keep` written as Python writes it, such as \x1b."""
    if text.isprintable():
        return text
    return "".join(ascii(char)[1:-1] if is_harmful(char) and char not in keep else char for char in text)
