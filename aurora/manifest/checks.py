"""What no single key can see: keys that contradict one another, or that would have no effect.

Nothing that a manifest declares is silently left unenforced, so a key that could do nothing is an error too.
What is wrong is always something that the author wrote: defaults alone never contradict one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from aurora.manifest.model import Manifest, ModuleKind, Readiness, Restart, RestartPolicy
from aurora.manifest.schema import KEYS
from aurora.quantity import format_duration, format_size
from aurora.topics import covers

__all__ = ["Conflict", "conflicts"]


class Conflict(NamedTuple):
    """One contradiction, told at the key that is easiest to change."""

    key: str
    """Path of the key, as in `schema.Key.path`."""
    why: str
    """Reads after "because"."""
    remedy: str
    """Reads after "try"."""


type _Check = Callable[[Manifest, AbstractSet[str]], Iterator[Conflict]]


def _memory(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    high, cap = manifest.limits.memory_high_bytes, manifest.limits.memory_max_bytes
    if high is not None and cap is not None and high > cap:
        yield Conflict(
            "limits.memory_high",
            f"{format_size(high)} is more than limits.memory_max, {format_size(cap)}: the module would be"
            " killed before it is slowed",
            "a memory_high below memory_max",
        )


def _budgets(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    limits, wanted = manifest.limits, manifest.directories
    for name, budget, has in (
        ("state", limits.state_max_bytes, wanted.state),
        ("cache", limits.cache_max_bytes, wanted.cache),
        ("logs", limits.logs_max_bytes, wanted.logs),
    ):
        if budget is not None and not has:
            yield Conflict(
                f"limits.{name}_max",
                f"it has no effect where the module has no {name} directory",
                f"leaving it out, or {name} = true below [directories]",
            )


def _watchdog(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    if manifest.watchdog_usec is not None and manifest.start.readiness is not Readiness.NOTIFY:
        yield Conflict(
            "watchdog.timeout",
            f"it needs a module that talks to systemd, and start.readiness is {manifest.start.readiness}",
            'readiness = "notify" below [start]',
        )


def _oneshot(manifest: Manifest, declared: AbstractSet[str]) -> Iterator[Conflict]:
    schedule = manifest.schedule
    if manifest.kind is not ModuleKind.ONESHOT:
        for key in _SCHEDULE:
            if key in declared:
                yield Conflict(key, "only a oneshot can have a schedule", 'kind = "oneshot" below [module]')
                return
        return
    if manifest.start.readiness is Readiness.NOTIFY:
        why = "a oneshot is up when it has ended and cannot say that it is ready"
        yield Conflict("start.readiness", why, "leaving it out")
    if manifest.restart.policy is RestartPolicy.ALWAYS:
        yield Conflict("restart.policy", "a oneshot that ended well has done its work", 'policy = "on-failure"')
    if schedule.calendar is not None and schedule.interval_usec is not None:
        yield Conflict("schedule.interval", "there is schedule.calendar as well", "leaving one of them out")
    elif schedule.catch_up and schedule.calendar is None:
        yield Conflict("schedule.catch_up", "only a run of schedule.calendar can be missed", "leaving it out")
    if schedule.jitter_usec and not schedule.declared:
        yield Conflict("schedule.jitter", "there is neither a calendar nor an interval", "one of the two")


def _order(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    for key, others in (("order.after", manifest.order.after), ("order.requires", manifest.order.requires)):
        if manifest.name in others:
            yield Conflict(key, f"it names {manifest.name} itself", "the names of other modules")
    for name in manifest.order.after:
        if name in manifest.order.requires:
            yield Conflict("order.after", f"{name} stands in order.requires too, which says as much", "one of the two")


def _owner_may(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    for pattern in manifest.owner_may:
        table, _, name = pattern.partition(".")
        known = any(row.table == table and (row.name in (name, "*") or name == "*") for row in KEYS)
        if table == "module" or not known:
            why = f"{pattern} is not a key that an owner could set"
            yield Conflict("module.owner_may", why, "keys of other tables than [module], such as limits.*")


def _no_restart(manifest: Manifest, declared: AbstractSet[str]) -> Iterator[Conflict]:
    if manifest.restart.policy is not RestartPolicy.NO:
        return
    for key in _RESTART:
        if key in declared and key != "restart.policy":
            yield Conflict(
                key,
                'it has no effect where restart.policy is "no"',
                'leaving it out, or policy = "on-failure"',
            )


def _growth(manifest: Manifest, declared: AbstractSet[str]) -> Iterator[Conflict]:
    restart = manifest.restart
    if restart.policy is RestartPolicy.NO:
        return
    delay, longest = format_duration(restart.delay_usec), format_duration(restart.delay_max_usec)
    if restart.delay_max_usec < restart.delay_usec:
        left_out = "" if "restart.delay" in declared else " by default"
        yield Conflict(
            "restart.delay_max",
            f"{longest} is shorter than restart.delay, which is {delay}{left_out}",
            f'delay = "{longest}", or a longer delay_max',
        )
    elif restart.delay_usec == 0 and (restart.delay_max_usec or restart.growth_steps):
        yield Conflict(
            "restart.delay",
            "a wait of 0s cannot grow, and delay_max or steps ask for that",
            'delay = "100ms", or neither delay_max nor steps',
        )
    elif restart.growth_steps and restart.delay_max_usec == restart.delay_usec:
        yield Conflict(
            "restart.steps",
            f"it has no effect where delay and delay_max are both {delay}",
            "leaving it out, or a longer delay_max",
        )
    elif restart.growth_steps == 0 and restart.delay_max_usec > restart.delay_usec:
        yield Conflict(
            "restart.delay_max",
            "it has no effect where restart.steps is 0: the wait stays at delay",
            "leaving it out, or steps = 6",
        )


def _give_up(manifest: Manifest, declared: AbstractSet[str]) -> Iterator[Conflict]:
    restart = manifest.restart
    if restart.policy is RestartPolicy.NO:
        return
    if restart.give_up_after is None:
        if "restart.give_up_within" in declared:
            yield Conflict(
                "restart.give_up_within",
                "it has no effect without a number in restart.give_up_after",
                "leaving it out, or give_up_after = 10",
            )
        return
    shortest_usec = _waits_usec(restart, restart.give_up_after)
    if shortest_usec > restart.give_up_within_usec:
        left_out = "" if "restart.give_up_within" in declared else " by default"
        needed = format_duration(-(-shortest_usec // 1_000_000) * 1_000_000)
        yield Conflict(
            "restart.give_up_after",
            f"{restart.give_up_after} starts take {needed} of waiting alone, so they never fall within"
            f" restart.give_up_within, which is {format_duration(restart.give_up_within_usec)}{left_out}",
            f"a smaller number, or a give_up_within of more than {needed}",
        )


def _waits_usec(restart: Restart, count: int) -> int:
    """The shortest time that `count` restarts in a row take: the sum of their waits.

    systemd allows as many starts as the limit says and refuses the next one (ratelimit_below in its
    src/basic/ratelimit.c). The wait grows as in service_restart_usec_next in its src/core/service.c.
    """
    total_usec = 0
    growth = restart.delay_max_usec / max(restart.delay_usec, 1)
    for number in range(min(count, restart.growth_steps)):
        total_usec += int(restart.delay_usec * growth ** (number / restart.growth_steps))
    last_usec = restart.delay_max_usec if restart.growth_steps else restart.delay_usec
    return total_usec + last_usec * max(count - restart.growth_steps, 0)


def _safe_state(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    safe = manifest.safe_state
    if safe.command is not None and safe.module is not None:
        yield Conflict("safe_state.module", "safe_state.command is there too, and one of them has to do", "one of them")
    elif safe.module is not None and safe.module == manifest.name:
        yield Conflict("safe_state.module", "it is the module itself, which has just failed", "another module")


def _snapshot(manifest: Manifest, _declared: AbstractSet[str]) -> Iterator[Conflict]:
    if manifest.update.snapshot and not manifest.directories.state:
        why = "it has no effect where the module has no state directory"
        yield Conflict("update.snapshot", why, "leaving it out, or state = true below [directories]")


def _update(manifest: Manifest, declared: AbstractSet[str]) -> Iterator[Conflict]:
    for key in ("update.restarts_max", "update.memory_growth"):
        if key in declared and manifest.update.window_usec == 0:
            yield Conflict(key, "it has no effect where update.window is 0s", "leaving it out, or a longer window")
            return
    if "update.memory_growth" in declared and manifest.kind is ModuleKind.ONESHOT:
        yield Conflict("update.memory_growth", "a oneshot that has ended holds no memory", "leaving it out")
    if manifest.update.restarts_max and manifest.restart.policy is RestartPolicy.NO:
        yield Conflict("update.restarts_max", 'none happens where restart.policy is "no"', "leaving it out")


_RESTART = (
    "restart.policy",
    "restart.delay",
    "restart.delay_max",
    "restart.steps",
    "restart.give_up_after",
    "restart.give_up_within",
)
_SCHEDULE = ("schedule.calendar", "schedule.interval", "schedule.jitter", "schedule.catch_up")
_GROWTH = ("restart.policy", "restart.delay", "restart.delay_max", "restart.steps")

_TALKS = ("link.publish", "link.subscribe", "link.request", "link.serve")
_DURABLE = ("link.durable_size_max", "link.durable_age_max", "link.durable_full")
_BUDGET_KEYS = (("limits", "_max"), ("directories", ""))
_BUDGETS = tuple(f"{table}.{name}{end}" for name in ("state", "cache", "logs") for table, end in _BUDGET_KEYS)


def _link(manifest: Manifest, declared: AbstractSet[str]) -> Iterator[Conflict]:
    link = manifest.link
    for name, patterns in (("durable", link.durable), ("retained", link.retained)):
        for pattern in patterns:
            if not any(covers(granted, pattern) for granted in link.publish):
                why = f"the module may not publish all of {pattern!r}, by link.publish"
                yield Conflict(f"link.{name}", why, "patterns that one of link.publish covers")
    for pattern in link.approve:
        if not any(covers(own, pattern) for patterns in link.patterns.values() for own in patterns):
            why = f"all of {pattern!r} is nothing that the module publishes, requests, serves or subscribes to"
            yield Conflict("link.approve", why, "patterns that one of link.publish, request, serve, subscribe covers")
    if not link.durable:
        for key in _DURABLE:
            if key in declared:
                why = "it has no effect where no topic is durable"
                yield Conflict(key, why, "leaving it out, or link.durable")


_CHECKS: tuple[tuple[_Check, tuple[str, ...]], ...] = (
    (_memory, ("limits.memory_high", "limits.memory_max")),
    (_budgets, _BUDGETS),
    (_watchdog, ("watchdog.timeout", "start.readiness")),
    (_oneshot, ("module.kind", "start.readiness", "restart.policy", *_SCHEDULE)),
    (_order, ("module.name", "order.after", "order.requires")),
    (_owner_may, ("module.owner_may",)),
    (_no_restart, ("restart.policy",)),
    (_growth, _GROWTH),
    (_give_up, _RESTART),
    (_update, ("module.kind", "restart.policy", "update.window", "update.restarts_max", "update.memory_growth")),
    (_snapshot, ("update.snapshot", "directories.state")),
    (_link, (*_TALKS, "link.durable", "link.retained", "link.approve", *_DURABLE)),
    (_safe_state, ("module.name", "safe_state.command", "safe_state.module")),
)
"""Each check and the keys that it reads."""


def conflicts(
    manifest: Manifest, *, declared: AbstractSet[str], broken: AbstractSet[str] = frozenset()
) -> list[Conflict]:
    """Every contradiction between keys; empty when there is none.

    `declared` are the paths of the keys that the author wrote; `broken` those whose values could not be read:
    checks that would look at one of them are left out, as what they would say might not be true.
    """
    return [conflict for check, keys in _CHECKS if broken.isdisjoint(keys) for conflict in check(manifest, declared)]
