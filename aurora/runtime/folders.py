"""A module's folder -> manifest -> plan: what reads the disk for the pure rooms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from aurora.directives import SANDBOX
from aurora.emit import unit_text
from aurora.errors import AuroraError, Denied, HostError, InputError, NotFound, Problem, Refused
from aurora.host.calendar import calendar_fault
from aurora.host.facts import read_device_groups, read_facts, read_groups
from aurora.host.files import Entry, folder_entries, ownership_problem, read_bounded
from aurora.identity import Identity, installed
from aurora.manifest import MANIFEST_MAX_BYTES, Manifest, Order, find_manifest, read_manifest
from aurora.paths import Paths
from aurora.plan import (
    ENCRYPTED_SUFFIX,
    Facts,
    Feature,
    Plan,
    Secrets,
    localized,
    make_plan,
    needs_groups,
    needs_networks,
    wanted_devices,
)
from aurora.policy import (
    FILE_MAX_BYTES,
    Catalogue,
    Grant,
    Owner,
    Policy,
    argument_of,
    exposure_problems,
    find_grants,
    find_policy,
    forbidden,
    loosened,
    read_catalogue,
    read_owner,
    resolve,
)
from aurora.runtime.inventory import inventory_of
from aurora.runtime.records import Record

__all__ = [
    "Exposure",
    "Planner",
    "folder_digest",
    "known_grants",
    "machine_catalogue",
    "orders_of",
    "owner_file",
    "owner_settings",
    "read_module",
]

_SAMPLE = b'[module]\nname = "sample"\nversion = "1"\nentry = "run.py"\n'
"""A manifest whose plan shows what its policy alone does."""
PROBLEMS_MAX = 50
"""More files of the wrong owner are not named."""
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
        _check_ownership([owner], below=owner.parents[2])
        owners = (_read(owner, max_bytes=FILE_MAX_BYTES), str(owner))
    manifest = read_manifest(data, file=f"{name}/{file}", owner=owners)
    programs = {"module.entry": manifest.entry, "update.check": manifest.update.check or ()}
    faults = (
        _entry_fault(program[0], entries, f"{name}/{file}, key {key}") for key, program in programs.items() if program
    )
    if problems := [fault for fault in faults if fault is not None]:
        raise InputError.of(problems)
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
    return inventory_of(folder).digest


class Exposure(NamedTuple):
    """How much of the machine a plan could reach, and what makes it so; all in tenths of a score."""

    score_tenths: int
    policy: str
    policy_tenths: int
    """The score with the policy alone."""
    grants: Mapping[str, int]
    """What each grant alone adds to that. Two of them can open the same thing, so the sum may be higher."""

    def costs(self) -> dict[str, int]:
        """The policy's own score and what each grant adds, in words."""
        return {f"the policy {self.policy}": self.policy_tenths} | {
            f"the grant {name}": tenths for name, tenths in self.grants.items()
        }


