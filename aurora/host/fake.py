"""systemd in memory, for tests without root: what the contract suite (tests/contract) finds true of the real one.

Nothing runs here and nothing waits. A function says what a program would do; a job has ended as soon as it was asked
for, or never will, and then the deadline is over at once. Units that the real manager makes by itself (parent slices,
system.slice) are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple, override

from aurora.directives import DIRECTIVES
from aurora.errors import DeadlineExceeded, HostError
from aurora.host.systemd import ENDED, JobResult, Systemd, Transient, UnitRow
from aurora.names import LINK_UNIT

__all__ = ["FakeSystemd", "Program", "usual_program"]


class Program(NamedTuple):
    """What a program does when it is started."""

    status: int | None = None
    """It ends at once with this exit status; None: it goes on."""
    ready: bool = True
    """Whether it says READY=1, where the unit waits for that."""
    setup_status: int = 0
    """systemd's own status where the program is not even reached, such as 203 (systemd.exec(5)); 0: it is."""


type Behaviour = Callable[[str, Sequence[str]], Program]
"""What the program of a unit (its name, its argv) does."""


def usual_program(unit: str, argv: Sequence[str]) -> Program:
    """Programs that every Debian has: false, true and sleep do what they do, others go on and say that they are ready.

    One below a folder that exists nowhere, /nonexistent, cannot be executed.
    """
    del unit
    if argv[0].startswith("/nonexistent/"):
        return Program(setup_status=203)
    name = argv[0].rpartition("/")[2]
    return {"false": Program(status=1), "true": Program(status=0), "sleep": Program(ready=False)}.get(name, Program())


_CLD_EXITED = 1
_FIRST_PID = 1000
_FIRST_USEC = 1_700_000_000_000_000
_KNOWN = frozenset(row.property for row in DIRECTIVES.values()) | {
    "BindsTo",
    "PIDs",
    "RemainAfterExit",
    "SendSIGHUP",
    "StandardInputFileDescriptor",
    "StandardOutputFileDescriptor",
    "StandardErrorFileDescriptor",
    "What",
    "Where",
    "Options",
    "DirectoryMode",
    "StopWhenUnneeded",
    "RemainAfterElapse",
}
_LIMITS = frozenset({"CPUQuotaPerSecUSec", "MemoryMax", "MemorySwapMax", "TasksMax"})
"""Properties that every unit with a cgroup has; one that was given none has no limit."""
_NO_LIMIT = (1 << 64) - 1
_FIELDS: Mapping[tuple[str, str], tuple[str, str]] = {
    ("Unit", "ActiveState"): ("s", "active"),
    ("Unit", "SubState"): ("s", "sub"),
    ("Unit", "StateChangeTimestamp"): ("t", "changed_usec"),
    ("Service", "Result"): ("s", "result"),
    ("Service", "ExecMainCode"): ("i", "code"),
    ("Service", "ExecMainStatus"): ("i", "status"),
    ("Service", "MainPID"): ("u", "pid"),
    ("Service", "NRestarts"): ("u", "restarts"),
}
"""Interface and property -> signature, and the field of `_Unit` that holds it."""


@dataclass
class _Unit:
    name: str
    properties: dict[str, tuple[str, object]] = field(default_factory=dict)
    """Signature and value by name, as they were given."""
    active: str = "inactive"
    sub: str = "dead"
    changed_usec: int = 0
    result: str = "success"
    code: int = 0
    status: int = 0
    pid: int = 0
    restarts: int = 0

    def text(self, name: str, default: str = "") -> str:
        return str(self.properties[name][1]) if name in self.properties else default

    @property
    def argv(self) -> list[str]:
        _, commands = self.properties.get("ExecStartEx", ("", []))
        if not isinstance(commands, list) or not commands:
            return []
        return [str(word) for word in commands[0][1]]

    @property
    def wants(self) -> list[str]:
        _, wants = self.properties.get("Wants", ("", []))
        return wants if isinstance(wants, list) else []

    @property
    def requires(self) -> list[str]:
        """Those that it is bound to among them."""
        found = [self.properties.get(name, ("", []))[1] for name in ("Requires", "BindsTo")]
        return [unit for units in found if isinstance(units, list) for unit in units]

    @property
    def after(self) -> list[str]:
        _, after = self.properties.get("After", ("", []))
        return after if isinstance(after, list) else []

    @property
    def bound_to(self) -> list[str]:
        """Units with which this one ends."""
        _, units = self.properties.get("BindsTo", ("", []))
        return units if isinstance(units, list) else []

    @property
    def refers_to(self) -> list[str]:
        """Units that stay loaded for as long as this one does."""
        triggered = [self.name.replace(".timer", ".service")] if self.name.endswith(".timer") else []
        return [self.text("Slice"), *triggered, *self.wants, *self.requires, *self.after]


