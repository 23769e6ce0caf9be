"""How grants loosen a policy: pure functions."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from aurora.directives import DIRECTIVES, Value
from aurora.errors import InputError, Problem
from aurora.policy.arguments import argument_of, filled
from aurora.policy.model import Catalogue, Grant, Policy
from aurora.policy.values import directive_value, rule_fault

__all__ = ["find_grants", "find_policy", "loosened", "resolve"]


def resolve(catalogue: Catalogue, policy: str, grants: Iterable[str], *, where: str) -> Policy:
    """The policy named `policy`, loosened by each of `grants` in turn.

    InputError with every unknown name and every argument that is none at once; `where` is the manifest they stand in.
    """
    problems: list[Problem] = []
    base = None
    try:
        base = find_policy(catalogue, policy, where=f"{where}, key sandbox.policy")
    except InputError as error:
        problems += error.problems
    known: tuple[Grant, ...] = ()
    try:
        known = find_grants(catalogue, grants, where=f"{where}, key sandbox.grants")
    except InputError as error:
        problems += error.problems
    if problems or base is None:
        raise InputError.of(problems)
    for grant in known:
        base = loosened(base, grant)
    return base


def find_policy(catalogue: Catalogue, name: str, *, where: str = "") -> Policy:
    """The policy of that name; InputError with the nearest one's name when there is none."""
    if name not in catalogue.policies:
        raise InputError.of([_unknown("policy", name, catalogue.policies, where)])
    return catalogue.policies[name]


def find_grants(catalogue: Catalogue, names: Iterable[str], *, where: str = "") -> tuple[Grant, ...]:
    """The grants of those names, their arguments put in; InputError with the problems of all of them at once."""
    problems = []
    found = []
    for name in names:
        grant = _template(catalogue, name)
        if grant is None:
            problems.append(_unknown("grant", name, catalogue.grants, where))
            continue
        try:
            found.append(_with_argument(grant, name))
        except ValueError as error:
            problems.append(Problem(f"give the grant {name!r}", str(error), where, f"{grant.name} as it should be"))
    if problems:
        raise InputError.of(problems)
    return tuple(found)


def _template(catalogue: Catalogue, name: str) -> Grant | None:
    """The grant of just that name, or the one that takes what follows the colon."""
    exact = catalogue.grants.get(name)
    if exact is not None and argument_of(exact.name) is None:
        return exact
    head, colon, _ = name.partition(":")
    if not colon:
        return None
    family = (one for one in catalogue.grants.values() if one.name.startswith(f"{head}:"))
    return next((one for one in family if argument_of(one.name) is not None), None)


def _with_argument(grant: Grant, name: str) -> Grant:
    """The grant with what `name` has behind the colon; ValueError when that is not of the grant's kind."""
    row = argument_of(grant.name)
    if row is None:
        return grant
    argument = row.check(name.partition(":")[2])
    rules = tuple(filled(rule, row.word, argument) for rule in grant.apparmor)
    # No argument that was taken can make one of these; should one ever, it goes no further.
    for rule in rules:
        if (why := rule_fault(rule)) is not None:
            raise ValueError(why)
    return Grant(
        name=name,
        description=filled(grant.description, row.word, argument),
        set=grant.set,
        add=_filled(grant.add, row.word, argument),
        remove=_filled(grant.remove, row.word, argument),
        apparmor=rules,
    )


def _filled(lists: Mapping[str, tuple[str, ...]], word: str, argument: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for name, words in lists.items():
        value = directive_value(DIRECTIVES[name], [filled(one, word, argument) for one in words])
        found[name] = _words(value)
    return found


def _unknown(kind: str, name: str, known: Iterable[str], where: str) -> Problem:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if not near and ":" in name:
        near = difflib.get_close_matches(name.partition(":")[0], [one.partition(":")[0] for one in names], n=1)
        near = [one for one in names if near and one.partition(":")[0] == near[0]]
    return Problem(
        f"find the {kind} {name!r}",
        f"this machine has no {kind} of that name",
        where,
        " or ".join(near) if near else f"one of {', '.join(names)}",
    )


def loosened(policy: Policy, change: Grant) -> Policy:
    """The policy with the change made: what is set replaced, words added, words taken out, rules added."""
    directives: dict[str, Value] = {**policy.directives, **change.set}
    for name, words in change.add.items():
        present = _words(directives.get(name, ()))
        directives[name] = present + tuple(word for word in words if word not in present)
    for name, words in change.remove.items():
        directives[name] = tuple(word for word in _words(directives.get(name, ())) if word not in words)
    rules = policy.apparmor + tuple(rule for rule in change.apparmor if rule not in policy.apparmor)
    return replace(policy, directives=directives, apparmor=rules)


def _words(value: Value) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise TypeError(f"not a list directive: {value!r}")  # the reader lets only lists be added to
    return value
