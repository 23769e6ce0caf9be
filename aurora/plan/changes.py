"""Plan + what runs -> Steps: the least that makes the machine equal to the plan."""

from __future__ import annotations

from collections.abc import Mapping

from aurora.plan.model import Action, Plan, Running, Step

__all__ = ["changes"]


def changes(wanted: Mapping[str, Plan], running: Mapping[str, Running]) -> tuple[Step, ...]:
    """The steps, those that stop something first, each kind in the order of names.

    A module that runs from an equal plan is left alone, also when its owner has stopped it with systemctl.
    One that was stopped and whose plan has changed is released, so that the old plan cannot come up again.
    """
    released = []
    started = []
    for module in sorted(wanted.keys() | running.keys()):
        plan = wanted.get(module)
        now = running.get(module)
        before = now.plan if now is not None else None
        if now is None or not (now.pinned or now.active):
            if plan is not None:
                started.append(Step(action=Action.START, module=module, plan=plan, before=None))
        elif plan is None or (not now.active and before != plan):
            released.append(Step(action=Action.RELEASE, module=module, plan=None, before=before))
        elif before != plan:
            started.append(Step(action=Action.REPLACE, module=module, plan=plan, before=before))
    return (*released, *started)
