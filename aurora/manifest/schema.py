"""The table of manifest keys: parser, documentation, `auroractl new`, completion and errors read these rows.

To add a key, add a row to `keys_program`, `keys_life`, `keys_bounds` or `keys_link` and a field in `model`; a test
fails until both agree and the documents are made anew.
"""

from __future__ import annotations

from aurora.manifest.key import REQUIRED, Key, TomlType
from aurora.manifest.keys_bounds import BOUNDS
from aurora.manifest.keys_life import LIFE
from aurora.manifest.keys_link import LINK
from aurora.manifest.keys_program import PROGRAM

__all__ = ["KEYS", "MANIFEST_MAX_BYTES", "OLDER_KEYS", "REQUIRED", "Key", "TomlType"]

MANIFEST_MAX_BYTES = 64 * 1024
"""A longer manifest is refused unread."""

KEYS: tuple[Key, ...] = (*PROGRAM, *LIFE, *BOUNDS, *LINK)
"""Every key of module.toml, in the order of the documents."""

OLDER_KEYS: tuple[str, ...] = ("name", "version", "entry", "description")
"""What a module.json may hold, each with the meaning of module.NAME; everything else takes its default."""
