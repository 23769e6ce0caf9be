"""What a row of the table of manifest keys is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from aurora import quantity
from aurora.manifest import values

__all__ = ["REQUIRED", "SECOND_USEC", "Key", "TomlType", "usec"]

SECOND_USEC = 1_000_000


class TomlType(StrEnum):
    """The type that a key has in the file, as a user would call it."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXTS = "list of texts"
    TEXT_OR_TEXTS = "text or list of texts"
    TABLE = "table of texts"
    INTEGER_OR_TEXT = "integer or text"


class _Required:
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = _Required()


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """One row: a key of the manifest."""

    table: str
    """The TOML table it stands in."""
    name: str
    """The key within the table; "*" for a table whose keys are free."""
    type: TomlType
    convert: Callable[[object], object]
    """From whatever the file holds to the value in `model`; ValueError with a reason a user can read."""
    default: object
    """The value in `model` where the key is left out; REQUIRED where it must not be."""
    doc: str
    """One or two sentences for aurora.module(5)."""
    example: str
    """A value as it is written in TOML."""
    bound: str = ""
    """The limits of the value, in words; empty where the type says it all."""

    @property
    def path(self) -> str:
        """As errors and documents show it: "table.name"."""
        return self.table if self.name == "*" else f"{self.table}.{self.name}"


def usec(low: str, high: str) -> tuple[Callable[[object], int], str]:
    """The converter for times from `low` to `high`, and that bound in words."""
    return values.duration(quantity.parse_duration(low), quantity.parse_duration(high)), f"{low} to {high}"
