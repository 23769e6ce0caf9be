"""A unit file read back, written from systemd.syntax(7) and not from the code that writes it."""

from __future__ import annotations

__all__ = ["Broken", "assignments", "plain", "words"]

_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"',
            "'": "'", "s": " "}  # fmt: skip


class Broken(Exception):
    """systemd would not read this as it is meant."""


def assignments(text: str) -> dict[str, dict[str, list[str]]]:
    """Section, name, and each value in its order; continuation lines are joined, comments left out."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    pending = ""
    # Lines end at \n alone: systemd takes no other sign for an end.
    for raw in text.split("\n"):
        if pending == "" and raw.strip()[:1] in ("#", ";"):
            continue
        line = pending + raw
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2:
            pending = line[:-1] + " "
            continue
        pending = ""
        line = line.strip(" \t\r")
        if not line:
            continue
        if line.startswith("["):
            if not line.endswith("]") or line[1:-1] in found:
                raise Broken(f"section {line!r}")
            section = found.setdefault(line[1:-1], {})
            continue
        name, equals, value = line.partition("=")
        if not equals or section is None or not name.strip().isalnum():
            raise Broken(f"no assignment: {line!r}")
        section.setdefault(name.strip(), []).append(value.strip(" \t"))
    if pending:
        raise Broken("the last line goes on")
    return found


def plain(text: str) -> str:
    """A text whose specifiers are resolved: only %% may be there."""
    parts = text.split("%%")
    if any("%" in part for part in parts):
        raise Broken(f"a specifier in {text!r}")
    return "%".join(parts)


def words(text: str) -> list[tuple[str, bool]]:
    """The words of a value, each with whether a quote was in it; quotes and C escapes are resolved."""
    found = []
    at = 0
    while at < len(text):
        if text[at] in " \t":
            at += 1
            continue
        word, quoted = "", False
        quote = ""
        while at < len(text) and (quote or text[at] not in " \t"):
            char = text[at]
            at += 1
            if quote and char == quote:
                quote = ""
            elif not quote and char in "\"'":
                quote, quoted = char, True
            elif char == "\\":
                if at >= len(text) or text[at] not in _ESCAPES:
                    raise Broken(f"an escape in {text!r}")
                word += _ESCAPES[text[at]]
                at += 1
            else:
                word += char
        if quote:
            raise Broken(f"a quote without end in {text!r}")
        found.append((plain(word), quoted))
    return found
