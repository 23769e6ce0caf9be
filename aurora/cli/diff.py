"""diff: what a version of a module would newly be able to do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.cli.author import opened_source, trial
from aurora.directives import SANDBOX
from aurora.errors import UsageError
from aurora.paths import Paths
from aurora.plan.permissions import Change, Effect, Permitted, compare_permissions
from aurora.runtime.folders import Planner, owner_file, read_module
from aurora.runtime.permitted import permitted, permitted_now
from aurora.runtime.records import read_record, require

__all__ = ["diff"]

EXIT_MORE = 1
_TITLE = {Effect.MORE: "May newly", Effect.LESS: "May no more", Effect.OTHER: "Changes otherwise"}


def diff(arguments: SimpleNamespace) -> int:
    """`auroractl diff DIR|DEB|NAME [OTHER]`."""
    planner = Planner(Paths())
    after = _permitted(planner, arguments.subject)
    name = after.manifest.name
    before = _permitted(planner, arguments.other) if arguments.other else _installed(planner, name)
    if before.manifest.name != name:
        raise UsageError(
            "compare two modules", f"one is {before.manifest.name} and one is {name}", remedy="two versions of one"
        )
    found = compare_permissions(before, after)
    more = any(change.effect is Effect.MORE for change in found)
    if arguments.json:
        render.dump(
            {
                "module": name,
                "before": before.manifest.version,
                "after": after.manifest.version,
                "grows": more,
                "changes": [change.to_json() for change in found],
            }
        )
    else:
        render.emit(_text(name, before.manifest.version, after.manifest.version, found))
    return EXIT_MORE if more else 0


def _permitted(planner: Planner, text: str) -> Permitted:
    if not text.endswith(".deb") and "/" not in text and (read_record(Paths(), text) or not Path(text).is_dir()):
        return _installed(planner, text)
    with opened_source(text) as folder:
        name = read_module(folder, shown=text).name
        manifest = read_module(folder, shown=text, owner=owner_file(Paths(), name))
        return permitted(planner, manifest, trial(planner, manifest, text))


def _installed(planner: Planner, name: str) -> Permitted:
    return permitted_now(Paths(), planner, require(Paths(), name))


def _text(module: str, before: str, after: str, found: tuple[Change, ...]) -> str:
    if not found:
        return f"{module} {after} may do what {module} {before} may do, and is the same otherwise"
    lines = [f"{module} {before} becomes {after}"]
    for effect, title in _TITLE.items():
        rows = [change for change in found if change.effect is effect]
        lines += [f"{title}:"] if rows else []
        # What the owner decides on first, then by which directives and rules it comes about.
        rows.sort(key=lambda change: change.subject in SANDBOX or change.subject == "AppArmor rule")
        for change in rows:
            name = f" ({change.after or change.before})" if change.subject == "grant" else ""
            lines.append(f"  {change.words}{name}")
    return "\n".join(lines)
