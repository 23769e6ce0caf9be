"""What is known to be damaged and could not be mended: one file a module. On the path of `auroractl status`."""

from __future__ import annotations

import os

from aurora.paths import Paths
from aurora.runtime.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NOTE_MAX_CHARS", "read_damaged"]

NOTE_MAX_CHARS = 2000
"""Words beyond are cut."""


def read_damaged(paths: Paths, records: Sequence[Record]) -> dict[str, str]:
    """What is damaged, in words, by module; a note that is about another version than the active one is none."""
    try:
        names = set(os.listdir(paths.damaged_text))  # noqa: PTH208  # on the light path
    except OSError:
        return {}
    found = {}
    for record in records:
        if record.name in names:
            try:
                with open(f"{paths.damaged_text}/{record.name}", encoding="utf-8") as file:  # noqa: PTH123  # as above
                    digest, _, words = file.read(NOTE_MAX_CHARS + 100).partition("\n")
            except (OSError, UnicodeDecodeError):
                continue
            if digest == record.source_digest:
                found[record.name] = words.rstrip("\n")
    return found
