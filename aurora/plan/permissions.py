"""Two plans of one module -> what the new one would newly be able to do, and what else changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from aurora.directives import DIRECTIVES, SANDBOX, Kind, Value
from aurora.manifest import Link, Manifest, to_json
from aurora.plan.model import Plan
from aurora.quantity import format_duration, format_share, format_size
from aurora.topics import WhenFull, covers

__all__ = ["Change", "Effect", "Permitted", "compare_permissions", "link_words", "wait_words"]


class Effect(StrEnum):
    """What a change means for the machine's owner."""

    MORE = "more"
    """The module may do more, or take more."""
    LESS = "less"
    OTHER = "other"
    """Neither: another program, another time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permitted:
    """A version of a module: what it says, and what becomes of it here."""

    manifest: Manifest
    plan: Plan
    grants: Mapping[str, str]
    """What each grant that it asks for lets through, in words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One difference."""

    subject: str
    """What it is about: a grant, a limit, a directive."""
    before: str
    """Empty where there was none."""
    after: str
    """Empty where there is none any more."""
    effect: Effect
    words: str
    """In plain words."""

    def to_json(self) -> dict[str, str]:
        """The fields under their names."""
        return asdict(self)


_LIMITS: Mapping[str, tuple[str, Callable[[int], str]]] = {
    "limits.cpu_share_usec": ("CPU time", format_share),
    "limits.memory_max_bytes": ("memory", format_size),
    "limits.memory_high_bytes": ("memory before it is slowed down", format_size),
    "limits.tasks_max": ("processes and threads", str),
    "limits.io_read_max_bytes": ("a second read from the disk", format_size),
    "limits.io_write_max_bytes": ("a second written to the disk", format_size),
    "limits.state_max_bytes": ("of the disk for its state", format_size),
    "limits.cache_max_bytes": ("of the disk for its cache", format_size),
    "limits.logs_max_bytes": ("of the disk for its own log files", format_size),
}
_WEIGHTS = {"limits.cpu_weight": "CPU time", "limits.io_weight": "disk"}
_USUAL_WEIGHT = 100  # cpu.weight and io.weight in the kernel's cgroup-v2 document
_NARROWER_WHEN_LONGER = frozenset(
    {"TemporaryFileSystem", "InaccessiblePaths", "IPAddressDeny"}
)  # lists of what is refused
_ADDED_TO_NOTHING = frozenset({"SupplementaryGroups", "AmbientCapabilities", "IPAddressAllow"})
_TIGHTEST_LAST: Mapping[str, Sequence[str]] = {
    "ProtectSystem": ("no", "yes", "full", "strict"),
    "ProtectHome": ("no", "read-only", "tmpfs", "yes"),
    "ProtectProc": ("default", "noaccess", "ptraceable", "invisible"),
    "ProcSubset": ("all", "pid"),
    "DevicePolicy": ("auto", "closed", "strict"),
    "KeyringMode": ("inherit", "shared", "private"),
}
_DISCONNECTED = "disconnected"
"""The tighter form of yes: what is private is in memory, and bounded (PrivateTmp= in systemd.exec(5))."""
_TOLD = frozenset({"module.name", "sandbox.policy", "sandbox.grants", "credentials"}) | _LIMITS.keys() | _WEIGHTS.keys()


def compare_permissions(before: Permitted, after: Permitted) -> tuple[Change, ...]:
    """Every difference, those that let it do more first; empty when there is none.

    The directives and rules under which it would run are compared as well, so nothing grows unseen that only the
    policy files or a key of the manifest this function does not know have changed.
    """
    found = [
        *_policy(before, after),
        *_grants(before, after),
        *_limits(before.manifest, after.manifest),
        *_weights(before.manifest, after.manifest),
        *_secrets(before.manifest, after.manifest),
        *_links(before.manifest, after.manifest),
        *_directories(before.plan, after.plan),
        *_directives(before.plan, after.plan),
        *_rules(before.plan, after.plan),
        *_others(before.manifest, after.manifest),
    ]
    order = list(Effect)
    return tuple(sorted(found, key=lambda change: order.index(change.effect)))


def _policy(before: Permitted, after: Permitted) -> list[Change]:
    old, new = before.manifest.sandbox.policy, after.manifest.sandbox.policy
    if old == new:
        return []
    # What that means is told by the directives and rules below.
    words = f"Its sandbox starts from the policy {new}, it was {old}"
    return [Change(subject="policy", before=old, after=new, effect=Effect.OTHER, words=words)]


def _grants(before: Permitted, after: Permitted) -> list[Change]:
    old, new = before.manifest.sandbox.grants, after.manifest.sandbox.grants
    added = [
        Change(subject="grant", before="", after=name, effect=Effect.MORE, words=after.grants.get(name, name))
        for name in new
        if name not in old
    ]
    gone = [
        Change(subject="grant", before=name, after="", effect=Effect.LESS, words=before.grants.get(name, name))
        for name in old
        if name not in new
    ]
    return [*added, *gone]


def _limits(before: Manifest, after: Manifest) -> list[Change]:
    old, new = _flat(to_json(before)), _flat(to_json(after))
    found = []
    for key, (title, form) in _LIMITS.items():
        was, now = old.get(key), new.get(key)
        if was == now:
            continue
        words = [f"at most {form(one)}" if isinstance(one, int) else "any amount of" for one in (was, now)]
        more = now is None or (isinstance(was, int) and isinstance(now, int) and now > was)
        found.append(
            Change(
                subject=key,
                before=words[0],
                after=words[1],
                effect=Effect.MORE if more else Effect.LESS,
                words=f"Use {words[1]} {title}, it was {words[0]}",
            )
        )
    return found


def _weights(before: Manifest, after: Manifest) -> list[Change]:
    old, new = _flat(to_json(before)), _flat(to_json(after))
    found = []
    for key, title in _WEIGHTS.items():
        was, now = (one if isinstance(one, int) else _USUAL_WEIGHT for one in (old.get(key), new.get(key)))
        if was != now:
            words = f"Count {now} where there is not enough {title} for all, it was {was}"
            effect = Effect.MORE if now > was else Effect.LESS
            found.append(Change(subject=key, before=str(was), after=str(now), effect=effect, words=words))
    return found


def _secrets(before: Manifest, after: Manifest) -> list[Change]:
    old, new = before.credentials, after.credentials
    return [
        Change(subject="credential", before="", after=name, effect=Effect.MORE, words=f"Read the secret {name}")
        for name in new
        if name not in old
    ] + [
        Change(subject="credential", before=name, after="", effect=Effect.LESS, words=f"Read the secret {name}")
        for name in old
        if name not in new
    ]


_LINK_WORDS: Mapping[str, str] = {
    "publish": "Publish {} on AuroraLink",
    "subscribe": "Read {} on AuroraLink",
    "request": "Ask others for {} on AuroraLink",
    "serve": "Answer others who ask for {} on AuroraLink",
}


def link_words(link: Link) -> list[str]:
    """What a module may talk about, a sentence for each pattern."""
    words = [_LINK_WORDS[name].format(one) for name, patterns in link.patterns.items() for one in patterns]
    if link.durable:
        size, age = format_size(link.durable_size_max_bytes), format_duration(link.durable_age_max_usec)
        drops = ", the oldest making room" if link.durable_full is WhenFull.DROP_OLDEST else ""
        words += [f"Have what it publishes under {one} kept on disk, {size} for {age}{drops}" for one in link.durable]
    return words + [f"Have the last value of {one} kept on disk" for one in link.retained]


def wait_words(link: Link) -> list[str]:
    """What waits for a human's approval because a module says so, a sentence for each pattern."""
    own = [f"Have what it sends to {one} wait for somebody's approval" for one in link.approve_own]
    return own + [f"Have what any module sends to {one} wait for somebody's approval" for one in link.approve_all]


