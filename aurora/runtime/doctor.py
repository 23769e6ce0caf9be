"""Declared against effective: reads the machine for each module, and gives a row for each declared thing."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from aurora.directives import DIRECTIVES, Directive, Kind, Value
from aurora.errors import AuroraError, HostError
from aurora.host.apparmor import is_as_compiled
from aurora.host.bpf import Attach
from aurora.host.calendar import normalized
from aurora.host.observe import (
    numbers_of,
    read_cgroup,
    read_drop_ins,
    read_loops,
    read_process,
    read_programs,
    real_places,
)
from aurora.host.syscalls import read_groups
from aurora.host.systemd import Systemd
from aurora.identity import installed
from aurora.names import profile_name
from aurora.paths import Paths
from aurora.plan import FEATURE_OF, Feature, Plan
from aurora.runtime.applied import applied_link, applied_plan
from aurora.runtime.budgets import budget_rows, lacking_rows
from aurora.runtime.control import plan_of
from aurora.runtime.damage import Checked, active_slot, check
from aurora.runtime.folders import Planner
from aurora.runtime.held import SyscallGroups, compare, read_signature, text_of
from aurora.runtime.kernel import HELD_AROUND, KERNEL
from aurora.runtime.linked import link_rows
from aurora.runtime.mounted import MOUNTED
from aurora.runtime.readback import Readback
from aurora.runtime.records import Record
from aurora.runtime.verdict import SYSTEMD, Held, Row, Verdict, assigned, judge, setter

__all__ = ["Examined", "examine", "rows_of", "staged_row"]

READ_TRIES = 3
"""A module that restarts while it is being read is read again, so often."""
_PLACES = ("InaccessiblePaths", "BindReadOnlyPaths", "TemporaryFileSystem")
_ALWAYS_LOOKED_AT = ("/home", "/root", "/usr", "/boot", "/etc")


class Examined(NamedTuple):
    """One module, examined."""

    name: str
    state: str
    """ActiveState of its unit; `not loaded` when systemd does not know it."""
    rows: tuple[Row, ...]

    @property
    def good(self) -> bool:
        """Whether nothing is other than declared."""
        return all(row.good for row in self.rows)


def examine(paths: Paths, systemd: Systemd, records: Sequence[Record]) -> list[Examined]:
    """Every record's module, in turn. Never changes anything."""
    loaded = {row.name for row in systemd.list_units(["aurora@*.service"]) if row.load != "not-found"}
    planner = Planner(paths)
    weights_work = Feature.IO_WEIGHT in planner.facts.features
    groups = read_groups()
    found = []
    for record in records:
        staged = staged_row(paths, check(paths, active_slot(record)))
        unit = installed(record.name).unit
        plan = applied_plan(paths, record.name) if unit in loaded else None
        if plan is not None:
            evidence = _read(paths, systemd, plan, weights_work=weights_work)
            found.append(Examined(record.name, evidence.active, (*rows_of(evidence, groups), staged)))
        elif unit in loaded:
            found.append(Examined(record.name, "loaded", (_no_plan(), staged)))
        else:
            found.append(Examined(record.name, "not loaded", (*_not_loaded(paths, planner, record), staged)))
    return found


def staged_row(paths: Paths, checked: Checked) -> Row:
    """Whether the active slot is on disk as it was staged."""
    slot = checked.slot
    declared = f"as staged, slot {slot.slot}"
    folder = slot.folder(paths)
    if not checked.damages:
        return Row("files", declared, declared, Verdict.ENFORCED, "", folder)
    why = f"{checked.words}; auroractl update repair {slot.module} mends it"
    return Row("files", declared, f"{len(checked.damages)} damaged", Verdict.NOT_ENFORCED, why, folder)


def _no_plan() -> Row:
    why = "what it was started from is not known any more; auroractl restart brings it back"
    return Row("plan", "", "", Verdict.NOT_READ, why, "")


