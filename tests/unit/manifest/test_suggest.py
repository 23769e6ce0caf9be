from __future__ import annotations

import pytest

from aurora.manifest import KEYS
from aurora.manifest.suggest import meant_key, meant_older_key, meant_table


@pytest.mark.parametrize(
    ("table", "key", "remedy"),
    [
        ("module", "nmae", "name"),
        ("module", "Version", "version"),
        ("limits", "memory-max", "memory_max"),
        ("limits", "memorymax", "memory_max"),
        ("module", "memory_max", "memory_max below [limits]"),
        ("module", "memory_maxx", "memory_max below [limits]"),
        ("module", "timeout", "timeout below [start] or [stop] or [watchdog]"),
        ("module", "limits", "[limits] on a line of its own"),
        ("watchdog", "zzz", "one of timeout"),
        ("watchdog", "x" * 60_000, "one of timeout"),
        ("watchdog", "*", "one of timeout"),
    ],
)
def test_for_an_unknown_key_the_nearest_is_named(table: str, key: str, remedy: str) -> None:
    assert meant_key(table, key) == remedy


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("Module", {}, "[module]"),
        ("limit", {}, "[limits]"),
        ("name", "x", "name below [module]"),
        ("grant", [], "grants below [sandbox]"),
        ("modules", "x", "[module]"),
    ],
)
def test_for_an_unknown_table_the_nearest_is_named(name: str, value: object, remedy: str) -> None:
    assert meant_table(name, value) == remedy


def test_for_a_table_like_no_other_all_are_named() -> None:
    remedy = meant_table("zzzz", {})
    assert all(f"[{row.table}]" in remedy for row in KEYS)


def test_for_a_key_that_the_older_form_lacks_the_newer_is_named() -> None:
    assert meant_older_key("entri") == "entry"
    assert meant_older_key("limits").startswith("a module.toml")
