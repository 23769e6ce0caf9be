"""The tables of policies/README.md are what the files say and systemd-analyze counts.

`pytest tests/golden --rewrite` writes them anew.
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from aurora.directives import SANDBOX
from aurora.emit import unit_text
from aurora.host.exposure import read_scores
from aurora.plan import localized
from aurora.policy import ARGUMENTS, Policy, find_grants, loosened
from aurora.quantity import format_score
from tests.golden.test_golden import CASES, CHECKOUT, machine_of, plan_of, shipped

README = CHECKOUT / "policies/README.md"
POLICIES = ("strict", "standard", "network", "trusted")
HEADS = ("| policy | score |", "| grant | costs |")


def unit_of(policy: Policy) -> str:
    """The smallest module under the policy."""
    case = CASES / "minimal"
    plan = plan_of(case)
    own = {name: value for name, value in plan.settings.items() if name not in SANDBOX}
    return unit_text(replace(plan, settings=localized(policy, machine_of(case), "minimal")[0] | own))


def tables() -> tuple[list[str], list[str]]:
    """The rows of both tables."""
    catalogue = shipped()
    strict = catalogue.policies["strict"]
    examples = {}
    for name in sorted(catalogue.grants):
        head, _, word = name.partition(":")
        examples[name] = f"{head}:{ARGUMENTS[word].sample}" if word in ARGUMENTS else name
    units = {name: unit_of(catalogue.policies[name]) for name in POLICIES}
    units |= {name: unit_of(loosened(strict, find_grants(catalogue, [one])[0])) for name, one in examples.items()}
    scores = read_scores(units)
    policies = [
        f"| `{name}` | {format_score(scores[name])} | {catalogue.policies[name].description} |" for name in POLICIES
    ]
    grants = []
    for name in examples:
        description = catalogue.grants[name].description.replace("$", "")
        grants.append(f"| `{name}` | {format_score(scores[name] - scores['strict'])} | {description} |")
    return policies, grants


def with_rows(text: str) -> str:
    """The README, the rows of the two tables made anew."""
    for head, rows in zip(HEADS, tables(), strict=True):
        before, found, after = text.partition(f"{head} what it lets a module do |\n| --- | --- | --- |\n")
        assert found, f"the README has no table {head}"
        rest = after.splitlines()
        while rest and rest[0].startswith("| "):
            del rest[0]
        text = before + found + "\n".join([*rows, *rest]) + "\n"
    return text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")
def test_the_tables_are_as_they_are_counted(rewrite: bool) -> None:
    made = with_rows(README.read_text())
    if rewrite:
        README.write_text(made)
    assert README.read_text() == made


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is in the build tree")
def test_each_policy_is_a_step_looser_than_the_one_before() -> None:
    scores = [float(row.split("|")[2]) for row in tables()[0]]
    assert scores == sorted(scores)
    assert len(set(scores)) == len(scores)
