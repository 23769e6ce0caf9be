"""What is installed and enabled: one file for each module, `Key: value` lines, replaced by one rename.

The rename is the moment at which an install, an enable or a removal has happened. A kill before it leaves the old
state, a kill after it the new one; what is left over on disk is swept by the next `apply`.

On the path of `auroractl status`: it imports little (json alone would cost it a third more).
"""

from __future__ import annotations

import os

from aurora.errors import HostError, NotFound
from aurora.names import is_module_name
from aurora.paths import Paths
from aurora.value import Value

__all__ = ["MODULES_MAX", "SLOTS", "Origin", "Record", "Removal", "read_record", "read_records", "require"]

RECORD_MAX_BYTES = 16 * 1024
MODULES_MAX = 4096
"""More modules than this are not installed."""
SLOTS = ("a", "b", "c")
"""Where a module's versions are staged: a and b in turn; c when the version that runs is in neither a free a nor b."""


class Origin:
    """Where a module came from, which is also who removes it."""

    FOLDER = "folder"
    PACKAGE = "package"


class Removal:
    """How far the removal of a module has got."""

    NONE = "none"
    """It is installed."""
    REMOVING = "removing"
    """It is being removed; its state stays."""
    PURGING = "purging"
    """It and its state are being removed."""
    KEPT = "kept"
    """It is gone; its package was removed but not purged, so its state is still there."""


class Record(Value):
    """One module that is installed."""

    name: str
    version: str
    description: str
    origin: str
    """A value of `Origin`."""
    enabled: bool
    """Whether it starts at boot."""
    slot: str
    """The slot that counts, of SLOTS."""
    source_digest: str
    """Digest of what was staged, to see whether a package changed."""
    removal: str = Removal.NONE
    """A value of `Removal`."""

    @property
    def installed(self) -> bool:
        """Whether it is there as far as a user can see."""
        return self.removal == Removal.NONE

    def folder(self, paths: Paths) -> str:
        """The staged module."""
        return f"{paths.modules_text}/{self.name}/{self.slot}"

    def to_bytes(self) -> bytes:
        """The record as its file holds it."""
        fields = {
            key: ("yes" if value else "no") if isinstance(value, bool) else value
            for key, value in self._asdict().items()
        }
        return "".join(f"{key.replace('_', '-').capitalize()}: {value}\n" for key, value in fields.items()).encode()


def _parsed(data: str, name: str, path: str) -> Record:
    found = {}
    for line in data.splitlines():
        key, _, value = line.partition(": ")
        found[key.rstrip(":").lower().replace("-", "_")] = value
    if set(found) != set(Record._fields) or found["name"] != name or found["slot"] not in SLOTS:
        why = "it is damaged, or of another version"
        raise HostError(
            "read a record", why, where=path, remedy=f"removing that file, then auroractl install {name}'s folder"
        )
    enabled = found.pop("enabled") == "yes"
    return Record(enabled=enabled, **found)


def read_record(paths: Paths, name: str) -> Record | None:
    """The record of a module, or None when there is none; HostError when it is damaged."""
    if not is_module_name(name):
        return None
    path = f"{paths.records_text}/{name}"
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123  # on the light path
            return _parsed(file.read(RECORD_MAX_BYTES), name, path)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise HostError("read a record", str(error), where=path) from error


def read_records(paths: Paths) -> list[Record]:
    """All records, those of half-removed modules included, sorted by name."""
    try:
        files = os.listdir(paths.records_text)  # noqa: PTH208  # on the light path
    except FileNotFoundError:
        return []
    except OSError as error:
        raise HostError("read the records", str(error), where=paths.records_text) from error
    names = sorted(file for file in files if not file.startswith("."))
    return [record for name in names if (record := read_record(paths, name)) is not None]


def require(paths: Paths, name: str) -> Record:
    """The record of an installed module; NotFound, naming what there is, when it is not installed."""
    record = read_record(paths, name)
    if record is not None and record.installed:
        return record
    known = ", ".join(one.name for one in read_records(paths) if one.installed)
    raise NotFound(
        f"find the module {name}",
        "no such module is installed",
        remedy=f"one of {known}" if known else "auroractl install DIR first",
    )
