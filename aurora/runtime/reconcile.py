"""Steps, done: profiles loaded in one run, starts submitted all at once, a failure explained and taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aurora.emit import apparmor_text, service_properties, slice_properties, timer_properties
from aurora.errors import AuroraError, Problem, StartFailed
from aurora.host.apparmor import Compiled, compile_profiles, load_profiles, unload_profiles
from aurora.host.files import locked
from aurora.host.systemd import ENDED, JobResult, Systemd, Transient
from aurora.identity import installed
from aurora.names import check_unit, incident_unit, profile_name, safe_unit, slice_name, timer_name, unit_name
from aurora.paths import Paths
from aurora.plan import Action, Plan, Step, in_order, reached, turned_round
from aurora.runtime.applied import forget_plan, read_running, remember_plan
from aurora.runtime.diagnosis import diagnose, now_usec
from aurora.runtime.volumes import make_ready, mount_units

__all__ = ["Outcome", "bring_up", "check_lock", "get_ready", "raise_failures", "release", "safe_lock", "take_steps"]

STOP_DEADLINE_SEC = 60.0
RECORD_DEADLINE_SEC = 60.0
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
    paths: Paths,
    systemd: Systemd,
    steps: Sequence[Step],
    *,
    keep_failed: bool,
    loaded: frozenset[str] = frozenset(),
    compiled: Mapping[str, Compiled] | None = None,
) -> list[Outcome]:
    """Do all steps; never raises for a module that does not come up, its outcome says so.

    A replacement that fails is taken back: the plan before is started again. With `keep_failed` a first start that
    fails stays with systemd, which goes on restarting it as the manifest says (that is what boot wants); without
    it, it is released, so that nothing half-made is left. Modules in `loaded` have their unit from the very same plan
    with systemd already: it only has to be started, or restarted. `compiled` is what `get_ready` gave for these steps.
    """
    if compiled is None:
        compiled = get_ready(paths, [step for step in steps if step.module not in loaded])
    moved = _moved(paths, systemd, steps, loaded)
    staying = [step.plan for step in steps if step.module in loaded and step.plan is not None]
    # Of a schedule only the timer is restarted.
    _stop(systemd, [*(safe_unit(plan.module) for plan in staying), *(plan.unit for plan in staying if plan.timer)])
    kept = {step.module for step in steps if step.plan is not None} | {plan.module for plan in moved.back}
    release(paths, systemd, moved.released, coming_back=kept)
    outcomes = [Outcome(step, None) for step in steps if step.plan is None]
    wanted = [step for step in steps if step.plan is not None]
    plans = [step.plan for step in wanted if step.plan is not None]
    failed = bring_up(paths, systemd, plans, loaded=loaded, compiled=compiled)
    for step in wanted:
        problem = failed.get(step.module)
        taken_back = False
        if problem is not None and step.before is not None:
            taken_back = _take_back(paths, systemd, step)
        elif problem is not None and not keep_failed:
            release(paths, systemd, [step.module])
        outcomes.append(Outcome(step, problem, taken_back))
    # One whose requirement is not there again stays down.
    if moved.back:
        bring_up(paths, systemd, moved.back)
    if moved.fallen:
        systemd.start([plan.started for plan in moved.fallen], deadline_sec=_deadline_sec(moved.fallen))
    return outcomes


def get_ready(paths: Paths, steps: Sequence[Step]) -> dict[str, Compiled]:
    """Do what replacements need and what can be done while others run in their place, so that these are down for less:
    their profiles are compiled.

    Never fails: what cannot be done is told when it is tried again.
    """
    plans = [step.plan for step in steps if step.plan is not None and step.action != Action.START]
    texts = {plan.profile: apparmor_text(plan) for plan in plans if plan.profile is not None}
    if texts:
        with suppress(AuroraError):
            return compile_profiles(paths, texts)
    return {}


class _Moved(NamedTuple):
    """What steps do to units, beyond starting those that they name; first what others of them are after."""

    released: list[str]
    """Modules whose units go: for good, or because a name is wanted for another plan.

    A unit that is down holds its name for as long as another refers to it (CollectMode= in systemd.unit(5)), so all
    that are after such a module go with it.
    """
    back: list[Plan]
    """Of these, what no step names and ran: to come up again."""
    fallen: list[Plan]
    """What systemd stops with what it requires, and keeps: to be started again."""


def _moved(paths: Paths, systemd: Systemd, steps: Sequence[Step], loaded: frozenset[str]) -> _Moved:
    here = read_running(paths, systemd, [step.module for step in steps])
    holding = {module for module, now in here.items() if now.loaded}
    gone = [step for step in steps if step.action != Action.START or step.module in holding - loaded]
    if not gone:
        return _Moved([], [], [])
    running = {module: now for module, now in read_running(paths, systemd).items() if now.loaded and now.plan}
    plans = {module: now.plan for module, now in running.items() if now.plan is not None}
    stepped = {step.module for step in steps}
    released = {step.module for step in gone} - loaded
    renewed = {step.module for step in gone if step.plan is not None} - loaded
    dropped = reached(renewed, turned_round({module: plan.after for module, plan in plans.items()})) - stepped
    leaning = reached(
        {step.module for step in gone}, turned_round({module: plan.requires for module, plan in plans.items()})
    )
    order = in_order({module: plan.after for module, plan in plans.items()})
    up = [module for module in order if running[module].active]
    return _Moved(
        released=sorted(released | dropped),
        back=[plans[module] for module in up if module in dropped],
        fallen=[plans[module] for module in up if module in leaning - dropped - stepped],
    )


def _take_back(paths: Paths, systemd: Systemd, step: Step) -> bool:
    undo = step.undo
    release(paths, systemd, [step.module], coming_back=[step.module])
    return undo.plan is not None and not bring_up(paths, systemd, [undo.plan])


def release(paths: Paths, systemd: Systemd, modules: Sequence[str], *, coming_back: Iterable[str] = ()) -> None:
    """Stop modules, their safe states and checks, and make systemd forget their units; then remove their profiles.

    Of those that are `coming_back` the profiles stay, and what AuroraLink's hub goes by. StartFailed when systemd does
    not stop one.
    """
    if not modules:
        return
    # Stopping the slice stops what runs in it, and with the pin gone systemd drops the unit. It goes before the unit:
    # one that is down and pinned is taken for stopped by its owner, should we be killed between the two.
    units = [name(module) for name in (timer_name, slice_name, unit_name) for module in modules]
    _stop(systemd, [*units, *map(safe_unit, modules), *map(check_unit, modules)])
    # While it is written down how a module failed, systemd keeps the module's unit, and its name (seen with 257). What
    # still is there after the deadline, systemd refuses in its own words.
    writing = {incident_unit(module) for module in modules}
    # One question for these and for what failed, most often: modules are down while it is asked.
    failing = [name(module) for name in (timer_name, unit_name) for module in modules]  # a slice never is failed
    rows = systemd.list_units([*failing, *sorted(writing)])
    if any(row.name in writing and row.active not in ENDED for row in rows):
        systemd.wait_ended(sorted(writing), deadline_sec=RECORD_DEADLINE_SEC)
    systemd.reset_failed([row.name for row in rows if row.name in failing and row.active == "failed"])
    kept = set(coming_back)
    for module in modules:
        forget_plan(paths, module, comes_back=module in kept)
        if module not in kept:
            # A safe state or a check that began just now ends before its profile goes: without it, it would be
            # unconfined.
            with locked(safe_lock(paths, module)), locked(check_lock(paths, module)):
                unload_profiles(paths, frozenset({profile_name(module)}))


def safe_lock(paths: Paths, module: str) -> Path:
    """Held while the command of a safe state runs, and while the module's profile is taken away."""
    return paths.safe_decisions / f"{module}.lock"


