"""Steps, done: profiles loaded in one run, starts submitted all at once, a failure explained and taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aurora.emit import apparmor_text, service_properties, slice_properties, timer_properties
from aurora.errors import AuroraError, Problem, StartFailed
from aurora.host.apparmor import load_profiles, unload_profiles
from aurora.host.systemd import JobResult, Systemd, Transient
from aurora.names import profile_name, slice_name, timer_name, unit_name
from aurora.paths import Paths
from aurora.plan import Action, Plan, Step, in_order, reached
from aurora.runtime.applied import forget_plan, read_running, remember_plan
from aurora.runtime.diagnosis import diagnose, now_usec

__all__ = ["Outcome", "bring_up", "raise_failures", "release", "take_steps"]

STOP_DEADLINE_SEC = 60.0
SUBMIT_MARGIN_SEC = 60.0
SUBMIT_MARGIN_EACH_SEC = 10.0
"""Beyond the modules' own start timeouts: for systemd and a slow machine to work the queue off."""


class Outcome(NamedTuple):
    """How a step ended."""

    step: Step
    problem: Problem | None
    """None when it did what it should."""
    taken_back: bool = False
    """Whether what ran before runs again."""


def take_steps(
    paths: Paths, systemd: Systemd, steps: Sequence[Step], *, keep_failed: bool, loaded: frozenset[str] = frozenset()
) -> list[Outcome]:
    """Do all steps; never raises for a module that does not come up, its outcome says so.

    A replacement that fails is taken back: the plan before is started again. With `keep_failed` a first start that
    fails stays with systemd, which goes on restarting it as the manifest says (that is what boot wants); without
    it, it is released, so that nothing half-made is left. Modules in `loaded` have their unit from the very same plan
    with systemd already: it only has to be started.
    """
    gone = [step for step in steps if step.action in (Action.RELEASE, Action.REPLACE)]
    leaning = _leaning(paths, systemd, steps) if gone else []
    release(
        paths,
        systemd,
        [step.module for step in gone],
        keep_profiles=[s.module for s in gone if s.plan is not None],
    )
    outcomes = [Outcome(step, None) for step in steps if step.plan is None]
    wanted = [step for step in steps if step.plan is not None]
    failed = bring_up(paths, systemd, [step.plan for step in wanted if step.plan is not None], loaded=loaded)
    for step in wanted:
        problem = failed.get(step.module)
        taken_back = False
        if problem is not None and step.before is not None:
            taken_back = _take_back(paths, systemd, step)
        elif problem is not None and not keep_failed:
            release(paths, systemd, [step.module])
        outcomes.append(Outcome(step, problem, taken_back))
    if leaning:
        # systemd has stopped them with what they require. One whose requirement is not there again stays down.
        systemd.start([plan.started for plan in leaning], deadline_sec=_deadline_sec(leaning))
    return outcomes


def _leaning(paths: Paths, systemd: Systemd, steps: Sequence[Step]) -> list[Plan]:
    """What runs, is not itself stepped, and requires something that is: first what others of them require."""
    running = {module: now.plan for module, now in read_running(paths, systemd).items() if now.active and now.plan}
    leans_on: dict[str, list[str]] = {}
    for module, plan in running.items():
        for other in plan.requires:
            leans_on.setdefault(other, []).append(module)
    stepped = {step.module for step in steps}
    found = reached(stepped, leans_on) - stepped
    return [running[module] for module in in_order({module: running[module].after for module in found})]


def _take_back(paths: Paths, systemd: Systemd, step: Step) -> bool:
    undo = step.undo
    release(paths, systemd, [step.module], keep_profiles=[step.module])
    return undo.plan is not None and not bring_up(paths, systemd, [undo.plan])


def release(paths: Paths, systemd: Systemd, modules: Sequence[str], *, keep_profiles: Iterable[str] = ()) -> None:
    """Stop modules and make systemd forget their units; then remove their profiles, now used by nobody.

    StartFailed when systemd does not stop one.
    """
    if not modules:
        return
    units = [name for module in modules for name in (timer_name(module), unit_name(module), slice_name(module))]
    # Stopping the slice stops what runs in it, and with the pin gone systemd drops the unit.
    jobs = systemd.stop(units, deadline_sec=STOP_DEADLINE_SEC)
    bad = [job for job in jobs.values() if not job.ok]
    if bad:
        raise StartFailed(
            "stop a module", f"systemd ended the job with {bad[0].result} {bad[0].message}", where=bad[0].unit
        )
    systemd.reset_failed(units)
    kept = set(keep_profiles)
    unload_profiles(paths, frozenset(profile_name(module) for module in modules if module not in kept))
    for module in modules:
        forget_plan(paths, module)