def _links(before: Manifest, after: Manifest) -> list[Change]:
    old, new = link_words(before.link), link_words(after.link)
    return [
        *(
            Change(subject="link", before="", after=words, effect=Effect.MORE, words=words)
            for words in new
            if words not in old
        ),
        *(
            Change(subject="link", before=words, after="", effect=Effect.LESS, words=words)
            for words in old
            if words not in new
        ),
        *_waits(before.link, after.link),
    ]


def _waits(before: Link, after: Link) -> list[Change]:
    """To hold up what others send is more. So is to send, or be sent, unasked what somebody had to approve."""
    was, now = (*before.approve_own, *before.approve_all), (*after.approve_own, *after.approve_all)
    rows = [
        (one, Effect.MORE, f"Have what any module sends to {one} wait for somebody's approval")
        for one in _not_of(after.approve_all, before.approve_all)
    ]
    rows += [
        (one, Effect.LESS, f"Send to {one} without somebody's approval") for one in _not_of(after.approve_own, was)
    ]
    found = [Change(subject="link", before="", after=one, effect=effect, words=words) for one, effect, words in rows]
    for whose, gone in (
        ("any module sends", _not_of(before.approve_all, after.approve_all)),
        ("it sends", _not_of(before.approve_own, now)),
    ):
        for one in gone:
            words = f"Nobody has to approve any more what {whose} to {one}"
            found.append(Change(subject="link", before=one, after="", effect=Effect.MORE, words=words))
    return found


def _not_of(patterns: Sequence[str], others: Sequence[str]) -> list[str]:
    return [one for one in patterns if not any(covers(other, one) for other in others)]


