"""policy list and policy show: what a manifest can name under [sandbox]."""

from __future__ import annotations

from types import SimpleNamespace

from aurora.cli import render
from aurora.emit import directive_lines
from aurora.paths import Paths
from aurora.policy import Policy, find_policy
from aurora.runtime.folders import machine_catalogue

__all__ = ["listing", "show"]


def listing(arguments: SimpleNamespace) -> int:
    """`auroractl policy list`."""
    found = [one for _, one in sorted(machine_catalogue(Paths()).policies.items())]
    if arguments.json:
        render.dump([{"name": one.name, "description": one.description} for one in found])
    else:
        render.emit(render.table(("POLICY", "DESCRIPTION"), [(one.name, one.description) for one in found]))
    return 0


def show(arguments: SimpleNamespace) -> int:
    """`auroractl policy show NAME`."""
    found = find_policy(machine_catalogue(Paths()), arguments.name)
    if arguments.json:
        render.dump(
            {
                "name": found.name,
                "description": found.description,
                "directives": dict(found.directives),
                "apparmor": list(found.apparmor),
            }
        )
    else:
        render.emit("\n".join([f"{found.name}: {found.description}", "", *_lines(found)]))
    return 0


def _lines(policy: Policy) -> list[str]:
    directives = [line for name, value in sorted(policy.directives.items()) for line in directive_lines(name, value)]
    return [*directives, "", *policy.apparmor]
