"""Module packages: dpkg puts payload into /usr/lib/aurora/modules, this takes it in or lets it go.

A module package has no maintainer scripts. It holds its folder and one configuration file,
/etc/aurora/modules/NAME.toml: dpkg keeps it, and its own note of the package, until the package is purged, and its
going triggers us.
"""

from __future__ import annotations

from aurora.errors import AuroraError, InputError, Problem
from aurora.host.files import write_atomic
from aurora.names import is_module_name, package_name
from aurora.paths import Paths
from aurora.runtime.folders import folder_digest, read_module
from aurora.runtime.install import stage
from aurora.runtime.records import Origin, Record, Removal, read_record, read_records

__all__ = ["take_in_packages"]


def take_in_packages(paths: Paths) -> tuple[list[str], list[Problem]]:
    """Stage packages that are new or changed, and mark those that are gone for removal. Call with the lock held.

    The names of modules that were staged, and the problems of packages that could not be: one bad package does not
    keep the others out.
    """
    staged: list[str] = []
    problems: list[Problem] = []
    there = _payloads(paths)
    for name in there:
        try:
            if _take_in(paths, name):
                staged.append(name)
        except AuroraError as error:
            problems += error.problems
    for record in read_records(paths):
        if record.origin == Origin.PACKAGE and record.name not in there:
            _let_go(paths, record)
    return staged, problems


def _payloads(paths: Paths) -> list[str]:
    if not paths.package_modules.is_dir():
        return []
    return sorted(p.name for p in paths.package_modules.iterdir() if p.is_dir() and is_module_name(p.name))


def _take_in(paths: Paths, name: str) -> bool:
    folder = paths.package_modules / name
    before = read_record(paths, name)
    if before is not None and before.installed:
        if before.origin != Origin.PACKAGE:
            why = "a module of that name was installed from a folder"
            problem = Problem(f"take in the package of {name}", why, str(folder), f"auroractl remove {name}")
            raise InputError.of([problem])
        if before.source_digest == folder_digest(folder):
            return False
    manifest = read_module(folder)
    if manifest.name != name:
        problem = Problem(f"take in the package of {name}", f"its manifest names {manifest.name}", str(folder))
        raise InputError.of([problem])
    known = before is not None and before.installed
    enabled = before.enabled if before is not None and known else True
    stage(paths, folder, manifest, Origin.PACKAGE, before, enabled=enabled)
    return True


def _let_go(paths: Paths, record: Record) -> None:
    # Both, as its owner may have deleted the file, which must not cost the module its state.
    witnesses = (paths.owner_modules / f"{record.name}.toml", paths.dpkg_info / f"{package_name(record.name)}.list")
    purged = not any(witness.exists() for witness in witnesses)
    if record.installed or (record.removal == Removal.KEPT and purged):
        removal = Removal.PURGING if purged else Removal.REMOVING
        write_atomic(paths.records / record.name, record._replace(removal=removal).to_bytes())