def transient(plan: Plan) -> Transient:
    """The call that gives the plan to systemd."""
    service = service_properties(plan)
    return Transient(
        unit=plan.started,
        properties=timer_properties(plan) if plan.timer else service,
        pin=plan.slice,
        pin_properties=slice_properties(plan),
        beside=(plan.unit, service) if plan.timer else None,
    )


def bring_up(
    paths: Paths, systemd: Systemd, plans: Sequence[Plan], *, loaded: frozenset[str] = frozenset()
) -> dict[str, Problem]:
    """Load the profiles, submit every start, wait for all; the problem of each module that did not come up."""
    failed = _without_secrets(plans)
    failed |= _load(paths, [plan for plan in plans if plan.module not in failed])
    ready = {plan.module: plan for plan in plans if plan.module not in failed}
    if not ready:
        return failed
    # systemd takes a requirement only for a unit that it knows, so what others are after is submitted first.
    plans = [ready[module] for module in in_order({module: plan.after for module, plan in ready.items()})]
    since_usec = now_usec()
    for plan in plans:
        remember_plan(paths, plan)
    deadline_sec = _deadline_sec(plans)
    fresh = [transient(plan) for plan in plans if plan.module not in loaded]
    known = [plan.started for plan in plans if plan.module in loaded]
    jobs = {
        **(systemd.start_transient(fresh, deadline_sec=deadline_sec) if fresh else {}),
        **(systemd.start(known, deadline_sec=deadline_sec) if known else {}),
    }
    return failed | _problems(paths, systemd, plans, jobs, since_usec)


def _deadline_sec(plans: Sequence[Plan]) -> float:
    """All start side by side, but those that are after one another."""
    timeouts_sec = [plan.start_timeout_usec / 1_000_000 for plan in plans]
    longest_sec = sum(timeouts_sec) if any(plan.after for plan in plans) else max(timeouts_sec)
    return longest_sec + SUBMIT_MARGIN_SEC + SUBMIT_MARGIN_EACH_SEC * len(plans)


def _without_secrets(plans: Sequence[Plan]) -> dict[str, Problem]:
    """The problem of each module that has a credential which is not set: systemd would only give a number."""
    problems = {}
    for plan in plans:
        missing = [file for file in plan.credentials if not Path(file).is_file()]
        if missing:
            names = ", ".join(file.rpartition("/")[2] for file in missing)
            problems[plan.module] = Problem(
                f"start the module {plan.module}",
                f"its credentials {names} are not set" if len(missing) > 1 else f"its credential {names} is not set",
                missing[0],
                f"auroractl credential set {plan.module} {missing[0].rpartition('/')[2]}",
            )
    return problems


def _load(paths: Paths, plans: Sequence[Plan]) -> dict[str, Problem]:
    """Load the plans' profiles; the problem of each module whose own cannot be loaded."""
    texts = {plan.module: {plan.profile: apparmor_text(plan)} for plan in plans if plan.profile is not None}
    try:
        load_profiles(paths, {name: text for one in texts.values() for name, text in one.items()})
    except AuroraError as error:
        if len(texts) == 1:
            return dict.fromkeys(texts, error.problems[0])
        # One that the parser refuses must not keep the others from theirs.
        return {module: problem for plan in plans for module, problem in _load(paths, [plan]).items()}
    return {}


def _problems(
    paths: Paths, systemd: Systemd, plans: Sequence[Plan], jobs: Mapping[str, JobResult], since_usec: int
) -> dict[str, Problem]:
    problems = {}
    for plan in plans:
        job = jobs[plan.started]
        if not job.ok:
            problems[plan.module] = diagnose(systemd, plan, job, since_usec=since_usec)
            if job.message:  # refused: systemd has created nothing
                forget_plan(paths, plan.module)
    return problems


def raise_failures(outcomes: Sequence[Outcome]) -> None:
    """StartFailed with every problem of the outcomes; nothing when all went well."""
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    if problems:
        raise StartFailed.of(problems)
