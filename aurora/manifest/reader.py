"""A manifest file -> Manifest. Every problem of the file at once, each with file, line, key and remedy.

The rows of `schema` say which keys there are; nothing here knows a key by name, but for the places of the
values in `model` (`_manifest`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Any, NamedTuple

from aurora.errors import InputError, NotFound, Problem
from aurora.manifest.checks import conflicts
from aurora.manifest.document import WHAT, decode, parse_json, parse_toml
from aurora.manifest.faults import Fault, Faults, kind_of, shown
from aurora.manifest.located import line_of, locate, locate_json
from aurora.manifest.model import (
    Directories,
    Limits,
    Link,
    Manifest,
    ModuleKind,
    Order,
    Restart,
    RestartPolicy,
    SafeState,
    Sandbox,
    Schedule,
    Start,
    Stop,
    Update,
)
from aurora.manifest.schema import KEYS, OLDER_KEYS, REQUIRED, Key
from aurora.manifest.suggest import meant_key, meant_older_key, meant_table

__all__ = ["MANIFEST_FILE", "OLDER_FILE", "PROBLEMS_MAX", "find_manifest", "read_manifest"]

MANIFEST_FILE = "module.toml"
OLDER_FILE = "module.json"
PROBLEMS_MAX = 50
"""More problems than these are counted, not told."""

_TABLES = tuple(dict.fromkeys(row.table for row in KEYS))
_OLDER_TABLE = "module"


class _Finding(NamedTuple):
    path: tuple[str, ...]
    """The key, as the file spells it."""
    why: str
    remedy: str | Callable[[], str]
    """A function where it takes time to find: it is asked only for problems that are told."""
    owners: bool
    """Whether it stands in the owner's file."""


def find_manifest(names: Iterable[str], *, folder: str) -> str:
    """Which of the `names` in a module's folder is its manifest: module.toml, or the older module.json.

    InputError when both are there: they could disagree. NotFound when neither is.
    """
    found = sorted({MANIFEST_FILE, OLDER_FILE}.intersection(names))
    what = "find the manifest"
    if not found:
        why = f"the folder has neither {MANIFEST_FILE} nor {OLDER_FILE}"
        raise NotFound(what, why, where=folder, remedy=f"the folder of a module, or a {MANIFEST_FILE} in it")
    if len(found) > 1:
        why = f"the folder has both {MANIFEST_FILE} and {OLDER_FILE}"
        raise InputError(what, why, where=folder, remedy=f"removing {OLDER_FILE}")
    return found[0]


def read_manifest(data: bytes, *, file: str, owner: tuple[bytes, str] | None = None) -> Manifest:
    """The manifest that `data` holds; InputError with all its problems otherwise, and never another error.

    `file` is what errors call it; a name that ends in ".json" selects the older form. A file that is not TOML
    (or JSON) has no keys yet, so there the problem is the first place where it goes wrong. `owner` is the content and
    the name of the owner's file, if there is one: the keys in it replace the manifest's where `module.owner_may` lets
    them, variables of the environment one by one.
    """
    text = decode(data, file=file)
    older = file.endswith(".json")
    reading = _Reading(older=older)
    if older:
        reading.take_older(text, file)
    else:
        reading.take_tables(parse_toml(text, file=file))
    owners_text = ""
    if owner is not None:
        owners_text = decode(owner[0], file=owner[1])
        reading.take_owners(parse_toml(owners_text, file=owner[1]))
    manifest = reading.finish()
    if reading.findings:
        places = [(file, locate_json(text) if older else locate(text))]
        if owner is not None:
            places.append((owner[1], locate(owners_text)))
        raise InputError.of(_problems(reading.findings, places))
    return manifest