_WANTING = {"Slice": "active", "Timer": "waiting", "Mount": "mounted"}
"""Kinds of unit that start what they want and then are in the sub state named."""


class _NeverEndsError(Exception):
    """A job that would still be waiting at its deadline."""


class FakeSystemd(Systemd):
    """A system manager whose units' programs do what `behaviour` says."""

    def __init__(self, behaviour: Behaviour = usual_program) -> None:
        self.behaviour = behaviour
        self._units: dict[str, _Unit] = {}
        self._usec = _FIRST_USEC
        self._pids = _FIRST_PID

    # The Protocol

    @override
    def start_transient(self, wanted: Sequence[Transient], *, deadline_sec: float) -> Mapping[str, JobResult]:
        results: dict[str, JobResult] = {}
        created = []
        for transient in wanted:
            if message := self._refusal(transient):
                results[transient.unit] = JobResult(transient.unit, "refused", message)
                continue
            unit = _Unit(transient.unit, _as_mapping(transient.properties))
            self._units[unit.name] = unit
            for name, properties in transient.beside:
                self._units[name] = _Unit(name, _as_mapping(properties))
            if transient.pin is not None:
                self._units[transient.pin] = _Unit(transient.pin, _as_mapping(transient.pin_properties))
            created.append(unit.name)
        return results | self._each(created, self._started, deadline_sec)

    @override
    def start(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        return self._each(units, self._started, deadline_sec)

    @override
    def restart(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        def restarted(unit: _Unit) -> str:
            self._stopped(unit)
            return self._started(unit)

        return self._each(units, restarted, deadline_sec)

    @override
    def stop(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        return {
            unit: JobResult(unit, "done") if job.result == "not loaded" else job
            for unit, job in self._each(units, self._stopped, deadline_sec).items()
        }

    @override
    def set_properties(self, unit: str, properties: Sequence[tuple[str, str, object]]) -> None:
        if unit not in self._units:
            raise HostError(f"change {unit}", f"Unit {unit} not loaded.")
        for prop, _, _ in properties:
            if prop not in _KNOWN:
                raise HostError(f"change {unit}", f"Cannot set property {prop}, or unknown property.")
        self._units[unit].properties.update(_as_mapping(properties))

    @override
    def reset_failed(self, units: Sequence[str]) -> None:
        for name in units:
            unit = self._units.get(name)
            if unit is not None and unit.active == "failed":
                unit.result = "success"
                self._enter(unit, "inactive", "dead")
        self._collect()

    @override
    def list_units(self, patterns: Sequence[str]) -> Sequence[UnitRow]:
        return [
            UnitRow(unit.name, "loaded", unit.active, unit.sub)
            for unit in self._units.values()
            if any(fnmatchcase(unit.name, pattern) for pattern in patterns)
        ]

    @override
    def wait_ended(self, units: Sequence[str], *, deadline_sec: float) -> bool:
        # Nothing happens here while one waits.
        return all(row.active in ENDED for row in self.list_units(units))

    @override
    def get(self, unit: str, interface: str, prop: str, signature: str) -> object:
        found = self._units.get(unit, _Unit(unit))  # systemd answers for a unit that it does not know as well
        place = (interface, prop)
        if place in _FIELDS and _FIELDS[place][0] == signature and interface in ("Unit", _kind(unit)):
            return getattr(found, _FIELDS[place][1])
        if interface in ("Unit", _kind(unit)) and found.properties.get(prop, ("", None))[0] == signature:
            return found.properties[prop][1]
        if prop in _LIMITS and signature == "t" and interface == _kind(unit):
            return _NO_LIMIT
        raise HostError(f"read {prop} of {unit}", f"Unknown interface {interface} or property {prop}.")

    @override
    def close(self) -> None:
        pass

    # For tests

    def ends(self, unit: str, status: int) -> None:
        """The program of a unit that is up ends by itself."""
        self._ended(self._units[unit], status)
        self._collect()

    def argv(self, unit: str) -> list[str]:
        """What the unit's program was started with."""
        return self._units[unit].argv

    # What happens to a unit

    def _refusal(self, transient: Transient) -> str:
        """Why the call is refused; empty when it is not."""
        for name, properties in (
            (transient.unit, transient.properties),
            (transient.pin, transient.pin_properties),
            *transient.beside,
        ):
            if name in self._units:
                return f"Unit {name} was already loaded or has a fragment file."
            for prop, _, _ in properties:
                if prop not in _KNOWN:
                    return f"Cannot set property {prop}, or unknown property."
        given = _Unit(transient.unit, _as_mapping(transient.properties))
        if _kind(transient.unit) == "Scope":
            return "" if "PIDs" in given.properties else "Scope has no PIDs."
        for name, properties in ((transient.unit, transient.properties), *transient.beside):
            argv = _Unit(name, _as_mapping(properties)).argv
            if _kind(name) == "Service" and (not argv or not argv[0].startswith("/")):
                return f"{argv} is not an absolute path."
        return ""

    def _each(self, units: Sequence[str], act: Callable[[_Unit], str], deadline_sec: float) -> dict[str, JobResult]:
        results = {}
        late = []
        for name in dict.fromkeys(units):
            unit = self._units.get(name)
            if unit is None:
                results[name] = JobResult(name, "not loaded", f"Unit {name} not loaded.")
                continue
            try:
                results[name] = JobResult(name, act(unit))
            except _NeverEndsError:
                late.append(name)
        self._collect()
        if late:
            raise DeadlineExceeded("wait for systemd", f"{', '.join(late)} took longer than {deadline_sec:g} s")
        return results

    def _started(self, unit: _Unit) -> str:
        """Start it; the result of its job."""
        if unit.active == "active":
            return "done"
        if _kind(unit.name) in _WANTING:
            self._enter(unit, "active", _WANTING[_kind(unit.name)])
            for name in unit.wants:
                if name in self._units:
                    with suppress(_NeverEndsError):  # a slice waits for none of those that it wants
                        self._started(self._units[name])
            return "done"
        if (home := self._units.get(unit.text("Slice"))) is not None:
            self._enter(home, "active", "active")
        if any(self._needed(name) != "done" for name in unit.requires):
            return "dependency"
        if _kind(unit.name) == "Scope":
            self._enter(unit, "active", "running")
            return "done"
        program = self.behaviour(unit.name, unit.argv)
        unit.result, unit.code, unit.status, unit.restarts = "success", 0, 0, 0
        kind = unit.text("Type", "simple")
        if program.setup_status:
            self._ended(unit, program.setup_status)
            return "done" if kind == "simple" else "failed"
        self._pids += 1
        unit.pid = self._pids
        if kind == "oneshot":
            if program.status is None:
                self._enter(unit, "activating", "start")
                raise _NeverEndsError
            self._ended(unit, program.status)
            return "failed" if program.status else "done"
        if kind != "notify":
            self._enter(unit, "active", "running")
            if program.status is not None:
                self._ended(unit, program.status)
            return "done"
        if program.status is not None:
            self._ended(unit, program.status, result="protocol" if program.status == 0 else "")
            return "failed"
        if not program.ready:
            self._enter(unit, "activating", "start")
            raise _NeverEndsError
        self._enter(unit, "active", "running")
        return "done"

    def _needed(self, name: str) -> str:
        """Start a unit that another requires (systemd.unit(5), Requires=); the result of its job."""
        if name == LINK_UNIT:
            return "done"  # it comes with the core, and is up
        return self._started(self._units[name]) if name in self._units else "failed"

    def _stopped(self, unit: _Unit) -> str:
        for one in self._units.values():
            if unit.name in one.requires and one.active == "active":
                self._stopped(one)
        if _kind(unit.name) == "Slice":
            for one in self._units.values():
                if one.text("Slice") == unit.name:
                    self._stopped(one)
        for one in self._units.values():
            if unit.name in one.bound_to:
                self._stopped(one)
        if unit.active != "failed":
            unit.pid = 0
            self._enter(unit, "inactive", "dead")
        return "done"

    def _ended(self, unit: _Unit, status: int, *, result: str = "") -> None:
        unit.pid, unit.code, unit.status = 0, _CLD_EXITED, status
        unit.result = result or ("exit-code" if status else "success")
        failed = unit.result != "success"
        restart = unit.text("Restart", "no")
        if restart == "always" or (failed and restart == "on-failure"):
            self._enter(unit, "activating", "auto-restart")
        elif failed:
            self._enter(unit, "failed", "failed")
        elif unit.properties.get("RemainAfterExit", ("b", False))[1]:
            self._enter(unit, "active", "exited")
        else:
            self._enter(unit, "inactive", "dead")

    def _enter(self, unit: _Unit, active: str, sub: str) -> None:
        if (unit.active, unit.sub) != (active, sub):
            self._usec += 1_000_000
            unit.active, unit.sub, unit.changed_usec = active, sub, self._usec

    def _collect(self) -> None:
        """Forget every unit that is inactive and that none refers to which is not (systemd.unit(5), CollectMode=)."""
        kept: set[str] = set()
        pending = [unit.name for unit in self._units.values() if unit.active != "inactive"]
        while pending:
            name = pending.pop()
            if name in self._units and name not in kept:
                kept.add(name)
                pending += self._units[name].refers_to
        self._units = {name: unit for name, unit in self._units.items() if name in kept}


def _as_mapping(properties: Sequence[tuple[str, str, object]]) -> dict[str, tuple[str, object]]:
    """A property that is sent twice is kept as it came last; none that is looked at here is."""
    return {name: (signature, value) for name, signature, value in properties}


def _kind(unit: str) -> str:
    """The D-Bus interface of a unit's own kind: Service, Slice or Scope."""
    return unit.rpartition(".")[2].capitalize()