def check_lock(paths: Paths, module: str) -> Path:
    """The same of a module's check; another one, as a safe state does not wait for a check to end."""
    return paths.safe_decisions / f"{module}.check-lock"


def _stop(systemd: Systemd, units: Sequence[str]) -> None:
    bad = [job for job in systemd.stop(units, deadline_sec=STOP_DEADLINE_SEC).values() if not job.ok] if units else []
    if bad:
        raise StartFailed(
            "stop a module", f"systemd ended the job with {bad[0].result} {bad[0].message}", where=bad[0].unit
        )


def transient(systemd: Systemd, plan: Plan) -> Transient:
    """The call that gives the plan to systemd."""
    service = service_properties(plan)
    return Transient(
        unit=plan.started,
        properties=timer_properties(plan) if plan.timer else service,
        pin=plan.slice,
        pin_properties=slice_properties(plan),
        beside=[*([(plan.unit, service)] if plan.timer else []), *mount_units(systemd, plan)],
    )


def bring_up(
    paths: Paths,
    systemd: Systemd,
    plans: Sequence[Plan],
    *,
    loaded: frozenset[str] = frozenset(),
    compiled: Mapping[str, Compiled] | None = None,
) -> dict[str, Problem]:
    """Load the profiles, submit every start, wait for all; the problem of each module that did not come up."""
    failed = _without_secrets(plans)
    failed |= _without_room(paths, systemd, [p for p in plans if p.module not in failed and p.module not in loaded])
    failed |= _load(paths, [plan for plan in plans if plan.module not in failed], compiled or {})
    ready = {plan.module: plan for plan in plans if plan.module not in failed}
    if not ready:
        return failed
    # systemd takes a requirement only for a unit that it knows, so what others are after is submitted first.
    plans = [ready[module] for module in in_order({module: plan.after for module, plan in ready.items()})]
    since_usec = now_usec()
    for plan in plans:
        remember_plan(paths, plan)
    deadline_sec = _deadline_sec(plans)
    fresh = [transient(systemd, plan) for plan in plans if plan.module not in loaded]
    known = [plan.started for plan in plans if plan.module in loaded]
    jobs = {
        **(systemd.start_transient(fresh, deadline_sec=deadline_sec) if fresh else {}),
        # In one call: a kill between stopping and starting would leave it down, as if its owner had stopped it.
        **(systemd.restart(known, deadline_sec=deadline_sec) if known else {}),
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


def _without_room(paths: Paths, systemd: Systemd, plans: Sequence[Plan]) -> dict[str, Problem]:
    """Make the volumes; the problem of each module that does not get the directories it was promised."""
    problems = {}
    for plan in plans:
        try:
            make_ready(paths, systemd, plan, installed(plan.module).directory)
        except AuroraError as error:
            problems[plan.module] = error.problems[0]
    return problems


def _load(paths: Paths, plans: Sequence[Plan], compiled: Mapping[str, Compiled]) -> dict[str, Problem]:
    """Load the plans' profiles; the problem of each module whose own cannot be loaded."""
    texts = {plan.module: {plan.profile: apparmor_text(plan)} for plan in plans if plan.profile is not None}
    try:
        load_profiles(paths, {name: text for one in texts.values() for name, text in one.items()}, compiled)
    except AuroraError as error:
        if len(texts) == 1:
            return dict.fromkeys(texts, error.problems[0])
        # One that the parser refuses must not keep the others from theirs.
        return {module: problem for plan in plans for module, problem in _load(paths, [plan], compiled).items()}
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
                forget_plan(paths, plan.module, comes_back=True)  # else whoever asked for it has it released
    return problems


def raise_failures(outcomes: Sequence[Outcome]) -> None:
    """StartFailed with every problem of the outcomes; nothing when all went well."""
    problems = [outcome.problem for outcome in outcomes if outcome.problem is not None]
    if problems:
        raise StartFailed.of(problems)
