"""What shall run, what can be enforced here, what runs, and the steps between: frozen, printable as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from aurora.directives import Value
from aurora.names import timer_name
from aurora.plan.volume import Volume

__all__ = ["Action", "Facts", "Feature", "Plan", "Running", "Step"]


class Feature(StrEnum):
    """Something that a plan relies on and a machine may lack."""

    APPARMOR = "apparmor"
    SECCOMP = "seccomp"
    MEMORY = "memory"
    """The memory controller of cgroup v2."""
    CPU = "cpu"
    """The cpu controller."""
    PIDS = "pids"
    """The pids controller."""
    IO = "io"
    """The io controller, and a disk below /var/lib that it knows."""
    IO_WEIGHT = "io-weight"
    """A disk scheduler that heeds weights: bfq, or io.cost."""
    IP_FILTER = "ip-filter"
    """BPF programs on cgroups, with which systemd enforces IPAddressDeny=."""
    LOOP = "loop"
    """Loop devices, on which a directory with a disk budget is a volume of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What this machine can enforce, and what its owner accepts to go without."""

    features: frozenset[Feature]
    accepted: frozenset[Feature]
    networks: tuple[str, ...] = ()
    """The networks that it is on; read only when a plan depends on them, as are the two below."""
    groups: frozenset[str] = frozenset()
    """The names of its groups."""
    device_groups: Mapping[str, str] = field(default_factory=dict)
    """The group of each device that a plan asks for and that is there."""


_TUPLES = ("after", "requires", "credentials", "apparmor", "writable", "safe_command", "unenforced", "follows")
"""Fields of a plan that JSON turns into lists."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One module, ready to be given to systemd: all of it follows from this value."""

    module: str
    version: str
    unit: str
    slice: str
    profile: str | None
    """AppArmor profile; None where the machine has none and the owner accepts that."""
    folder: str
    """Absolute path of the staged module, which it can read and execute."""
    settings: Mapping[str, Value]
    """Every directive of the unit, by its name in `directives.DIRECTIVES`."""
    timer: Mapping[str, Value]
    """The same of the timer that starts it; empty for a module without a schedule."""
    after: tuple[str, ...]
    """Modules after which it starts, those that it requires among them."""
    requires: tuple[str, ...]
    """Modules without which it does not run."""
    credentials: tuple[str, ...]
    """Files of its secrets, which must be there when it starts."""
    apparmor: tuple[str, ...]
    """Rules of the policy and its grants."""
    writable: tuple[str, ...]
    """The module's own directories, as it sees them."""
    volumes: tuple[Volume, ...]
    """Those of them that have a budget."""
    start_timeout_usec: int
    safe_command: tuple[str, ...]
    """What is run when the module fails for good, a program by its absolute path; empty for nothing."""
    safe_module: str
    """The module that is started then; empty for none."""
    unenforced: tuple[str, ...]
    """Features that it relies on, that are missing here, and whose absence the owner accepts."""
    follows: tuple[str, ...]
    """What it was made from and may change at any time: `local.NETWORKS`."""
    link: Mapping[str, tuple[str, ...] | int | str]
    """What the hub of AuroraLink goes by for it (`model.Link.rules`); empty: it may not reach it."""

    def to_json(self) -> dict[str, object]:
        """The plan as JSON can hold it; `Plan.from_json` reads it back."""
        document = asdict(self)
        for name in ("settings", "timer"):
            held = getattr(self, name)
            document[name] = {directive: held[directive] for directive in sorted(held)}
        document["link"] = {name: self.link[name] for name in sorted(self.link)}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Plan:
        """The plan that `to_json` wrote; KeyError, TypeError or ValueError when it is something else."""
        fields: dict[str, object] = dict(document)
        for name in ("settings", "timer"):
            held = fields[name]
            if not isinstance(held, dict):
                raise TypeError(f"{name} is not a table")
            fields[name] = {key: tuple(value) if isinstance(value, list) else value for key, value in held.items()}
        for name in _TUPLES:
            words = fields[name]
            if not isinstance(words, (list, tuple)):
                raise TypeError(f"{name} is not a list")
            fields[name] = tuple(words)
        fields["link"] = _link(fields["link"])
        volumes = fields["volumes"]
        if not isinstance(volumes, (list, tuple)):
            raise TypeError("volumes is not a list")
        fields["volumes"] = tuple(Volume(**one) for one in volumes)
        return cls(**fields)  # type: ignore[arg-type]  # unknown or missing fields raise TypeError here

    @property
    def started(self) -> str:
        """The unit that is started to bring the module up: its timer, where it has a schedule."""
        return timer_name(self.module) if self.timer else self.unit

    @property
    def digest(self) -> str:
        """Equal for equal plans, different for different ones."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _link(held: object) -> dict[str, tuple[str, ...] | int | str]:
    if not isinstance(held, dict):
        raise TypeError("link is not a table")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in held.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """What systemd holds for a module."""

    plan: Plan | None
    """The plan it was started from; None when that is not known any more."""
    pinned: bool
    """Whether its slice is up, so that systemd keeps the unit loaded."""
    active: bool
    """Whether the unit is up, on its way up, or waiting for its next restart."""
    loaded: bool
    """Whether the unit holds its name: also when it is down and not pinned, while another one refers to it."""


class Action(StrEnum):
    """What a step does to one module."""

    START = "start"
    REPLACE = "replace"
    """Stop it, forget its unit, start it from the new plan."""
    RELEASE = "release"
    """Stop it and forget its unit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One change of the machine, with what is needed to take it back."""

    action: Action
    module: str
    plan: Plan | None
    """What runs afterwards; None for RELEASE."""
    before: Plan | None
    """What ran before; None when nothing did or it is not known."""

    @property
    def undo(self) -> Step:
        """The step that brings back what was before."""
        if self.before is None:
            return Step(action=Action.RELEASE, module=self.module, plan=None, before=self.plan)
        action = Action.START if self.plan is None else Action.REPLACE
        return Step(action=action, module=self.module, plan=self.before, before=self.plan)
