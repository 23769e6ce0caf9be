from __future__ import annotations

import pytest

from aurora.errors import InputError
from aurora.policy import Catalogue, Grant, Policy, find_grants, resolve
from aurora.policy.arguments import argument_of
from tests.unit.examples import shipped

BASE = Policy(
    name="base",
    description="Base",
    directives={"PrivateNetwork": True, "RestrictAddressFamilies": ("AF_UNIX",), "InaccessiblePaths": ("/a", "/b")},
    apparmor=("/x r,",),
)


def grant(name: str, **parts: object) -> Grant:
    fields: dict[str, object] = {"description": "", "set": {}, "add": {}, "remove": {}, "apparmor": (), **parts}
    return Grant(name=name, **fields)  # type: ignore[arg-type]  # the parts a test names


def loosened(*grants: Grant) -> Policy:
    catalogue = Catalogue(policies={"base": BASE}, grants={one.name: one for one in grants})
    return resolve(catalogue, "base", [one.name for one in grants], where="module.toml")


def difference(policy: Policy) -> dict[str, object]:
    """What is not as in the base policy, by directive."""
    names = BASE.directives.keys() | policy.directives.keys()
    found: dict[str, object] = {
        name: policy.directives.get(name) for name in names if policy.directives.get(name) != BASE.directives.get(name)
    }
    if policy.apparmor != BASE.apparmor:
        found["apparmor"] = policy.apparmor
    return found


def test_a_policy_without_grants_is_as_its_file_says() -> None:
    assert loosened() == BASE


def test_a_grant_that_sets_changes_that_directive_alone() -> None:
    assert difference(loosened(grant("a", set={"PrivateNetwork": False}))) == {"PrivateNetwork": False}


def test_a_grant_that_adds_puts_words_behind_those_there() -> None:
    added = loosened(grant("a", add={"RestrictAddressFamilies": ("AF_INET", "AF_UNIX")}))
    assert difference(added) == {"RestrictAddressFamilies": ("AF_UNIX", "AF_INET")}


def test_a_grant_can_add_to_a_list_that_the_policy_leaves_out() -> None:
    assert difference(loosened(grant("a", add={"IPAddressAllow": ("any",)}))) == {"IPAddressAllow": ("any",)}


def test_a_grant_that_removes_takes_those_words_out() -> None:
    removed = loosened(grant("a", remove={"InaccessiblePaths": ("/a", "/z")}))
    assert difference(removed) == {"InaccessiblePaths": ("/b",)}


def test_a_grant_that_allows_adds_rules_once() -> None:
    allowed = loosened(grant("a", apparmor=("/x r,", "/y r,")), grant("b", apparmor=("/y r,",)))
    assert difference(allowed) == {"apparmor": ("/x r,", "/y r,")}


def test_grants_work_one_after_the_other() -> None:
    both = loosened(
        grant("a", add={"RestrictAddressFamilies": ("AF_INET",)}),
        grant("b", remove={"RestrictAddressFamilies": ("AF_INET",)}),
    )
    assert both == BASE


def test_the_policy_itself_is_not_changed() -> None:
    before = dict(BASE.directives)
    loosened(grant("a", set={"PrivateNetwork": False}, add={"RestrictAddressFamilies": ("AF_INET",)}))
    assert BASE.directives == before


@pytest.mark.parametrize("name", sorted(shipped().grants))
def test_a_shipped_grant_touches_only_what_it_names(name: str) -> None:
    catalogue = shipped()
    before = catalogue.policies["strict"]
    row = argument_of(name)
    asked = name if row is None else f"{name.partition(':')[0]}:{row.sample}"
    after = resolve(catalogue, "strict", [asked], where="module.toml")
    given = find_grants(catalogue, [asked])[0]
    named = {*given.set, *given.add, *given.remove}
    for directive in before.directives.keys() | after.directives.keys():
        if directive not in named:
            assert after.directives[directive] == before.directives[directive]
    assert after.apparmor[: len(before.apparmor)] == before.apparmor
    assert set(after.apparmor[len(before.apparmor) :]) <= set(given.apparmor)


def test_every_unknown_name_is_told_at_once_with_one_that_was_meant() -> None:
    with pytest.raises(InputError) as caught:
        resolve(shipped(), "strikt", ["network.loopbak", "network.loopback", "nonsense"], where="hello/module.toml")
    assert [(problem.what, problem.where, problem.remedy) for problem in caught.value.problems] == [
        ("find the policy 'strikt'", "hello/module.toml, key sandbox.policy", "strict"),
        ("find the grant 'network.loopbak'", "hello/module.toml, key sandbox.grants", "network.loopback"),
        (
            "find the grant 'nonsense'",
            "hello/module.toml, key sandbox.grants",
            f"one of {', '.join(sorted(shipped().grants))}",
        ),
    ]
