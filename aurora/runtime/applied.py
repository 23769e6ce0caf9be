"""The plans that systemd was given since boot, so that a change can be seen and taken back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from aurora.host.files import write_atomic
from aurora.host.systemd import Systemd
from aurora.names import module_of_unit, slice_name, timer_name, unit_name
from aurora.paths import Paths
from aurora.plan import Plan, Running

__all__ = ["applied_link", "applied_plan", "forget_plan", "read_running", "remember_plan"]

UP = ("active", "activating", "reloading", "refreshing")


def remember_plan(paths: Paths, plan: Plan) -> None:
    """Record that systemd holds this plan; lost at reboot, as the unit is.

    What the module may do on AuroraLink is a file of its own, which the hub reads when the module connects.
    """
    if plan.link:
        text = json.dumps(plan.link, ensure_ascii=False, sort_keys=True) + "\n"
        write_atomic(_link_rules(paths, plan.module), text.encode(), durable=False)
    else:
        _link_rules(paths, plan.module).unlink(missing_ok=True)
    text = json.dumps(plan.to_json(), indent=1, sort_keys=True) + "\n"
    write_atomic(paths.applied / f"{plan.module}.json", text.encode(), durable=False)


def forget_plan(paths: Paths, module: str, *, comes_back: bool = False) -> None:
    """Record that systemd holds no plan of the module.

    Where another one of it comes, what the hub goes by stays until then: what others send to the module and somebody
    has to approve must not pass meanwhile.
    """
    (paths.applied / f"{module}.json").unlink(missing_ok=True)
    if not comes_back:
        _link_rules(paths, module).unlink(missing_ok=True)


def _link_rules(paths: Paths, module: str) -> Path:
    return paths.link_rules / f"{module}.json"


def applied_plan(paths: Paths, module: str) -> Plan | None:
    """The plan that systemd was given last; None when there is none or it cannot be read."""
    try:
        return Plan.from_json(json.loads((paths.applied / f"{module}.json").read_text()))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def applied_link(paths: Paths, module: str) -> dict[str, tuple[str, ...] | int | str] | None:
    """What AuroraLink's hub lets the module do; empty when it has no rules of it, None when they cannot be read."""
    try:
        held = json.loads(_link_rules(paths, module).read_text())
        return {str(name): tuple(value) if isinstance(value, list) else value for name, value in held.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def read_running(paths: Paths, systemd: Systemd, modules: Iterable[str] | None = None) -> dict[str, Running]:
    """What systemd holds, by module: of those named, or of all."""
    rows = systemd.list_units(["aurora@*.service", "aurora@*.timer", "aurora-*.slice"])
    active = {row.name: row.active in UP for row in rows}
    loaded = {row.name for row in rows if row.load == "loaded"}  # else only referred to
    units = {row.name: module for row in rows if (module := module_of_unit(row.name)) is not None}
    found = set(units.values())
    return {
        module: Running(
            plan=applied_plan(paths, module),
            pinned=active.get(slice_name(module), False),
            active=active.get(unit_name(module), False) or active.get(timer_name(module), False),
            loaded=unit_name(module) in loaded,
        )
        for module in sorted(found if modules is None else found & set(modules))
    }
