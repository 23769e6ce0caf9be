"""Policy files, the grants file and the owner's core.toml: bytes to values, all problems of a file at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from aurora.directives import DIRECTIVES, SANDBOX, Value
from aurora.errors import InputError, Problem
from aurora.policy.model import Catalogue, Grant, Owner, Policy
from aurora.policy.values import LIST_KINDS, directive_value, rule_fault

__all__ = ["FILE_MAX_BYTES", "GRANTS_FILE", "OWNER_FEATURES", "read_catalogue", "read_owner"]

FILE_MAX_BYTES = 256 * 1024
"""A longer policy file is refused unread."""
RULES_MAX = 512
GRANTS_FILE = "grants.toml"
OWNER_FEATURES = frozenset({"apparmor", "seccomp", "memory", "cpu", "pids", "io", "io-weight", "ip-filter"})
"""What an owner may accept as missing; the same words as `plan.Feature`."""


class _Reading:
    """One file being read: collects its problems."""

    def __init__(self, what: str, file: str) -> None:
        self.what = what
        self.file = file
        self.problems: list[Problem] = []

    def fault(self, key: str, why: str, remedy: str = "") -> None:
        where = f"{self.file}, key {key}" if key else self.file
        self.problems.append(Problem(self.what, why, where, remedy))

    def document(self, data: bytes) -> dict[str, object]:
        if len(data) > FILE_MAX_BYTES:
            self.fault("", f"it has {len(data)} bytes, more than {FILE_MAX_BYTES}")
            return {}
        try:
            return tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            self.fault("", f"it is not TOML in UTF-8: {error}")
            return {}

    def only(self, table: Mapping[str, object], known: Iterable[str], prefix: str = "") -> None:
        names = sorted(known)
        for key in table:
            if key not in names:
                self.fault(f"{prefix}{key}", "there is no such key", f"one of {', '.join(names)}")

    def text(self, table: Mapping[str, object], key: str, prefix: str = "") -> str:
        value = table.get(key, "")
        if not isinstance(value, str) or not value.isprintable():
            self.fault(f"{prefix}{key}", "it must be one line of text")
            return ""
        return value

    def table(self, table: Mapping[str, object], key: str, prefix: str = "") -> dict[str, object]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self.fault(f"{prefix}{key}", "it must be a table")
            return {}
        return value

    def rules(self, table: Mapping[str, object], prefix: str = "") -> tuple[str, ...]:
        value = table.get("apparmor", [])
        if not isinstance(value, list) or len(value) > RULES_MAX:
            self.fault(f"{prefix}apparmor", f"it must be a list of at most {RULES_MAX} rules")
            return ()
        for rule in value:
            if (why := rule_fault(rule)) is not None:
                self.fault(f"{prefix}apparmor", why)
        return tuple(value)

    def directives(self, table: Mapping[str, object], prefix: str, *, lists: bool) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for name, raw in table.items():
            if name not in SANDBOX:
                self.fault(f"{prefix}{name}", "a policy cannot set such a directive")
            elif lists and DIRECTIVES[name].kind not in LIST_KINDS:
                self.fault(f"{prefix}{name}", "it is not a list", "the key set")
            else:
                try:
                    found[name] = directive_value(DIRECTIVES[name], raw)
                except ValueError as error:
                    self.fault(f"{prefix}{name}", str(error))
        return found


def _policy(name: str, file: str, data: bytes) -> tuple[Policy, list[Problem]]:
    reading = _Reading("read the policy", file)
    document = reading.document(data)
    reading.only(document, ("description", "apparmor", "directives"))
    policy = Policy(
        name=name,
        description=reading.text(document, "description"),
        directives=reading.directives(reading.table(document, "directives"), "directives.", lists=False),
        apparmor=reading.rules(document),
    )
    return policy, reading.problems


def _grants(file: str, data: bytes) -> tuple[list[Grant], list[Problem]]:
    reading = _Reading("read the grants", file)
    document = reading.document(data)
    grants = []
    for name in document:
        table = reading.table(document, name)
        prefix = f"{name}."
        reading.only(table, ("description", "apparmor", "set", "add", "remove"), prefix)

        def changes(
            key: str, *, lists: bool, table: dict[str, object] = table, prefix: str = prefix
        ) -> dict[str, Value]:
            return reading.directives(reading.table(table, key, prefix), f"{prefix}{key}.", lists=lists)

        grants.append(
            Grant(
                name=name,
                description=reading.text(table, "description", prefix),
                set=changes("set", lists=False),
                add=_lists(changes("add", lists=True)),
                remove=_lists(changes("remove", lists=True)),
                apparmor=reading.rules(table, prefix),
            )
        )
    return grants, reading.problems


def _lists(values: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    return {name: value for name, value in values.items() if isinstance(value, tuple)}


def read_catalogue(files: Iterable[tuple[str, bytes]]) -> Catalogue:
    """All policies and grants of `files` (path, content); of two with the same name the later one counts.

    InputError with the problems of all files at once.
    """
    policies: dict[str, Policy] = {}
    grants: dict[str, Grant] = {}
    problems: list[Problem] = []
    for path, data in files:
        file = PurePath(path)
        if file.name == GRANTS_FILE:
            found, faults = _grants(path, data)
            grants.update((grant.name, grant) for grant in found)
        else:
            policy, faults = _policy(file.stem, path, data)
            policies[policy.name] = policy
        problems += faults
    if problems:
        raise InputError.of(problems)
    return Catalogue(policies=policies, grants=grants)


def read_owner(data: bytes, *, file: str) -> Owner:
    """The owner's core.toml; InputError with all its problems at once. Empty content decides nothing."""
    reading = _Reading("read the owner's settings", file)
    document = reading.document(data)
    reading.only(document, ("accept_unenforced",))
    accepted = document.get("accept_unenforced", [])
    if not isinstance(accepted, list) or not all(isinstance(w, str) and w in OWNER_FEATURES for w in accepted):
        known = ", ".join(sorted(OWNER_FEATURES))
        reading.fault("accept_unenforced", "it must be a list of features", f"a list of some of: {known}")
        accepted = []
    if reading.problems:
        raise InputError.of(reading.problems)
    return Owner(accept_unenforced=frozenset(accepted))
