"""Who may publish, subscribe, request and serve what; and which topics wait for an approval.

A module may do what the patterns of its manifest's [link] say, and subscribe to `$sys/modules/ITSELF/#`. What it
sends waits for an approval where its own manifest says so, that of a module which gets it, or the machine's owner. root
and the members of the group `aurora` may do everything but publish under `$`, which the hub alone does. Others may
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aurora.link.bounds import Bounds
from aurora.link.peer import Peer, Role
from aurora.link.refusal import Code, LinkError
from aurora.link.topics import covers, matches
from aurora.topics import BROADCAST, WhenFull

__all__ = ["NOTHING", "Action", "Decision", "Durable", "Gatekeeper", "ModuleRules", "Rules"]

FURTHER = "(further)"
"""Under this name denials are counted together once there are too many to count apart."""


class Action(StrEnum):
    """What is asked for."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    REQUEST = "request"
    SERVE = "serve"


@dataclass(frozen=True, kw_only=True)
class Durable:
    """What of a module's messages is kept on disk, and how much of it."""

    patterns: tuple[str, ...]
    size_max_bytes: int
    age_max_msec: int
    full: WhenFull


@dataclass(frozen=True, kw_only=True)
class ModuleRules:
    """What one module's manifest says; patterns are checked where it is read."""

    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    durable: Durable | None = None
    retained: tuple[str, ...] = ()
    """Where values that it retains outlive the hub."""
    approve: tuple[str, ...] = ()
    """Where what it sends waits for an approval, beside `Rules.gated`."""

    def patterns(self, action: Action) -> tuple[str, ...]:
        """What it may do so."""
        return {
            Action.PUBLISH: self.publish,
            Action.SUBSCRIBE: self.subscribe,
            Action.REQUEST: self.request,
            Action.SERVE: self.serve,
        }[action]


@dataclass(frozen=True, kw_only=True)
class Rules:
    """All rules of the hub at one time."""

    modules: Mapping[str, ModuleRules] = field(default_factory=dict)
    gated: tuple[str, ...] = ()
    """Patterns of topics where a module's messages wait for an approval; an operator's own are approved by that."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether something is allowed; when not, why, and what to try."""

    allowed: bool
    gated: bool = False
    """Allowed, but it has to be approved first."""
    why: str = ""
    remedy: str = ""


NOTHING = ModuleRules()
"""Of a module without rules."""
_YES = Decision(allowed=True)
_GATED = Decision(allowed=True, gated=True)


class Gatekeeper:
    """Answers by the rules, remembers at most `decisions_cached_max` answers, and counts what it denies."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._bounds = bounds
        self.rules = rules
        self._cache: dict[tuple[str, Role, Action, str], Decision] = {}
        self.denials: dict[tuple[str, str], int] = {}
        """(peer's name, action) -> how often."""

    def change(self, rules: Rules) -> None:
        """Other rules from now on."""
        self.rules = rules
        self._cache.clear()

    def decide(self, peer: Peer, action: Action, topic: str) -> Decision:
        """Whether `peer` may; for SUBSCRIBE and SERVE `topic` is a pattern, allowed when all of it is."""
        key = (peer.name, peer.role, action, topic)
        found = self._cache.get(key)
        if found is None:
            if len(self._cache) >= self._bounds.decisions_cached_max:
                self._cache.clear()
            found = self._cache[key] = self._ask(peer, action, topic)
        return found

    def require(self, peer: Peer, action: Action, topic: str) -> Decision:
        """The decision; LinkError with its reason, counted, when it is no."""
        found = self.decide(peer, action, topic)
        if not found.allowed:
            self.count(peer, action)
            raise LinkError(Code.DENIED, f"{action} {topic!r}", found.why, remedy=found.remedy)
        return found

    def durable(self, peer: Peer, topic: str) -> Durable | None:
        """How what `peer` publishes there is kept on disk; None when it is not."""
        found = self.rules.modules.get(peer.module, NOTHING).durable if peer.module else None
        return found if found is not None and any(matches(one, topic) for one in found.patterns) else None

    def outlives(self, peer: Peer, topic: str) -> bool:
        """Whether a value that `peer` retains there outlives the hub."""
        patterns = self.rules.modules.get(peer.module, NOTHING).retained if peer.module else ()
        return any(matches(one, topic) for one in patterns)

    def admit(self, peer: Peer) -> None:
        """LinkError, counted, when `peer` may not even connect."""
        if peer.role is Role.OTHER:
            self.count(peer, "connect")
            why = f"{peer.name} is neither a module nor a member of the group aurora"
            raise LinkError(
                Code.DENIED, "connect", why, remedy="addgroup --system aurora and adduser NAME aurora, as root"
            )

    def count(self, peer: Peer, action: str) -> None:
        """A denial."""
        key = (peer.name, str(action))
        if key not in self.denials and len(self.denials) >= self._bounds.denials_counted_max:
            key = (FURTHER, FURTHER)
        self.denials[key] = self.denials.get(key, 0) + 1

    def _ask(self, peer: Peer, action: Action, topic: str) -> Decision:
        hubs_own = topic.startswith("$") and action is not Action.SUBSCRIBE
        if hubs_own and not (topic == BROADCAST and action is Action.PUBLISH):
            return Decision(allowed=False, why="topics that begin with $ are the hub's own", remedy="another topic")
        if peer.role is not Role.MODULE:
            yes = peer.role in (Role.ADMIN, Role.OPERATOR)
            return _YES if yes else Decision(allowed=False, why=f"{peer.name} is no member of the group aurora")
        rules = self.rules.modules.get(peer.module, NOTHING)
        patterns = rules.patterns(action)
        own = (f"$sys/modules/{peer.module}/#",) if action is Action.SUBSCRIBE else ()
        if not any(covers(pattern, topic) for pattern in (*patterns, *own)):
            why = f"the manifest of {peer.module} does not let it {action} there"
            return Decision(allowed=False, why=why, remedy=f"[link] {action} = [{topic!r}] in its manifest")
        sends = action in (Action.PUBLISH, Action.REQUEST)
        if sends and any(matches(gate, topic) for gate in (*rules.approve, *self.rules.gated)):
            return _GATED
        return _YES
