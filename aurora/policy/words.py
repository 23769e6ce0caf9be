"""What a policy and grants mean, in plain words and as differences. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aurora.directives import Value
from aurora.policy.model import Grant, Policy

__all__ = ["DEFAULT_POLICY", "Change", "Difference", "Reach", "difference", "reach"]

DEFAULT_POLICY = "strict"
"""The policy of a manifest that names none."""


class Reach(NamedTuple):
    """What a module may beyond the default policy, its own folder and its own directories."""

    does: Mapping[str, str]
    """By the name of the policy (where it is not the default) and of each grant: what it lets the module do."""
    reads: tuple[str, ...]
    """Paths that are put into its view to be read."""
    writes: tuple[str, ...]
    """Paths, devices among them, that are put there to be changed."""


def reach(policy: Policy, grants: Iterable[Grant]) -> Reach:
    """What the policy and the grants let a module do."""
    granted = tuple(grants)
    does = {} if policy.name == DEFAULT_POLICY else {f"policy {policy.name}": policy.description}
    return Reach(
        does=does | {grant.name: grant.description for grant in granted},
        reads=_paths(granted, "BindReadOnlyPaths"),
        writes=_paths(granted, "BindPaths"),
    )


def _paths(grants: Iterable[Grant], directive: str) -> tuple[str, ...]:
    found = (word.removeprefix("-") for grant in grants for word in grant.add.get(directive, ()))
    return tuple(dict.fromkeys(found))


class Change(NamedTuple):
    """How one directive differs."""

    before: Value | None
    """None: it is not set."""
    after: Value | None


class Difference(NamedTuple):
    """How two policies differ."""

    directives: Mapping[str, Change]
    """By name, in the order of names; of lists only the words that the other one has not."""
    rules_gone: tuple[str, ...]
    rules_new: tuple[str, ...]


def difference(before: Policy, after: Policy) -> Difference:
    """What has to be changed in `before` to make it do as `after` does."""
    found = {}
    for name in sorted(before.directives.keys() | after.directives.keys()):
        old, new = before.directives.get(name), after.directives.get(name)
        if old == new:
            continue
        if isinstance(old, tuple) and isinstance(new, tuple) and set(old) != set(new):
            old, new = tuple(w for w in old if w not in new), tuple(w for w in new if w not in old)
        found[name] = Change(old, new)
    return Difference(
        directives=found,
        rules_gone=tuple(rule for rule in before.apparmor if rule not in after.apparmor),
        rules_new=tuple(rule for rule in after.apparmor if rule not in before.apparmor),
    )
