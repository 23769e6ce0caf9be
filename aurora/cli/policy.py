"""policy list, show and diff: what a manifest can name under [sandbox]."""

from __future__ import annotations

from types import SimpleNamespace

from aurora.cli import render
from aurora.directives import Value
from aurora.emit import directive_lines
from aurora.paths import Paths
from aurora.policy import Policy, difference, find_policy
from aurora.quantity import format_score
from aurora.runtime.folders import Planner, machine_catalogue

__all__ = ["diff", "listing", "show"]


def listing(arguments: SimpleNamespace) -> int:
    """`auroractl policy list`."""
    paths = Paths()
    found = [one for _, one in sorted(machine_catalogue(paths).policies.items())]
    scores = {name: format_score(tenths) for name, tenths in Planner(paths).policy_scores().items()}
    if arguments.json:
        keys = ("name", "base", "description")
        render.dump([{key: getattr(one, key) for key in keys} | {"score": scores[one.name]} for one in found])
    else:
        rows = [(one.name, scores[one.name], one.description) for one in found]
        render.emit(render.table(("POLICY", "SCORE", "DESCRIPTION"), rows))
    return 0


def show(arguments: SimpleNamespace) -> int:
    """`auroractl policy show NAME`."""
    found = find_policy(machine_catalogue(Paths()), arguments.name)
    if arguments.json:
        render.dump(
            {
                "name": found.name,
                "base": found.base,
                "description": found.description,
                "directives": dict(found.directives),
                "apparmor": list(found.apparmor),
            }
        )
    else:
        title = f"{found.name}: {found.description}" + (f" (made from {found.base})" if found.base else "")
        render.emit("\n".join([title, "", *_lines(found)]))
    return 0


def _lines(policy: Policy) -> list[str]:
    directives = [line for name, value in sorted(policy.directives.items()) for line in directive_lines(name, value)]
    return [*directives, "", *policy.apparmor]


def diff(arguments: SimpleNamespace) -> int:
    """`auroractl policy diff BEFORE AFTER`."""
    catalogue = machine_catalogue(Paths())
    found = difference(find_policy(catalogue, arguments.before), find_policy(catalogue, arguments.after))
    if arguments.json:
        render.dump(
            {
                "directives": {name: change._asdict() for name, change in found.directives.items()},
                "apparmor": {"removed": list(found.rules_gone), "added": list(found.rules_new)},
            }
        )
        return 0
    lines = []
    for name, change in found.directives.items():
        lines += _marked("-", name, change.before) + _marked("+", name, change.after)
    lines += [f"- {rule}" for rule in found.rules_gone] + [f"+ {rule}" for rule in found.rules_new]
    render.emit("\n".join(lines)) if lines else render.tell("the two do the same")
    return 0


def _marked(mark: str, name: str, value: Value | None) -> list[str]:
    # A list that only gained words has nothing to show on the other side.
    return [] if value is None or value == () else [f"{mark} {line}" for line in directive_lines(name, value)]
