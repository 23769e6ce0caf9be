"""update: new versions of modules, tried and taken back."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from operator import itemgetter
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.core import apply, take_in
from aurora.cli.core_update import document, history_document, history_row, lines, read_core
from aurora.cli.install import through_apt
from aurora.cli.sources import open_sources
from aurora.cli.span import span
from aurora.errors import AuroraError, Refused, UsageError
from aurora.host.caller import end_by_interrupt, require_root
from aurora.host.dbus import connect
from aurora.link.client import ANSWER_SEC
from aurora.link.client import connect as connect_link
from aurora.link.witness import LinkWitness
from aurora.paths import Paths
from aurora.plan.update import End, Move, Transaction
from aurora.quantity import format_duration, format_size
from aurora.runtime import update as updating
from aurora.runtime.folders import folder_digest, read_module
from aurora.runtime.missed import durable_topics
from aurora.runtime.packages import behind
from aurora.runtime.records import Origin, Record, read_records, require
from aurora.runtime.updates import Known, open_transaction, read_known, read_transactions
from aurora.runtime.windows import opening_sec, waiting

__all__ = ["confirm", "history", "hold", "rollback", "status", "unhold", "update"]

WINDOW_MAX_USEC = 86_400_000_000


def update(arguments: SimpleNamespace) -> int:
    """`auroractl update apply DIR|DEB|URL…`."""
    require_root("update modules")
    if not arguments.sources:
        return _take_in_waiting(arguments)
    opens_sec = opening_sec(Paths())
    if opens_sec is not None and not arguments.now:
        why = f"no window of their owner's is open until {render.moment(opens_sec)}"
        raise Refused("update modules", why, where=str(Paths().owner_core), remedy="--now")
    window_usec = (
        span(arguments.window, "--window", example="60s", most_usec=WINDOW_MAX_USEC)
        if arguments.window is not None
        else None
    )
    with ExitStack() as opened:
        end_by_interrupt()  # what was opened is tidied up then, too
        sources, packages = open_sources(Paths(), opened, arguments.sources)
        one = updating.update(
            Paths(),
            connect(),
            sources,
            accept=arguments.accept,
            window_usec=window_usec,
            tell=render.tell,
            packages=lambda: _installed(packages),
            witness=_witness(),
        )
    _follow_packages(one)
    if one is None:
        if arguments.json:
            render.dump(None)
        render.tell("these versions are active already")
        return 0
    return _ended(one, as_json=arguments.json)


def _witness() -> LinkWitness:
    """Who counts what modules miss on AuroraLink."""
    return LinkWitness(lambda: durable_topics(Paths()), lambda: connect_link(timeout_sec=ANSWER_SEC))


def _take_in_waiting(arguments: SimpleNamespace) -> int:
    """What apt brought and waits for a window, at once and as apt would have had it."""
    if not arguments.now or arguments.accept or arguments.window is not None:
        raise UsageError("update modules", "there is none named", remedy="auroractl update apply DIR|DEB|URL, or --now")
    names, _ = waiting(Paths())
    if names:
        return take_in(names, as_json=arguments.json)
    if arguments.json:
        render.dump(None)
    render.tell("nothing waits for a window")
    return 0


def _installed(packages: Sequence[str]) -> None:
    """Have apt install the packages, to its end: killed amid that, it would leave them half installed."""
    if not packages:
        return
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, _frame: came.append(number)) for number in numbers}
    try:
        through_apt(packages)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


def _follow_packages(one: Transaction | None) -> None:
    """Do what apt's trigger left undone: while modules are updated, it leaves them as they are."""
    if one is not None and behind(Paths(), one.modules):
        render.tell("meanwhile apt has changed a package of these")
        apply(SimpleNamespace(json=False))


