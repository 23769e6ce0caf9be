"""Policies, grants and owners' settings that are wrong in any way: told, or a plan that says the same everywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from aurora.directives import SANDBOX
from aurora.emit import apparmor_text
from aurora.errors import AuroraError, InputError
from aurora.identity import installed
from aurora.plan import Plan, make_plan
from aurora.policy import Catalogue, read_catalogue, read_owner, resolve
from tests.unit.examples import ALL_FEATURES, POLICIES, manifest
from tests.unit.fuzz.budget import tries
from tests.unit.fuzz.material import anything, grants, owners, policies, texts, toml
from tests.unit.fuzz.oracle import check_plan
from tests.unit.fuzz.test_fuzz_manifest import FOLDER, PARSER, check_refusal

SHIPPED = [(file.name, file.read_bytes()) for file in sorted(POLICIES.glob("*.toml"))]
STRICT = dict(SHIPPED)["strict.toml"]


def catalogue(files: list[tuple[str, bytes]]) -> Catalogue | None:
    """What they hold; None when they are refused, which is checked."""
    try:
        return read_catalogue(files)
    except InputError as error:
        event("refused")
        check_refusal(error)
        return None


def plan_under(found: Catalogue, policy: str, grants: list[str]) -> Plan | None:
    """The plan of a module under a policy and grants, checked; None when that is refused."""
    try:
        sandbox = resolve(found, policy, grants, where="module.toml")
        made = make_plan(manifest(), sandbox, ALL_FEATURES, identity=installed("hello"), folder=FOLDER.format("hello"))
    except AuroraError as error:
        event("not planned")
        check_refusal(error, kind=type(error))
        return None
    event("taken")
    check_plan(made)
    bare = make_plan(manifest(), _BARE, ALL_FEATURES, identity=installed("hello"), folder=FOLDER.format("hello"))
    for name, value in bare.settings.items():
        if name not in SANDBOX:
            assert made.settings[name] == value, f"a policy has changed {name}"
    return made


_BARE = read_catalogue([("bare.toml", b"")]).policies["bare"]


@tries(80)
@given(policies)
def test_a_policy_is_a_sandbox_that_says_the_same_everywhere_or_refused(tables: dict[str, object]) -> None:
    found = catalogue([*SHIPPED, ("own.toml", toml(tables))])
    if found is not None:
        plan_under(found, "own", [])


@tries(80)
@given(grants)
def test_a_grant_loosens_a_policy_into_one_that_says_the_same_everywhere(tables: dict[str, object]) -> None:
    found = catalogue([("strict.toml", STRICT), ("grants.toml", toml(tables))])
    if found is not None:
        for name in found.grants:
            plan_under(found, "strict", [name.replace(":PATH", ":/srv")])
        plan_under(found, "strict", list(found.grants)[:3])


@tries(60)
@given(owners | st.dictionaries(texts, anything, max_size=3))
def test_owners_settings_are_taken_or_refused(tables: dict[str, object]) -> None:
    try:
        read_owner(toml(tables), file="/etc/aurora/core.toml")
    except InputError as error:
        check_refusal(error)


@tries(60)
@given(st.sampled_from([name for name, _ in SHIPPED]), st.data())
def test_a_shipped_file_that_is_damaged_is_taken_or_refused(name: str, data: st.DataObject) -> None:
    whole = dict(SHIPPED)[name]
    place = data.draw(st.integers(0, len(whole)))
    damaged = whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + data.draw(st.integers(0, 8)) :]
    found = catalogue([*SHIPPED, (name, damaged)])
    if found is not None:
        plan_under(found, "strict", ["network.loopback", "host.figures"])
    try:
        read_owner(damaged, file="core.toml")
    except InputError as error:
        check_refusal(error)


@pytest.mark.skipif(not Path(PARSER).exists(), reason="apparmor_parser is in the build tree")
@tries(40)
@given(policies)
def test_apparmors_parser_finds_one_profile_whatever_a_policy_says(tables: dict[str, object]) -> None:
    found = catalogue([("own.toml", toml({"apparmor": tables.get("apparmor", [])}))])
    plan = plan_under(found, "own", []) if found is not None else None
    if plan is not None:
        text = apparmor_text(plan).encode()
        done = subprocess.run([PARSER, "--names"], input=text, capture_output=True, check=False)
        # A rule of the right form may still not be one of AppArmor's; then nothing is loaded.
        assert done.returncode != 0 or done.stdout.decode().split() == [plan.profile]
