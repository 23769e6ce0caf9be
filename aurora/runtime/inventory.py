"""Inventories on disk: what was staged into a slot, file by file, written when it was staged.

SLOT.list beside each slot. It counts only where its digest is the one that the record has of that slot, so one that is
of another version or was damaged itself is the same as none.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from aurora.host.files import folder_entries, read_bounded, write_atomic
from aurora.paths import Paths
from aurora.plan.inventory import INVENTORY_MAX_BYTES, Inventory, Item

__all__ = ["inventory_file", "inventory_of", "known_inventory", "remember_inventory"]


def inventory_of(folder: Path) -> Inventory:
    """The inventory of a module's folder as it is now; InputError where it holds what no module may."""
    items = []
    folder_text = str(folder)
    for entry in folder_entries(folder):
        sha256 = ""
        if not entry.is_folder:
            # A Path for each would cost more than reading a small file.
            with open(f"{folder_text}/{entry.path}", "rb", buffering=0) as file:  # noqa: PTH123  # see above
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        items.append(Item(entry.path, entry.is_folder, entry.executable, entry.size_bytes, sha256))
    return Inventory(items=tuple(items))


def inventory_file(paths: Paths, module: str, slot: str) -> Path:
    """Where the inventory of a slot is, or would be."""
    return paths.modules / module / f"{slot}.list"


def remember_inventory(paths: Paths, module: str, slot: str, inventory: Inventory) -> None:
    """Write it down, where it is not longer than INVENTORY_MAX_BYTES."""
    data = inventory.to_bytes()
    if len(data) <= INVENTORY_MAX_BYTES:
        write_atomic(inventory_file(paths, module, slot), data)


def known_inventory(paths: Paths, module: str, slot: str, digest: str) -> Inventory | None:
    """What was staged into a slot, by its digest; None where no inventory comes to that."""
    with suppress(OSError, ValueError):
        data = read_bounded(inventory_file(paths, module, slot), max_bytes=INVENTORY_MAX_BYTES)
        found = Inventory.from_bytes(data)
        if found.digest == digest:
            return found
    return None