def rollback(arguments: SimpleNamespace) -> int:
    """`auroractl update rollback NAME`."""
    require_root("roll back a module")
    end_by_interrupt()
    one = updating.roll_back(Paths(), connect(), arguments.name, tell=render.tell, witness=_witness())
    _follow_packages(one)
    if one is None:
        render.tell(f"the command that tries {arguments.name} rolls it back")
        if arguments.json:
            render.dump(None)
        return 0
    if arguments.name in one.modules and one.end in (End.ROLLED_BACK, End.NOT_WELL) and one.kind == "update":
        _report(one, as_json=arguments.json)  # that was what was asked for
        return 0 if one.end is End.ROLLED_BACK else os.EX_SOFTWARE
    return _ended(one, as_json=arguments.json)


def confirm(arguments: SimpleNamespace) -> int:
    """`auroractl update confirm NAME`."""
    require_root("confirm a version")
    one = updating.confirm(Paths(), arguments.name)
    if arguments.json:
        render.dump(_document(one))
    for move in one.moves:
        render.tell(f"{move.module} {move.after.version} is confirmed")
    return 0


def hold(arguments: SimpleNamespace) -> int:
    """`auroractl update hold NAME…`."""
    return _hold(arguments, held=True)


def unhold(arguments: SimpleNamespace) -> int:
    """`auroractl update unhold NAME…`."""
    return _hold(arguments, held=False)


def _hold(arguments: SimpleNamespace, *, held: bool) -> int:
    for name in arguments.names:
        require(Paths(), name)  # all or none
    changed = {name: updating.hold(Paths(), name, held=held) for name in dict.fromkeys(arguments.names)}
    if arguments.json:
        render.dump([{"module": name, "held": held, "changed": change} for name, change in changed.items()])
    word = "is held" if held else "is not held"
    for name, change in changed.items():
        render.tell(f"{name} {word}" + ("" if change else ", as before"))
    return 0


def status(arguments: SimpleNamespace) -> int:
    """`auroractl update status [NAME]`."""
    paths = Paths()
    if arguments.name is not None:
        require(paths, arguments.name)
    records = [one for one in read_records(paths) if one.installed and arguments.name in (None, one.name)]
    one = open_transaction(paths)
    rows = [(record, read_known(paths, record.name), _package_version(paths, record)) for record in records]
    wait, opens_sec = _waiting(paths, records)
    core = read_core(paths)
    for problem in core.problems:
        render.tell(f"auroractl: {problem}")
    if arguments.json:
        modules = [
            {**_known_document(record, known, package), "waits_until_sec": opens_sec if record.name in wait else None}
            for record, known, package in rows
        ]
        opened = None if one is None else _document(one)
        render.dump({"open": opened, "modules": modules, "core": document(core)})
        return 0
    for line in lines(core):
        render.emit(line)
    if one is not None:
        render.emit(f"{', '.join(one.modules)}: {one.state} since {_when(one.begun_usec)}")
    if wait:
        render.emit(f"{', '.join(wait)}: wait until {render.moment(opens_sec)} (auroractl update apply --now)")
    table = [
        (
            record.name,
            record.version,
            package or "-",
            known.previous.version if known.previous is not None else "-",
            "held" if known.held else "",
            ", ".join(refused.version for refused in known.refused) or "-",
        )
        for record, known, package in rows
    ]
    head = ("MODULE", "ACTIVE", "PACKAGE", "BEFORE", "HELD", "REFUSED")
    render.emit(render.table(head, table, columns=render.width(), spare=("BEFORE",)))
    return 0


def _waiting(paths: Paths, records: Sequence[Record]) -> tuple[list[str], int]:
    """Those that wait for a window, and until when; settings that are wrong keep nothing else from being shown."""
    try:
        names, opens_sec = waiting(paths)
    except AuroraError as error:
        for problem in error.problems:
            render.tell(f"auroractl: {problem}")
        return [], 0
    return [record.name for record in records if record.name in names], opens_sec


def _package_version(paths: Paths, record: Record) -> str:
    """The version that dpkg has, where that is not the active one; empty otherwise."""
    folder = paths.package_modules / record.name
    if record.origin != Origin.PACKAGE or not folder.is_dir():
        return ""
    try:
        return "" if folder_digest(folder) == record.source_digest else read_module(folder).version
    except AuroraError:
        return "unreadable"