def _directories(before: Plan, after: Plan) -> list[Change]:
    old, new = ([place for place in plan.writable if "/private/" not in place] for plan in (before, after))
    added = [
        Change(subject="directory", before="", after=one, effect=Effect.MORE, words=f"Keep files of its own in {one}")
        for one in new
        if one not in old
    ]
    gone = [
        Change(subject="directory", before=one, after="", effect=Effect.LESS, words=f"Keep files of its own in {one}")
        for one in old
        if one not in new
    ]
    return [*added, *gone]


def _directives(before: Plan, after: Plan) -> list[Change]:
    found = []
    for name in sorted(SANDBOX):
        old, new = _placeless(before, name), _placeless(after, name)
        if old == new:
            continue
        effect = _effect(name, old, new)
        verb = {Effect.MORE: "loosens", Effect.LESS: "tightens", Effect.OTHER: "changes"}[effect]
        found.append(
            Change(
                subject=name,
                before=_text(old),
                after=_text(new),
                effect=effect,
                words=f"{name} {verb}: {_difference(old, new)}",
            )
        )
    return found


def _placeless(plan: Plan, name: str) -> Value | None:
    """The directive's value without the module's own folder, which is another for each version."""
    value = plan.settings.get(name)
    if isinstance(value, tuple):
        value = tuple(word for word in value if word.removeprefix("-") != plan.folder)
    return value


def _effect(name: str, old: Value | None, new: Value | None) -> Effect:
    kind = DIRECTIVES[name].kind
    if kind in (Kind.FLAG, Kind.SWITCH) and (isinstance(new, bool) or new is None):
        return Effect.LESS if new is True and old != _DISCONNECTED else Effect.MORE
    if kind is Kind.SWITCH:
        return Effect.LESS
    order = _TIGHTEST_LAST.get(name)
    if order is not None:
        places = [order.index(one) if isinstance(one, str) and one in order else -1 for one in (old, new)]
        return Effect.LESS if places[1] > places[0] else Effect.MORE
    if isinstance(old or (), tuple) and isinstance(new or (), tuple):
        return _list_effect(name, old, new)
    return Effect.MORE  # a mode, a size: not known to be tighter


def _list_effect(name: str, old: Value | None, new: Value | None) -> Effect:
    # A list that is not there restricts nothing, but for those that add to what a module has.
    adds = DIRECTIVES[name].kind in (Kind.DEVICES, Kind.BINDS) or name in _ADDED_TO_NOTHING
    if (old is None or new is None) and not adds and name not in _NARROWER_WHEN_LONGER:
        return Effect.MORE if new is None else Effect.LESS
    was, now = (set(one) if isinstance(one, tuple) else set() for one in (old, new))
    added, gone = now - was, was - now
    loosened = {word for word in added if not word.startswith("~")} | {word for word in gone if word.startswith("~")}
    tightened = (added | gone) - loosened
    if name in _NARROWER_WHEN_LONGER:
        loosened, tightened = tightened, loosened
    if loosened:
        return Effect.MORE
    return Effect.LESS if tightened else Effect.OTHER


def _difference(old: Value | None, new: Value | None) -> str:
    if isinstance(old, tuple) and isinstance(new, tuple):
        words = [f"+{word}" for word in new if word not in old] + [f"-{word}" for word in old if word not in new]
        return " ".join(words) or "another order"
    return f"{_text(old) or 'not set'} becomes {_text(new) or 'not set'}"


def _text(value: Value | None) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case tuple():
            return " ".join(value)
        case _:
            return str(value)


def _rules(before: Plan, after: Plan) -> list[Change]:
    found = []
    for plan, other, added in ((after, before, True), (before, after, False)):
        for rule in plan.apparmor:
            if rule in other.apparmor:
                continue
            loosens = added != rule.startswith("deny ")
            found.append(
                Change(
                    subject="AppArmor rule",
                    before="" if added else rule,
                    after=rule if added else "",
                    effect=Effect.MORE if loosens else Effect.LESS,
                    words=f"AppArmor rule {'added' if added else 'gone'}: {rule}",
                )
            )
    if before.profile is not None and after.profile is None:
        words = "No AppArmor profile holds it"
        found.append(Change(subject="AppArmor", before="enforced", after="", effect=Effect.MORE, words=words))
    return found


def _others(before: Manifest, after: Manifest) -> list[Change]:
    old, new = _flat(to_json(before)), _flat(to_json(after))
    found = []
    for key in sorted(old.keys() | new.keys()):
        if key in _TOLD or key.startswith(("directories.", "link.")) or old.get(key) == new.get(key):
            continue
        was, now = (str(one) if one is not None else "" for one in (old.get(key), new.get(key)))
        words = f"{key} was {was or 'not set'} and is {now or 'not set'}"
        found.append(Change(subject=key, before=was, after=now, effect=Effect.OTHER, words=words))
    return found


def _flat(document: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= {f"{name}.{key}": one for key, one in value.items()}
        else:
            found[name] = " ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
    return found
