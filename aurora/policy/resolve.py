"""How grants loosen a policy: one pure function."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from aurora.directives import Value
from aurora.errors import InputError, Problem
from aurora.policy.model import Catalogue, Grant, Policy

__all__ = ["find_policy", "resolve"]


def resolve(catalogue: Catalogue, policy: str, grants: Iterable[str], *, where: str) -> Policy:
    """The policy named `policy`, loosened by each of `grants` in turn.

    InputError with every unknown name at once; `where` is the manifest they stand in.
    """
    problems: list[Problem] = []
    base = None
    try:
        base = find_policy(catalogue, policy, where=f"{where}, key sandbox.policy")
    except InputError as error:
        problems += error.problems
    known = []
    for name in grants:
        grant = catalogue.grants.get(name)
        if grant is None:
            problems.append(_unknown("grant", name, catalogue.grants, f"{where}, key sandbox.grants"))
        else:
            known.append(grant)
    if problems or base is None:
        raise InputError.of(problems)
    for grant in known:
        base = _loosened(base, grant)
    return base


def find_policy(catalogue: Catalogue, name: str, *, where: str = "") -> Policy:
    """The policy of that name; InputError with the nearest one's name when there is none."""
    if name not in catalogue.policies:
        raise InputError.of([_unknown("policy", name, catalogue.policies, where)])
    return catalogue.policies[name]


def _unknown(kind: str, name: str, known: Iterable[str], where: str) -> Problem:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return Problem(
        f"find the {kind} {name!r}",
        f"this machine has no {kind} of that name",
        where,
        near[0] if near else f"one of {', '.join(names)}",
    )


def _loosened(policy: Policy, grant: Grant) -> Policy:
    directives: dict[str, Value] = {**policy.directives, **grant.set}
    for name, words in grant.add.items():
        present = _words(directives.get(name, ()))
        directives[name] = present + tuple(word for word in words if word not in present)
    for name, words in grant.remove.items():
        directives[name] = tuple(word for word in _words(directives.get(name, ())) if word not in words)
    rules = policy.apparmor + tuple(rule for rule in grant.apparmor if rule not in policy.apparmor)
    return Policy(name=policy.name, description=policy.description, directives=directives, apparmor=rules)


def _words(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise TypeError(f"not a list directive: {value!r}")  # the reader lets only lists be added to
    return value