class _Reading:
    """One manifest being read: what is given for each row, and what is wrong."""

    def __init__(self, *, older: bool) -> None:
        self.findings: list[_Finding] = []
        self._older = older
        self._given: dict[str, object] = {}
        self._broken: set[str] = set()
        self._owners: set[str] = set()
        """Paths of rows, and of variables below environment, that the owner's file gives."""
        self._in_owners = False
        """Whether what is found now stands in the owner's file."""

    def _find(self, path: tuple[str, ...], why: str, remedy: str | Callable[[], str]) -> None:
        self.findings.append(_Finding(path, why, remedy, self._in_owners or ".".join(path) in self._owners))

    def take_older(self, text: str, file: str) -> None:
        """Keys of module.json."""
        content, doubles = parse_json(text, file=file)
        for key in doubles:
            self._find((key,), "the key is there twice", "giving it once")
        for key, value in content.items():
            if key in OLDER_KEYS:
                self._given[f"{_OLDER_TABLE}.{key}"] = value
            else:
                self._find((key,), f"{OLDER_FILE} has no such key", partial(meant_older_key, key))

    def take_tables(self, content: Mapping[str, object]) -> None:
        """Tables of module.toml."""
        for name, table in content.items():
            if name not in _TABLES:
                kind = "table" if isinstance(table, dict) else "key outside the tables"
                self._find((name,), f"there is no such {kind}", partial(meant_table, name, table))
            elif not isinstance(table, dict):
                self._find((name,), f"it is {kind_of(table)}, not a table", f"[{name}] on a line of its own")
                self._broken.update(row.path for row in KEYS if row.table == name)
            else:
                self._take_table(name, table)

    def _take_table(self, name: str, table: dict[str, object]) -> None:
        rows = {row.name for row in KEYS if row.table == name}
        if "*" in rows:
            self._given[name] = table
            return
        for key, value in table.items():
            if key in rows:
                self._given[f"{name}.{key}"] = value
            else:
                self._find((name, key), f"[{name}] has no such key", partial(meant_key, name, key))

    def take_owners(self, content: Mapping[str, object]) -> None:
        """Tables of the owner's file, over what the manifest gives."""
        self._in_owners = True
        before, self._given = self._given, {}
        self.take_tables(content)
        may = self._owner_may(before)
        for path, value in self._given.items():
            for key in [f"{path}.{name}" for name in value] if isinstance(value, dict) else [path]:
                if key not in may and f"{key.partition('.')[0]}.*" not in may:
                    remedy = f"one of {', '.join(may)}" if may else "leaving it out: the module lets nothing be set"
                    self._find(tuple(key.split(".")), "the module does not let its owner set this key", remedy)
                self._owners.add(key)
            if isinstance(value, dict) and isinstance(given := before.get(path, {}), dict):
                self._given[path] = {**given, **value}
        self._given = before | self._given
        self._in_owners = False

    @staticmethod
    def _owner_may(given: Mapping[str, object]) -> tuple[str, ...]:
        row = next(row for row in KEYS if row.path == "module.owner_may")
        try:
            found = row.convert(given[row.path]) if row.path in given else row.default
        except ValueError:
            found = row.default  # it is told as a problem of the manifest
        return found if isinstance(found, tuple) else ()

    def finish(self) -> Manifest:
        """The manifest; not to be used when there are `findings`."""
        values = {row.path: self._value(row) for row in KEYS}
        declared = self._given.keys()
        manifest = _manifest(values, declared)
        for conflict in conflicts(manifest, declared=declared, broken=self._broken):
            self._find(tuple(conflict.key.split(".")), conflict.why, conflict.remedy)
        return manifest

    def _value(self, row: Key) -> object:
        """The row's value in the model; its default where it is left out or broken."""
        path = (row.name,) if self._older else tuple(row.path.split("."))
        if row.path in self._broken:
            return row.default
        if row.path not in self._given:
            if row.default is REQUIRED:
                self._find(path, "the key is missing", self._line(row))
                self._broken.add(row.path)
            return row.default
        try:
            return row.convert(self._given[row.path])
        except Faults as error:
            faults: tuple[Fault, ...] = error.faults
        except ValueError as error:
            faults = (Fault(str(error)),)
        for fault in faults:
            place = (*path, fault.key) if fault.key else path
            self._find(place, fault.reason, fault.remedy or _example(row))
        self._broken.add(row.path)
        return row.default

    def _line(self, row: Key) -> str:
        if self._older:
            return f'"{row.name}": {row.example}'
        return f"{row.name} = {row.example} below [{row.table}]"


def _manifest(values: Mapping[str, Any], declared: AbstractSet[str]) -> Manifest:
    """The rows' values in their places."""
    return Manifest(
        name=values["module.name"],
        version=values["module.version"],
        description=values["module.description"],
        kind=values["module.kind"],
        entry=values["module.entry"],
        owner_may=values["module.owner_may"],
        environment=values["environment"],
        credentials=values["credentials.names"],
        limits=_limits(values),
        start=Start(readiness=values["start.readiness"], timeout_usec=values["start.timeout"]),
        stop=Stop(signal=values["stop.signal"], timeout_usec=values["stop.timeout"]),
        watchdog_usec=values["watchdog.timeout"],
        restart=_restart(values, declared),
        schedule=Schedule(
            calendar=values["schedule.calendar"],
            interval_usec=values["schedule.interval"],
            jitter_usec=values["schedule.jitter"],
            catch_up=values["schedule.catch_up"],
        ),
        safe_state=SafeState(command=values["safe_state.command"], module=values["safe_state.module"]),
        update=Update(
            window_usec=values["update.window"],
            restarts_max=values["update.restarts_max"],
            memory_growth_bytes=values["update.memory_growth"],
            check=values["update.check"],
            snapshot=values["update.snapshot"],
        ),
        order=Order(after=values["order.after"], requires=values["order.requires"]),
        directories=Directories(
            state=values["directories.state"],
            cache=values["directories.cache"],
            logs=values["directories.logs"],
            runtime=values["directories.runtime"],
        ),
        sandbox=Sandbox(
            policy=values["sandbox.policy"],
            grants=values["sandbox.grants"],
            exposure_max_tenths=values["sandbox.exposure_max"],
        ),
        link=_link(values),
    )