def _not_loaded(paths: Paths, planner: Planner, record: Record) -> tuple[Row, ...]:
    """A module that systemd does not know: what its plan declares, or why it has none."""
    try:
        plan = plan_of(paths, planner, record)
    except AuroraError as error:
        return tuple(
            Row("start", "", "refused", Verdict.NOT_ENFORCED, f"{problem.why}; try {problem.remedy}", problem.where)
            for problem in error.problems
        )
    rows = []
    for name, value in sorted({**plan.timer, **plan.settings}.items()):
        lacking = _lacking(plan, name)
        verdict = Verdict.NOT_ENFORCED if lacking else Verdict.NOT_RUNNING
        why = f"this machine lacks {lacking}, which its owner accepts" if lacking else ""
        rows.append(Row(name, _declared(DIRECTIVES[name], value), "", verdict, why, ""))
    return (*rows, *lacking_rows(plan))


def _lacking(plan: Plan, name: str) -> str:
    feature = FEATURE_OF.get(name)
    return feature.value if feature is not None and feature in plan.unenforced else ""


# Reading


def _read(paths: Paths, systemd: Systemd, plan: Plan, *, weights_work: bool) -> Readback:
    for _ in range(READ_TRIES):
        pid = _number(_get(systemd, plan.unit, "Service", "MainPID", "u"))
        evidence = _read_once(paths, systemd, plan, pid, weights_work=weights_work)
        if _number(_get(systemd, plan.unit, "Service", "MainPID", "u")) == pid:
            break
    return evidence


def _programs(paths: Paths, group: str) -> dict[Attach, int | None]:
    """Those of the unit; for ports those of the unit or of the slice around it (`runtime.ports`)."""
    own, around = read_programs(paths, group), read_programs(paths, group.rpartition("/")[0])
    for kind in HELD_AROUND:
        counts = (own[kind], around[kind])
        own[kind] = None if None in counts else max(count for count in counts if count is not None)
    return own


def _read_once(paths: Paths, systemd: Systemd, plan: Plan, pid: int, *, weights_work: bool) -> Readback:
    group = str(_get(systemd, plan.unit, "Service", "ControlGroup", "s") or "")
    words = plan.settings.get("SupplementaryGroups", ())
    named = [str(plan.settings.get("User", "")), *(words if isinstance(words, tuple) else ())]
    process = read_process(paths, pid) if pid else None
    as_compiled = is_as_compiled(paths, profile_name(plan.module)) if plan.profile is not None else None
    return Readback(
        plan=plan,
        active=str(_get(systemd, plan.unit, "Unit", "ActiveState", "s") or ""),
        process=process,
        first=read_process(paths, 1),
        group=group,
        cgroup=read_cgroup(paths, group) if pid and group else {},
        programs=_programs(paths, group) if pid and group else {},
        held=_held(systemd, plan.unit, plan.settings),
        drop_ins=_drop_ins(paths, systemd, plan.unit),
        users=numbers_of(paths, named),
        places=real_places(paths, [*_ALWAYS_LOOKED_AT, *_paths_in(plan)]),
        profile_differs=None if as_compiled is None else not as_compiled,
        weights_work=weights_work,
        timer_held=_held(systemd, plan.started, plan.timer),
        timer_drop_ins=_drop_ins(paths, systemd, plan.started) if plan.timer else {},
        timer_active=bool(plan.timer) and _get(systemd, plan.started, "Unit", "ActiveState", "s") == "active",
        calendar=normalized(str(plan.timer["OnCalendar"])) if "OnCalendar" in plan.timer else None,
        volume_states={
            volume.unit: str(_get(systemd, volume.unit, "Unit", "ActiveState", "s") or "") for volume in plan.volumes
        },
        loops=read_loops(paths, process.mounts or ()) if process is not None else {},
        link_held=applied_link(paths, plan.module),
        stale=_get(systemd, plan.unit, "Unit", "NeedDaemonReload", "b") is True,
        page_bytes=mmap.PAGESIZE,
    )


def _drop_ins(paths: Paths, systemd: Systemd, unit: str) -> dict[str, dict[str, str]]:
    files = _get(systemd, unit, "Unit", "DropInPaths", "as")
    texts = read_drop_ins(paths, [str(file) for file in files] if isinstance(files, list) else [])
    return {file: assigned(text) for file, text in texts.items()}


def _held(systemd: Systemd, unit: str, names: Iterable[str]) -> dict[str, object]:
    found = {}
    for name in names:
        row = DIRECTIVES[name]
        value = _get(systemd, unit, row.section, row.property, read_signature(row.kind))
        if value is not None:
            found[name] = value
    return found