class Planner:
    """Makes plans with this machine's policies, facts and owner's settings, each read once."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._owner = owner_settings(paths)
        self._owner_file = str(paths.owner_core)
        self._catalogue = machine_catalogue(paths)
        self._facts = read_facts(self._owner, root=paths.root)
        self._networks: tuple[str, ...] | None = None

    @property
    def facts(self) -> Facts:
        """What this machine can enforce."""
        return self._facts

    def candidates(self, names: Iterable[str] = ()) -> Mapping[str, Grant]:
        """Every grant that stands for itself, and those of `names` that this machine has, their arguments put in."""
        grants = self._catalogue.grants
        found = {name: grant for name, grant in grants.items() if argument_of(name) is None}
        for name in names:
            with suppress(InputError):
                found |= {grant.name: grant for grant in find_grants(self._catalogue, [name])}
        return found

    def networks(self) -> tuple[str, ...]:
        """The networks that this machine is on."""
        if self._networks is None:
            # pyroute2 costs nine starts of Python; only plans that follow the networks pay that.
            from aurora.host.netlink import read_networks  # noqa: PLC0415  # see above

            self._networks = read_networks()
        return self._networks

    def plan(self, manifest: Manifest, *, identity: Identity, folder: str, file: str = "module.toml") -> Plan:
        """The plan of a module staged in `folder`; InputError or Refused with all that stands against it."""
        sandbox = manifest.sandbox
        policy = resolve(self._catalogue, sandbox.policy, sandbox.grants, where=file)
        if manifest.schedule.calendar is not None and (why := calendar_fault(manifest.schedule.calendar)):
            remedy = 'systemd-analyze calendar, or "daily"'
            raise InputError.of([Problem("read the schedule", why, f"{file}, key schedule.calendar", remedy)])
        if problems := forbidden(self._owner, sandbox.policy, sandbox.grants, module=manifest.name, where=file):
            raise Refused.of(problems)
        secrets = _secrets(self._paths, manifest)
        facts = self._facts_for(policy)
        plan = make_plan(manifest, policy, facts, identity=identity, folder=folder, secrets=secrets)
        bounds = (
            (sandbox.exposure_max_tenths, f"{file}, key sandbox.exposure_max"),
            (self._owner.exposure_max_tenths, f"{self._owner_file}, key exposure_max"),
        )
        lowest = min((bound for bound, _ in bounds if bound is not None), default=None)
        if lowest is not None and self._scores(plan, {})[""] > lowest:
            # What each part costs is counted only for who has to be told.
            exposure = self.exposure(manifest, plan, file=file)
            raise Refused.of(exposure_problems(exposure.score_tenths, bounds, exposure.costs(), module=manifest.name))
        return plan

    def exposure(self, manifest: Manifest, plan: Plan, *, file: str = "module.toml") -> Exposure:
        """The score of a plan, and what its policy and each of its grants add; HostError when it cannot be counted."""
        sandbox = manifest.sandbox
        base = find_policy(self._catalogue, sandbox.policy, where=file)
        grants = find_grants(self._catalogue, sandbox.grants, where=file)
        parts = {sandbox.policy: base} | {grant.name: loosened(base, grant) for grant in grants}
        scores = self._scores(plan, parts)
        policy_tenths = scores[sandbox.policy]
        return Exposure(
            score_tenths=scores[""],
            policy=sandbox.policy,
            policy_tenths=policy_tenths,
            grants={grant.name: scores[grant.name] - policy_tenths for grant in grants},
        )

    def policy_scores(self) -> dict[str, int]:
        """The exposure score in tenths that each policy gives a module without grants."""
        manifest = read_manifest(_SAMPLE, file="module.toml")
        facts = replace(self._facts, accepted=frozenset(Feature))
        bare = Policy(name="", description="", directives={}, apparmor=())
        plan = make_plan(manifest, bare, facts, identity=installed(manifest.name), folder="/usr")
        scores = self._scores(plan, self._catalogue.policies)
        return {name: scores[name] for name in self._catalogue.policies}

    def _scores(self, plan: Plan, policies: Mapping[str, Policy]) -> dict[str, int]:
        """The score of the plan, under the empty name, and what it would be with each of the policies."""
        # It needs modules that cost more than a start does; only where a score is asked for.
        from aurora.host.exposure import read_scores  # noqa: PLC0415  # see above

        own = {name: value for name, value in plan.settings.items() if name not in SANDBOX}
        units = {"": unit_text(plan)}
        for name, policy in policies.items():
            settings = localized(policy, self._facts_for(policy), plan.module)[0] | own
            units[name] = unit_text(replace(plan, settings=settings))
        return read_scores(units)

    def granted(self, manifest: Manifest) -> tuple[Grant, ...]:
        """The manifest's grants, their arguments put in."""
        return find_grants(self._catalogue, manifest.sandbox.grants)

    def policy(self, manifest: Manifest) -> Policy:
        """The manifest's policy, as it is without grants."""
        return find_policy(self._catalogue, manifest.sandbox.policy)

    def _facts_for(self, policy: Policy) -> Facts:
        """The facts, with those that cost something to read where the policy depends on them."""
        facts = self._facts
        if needs_groups(policy):
            devices = read_device_groups(wanted_devices(policy), root=self._paths.root)
            facts = replace(facts, groups=read_groups(root=self._paths.root), device_groups=devices)
        if needs_networks(policy):
            facts = replace(facts, networks=self.networks())
        return facts


def _secrets(paths: Paths, manifest: Manifest) -> Secrets:
    folder = paths.owner_credentials / manifest.name
    encrypted = (name for name in manifest.credentials if (folder / f"{name}{ENCRYPTED_SUFFIX}").exists())
    return Secrets(str(folder), frozenset(encrypted))


def known_grants(paths: Paths) -> frozenset[str]:
    """The names of this machine's grants; empty when its policies cannot be read."""
    try:
        return frozenset(machine_catalogue(paths).grants)
    except AuroraError:
        return frozenset()


def machine_catalogue(paths: Paths) -> Catalogue:
    """The policies and grants of this machine, the owner's own in the place of the package's of the same name."""
    files = []
    for folder in (paths.policies, paths.owner_policies):
        if folder.is_dir():
            found = sorted(folder.glob("*.toml"))
            _check_ownership([folder, *found], below=folder.parents[1])
            files += [(str(path), _read(path, max_bytes=FILE_MAX_BYTES)) for path in found]
    return read_catalogue(files)


def owner_settings(paths: Paths) -> Owner:
    """What the owner has decided in core.toml; Refused when others than the owner may write it."""
    _check_ownership([paths.owner_core], below=paths.owner.parent)
    if not paths.owner_core.exists(follow_symlinks=False):
        return Owner()
    return read_owner(_read(paths.owner_core, max_bytes=FILE_MAX_BYTES), file=str(paths.owner_core))


def _check_ownership(files: Iterable[Path], *, below: Path) -> None:
    """Refused, naming each, when others than the machine's owner could have written what decides."""
    problems = dict.fromkeys(problem for file in files if (problem := ownership_problem(file, below=below)))
    if problems:
        raise Refused.of(list(problems)[:PROBLEMS_MAX])


def _read(path: Path, *, max_bytes: int) -> bytes:
    try:
        return read_bounded(path, max_bytes=max_bytes)
    except PermissionError as error:
        raise Denied("read a file", str(error), where=str(path), remedy="sudo") from error
    except OSError as error:
        raise HostError("read a file", str(error), where=str(path)) from error