def _link(values: Mapping[str, Any]) -> Link:
    patterns = ("publish", "subscribe", "request", "serve", "durable", "retained", "approve")
    return Link(
        **{name: values[f"link.{name}"] for name in patterns},
        durable_size_max_bytes=values["link.durable_size_max"],
        durable_age_max_usec=values["link.durable_age_max"],
        durable_full=values["link.durable_full"],
    )


def _limits(values: Mapping[str, Any]) -> Limits:
    return Limits(
        cpu_share_usec=values["limits.cpu"],
        memory_max_bytes=values["limits.memory_max"],
        memory_high_bytes=values["limits.memory_high"],
        tasks_max=values["limits.tasks"],
        cpu_weight=values["limits.cpu_weight"],
        io_weight=values["limits.io_weight"],
        io_read_max_bytes=values["limits.io_read_max"],
        io_write_max_bytes=values["limits.io_write_max"],
        state_max_bytes=values["limits.state_max"],
        cache_max_bytes=values["limits.cache_max"],
        logs_max_bytes=values["limits.logs_max"],
    )


def _restart(values: Mapping[str, Any], declared: AbstractSet[str]) -> Restart:
    """Defaults of `delay_max` and `steps` follow from the other keys, so that a default never contradicts.

    Left out, `delay_max` is its default or a longer `delay`; and where the wait cannot grow, or shall not, it
    is `delay` and `steps` is 0. A oneshot is not run again by itself unless its manifest says so.
    """
    policy = values["restart.policy"]
    if values["module.kind"] is ModuleKind.ONESHOT and "restart.policy" not in declared:
        policy = RestartPolicy.NO
    delay, delay_max, steps = (values[f"restart.{key}"] for key in ("delay", "delay_max", "steps"))
    if "restart.delay_max" not in declared:
        delay_max = delay if delay == 0 or steps == 0 else max(delay, delay_max)
    if "restart.steps" not in declared and delay_max <= delay:
        steps = 0
    return Restart(
        policy=policy,
        delay_usec=delay,
        delay_max_usec=delay_max,
        growth_steps=steps,
        give_up_after=values["restart.give_up_after"],
        give_up_within_usec=values["restart.give_up_within"],
    )


def _example(row: Key) -> str:
    article = "an" if row.type.startswith("i") else "a"
    bound = f" ({row.bound})" if row.bound else ""
    return f"{article} {row.type} such as {row.example}{bound}"


def _spelled(path: tuple[str, ...]) -> str:
    """The key as TOML spells it, cut where it is long."""
    plain = (part if part.isascii() and part.replace("-", "_").isidentifier() else shown(part) for part in path)
    return ".".join(part if len(part) <= 64 else shown(part) for part in plain)


def _problems(
    findings: Iterable[_Finding], places: Sequence[tuple[str, Mapping[tuple[str, ...], int]]]
) -> list[Problem]:
    """The first `PROBLEMS_MAX` findings in the order of their lines, those without a line last.

    `places` are the names and the lines of the manifest and of the owner's file.
    """
    placed = [(line_of(places[finding.owners][1], finding.path), finding) for finding in findings]
    placed.sort(key=lambda item: (item[1].owners, item[0] is None, item[0] or 0))
    problems = []
    for line, finding in placed[:PROBLEMS_MAX]:
        file = places[finding.owners][0]
        where = f"{file}, line {line}" if line is not None else file
        remedy = finding.remedy if isinstance(finding.remedy, str) else finding.remedy()
        problems.append(Problem(WHAT, finding.why, f"{where}, key {_spelled(finding.path)}", remedy))
    if len(placed) > PROBLEMS_MAX:
        why = f"it has {len(placed) - PROBLEMS_MAX} more problems"
        problems.append(Problem(WHAT, why, places[0][0], "correcting these first"))
    return problems
