"""No key of a manifest is left out by doctor: what it declares has a row, or there is a reason why none is possible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aurora.identity import installed
from aurora.manifest import KEYS, read_manifest
from aurora.plan import Plan, make_plan
from aurora.policy import resolve
from aurora.runtime.doctor import rows_of
from tests.unit.examples import ALL_FEATURES, shipped
from tests.unit.manifest.test_schema import CHANGES, NEEDS, REQUIRED_LINES
from tests.unit.runtime.observed import evidence

TIMER = {"module.kind": '"oneshot"', "schedule.calendar": '"daily"'}
BASES: dict[str, dict[str, str]] = {
    # Where a key shows only beside others.
    "sandbox.policy": {},
    "schedule.catch_up": TIMER,
    "schedule.jitter": TIMER,
}
VALUES = {
    **CHANGES,
    "sandbox.policy": '"network"',
    "sandbox.grants": '["proc"]',
    "restart.steps": "9",
    "directories.state": "true",
}
NO_ROW = {
    "module.version": "it names what is staged; status says whether another version runs",
    "module.owner_may": "it says what the owner's file may set, when the plan is made",
    "sandbox.exposure_max": "it refuses a module when it is checked, installed and started",
    "safe_state.command": "it is run when the module fails, by a unit of its own",
    "safe_state.module": "it is started when the module fails",
    "update.window": "a new version is judged by it, by the command that tries it",
    "update.restarts_max": "a new version is judged by it, by the command that tries it",
    "update.memory_growth": "a new version is judged by it, by the command that tries it",
    **dict.fromkeys(
        (
            "link.durable",
            "link.durable_size_max",
            "link.durable_age_max",
            "link.durable_full",
            "link.retained",
            "link.approve",
        ),
        "the hub goes by it, and link has a row of its own",
    ),
    "update.snapshot": "the command that tries a new version copies the state",
    "update.check": "it is run by the command that tries a new version",
}
"""Keys that no directive of the unit comes from, and why."""


def planned(keys: dict[str, str]) -> Plan:
    lines = []
    for path, value in (REQUIRED_LINES | keys).items():
        lines.append(f"environment.{value}" if path == "environment" else f"{path} = {value}")
    read = read_manifest("\n".join(lines).encode(), file="module.toml")
    policy = resolve(shipped(), read.sandbox.policy, read.sandbox.grants, where="module.toml")
    facts = replace(ALL_FEATURES, networks=())
    return make_plan(read, policy, facts, identity=installed(read.name), folder="/var/lib/aurora-core/modules/hello/a")


@pytest.mark.parametrize("name", ["state", "cache", "logs"])
def test_a_disk_budget_has_a_row_of_its_own(name: str) -> None:
    after = planned({f"directories.{name}": "true", f"limits.{name}_max": '"8M"'})
    (row,) = [row for row in rows_of(evidence(plan=after), None) if row.name == f"{name} size"]
    assert (row.declared, row.good) == ("8M", False), "nothing is mounted there"


@pytest.mark.parametrize("path", [row.path for row in KEYS])
def test_what_a_key_declares_has_a_row_or_a_reason(path: str) -> None:
    base = {one: VALUES[one] for one in NEEDS.get(path, ())} | BASES.get(path, {})
    before, after = planned(base), planned(base | {path: VALUES[path]})
    own, other = {**after.timer, **after.settings}, {**before.timer, **before.settings}
    changed = {name for name in own.keys() | other.keys() if own.get(name) != other.get(name)}
    assert (not changed) == (path in NO_ROW)
    rows = {row.name.rpartition(" ")[2] for row in rows_of(evidence(plan=after), None)}
    assert changed & own.keys() <= rows