def _known_document(record: Record, known: Known, package: str) -> dict[str, object]:
    return {
        "module": record.name,
        "active": record.version,
        "package": package or None,
        "previous": None if known.previous is None else known.previous.version,
        "held": known.held,
        "refused": [
            {"version": one.version, "why": one.why, "when_usec": one.when_usec, "digest": one.digest}
            for one in known.refused
        ],
    }


def history(arguments: SimpleNamespace) -> int:
    """`auroractl update history [NAME]`."""
    found, problems = read_transactions(Paths())
    rows = [one for one in found if not one.open and arguments.name in (None, *one.modules)]
    core = read_core(Paths()).ended if arguments.name is None else []
    if arguments.json:
        by_time = [(one.begun_usec, _document(one)) for one in rows]
        by_time += [(one.begun_sec * 1_000_000, history_document(one)) for one in core]
        render.dump([row for _, row in sorted(by_time, key=itemgetter(0))])
    elif not rows and not core:
        render.tell("nothing was updated")
    else:
        shown = [(one.begun_usec, row) for one in rows for row in _rows(one)]
        shown += [(one.begun_sec * 1_000_000, history_row(one)) for one in core]
        in_order = [row for _, row in sorted(shown, key=itemgetter(0))]
        render.emit(render.table(_HEAD, in_order, columns=render.width(), spare=("SIGNED BY", "WRITTEN")))
    for problem in problems:
        render.tell(f"auroractl: {problem}")
    return 0


_HEAD = ("WHEN", "MODULE", "FROM", "TO", "DOWN", "LOST", "WRITTEN", "SIGNED BY", "ENDED")


def _rows(one: Transaction) -> list[tuple[str, ...]]:
    return [
        (
            _when(one.begun_usec),
            move.module,
            move.before.version,
            move.after.version,
            f"{one.down_usec // 1000}ms" if move.up else "-",
            _lost(move),
            format_size(move.written_bytes, exact=False),
            ", ".join(move.signed_by) or "-",
            one.end + (f": {one.why.splitlines()[0]}" if one.why else ""),
        )
        for move in one.moves
    ]


def _lost(move: Move) -> str:
    if not move.up:
        return "-"
    return "unknown" if move.messages_lost is None else str(move.messages_lost)


def _when(usec: int) -> str:
    return render.moment(usec / 1_000_000)


def _document(one: Transaction) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": one.kind,
        "state": one.state,
        "end": one.end or None,
        "why": one.why or None,
        "begun_usec": one.begun_usec,
        "ended_usec": one.ended_usec or None,
        "window_usec": one.window_usec,
        "downtime_ms": one.down_usec // 1000,
        "modules": [
            {
                "module": move.module,
                "from": move.before.version,
                "to": move.after.version,
                "written_bytes": move.written_bytes,
                "permissions": list(move.permissions),
                "signed_by": list(move.signed_by),
                "messages_lost": move.messages_lost,
                "was_up": move.up,
            }
            for move in one.moves
        ],
    }


def _ended(one: Transaction, *, as_json: bool) -> int:
    _report(one, as_json=as_json)
    return 0 if one.end is End.UPDATED else os.EX_SOFTWARE


def _report(one: Transaction, *, as_json: bool) -> None:
    if as_json:
        render.dump(_document(one))
    for move in one.moves:
        lost = f", {_lost_words(move.messages_lost)}" if move.up else ""
        if one.end is End.UPDATED:
            looked = f", looked at for {format_duration(one.window_usec)}" if move.up and one.window_usec else ""
            down = f", down for {one.down_usec // 1000} ms" if move.up else ", which is down"
            signed = f", signed by {', '.join(move.signed_by)}" if move.signed_by else ""
            render.tell(
                f"{move.module} {move.before.version} is now {move.after.version}{down}{lost}{looked},"
                f" {format_size(move.written_bytes, exact=False)} written{signed}"
            )
        else:
            render.tell(f"{move.module} is {move.before.version} as before: {move.after.version} was {one.end}{lost}")
    if one.why:
        render.tell(f"why: {one.why}")


def _lost_words(count: int | None) -> str:
    if count is None:
        return "messages lost unknown"
    return f"{count or 'no'} message{'' if count in (0, 1) else 's'} lost"
