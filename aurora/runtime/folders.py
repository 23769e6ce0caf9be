"""A module's folder -> manifest -> plan: what reads the disk for the pure rooms."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from aurora.errors import AuroraError, Denied, HostError, InputError, NotFound, Problem
from aurora.host.calendar import calendar_fault
from aurora.host.facts import read_facts
from aurora.host.files import Entry, folder_entries, read_bounded
from aurora.identity import Identity
from aurora.manifest import MANIFEST_MAX_BYTES, Manifest, Order, find_manifest, read_manifest
from aurora.paths import Paths
from aurora.plan import ENCRYPTED_SUFFIX, Facts, Plan, Secrets, make_plan
from aurora.policy import FILE_MAX_BYTES, Catalogue, Owner, read_catalogue, read_owner, resolve
from aurora.runtime.records import Record

__all__ = ["Planner", "folder_digest", "machine_catalogue", "orders_of", "owner_file", "read_module"]

_RUN_BY_INTERPRETER = (".py", ".sh")


def owner_file(paths: Paths, module: str) -> Path:
    """The owner's file for a module, which need not be there."""
    return paths.owner_modules / f"{module}.toml"


def read_module(folder: Path, *, shown: str | None = None, owner: Path | None = None) -> Manifest:
    """The manifest of a module's folder, checked against the folder's content.

    NotFound when there is no folder; InputError with all problems of manifest and content at once. `shown` is the
    name that errors give the folder. `owner` is the owner's file for it, which counts where it is there.
    """
    name = shown if shown is not None else str(folder)
    if not folder.is_dir():
        raise NotFound("read the module", "there is no such folder", where=name, remedy="the folder with module.toml")
    entries = folder_entries(folder)
    file = find_manifest((entry.path for entry in entries if not entry.is_folder), folder=name)
    data = _read(folder / file, max_bytes=MANIFEST_MAX_BYTES)
    owners = None
    if owner is not None and owner.exists(follow_symlinks=False):
        owners = (_read(owner, max_bytes=FILE_MAX_BYTES), str(owner))
    manifest = read_manifest(data, file=f"{name}/{file}", owner=owners)
    if problem := _entry_fault(manifest.entry[0], entries, f"{name}/{file}, key module.entry"):
        raise InputError.of([problem])
    return manifest


def orders_of(paths: Paths, records: Iterable[Record]) -> dict[str, Order]:
    """How installed modules are ordered; one whose manifest cannot be read any more is left out."""
    found = {}
    for record in records:
        with suppress(AuroraError):
            found[record.name] = read_module(Path(record.folder(paths)), owner=owner_file(paths, record.name)).order
    return found


def _entry_fault(program: str, entries: list[Entry], where: str) -> Problem | None:
    if program.startswith("/"):
        return None  # a program of the machine: it may be installed later, and a start says when it is not there
    what = "run the module"
    found = next((entry for entry in entries if entry.path == program and not entry.is_folder), None)
    if found is None:
        return Problem(what, f"its folder has no file {program!r}", where, "a path relative to the module's folder")
    if not found.executable and not program.endswith(_RUN_BY_INTERPRETER):
        return Problem(what, f"{program!r} is not executable", where, f"chmod +x {program}, or a .py or .sh file")
    return None


def folder_digest(folder: Path) -> str:
    """A digest of every path, mode and byte of a module's folder."""
    digest = hashlib.sha256()
    for entry in folder_entries(folder):
        head = f"{entry.path}\0{entry.is_folder:d}{entry.executable:d}{entry.size_bytes}\0"
        digest.update(head.encode(errors="surrogateescape"))
        if not entry.is_folder:
            with (folder / entry.path).open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


class Planner:
    """Makes plans with this machine's policies, facts and owner's settings, each read once."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._owner = _owner(paths)
        self._catalogue = machine_catalogue(paths)
        self._facts = read_facts(self._owner, root=paths.root)

    @property
    def facts(self) -> Facts:
        """What this machine can enforce."""
        return self._facts

    def plan(self, manifest: Manifest, *, identity: Identity, folder: str, file: str = "module.toml") -> Plan:
        """The plan of a module staged in `folder`; InputError or Refused with all that stands against it."""
        sandbox = manifest.sandbox
        policy = resolve(self._catalogue, sandbox.policy, sandbox.grants, where=file)
        if manifest.schedule.calendar is not None and (why := calendar_fault(manifest.schedule.calendar)):
            remedy = 'systemd-analyze calendar, or "daily"'
            raise InputError.of([Problem("read the schedule", why, f"{file}, key schedule.calendar", remedy)])
        secrets = _secrets(self._paths, manifest)
        return make_plan(manifest, policy, self._facts, identity=identity, folder=folder, secrets=secrets)


def _secrets(paths: Paths, manifest: Manifest) -> Secrets:
    folder = paths.owner_credentials / manifest.name
    encrypted = (name for name in manifest.credentials if (folder / f"{name}{ENCRYPTED_SUFFIX}").exists())
    return Secrets(str(folder), frozenset(encrypted))


def machine_catalogue(paths: Paths) -> Catalogue:
    """The policies and grants of this machine, the owner's own in the place of the package's of the same name."""
    files = []
    for folder in (paths.policies, paths.owner_policies):
        if folder.is_dir():
            for path in sorted(folder.glob("*.toml")):
                files.append((str(path), _read(path, max_bytes=FILE_MAX_BYTES)))
    return read_catalogue(files)


def _owner(paths: Paths) -> Owner:
    if not paths.owner_core.exists(follow_symlinks=False):
        return Owner()
    return read_owner(_read(paths.owner_core, max_bytes=FILE_MAX_BYTES), file=str(paths.owner_core))


def _read(path: Path, *, max_bytes: int) -> bytes:
    try:
        return read_bounded(path, max_bytes=max_bytes)
    except PermissionError as error:
        raise Denied("read a file", str(error), where=str(path), remedy="sudo") from error
    except OSError as error:
        raise HostError("read a file", str(error), where=str(path)) from error