def _get(systemd: Systemd, unit: str, interface: str, prop: str, signature: str) -> object:
    try:
        return systemd.get(unit, interface, prop, signature)
    except HostError:
        return None


def _paths_in(plan: Plan) -> list[str]:
    values = [plan.settings.get(name, ()) for name in _PLACES]
    return [word.lstrip("-+") for value in values if isinstance(value, tuple) for word in value]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


# Rows


def rows_of(evidence: Readback, groups: SyscallGroups | None) -> Iterator[Row]:
    """A row for each directive of the plan, then one for each that a drop-in adds. Pure."""
    plan = evidence.plan
    for name in sorted(plan.settings):
        yield _row(evidence, groups, name, plan.settings[name])
    if plan.profile is None:
        lacking = _lacking(plan, "AppArmorProfile")
        yield judge("AppArmorProfile", profile_name(plan.module), None, Held(None, "none"),
                    running=evidence.running, lacking=lacking or Feature.APPARMOR.value)  # fmt: skip
    yield from budget_rows(evidence)
    yield from link_rows(evidence)
    yield from _timer_rows(evidence)
    yield from _added(evidence.drop_ins, plan.settings)
    yield from _added(evidence.timer_drop_ins, plan.timer)
    if evidence.stale:
        why = "files of the unit have changed since systemd read them; systemctl daemon-reload, then doctor again"
        yield Row("unit files", "", "", Verdict.NOT_READ, why, SYSTEMD)


def _row(evidence: Readback, groups: SyscallGroups | None, name: str, value: Value) -> Row:
    row = DIRECTIVES[name]
    check = MOUNTED.get(name) or KERNEL.get(name)
    # What is declared to be off cannot be seen to be on.
    seen = check(value, evidence) if check is not None and evidence.running and value is not False else None
    return judge(
        name,
        _declared(row, value),
        seen,
        _held_of(row, value, evidence, groups),
        running=evidence.running,
        lacking=_lacking(evidence.plan, name),
        drop_in=setter(evidence.drop_ins, name),
    )


def _held_of(row: Directive, value: Value, evidence: Readback, groups: SyscallGroups | None) -> Held:
    held = compare(row, value, evidence.held.get(row.name), groups=groups)
    if held.ok and row.kind in (Kind.SYSCALLS, Kind.CAPABILITIES) and setter(evidence.drop_ins, row.name):
        # Fewer than declared is let pass where systemd itself takes some away, and not where a drop-in may have.
        held = held._replace(ok=False)
    if row.name == "Environment":
        words = evidence.held.get(row.name)
        held = held._replace(shown=f"{len(words) if isinstance(words, list) else 'no'} variables")
    return held


def _declared(row: Directive, value: Value) -> str:
    if row.name == "Environment" and isinstance(value, tuple):
        return f"{len(value)} variables"  # their values are of no interest here
    return text_of(row.kind, value)


def _timer_rows(evidence: Readback) -> Iterator[Row]:
    """What the plan's timer declares: systemd alone holds it, and only while the timer is up."""
    for name, value in sorted(evidence.plan.timer.items()):
        row = DIRECTIVES[name]
        expected = evidence.calendar if row.kind is Kind.CALENDAR else value
        held = compare(row, expected, evidence.timer_held.get(name)) if expected is not None else Held(None, "")
        yield judge(
            f"{evidence.plan.started} {name}" if name in evidence.plan.settings else name,
            text_of(row.kind, value),
            None,
            held,
            running=evidence.timer_active,
            drop_in=setter(evidence.timer_drop_ins, name),
        )


def _added(drop_ins: Mapping[str, Mapping[str, str]], declared: Mapping[str, Value]) -> Iterator[Row]:
    """What drop-ins set that no plan declares: it may open what the plan closes."""
    names = {name for settings in drop_ins.values() for name in settings}
    for name in sorted(names - declared.keys()):
        file = setter(drop_ins, name)
        value = drop_ins[file][name]
        yield Row(name, "", value, Verdict.OVERRIDDEN, f"by {file}, which adds it", file, file)
