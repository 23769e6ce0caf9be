"""What was staged, file by file, and how what is on disk differs from that. Pure.

An inventory needs no trust of its own: the digest that a module's record has of its slot is made of nothing but the
rows of the inventory, so one that was damaged, or is of another version, does not come to that digest.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

__all__ = [
    "INVENTORY_MAX_BYTES",
    "SLOT",
    "Damage",
    "Fault",
    "Found",
    "Inventory",
    "Item",
    "Kind",
    "compare",
    "damage_words",
]

INVENTORY_MAX_BYTES = 16 << 20
"""A longer one is not kept: of such a module only the digest of the whole is known."""
SHOWN_MAX = 5
"""More damaged files are counted and not named."""
_HEAD = "aurora inventory 1"
_ROW = re.compile(r"(?P<kind>[dfx]) (?P<size>\d{1,12}) (?P<sha>[0-9a-f]{64}|-) (?P<path>[^\n]+)")
FOLDER_MODE, FILE_MODE, PROGRAM_MODE = 0o755, 0o644, 0o755


class Item(NamedTuple):
    """A file or folder as it was staged."""

    path: str
    """Relative to the slot; empty for the slot itself."""
    is_folder: bool
    executable: bool
    size_bytes: int
    sha256: str
    """In hexadecimal; empty for a folder."""

    @property
    def mode(self) -> int:
        """The permission bits it was staged with."""
        if self.is_folder:
            return FOLDER_MODE
        return PROGRAM_MODE if self.executable else FILE_MODE


SLOT = Item("", True, False, 0, "")
"""The slot itself, which is not a row of its inventory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inventory:
    """Every file and folder of a slot, sorted by path."""

    items: tuple[Item, ...]

    @property
    def digest(self) -> str:
        """A digest of every path, mode and byte: what `records.Record.source_digest` is."""
        digest = hashlib.sha256()
        for item in self.items:
            head = f"{item.path}\0{item.is_folder:d}{item.executable:d}{item.size_bytes}\0"
            digest.update(head.encode(errors="surrogateescape") + bytes.fromhex(item.sha256))
        return digest.hexdigest()

    def to_bytes(self) -> bytes:
        """As its file holds it: a row for each item."""
        kinds = {(True, False): "d", (False, False): "f", (False, True): "x"}
        rows = (
            f"{kinds[item.is_folder, item.executable]} {item.size_bytes} {item.sha256 or '-'} {item.path}\n"
            for item in self.items
        )
        return f"{_HEAD}\n{''.join(rows)}".encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Inventory:
        """What `to_bytes` made; ValueError when it is something else. Only its digest tells whether it is right."""
        head, *rows = data.decode().split("\n")
        if head != _HEAD or not rows or rows.pop():
            raise ValueError("it is no inventory")
        found = []
        for row in rows:
            match = _ROW.fullmatch(row)
            if match is None:
                raise ValueError("a row of it is none")
            sha = "" if match["sha"] == "-" else match["sha"]
            found.append(Item(match["path"], match["kind"] == "d", match["kind"] == "x", int(match["size"]), sha))
        return cls(items=tuple(found))


class Kind(StrEnum):
    """What stands in a place."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "device, socket or pipe"


class Found(NamedTuple):
    """What stands in a place now."""

    kind: Kind
    mode: int
    """Its permission bits."""
    size_bytes: int = 0
    sha256: str | None = None
    """None where its content was not looked at."""
    unreadable: str = ""
    """Why its content could not be read, in the system's words."""


class Fault(StrEnum):
    """How a place can differ from what was staged."""

    MISSING = "it is missing"
    KIND = "it is of another kind"
    UNREADABLE = "it cannot be read"
    SIZE = "it has another length"
    CONTENT = "its content is another"
    MODE = "it has another mode"
    EXTRA = "it was not staged"
    UNKNOWN = "it is not what was staged, and no inventory says which files"


class Damage(NamedTuple):
    """One place that is not as it was staged."""

    path: str
    """Relative to the slot; empty for the slot itself."""
    fault: Fault
    detail: str = ""

    @property
    def words(self) -> str:
        """For a reader."""
        return f"{self.path or 'the slot'}: {self.fault}" + (f" ({self.detail})" if self.detail else "")


def compare(items: Iterable[Item], found: Mapping[str, Found], extra: Iterable[str] = ()) -> tuple[Damage, ...]:
    """Every difference, in the order of the items and then of what is extra. What was not read counts as right."""
    damages = [damage for item in items if (damage := _damage(item, found.get(item.path))) is not None]
    return (*damages, *(Damage(path, Fault.EXTRA) for path in extra))


def _damage(item: Item, found: Found | None) -> Damage | None:
    if found is None:
        return Damage(item.path, Fault.MISSING)
    wanted = Kind.FOLDER if item.is_folder else Kind.FILE
    if found.kind is not wanted:
        return Damage(item.path, Fault.KIND, f"a {found.kind}, not a {wanted}")
    if not item.is_folder and found.size_bytes != item.size_bytes:
        return Damage(item.path, Fault.SIZE, f"{found.size_bytes} bytes, not {item.size_bytes}")
    if found.unreadable:
        return Damage(item.path, Fault.UNREADABLE, found.unreadable)
    if not item.is_folder and found.sha256 not in (None, item.sha256):
        return Damage(item.path, Fault.CONTENT)
    if found.mode != item.mode:
        return Damage(item.path, Fault.MODE, f"{found.mode:04o}, not {item.mode:04o}")
    return None


def damage_words(damages: Sequence[Damage]) -> str:
    """All of them in one line; of a slot that is not there at all nothing but that."""
    whole = [one for one in damages if not one.path]
    shown = (whole or list(damages))[:SHOWN_MAX]
    more = 0 if whole else len(damages) - len(shown)
    return ", ".join(one.words for one in shown) + (f", and {more} more" if more else "")
