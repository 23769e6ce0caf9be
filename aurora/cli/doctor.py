"""doctor: what this machine can enforce, and whether each declared thing is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import SimpleNamespace

from aurora.cli import render
from aurora.host.dbus import connect
from aurora.host.survey import read_survey
from aurora.paths import Paths
from aurora.policy import SIGNATURES_OFF, SIGNATURES_REQUIRED, SIGNATURES_WARN
from aurora.runtime.abilities import Ability, abilities
from aurora.runtime.doctor import Examined, examine
from aurora.runtime.folders import Planner, owner_settings
from aurora.runtime.records import read_records, require
from aurora.runtime.verdict import Row, Verdict

__all__ = ["EXIT_NOT_AS_DECLARED", "doctor"]

EXIT_NOT_AS_DECLARED = 1


def doctor(arguments: SimpleNamespace) -> int:
    """`auroractl doctor [NAME…]`."""
    paths = Paths()
    names = list(dict.fromkeys(arguments.names or ()))
    records = [require(paths, name) for name in names] or [one for one in read_records(paths) if one.installed]
    survey = read_survey(paths)
    machine = abilities(survey, Planner(paths).facts)
    signatures = owner_settings(paths).signatures
    modules = examine(paths, connect(), records) if records else []
    good = all(module.good for module in modules)
    unread = any(row.verdict is Verdict.NOT_READ for module in modules for row in module.rows)
    if arguments.json:
        render.dump(_document(machine, modules, signatures, good=good))
    else:
        if not names:
            render.emit(_machine(machine))
            render.emit(f"signatures of packages: {_SIGNATURES[signatures]}")
        for module in modules:
            render.emit("\n" * (not names or module is not modules[0]) + _module(module, every=bool(names)))
    if unread and os.geteuid() != 0:
        render.tell("auroractl: some of it only root may read; sudo auroractl doctor reads it all")
    return 0 if good else EXIT_NOT_AS_DECLARED


def _document(
    machine: Sequence[Ability], modules: Sequence[Examined], signatures: str, *, good: bool
) -> dict[str, object]:
    return {
        "as_declared": good,
        "signatures": signatures,
        "machine": [ability._asdict() for ability in machine],
        "modules": [
            {
                "name": module.name,
                "state": module.state,
                "as_declared": module.good,
                "rows": [row._asdict() for row in module.rows],
            }
            for module in modules
        ],
    }


_SIGNATURES = {
    SIGNATURES_REQUIRED: "required; one that is not accepted is refused (core.toml)",
    SIGNATURES_WARN: "warn; one that is not accepted is told, and taken (core.toml)",
    SIGNATURES_OFF: 'off; signatures = "required" in /etc/aurora/core.toml refuses packages that are not signed',
}
_ABLE = {True: "yes", False: "no", None: "not known"}


def _machine(machine: Sequence[Ability]) -> str:
    rows = [(one.name, _ABLE[one.able] + (", accepted" if one.accepted and not one.able else ""), one.found)
            for one in machine]  # fmt: skip
    colours = [None if one.able else "yellow" if one.able is None or one.accepted else "red" for one in machine]
    lines = [render.table(("THIS MACHINE", "", "FOUND IN"), rows, colours)]
    for one in machine:
        if not one.able and one.remedy:
            lines.append(f"{one.name}: {one.means}.\n  to change it: {one.remedy}\n")
    return "\n".join(lines)


def _module(module: Examined, *, every: bool) -> str:
    """The rows that are not as declared; with `every` all."""
    bad = [row for row in module.rows if not row.good]
    unread = sum(row.verdict is Verdict.NOT_READ for row in bad)
    count = len(module.rows)
    state = "" if module.state == "active" else f" ({module.state})"
    if bad:
        said = [f"{len(bad) - unread} of {count} are not as declared"] if len(bad) > unread else []
        said += [f"{unread} of {count} could not be read"] if unread else []
        title = render.paint(f"{module.name}{state}: {', '.join(said)}", "red")
    elif all(row.verdict is Verdict.ENFORCED for row in module.rows):
        title = f"{module.name}{state}: all {count} are enforced"
    else:
        title = f"{module.name}{state}: nothing of it runs; {count} are declared"
    shown = module.rows if every else bad
    if not shown:
        return title
    return f"{title}\n{render.table(_HEAD, [_cells(row) for row in shown], [_colour(row) for row in shown])}"


_HEAD = ("DECLARED", "VALUE", "VERDICT", "EFFECTIVE", "READ FROM")
_CELL_MAX_CHARS = 40


def _cells(row: Row) -> tuple[str, ...]:
    verdict = row.verdict.value + (f": {row.why}" if row.why else "")
    return row.name, _short(row.declared), verdict, _short(row.effective), row.source


def _short(text: str) -> str:
    return text if len(text) <= _CELL_MAX_CHARS else text[: _CELL_MAX_CHARS - 1] + "…"


def _colour(row: Row) -> str | None:
    if row.good:
        return None
    return "yellow" if row.verdict is Verdict.NOT_READ else "red"
