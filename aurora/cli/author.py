"""new, check, plan and pack: for those who write modules. None of them changes the machine."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.emit import apparmor_text, mount_text, timer_text, unit_text
from aurora.errors import NotFound, Refused, UsageError
from aurora.identity import installed
from aurora.manifest import Manifest, Schedule, to_json
from aurora.names import NAME_RULE, is_module_name
from aurora.paths import Paths
from aurora.plan import Plan
from aurora.plan.permissions import link_words, wait_words
from aurora.policy import Reach, reach
from aurora.quantity import format_duration, format_score, format_share, format_size
from aurora.runtime.author import make_module
from aurora.runtime.control import plan_of
from aurora.runtime.folders import Exposure, Planner, owner_file, read_module
from aurora.runtime.records import read_record, require
from aurora.update.build import build_package
from aurora.update.package import package_content
from aurora.update.unpack import unpacked

__all__ = ["check", "new", "opened_source", "pack", "plan", "trial"]


def new(arguments: SimpleNamespace) -> int:
    """`auroractl new NAME`."""
    if not is_module_name(arguments.name):
        raise UsageError("name a module " + repr(arguments.name), f"a name is {NAME_RULE}", remedy="another name")
    folder = make_module(Paths().template, Path(arguments.parent), arguments.name)
    render.tell(f"made {folder}; sudo auroractl run {folder} runs it here, sudo auroractl install {folder} installs it")
    return 0


def check(arguments: SimpleNamespace) -> int:
    """`auroractl check DIR|DEB`."""
    with opened_source(arguments.source) as folder:
        manifest = read_module(folder, shown=arguments.source)
        planner = Planner(Paths())
        made = trial(planner, manifest, arguments.source)
        exposure = planner.exposure(manifest, made, file=arguments.source)
    found = reach(planner.policy(manifest), planner.granted(manifest))
    if arguments.json:
        render.dump(
            {
                "problems": [],
                "manifest": to_json(manifest),
                "unenforced": list(made.unenforced),
                "beyond_default": {"does": dict(found.does), "reads": list(found.reads), "writes": list(found.writes)},
                "exposure": {
                    "score": format_score(exposure.score_tenths),
                    "policy": format_score(exposure.policy_tenths),
                    "grants": {name: _signed(tenths) for name, tenths in exposure.grants.items()},
                },
            }
        )
        return 0
    render.emit(f"{manifest.name} {manifest.version} can be installed")
    render.emit(_summary(manifest, made))
    render.emit(_beyond(found, exposure))
    return 0


def _signed(tenths: int) -> str:
    return ("-" if tenths < 0 else "+") + format_score(abs(tenths))


def _beyond(found: Reach, exposure: Exposure) -> str:
    """What the module may beyond the default, and what that costs."""
    lines = ["", "Beyond the default it may:" if found.does else "Beyond the default it may do nothing."]
    for name, text in found.does.items():
        cost = f" (score {_signed(exposure.grants[name])})" if name in exposure.grants else ""
        lines += textwrap.wrap(f"{name}: {text}{cost}", 100, initial_indent="  ", subsequent_indent="    ")
    for word, paths in (("read", found.reads), ("change", found.writes)):
        if paths:
            text = f"Into its view, to {word}: {', '.join(paths)}"
            lines += textwrap.wrap(text, 100, subsequent_indent="    ", break_on_hyphens=False)
    lines.append(
        f"Exposure score: {format_score(exposure.score_tenths)} of 10.0"
        f" (the policy {exposure.policy} alone: {format_score(exposure.policy_tenths)})."
        + (" It does not count files and devices." if found.reads or found.writes else "")
    )
    return "\n".join(lines)


@contextmanager
def opened_source(text: str) -> Iterator[Path]:
    """The folder of a module that is named by its folder or its package, while the body runs."""
    if text.endswith(".deb"):
        with unpacked(Path(text)) as folder:
            yield folder
    else:
        yield Path(text)


def trial(planner: Planner, manifest: Manifest, shown: str) -> Plan:
    """The plan that the module would have, were it installed."""
    folder = str(Paths().modules / manifest.name / "a")
    return planner.plan(manifest, identity=installed(manifest.name), folder=folder, file=shown)


def plan(arguments: SimpleNamespace) -> int:
    """`auroractl plan NAME|DIR`."""
    manifest, made = _subject(arguments.subject)
    if arguments.unit:
        beside = [(volume.unit, mount_text(volume, made.module)) for volume in made.volumes]
        beside += [(made.started, timer_text(made))] if made.timer else []
        render.emit("\n".join([unit_text(made), *(f"# {unit}\n{text}" for unit, text in beside)]))
    elif arguments.apparmor:
        if made.profile is None:
            raise Refused("print the profile", "this machine has no AppArmor and its owner accepts that")
        render.emit(apparmor_text(made))
    elif arguments.json:
        render.dump({**made.to_json(), "digest": made.digest})
    else:
        render.emit(_summary(manifest, made))
    return 0


def _subject(text: str) -> tuple[Manifest, Plan]:
    paths = Paths()
    if text.endswith(".deb") or "/" in text or (Path(text).is_dir() and read_record(paths, text) is None):
        with opened_source(text) as folder:
            manifest = read_module(folder, shown=text)
        return manifest, trial(Planner(paths), manifest, text)
    record = require(paths, text)
    manifest = read_module(Path(record.folder(paths)), owner=owner_file(paths, text))
    return manifest, plan_of(paths, Planner(paths), record)


def _summary(manifest: Manifest, made: Plan) -> str:
    limits, restart = manifest.limits, manifest.restart
    give_up = "never gives up"
    if restart.give_up_after is not None:
        give_up = f"gives up after {restart.give_up_after} starts in {format_duration(restart.give_up_within_usec)}"
    delays = f"{format_duration(restart.delay_usec)} to {format_duration(restart.delay_max_usec)}"
    watchdog = manifest.watchdog_usec
    rows = [
        ("runs", " ".join(manifest.entry)),
        ("as", f"{made.unit}, user {made.settings['User']}"),
        (
            "cpu",
            "no limit" if limits.cpu_share_usec is None else f"at most {format_share(limits.cpu_share_usec)}",
        ),
        (
            "memory",
            "no limit" if limits.memory_max_bytes is None else f"at most {format_size(limits.memory_max_bytes)}",
        ),
        ("tasks", "no limit" if limits.tasks_max is None else f"at most {limits.tasks_max}"),
        ("up", _up(manifest)),
        ("schedule", _schedule(manifest.schedule)),
        ("after", ", ".join(made.after) or "no other module"),
        ("credentials", ", ".join(manifest.credentials) or "none"),
        ("watchdog", "none" if watchdog is None else format_duration(watchdog)),
        ("restart", "no" if restart.policy == "no" else f"{restart.policy}, after {delays}; {give_up}"),
        ("safe state", _safe_state(made)),
        ("writes", ", ".join(d for d in made.writable if "/private/" not in d) or "nothing but its own /tmp"),
        (
            "disk",
            ", ".join(f"{v.directory} at most {format_size(v.size_bytes)}" for v in made.volumes if v.image)
            or "no limit",
        ),
        ("link", "; ".join((*link_words(manifest.link), *wait_words(manifest.link))) or "not let in"),
        ("sandbox", ", ".join((manifest.sandbox.policy, *manifest.sandbox.grants))),
    ]
    if made.unenforced:
        rows.append(("not enforced", f"{', '.join(made.unenforced)}, as this machine's owner accepts"))
    return "\n".join(f"{label:>13}: {text}" for label, text in rows)


def _up(manifest: Manifest) -> str:
    within = f"within {format_duration(manifest.start.timeout_usec)}"
    return f"when it has ended, {within}" if manifest.kind == "oneshot" else f"{manifest.start.readiness}, {within}"


def _schedule(schedule: Schedule) -> str:
    if not schedule.declared:
        return "none"
    when = schedule.calendar
    if schedule.interval_usec is not None:
        when = f"every {format_duration(schedule.interval_usec)}"
    late = f", up to {format_duration(schedule.jitter_usec)} late" if schedule.jitter_usec else ""
    return f"{when}{late}{', missed runs at boot' if schedule.catch_up else ''}"


def _safe_state(made: Plan) -> str:
    if made.safe_module:
        return f"starts the module {made.safe_module}"
    return " ".join(made.safe_command) if made.safe_command else "none"


def pack(arguments: SimpleNamespace) -> int:
    """`auroractl pack DIR`."""
    folder = Path(arguments.dir)
    if not folder.is_dir():
        raise NotFound("pack the module", "there is no such folder", where=arguments.dir)
    manifest = read_module(folder)
    made = build_package(folder, package_content(manifest, arch=arguments.arch), Path(arguments.output))
    render.emit(str(made))
    return 0
