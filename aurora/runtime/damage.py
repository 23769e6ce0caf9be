"""Whether slots are as they were staged: looked at in full, or only as far as a boot can afford.

In full: every name, kind, mode, length and byte. Quickly: the same but for the bytes, of which only those of the
manifest and of the programs are read, as they are what a start goes by, and all of a slot that has no more than
QUICK_READ_MAX_BYTES, which its start would bring into memory just as well. With 20 MiB in 500 files the quick look took
8 ms and the full one 51 ms from memory, to which a card of 20 MB/s adds a second; with 200 KiB in 20 files they took
0.4 and 0.7 ms. A card that dies gives errors and other bytes far more often than other lengths, so of larger modules
the quick look is no proof.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from aurora.errors import AuroraError, HostError, Problem
from aurora.host.files import sync_folder, write_atomic
from aurora.host.slots import look, open_folder
from aurora.manifest import Manifest
from aurora.paths import Paths
from aurora.plan.inventory import SLOT, Damage, Fault, Found, Inventory, compare, damage_words
from aurora.runtime.damaged import NOTE_MAX_CHARS
from aurora.runtime.inventory import inventory_of, known_inventory
from aurora.runtime.records import Record
from aurora.runtime.updates import read_known

__all__ = [
    "QUICK_READ_MAX_BYTES",
    "Checked",
    "Slot",
    "active_slot",
    "check",
    "check_all",
    "check_files",
    "damage_problem",
    "forget_damage",
    "note_damage",
    "programs_of",
    "slots_of",
]

QUICK_READ_MAX_BYTES = 256 << 10
"""A slot with no more is read by a quick look, too."""


class Slot(NamedTuple):
    """A slot that is to be as it was staged."""

    module: str
    slot: str
    version: str
    digest: str
    active: bool
    """Otherwise it holds the version to go back to."""

    def folder(self, paths: Paths) -> str:
        """Where it is."""
        return f"{paths.modules_text}/{self.module}/{self.slot}"


class Checked(NamedTuple):
    """A slot, looked at."""

    slot: Slot
    inventory: Inventory | None
    """None where it is not known what was staged, file by file."""
    damages: tuple[Damage, ...]

    @property
    def words(self) -> str:
        """What is damaged, for a reader; empty when nothing is."""
        return damage_words(self.damages)


def active_slot(record: Record) -> Slot:
    """The slot that counts."""
    return Slot(record.name, record.slot, record.version, record.source_digest, True)


def slots_of(paths: Paths, record: Record) -> list[Slot]:
    """The active slot, and that of the version to go back to, where there is one."""
    found = [active_slot(record)]
    previous = read_known(paths, record.name).previous
    if previous is not None and previous.slot != record.slot:
        found.append(Slot(record.name, previous.slot, previous.version, previous.digest, False))
    return found


def check(paths: Paths, slot: Slot, *, read: Collection[str] | None = None) -> Checked:
    """Look at a slot: in full, or with `read` at the bytes of these files only. Never fails, and changes nothing.

    Where no inventory is known, a full look compares the digest of the whole, and a quick one finds nothing.
    """
    inventory = known_inventory(paths, slot.module, slot.slot, slot.digest)
    if inventory is not None:
        small = sum(item.size_bytes for item in inventory.items) <= QUICK_READ_MAX_BYTES
        return Checked(slot, inventory, _damages(paths, slot, inventory, None if small else read))
    if read is not None:
        return Checked(slot, None, ())  # what is not known costs a boot nothing
    try:
        inventory = inventory_of(Path(slot.folder(paths)))
    except (AuroraError, OSError) as error:
        why = error.problems[0].why if isinstance(error, AuroraError) else str(error)
        return Checked(slot, None, (Damage("", Fault.UNKNOWN, why),))
    if inventory.digest != slot.digest:
        return Checked(slot, None, (Damage("", Fault.UNKNOWN),))
    return Checked(slot, inventory, ())


def _damages(paths: Paths, slot: Slot, inventory: Inventory, read: Collection[str] | None) -> tuple[Damage, ...]:
    found: dict[str, Found] = {}
    extra: tuple[str, ...] = ()
    with suppress(OSError), open_folder(paths.modules, slot.module) as top:
        found, extra = look(top, slot.slot, inventory.items, read=read, extra=True)
    return compare((SLOT, *inventory.items), found, extra)


def check_all(paths: Paths, record: Record) -> list[Checked]:
    """All that is to be as it was staged, in full."""
    return [check(paths, slot) for slot in slots_of(paths, record)]


def programs_of(manifest: Manifest) -> tuple[str, ...]:
    """The files of a module that its units execute."""
    named = (manifest.entry[0], *(manifest.update.check or ())[:1])
    return tuple(name for name in named if not name.startswith("/"))


def check_files(paths: Paths, record: Record, inventory: Inventory | None, names: Collection[str]) -> None:
    """HostError where one of these files of the active slot is not what was staged, as far as that is known.

    It is what each start asks of the manifest and the programs: no sandbox and no process is made of other bytes.
    """
    if inventory is None:
        return
    wanted = {part for name in names for part in (name, *(str(above) for above in PurePosixPath(name).parents))}
    items = [item for item in inventory.items if item.path in wanted]
    found: dict[str, Found] = {}
    with suppress(OSError), open_folder(paths.modules, record.name) as top:
        found = look(top, record.slot, items, read=None, extra=False).found
    if damages := compare(items, found):
        raise HostError.of([damage_problem(paths, Checked(active_slot(record), inventory, damages), "start")])


def damage_problem(paths: Paths, checked: Checked, verb: str) -> Problem:
    """The problem of whoever cannot do something because a slot is damaged."""
    name = checked.slot.module
    why = f"its files are damaged: {checked.words}"
    return Problem(f"{verb} {name}", why, checked.slot.folder(paths), f"auroractl update repair {name}")


def note_damage(paths: Paths, record: Record, words: str) -> None:
    """Write down for `auroractl status` what of the active slot is damaged; empty words: nothing is any more."""
    file = Path(paths.damaged_text, record.name)
    if words:
        write_atomic(file, f"{record.source_digest}\n{words[:NOTE_MAX_CHARS]}\n".encode())
    elif file.exists():
        forget_damage(paths, record.name)


def forget_damage(paths: Paths, module: str) -> None:
    """Take the note about a module away."""
    file = Path(paths.damaged_text, module)
    try:
        file.unlink()
        sync_folder(file.parent)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HostError("remove a file", str(error), where=str(file)) from error
