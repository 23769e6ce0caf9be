"""status and list: the short verbs, which import little."""

from __future__ import annotations

import time

from aurora.cli import render
from aurora.cli.behind import tell_behind
from aurora.paths import Paths
from aurora.runtime.records import read_records, require
from aurora.runtime.saferuns import SafeRun, read_safe_run
from aurora.runtime.status import Status, age_sec, read_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import SimpleNamespace

__all__ = ["listing", "status"]

SPARE = ("VERSION", "TASKS", "DISK", "CPU", "SINCE")
"""Columns that a narrow terminal does without, in this order; the full view has them all."""
EXIT_DOWN = 3  # what systemctl status gives for a unit that is not running (LSB)


def status(arguments: SimpleNamespace) -> int:
    """`auroractl status [NAME]`."""
    paths = Paths()
    tell_behind(paths)
    if arguments.name is not None:
        record = require(paths, arguments.name)
        return _one(read_status(paths, [record])[0], as_json=arguments.json)
    records = [record for record in read_records(paths) if record.installed]
    found = read_status(paths, records) if records else []
    if arguments.json:
        render.dump([_document(one) for one in found])
    elif not found:
        render.tell("no module is installed; auroractl install DIR installs one")
    else:
        rows = [_row(one) for one in found]
        head = ("MODULE", "VERSION", "STATE", "SINCE", "MEMORY", "CPU", "TASKS", "DISK", "RESTARTS", "NOTE")
        colours = [_colour(one) for one in found]
        render.emit(render.table(head, rows, colours, columns=render.width(), spare=SPARE))
    return 0 if all(one.up for one in found if one.enabled or one.active == "failed") else EXIT_DOWN


def listing(arguments: SimpleNamespace) -> int:
    """`auroractl list`."""
    paths = Paths()
    tell_behind(paths)
    records = [record for record in read_records(paths) if record.installed]
    if arguments.json:
        keys = ("name", "version", "description", "enabled", "origin")
        render.dump([{key: getattr(record, key) for key in keys} for record in records])
    elif not records:
        render.tell("no module is installed; auroractl install DIR installs one")
    else:
        rows = [(r.name, r.version, "yes" if r.enabled else "no", r.origin, r.description) for r in records]
        head = ("MODULE", "VERSION", "AT BOOT", "FROM", "DESCRIPTION")
        render.emit(render.table(head, rows, columns=render.width(), spare=("FROM", "VERSION")))
    return 0


def _state(one: Status) -> str:
    if one.active == "failed":
        return f"failed ({one.result})"
    if one.scheduled and one.active == "inactive":
        return "waiting"
    return one.sub if one.active in ("active", "activating") else one.active


def _colour(one: Status) -> str | None:
    if one.up:
        return None
    return "dim" if one.active == "inactive" and not one.enabled else "red"


def _notes(one: Status) -> list[str]:
    """What else is to be known; the next run of a schedule first."""
    notes = [f"not enforced: {', '.join(one.unenforced)}"] if one.unenforced else []
    if one.damaged:
        notes.insert(0, f"damaged on disk: {one.damaged}; auroractl update repair {one.name}")
    if one.next_sec > time.time():
        notes.insert(0, f"next run in {render.age(one.next_sec - int(time.time()))}")
    if one.outdated:
        notes.append("runs an older version; auroractl restart " + one.name)
    if not one.enabled:
        notes.append("not started at boot")
    return notes


def _row(one: Status) -> tuple[str, ...]:
    usage = one.usage
    since = render.age(age_sec(one.since_sec)) if one.since_sec else "-"
    tasks = "-" if usage.tasks is None else str(usage.tasks)
    return (
        one.name, one.version, _state(one), since,
        render.memory(usage.memory_bytes, usage.memory_max_bytes) if one.up else "-",
        render.cpu(usage.cpu_usec, usage.cpu_share_usec) if one.up else "-",
        tasks if usage.tasks_max is None else f"{tasks} of {usage.tasks_max}",
        ", ".join(render.memory(space.used_bytes, space.max_bytes) for space in one.disk) or "-",
        str(one.restarts), "; ".join(_notes(one)),
    )  # fmt: skip


def _document(one: Status) -> dict[str, object]:
    document = one._asdict()
    document["usage"] = one.usage._asdict()
    document["disk"] = [disk._asdict() for disk in one.disk]
    document["up"] = one.up
    return document


def _safe(safe: SafeRun) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(safe.when_sec))
    return f"last entered at {at} ({safe.because}), ended {safe.ended}"


def _one(one: Status, *, as_json: bool) -> int:
    # Only the full view reads the journal, which costs a process; the import follows the need.
    from aurora.host.journal import last_failure  # noqa: PLC0415  # see above

    failure = last_failure(one.unit)
    safe = read_safe_run(Paths(), one.name)
    if as_json:
        document = _document(one)
        document["last_failure"] = None if failure is None else failure._asdict()
        document["safe_state"] = None if safe is None else safe._asdict()
        render.dump(document)
        return 0 if one.up else EXIT_DOWN
    usage = one.usage
    dot = render.paint("●", "green" if one.up else "red")
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.since_sec))
    state = f"{one.active} ({one.sub})"
    if one.since_sec:
        state += f" since {when}, {render.age(age_sec(one.since_sec))} ago"
    lines = [("state", state), ("at boot", "yes" if one.enabled else "no"), ("unit", one.unit)]
    if one.main_pid:
        lines.append(("main pid", str(one.main_pid)))
    if one.up:
        lines += [
            ("memory", render.memory(usage.memory_bytes, usage.memory_max_bytes)),
            ("cpu", render.cpu(usage.cpu_usec, usage.cpu_share_usec)),
            ("tasks", f"{usage.tasks} of {usage.tasks_max or 'any number'}"),
        ]
    lines += [(space.directory + " disk", render.memory(space.used_bytes, space.max_bytes)) for space in one.disk]
    lines.append(("restarts", str(one.restarts)))
    if failure is not None:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(failure.realtime_usec / 1_000_000))
        lines.append(("last failure", f"{' '.join((failure.unit_result or failure.message).split())} at {at}"))
    if safe is not None:
        lines.append(("safe state", _safe(safe)))
    lines += [("note", note) for note in _notes(one)]
    title = f"{one.name} {one.version}" + (f" - {one.description}" if one.description else "")
    columns = render.width()
    body = "\n".join(render.cut(f"{label:>14}: {text}", columns) for label, text in lines)
    render.emit(f"{dot} {render.cut(title, None if columns is None else columns - 2)}\n{body}")
    return 0 if one.up else EXIT_DOWN
