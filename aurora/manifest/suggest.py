"""What was probably meant by a key that does not exist: remedies, as they read after "try"."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from aurora.manifest.schema import KEYS, OLDER_KEYS

__all__ = ["meant_key", "meant_older_key", "meant_table"]

WORD_MAX_LENGTH = 64
"""A longer word resembles no key; comparing it would only take time."""

_TABLES = tuple(dict.fromkeys(row.table for row in KEYS))
_NAMES = tuple(dict.fromkeys(row.name for row in KEYS if row.name != "*"))


def _nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` resembles most; None when it resembles none."""
    if len(word) > WORD_MAX_LENGTH:
        return None
    found = difflib.get_close_matches(word.lower().replace("-", "_"), list(known), n=1)
    return found[0] if found else None


def _below(key: str) -> str:
    """A key together with the tables that have it."""
    return f"{key} below {' or '.join(f'[{row.table}]' for row in KEYS if row.name == key)}"


def meant_older_key(key: str) -> str:
    """For a key that module.json does not have."""
    if (meant := _nearest(key, OLDER_KEYS)) is not None:
        return meant
    return f"a module.toml in its place: module.json has only {', '.join(OLDER_KEYS)}"


def meant_table(name: str, value: object) -> str:
    """For a table, or a key above all tables, that module.toml does not have."""
    if not isinstance(value, dict):
        meant = _nearest(name, (*_TABLES, *_NAMES))
        if meant is not None and meant not in _TABLES:
            return _below(meant)
    if (meant := _nearest(name, _TABLES)) is not None:
        return f"[{meant}]"
    return f"one of {', '.join(f'[{table}]' for table in _TABLES)}"


def meant_key(table: str, key: str) -> str:
    """For a key that `table` of module.toml does not have."""
    if key in _NAMES:
        return _below(key)
    if key in _TABLES:
        return f"[{key}] on a line of its own"
    own = [row.name for row in KEYS if row.table == table]
    if (meant := _nearest(key, own)) is not None:
        return meant
    if (meant := _nearest(key, _NAMES)) is not None:
        return _below(meant)
    return f"one of {', '.join(own)}"
