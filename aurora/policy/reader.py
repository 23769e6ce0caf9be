"""Policy files, the grants file and the owner's core.toml: bytes to values, all problems of a file at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import NamedTuple

from aurora.directives import DIRECTIVES, SANDBOX, Value
from aurora.errors import InputError, Problem
from aurora.policy.arguments import ARGUMENTS, Argument, argument_of, filled
from aurora.policy.model import SIGNATURE_MODES, SIGNATURES_OFF, Catalogue, Grant, Owner, Policy
from aurora.policy.resolve import loosened
from aurora.policy.values import LIST_KINDS, directive_value, rule_fault
from aurora.policy.window import WINDOWS_MAX, Window, parse_window
from aurora.quantity import parse_score
from aurora.text import visible
from aurora.topics import pattern_fault

__all__ = ["FILE_MAX_BYTES", "GRANTS_FILE", "OWNER_FEATURES", "read_catalogue", "read_owner"]

FILE_MAX_BYTES = 256 * 1024
"""A longer policy file is refused unread."""
RULES_MAX = 512
PROBLEMS_MAX = 50
"""More problems are not told."""
_WORDS_MAX_CHARS = 300
_KEY_MAX_CHARS = 100
# tomllib takes time and memory in the square of the number of parts of a key; no key of ours has more than three.
# A word is looked at from its beginning only, so that a long one takes no time in the square either.
_QUOTED = r"""|"[^"\n]*+"|'[^'\n]*+'"""
_LONG_KEY = re.compile(
    rf"(?:(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++{_QUOTED})(?:[ \t]*+\.[ \t]*+(?:[A-Za-z0-9_-]++{_QUOTED})){{16}}"
)
GRANTS_FILE = "grants.toml"
OWNER_FEATURES = frozenset({"apparmor", "seccomp", "memory", "cpu", "pids", "io", "io-weight", "ip-filter", "loop"})
"""What an owner may accept as missing; the same words as `plan.Feature`."""
OWNER_KEYS = ("accept_unenforced", "exposure_max", "grants_never", "link", "policies_never", "signatures", "update")
ORIGINS_MAX = 32
APPROVE_MAX = 64

_KNOWN_FEATURES = f"some of: {', '.join(sorted(OWNER_FEATURES))}"
_NAME = re.compile(r"[a-z][a-z0-9.-]{0,63}", re.ASCII)
_GRANT = re.compile(r"[a-z][a-z0-9.]{0,63}(?::[A-Za-z0-9._/-]{1,64})?", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,31}://([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(:[1-9][0-9]{0,4})?", re.ASCII)
"""As browsers write it (RFC 6454, section 6.2): without a path, and without the port that its scheme has anyway."""
_EMPTY = Policy(name="", description="", directives={}, apparmor=())


def _cut(text: str, length: int) -> str:
    """As it can stand on a terminal, and no longer than can be read."""
    text = visible(text[: length + 1])
    return text if len(text) <= length else f"{text[:length]}..."


class _Reading:
    """One file being read: collects its problems."""

    def __init__(self, what: str, file: str) -> None:
        self.what = what
        self.file = file
        self.problems: list[Problem] = []

    def fault(self, key: str, why: str, remedy: str = "") -> None:
        where = f"{self.file}, key {_cut(key, _KEY_MAX_CHARS)}" if key else self.file
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(self.what, _cut(why, _WORDS_MAX_CHARS), where, _cut(remedy, _WORDS_MAX_CHARS)))

    def document(self, data: bytes) -> dict[str, object]:
        if len(data) > FILE_MAX_BYTES:
            self.fault("", f"it has {len(data)} bytes, more than {FILE_MAX_BYTES}")
            return {}
        try:
            text = data.decode()
            if _LONG_KEY.search(text):
                self.fault("", "a key in it has more than 16 parts")
                return {}
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            self.fault("", f"it is not TOML in UTF-8: {error}")
            return {}

    def only(self, table: Mapping[str, object], known: Iterable[str], prefix: str = "") -> None:
        names = sorted(known)
        for key in table:
            if key not in names:
                self.fault(f"{prefix}{key}", "there is no such key", f"one of {', '.join(names)}")

    def text(self, table: Mapping[str, object], key: str, prefix: str = "") -> str:
        value = table.get(key, "")
        if not isinstance(value, str) or not value.isprintable():
            self.fault(f"{prefix}{key}", "it must be one line of text")
            return ""
        return value

    def table(self, table: Mapping[str, object], key: str, prefix: str = "") -> dict[str, object]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            self.fault(f"{prefix}{key}", "it must be a table")
            return {}
        return value

    def words(
        self, table: Mapping[str, object], key: str, good: Callable[[str], object], wanted: str, prefix: str = ""
    ) -> tuple[str, ...]:
        value = table.get(key, [])
        if isinstance(value, list) and len(value) <= RULES_MAX and all(isinstance(w, str) and good(w) for w in value):
            return tuple(value)
        self.fault(f"{prefix}{key}", "it must be a list of texts, each of the right kind", f"a list of {wanted}")
        return ()

    def rules(self, table: Mapping[str, object], prefix: str = "", argument: Argument | None = None) -> tuple[str, ...]:
        value = table.get("apparmor", [])
        if not isinstance(value, list) or len(value) > RULES_MAX:
            self.fault(f"{prefix}apparmor", f"it must be a list of at most {RULES_MAX} rules")
            return ()
        for rule in value:
            try:
                why = rule_fault(_sample(rule, argument))
            except ValueError as error:
                why = str(error)
            if why is not None:
                self.fault(f"{prefix}apparmor", why)
        return tuple(value)

    def directives(
        self, table: Mapping[str, object], prefix: str, *, lists: bool, argument: Argument | None = None
    ) -> dict[str, Value]:
        """The directives of a table; of a grant that takes an argument they stay as written, with $WORD in them."""
        found: dict[str, Value] = {}
        for name, raw in table.items():
            if name not in SANDBOX:
                self.fault(f"{prefix}{name}", "a policy cannot set such a directive")
            elif lists and DIRECTIVES[name].kind not in LIST_KINDS:
                self.fault(f"{prefix}{name}", "it is not a list", "the key set")
            else:
                try:
                    value = directive_value(DIRECTIVES[name], _sample(raw, argument))
                    found[name] = tuple(raw) if isinstance(raw, list) else value
                except ValueError as error:
                    self.fault(f"{prefix}{name}", str(error))
        return found

    def change(self, name: str, table: Mapping[str, object], prefix: str, *, replaced: str) -> Grant:
        """What loosens a policy: of a grant, or of a policy that is made from another."""
        argument = argument_of(name)

        def part(key: str, *, lists: bool) -> dict[str, Value]:
            found = self.table(table, key, prefix)
            return self.directives(found, f"{prefix}{key}.", lists=lists, argument=argument if lists else None)

        description = self.text(table, "description", prefix)
        try:
            _sample(description, argument)
        except ValueError as error:
            self.fault(f"{prefix}description", str(error))
        return Grant(
            name=name,
            description=description,
            set=part(replaced, lists=False),
            add=_lists(part("add", lists=True)),
            remove=_lists(part("remove", lists=True)),
            apparmor=self.rules(table, prefix, argument),
        )


def _sample(raw: object, argument: Argument | None) -> object:
    """The text or texts as they are once the argument stands in them; ValueError for a placeholder of another kind."""
    if isinstance(raw, list):
        return [_sample(one, argument) for one in raw]
    if not isinstance(raw, str):
        return raw
    return filled(raw, argument.word, argument.sample) if argument is not None else filled(raw, "", "")


class _Draft(NamedTuple):
    """A policy file as it stands: the policy it is made from, if any, and what it changes."""

    base: str
    change: Grant
    file: str


def _policy(name: str, file: str, data: bytes) -> tuple[_Draft, list[Problem]]:
    reading = _Reading("read the policy", file)
    document = reading.document(data)
    base = reading.text(document, "base")
    known = ("description", "base", "apparmor", "directives")
    reading.only(document, (*known, "add", "remove") if base else known)
    change = reading.change(name, document, "", replaced="directives")
    return _Draft(base, change, file), reading.problems


def _grants(file: str, data: bytes) -> tuple[list[Grant], list[Problem]]:
    reading = _Reading("read the grants", file)
    document = reading.document(data)
    grants = []
    for name in document:
        table = reading.table(document, name)
        if not _GRANT.fullmatch(name):
            kinds = ", ".join(f"NAME:{word}" for word in ARGUMENTS)
            reading.fault(name, "it is not the name of a grant", f"small letters and points, or {kinds}")
        reading.only(table, ("description", "apparmor", "set", "add", "remove"), f"{name}.")
        grants.append(reading.change(name, table, f"{name}.", replaced="set"))
    return grants, reading.problems


def _made(drafts: Mapping[str, _Draft]) -> tuple[dict[str, Policy], list[Problem]]:
    """The policies, each made from the one that it names as its base."""
    policies: dict[str, Policy] = {}
    waiting = dict(drafts)
    while ready := [name for name, one in waiting.items() if not one.base or one.base in policies]:
        for name in ready:
            draft = waiting.pop(name)
            base = policies[draft.base] if draft.base else _EMPTY
            policies[name] = replace(
                loosened(base, draft.change), name=name, description=draft.change.description, base=draft.base
            )
    problems = []
    for draft in waiting.values():
        why = "its bases lead back to itself" if draft.base in drafts else f"there is no policy {draft.base!r}"
        problems.append(Problem("read the policy", why, f"{draft.file}, key base", "a policy that has no base"))
    return policies, problems


def _lists(values: Mapping[str, Value]) -> dict[str, tuple[str, ...]]:
    return {name: value for name, value in values.items() if isinstance(value, tuple)}


def read_catalogue(files: Iterable[tuple[str, bytes]]) -> Catalogue:
    """All policies and grants of `files` (path, content); of two with the same name the later one counts.

    InputError with the problems of all files at once.
    """
    drafts: dict[str, _Draft] = {}
    grants: dict[str, Grant] = {}
    problems: list[Problem] = []
    for path, data in files:
        file = PurePath(path)
        if file.name == GRANTS_FILE:
            found, faults = _grants(path, data)
            grants.update((grant.name, grant) for grant in found)
        else:
            drafts[file.stem], faults = _policy(file.stem, path, data)
        problems += faults
    policies, faults = _made(drafts)
    problems += faults
    if problems:
        raise InputError.of(problems[:PROBLEMS_MAX])
    return Catalogue(policies=policies, grants=grants)


def read_owner(data: bytes, *, file: str) -> Owner:
    """The owner's core.toml; InputError with all its problems at once. Empty content decides nothing."""
    reading = _Reading("read the owner's settings", file)
    document = reading.document(data)
    reading.only(document, OWNER_KEYS)
    accepted = reading.words(document, "accept_unenforced", lambda word: word in OWNER_FEATURES, _KNOWN_FEATURES)
    grants = reading.words(document, "grants_never", _is_grant_pattern, 'names of grants, or such as "cap:*"')
    policies = reading.words(document, "policies_never", lambda word: _NAME.fullmatch(word), "names of policies")
    exposure_max = document.get("exposure_max")
    tenths = None
    if exposure_max is not None:
        try:
            tenths = parse_score(exposure_max if isinstance(exposure_max, str) else repr(exposure_max))
        except ValueError as error:
            reading.fault("exposure_max", str(error), '"3.0"')
    signatures = document.get("signatures", SIGNATURES_OFF)
    if not isinstance(signatures, str) or signatures not in SIGNATURE_MODES:
        reading.fault("signatures", "it must be one of these texts", ", ".join(f'"{m}"' for m in SIGNATURE_MODES))
        signatures = SIGNATURES_OFF
    origins, approve = _link(reading, document)
    windows = _update(reading, document)
    if reading.problems:
        raise InputError.of(reading.problems)
    return Owner(
        accept_unenforced=frozenset(accepted),
        exposure_max_tenths=tenths,
        grants_never=grants,
        origins=origins,
        approve=approve,
        policies_never=policies,
        signatures=signatures,
        windows=windows,
    )


def _link(reading: _Reading, document: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`[link] origins`, where "null", which is that of every file and of much else, is none; and `[link] approve`."""
    table = reading.table(document, "link")
    reading.only(table, ("origins", "approve"), "link.")
    wanted = 'origins such as "https://panel.example" or "http://localhost:8080"'
    origins = reading.words(table, "origins", _ORIGIN.fullmatch, wanted, "link.")
    if len(origins) > ORIGINS_MAX:
        reading.fault("link.origins", f"there are {len(origins)}, more than {ORIGINS_MAX}")
    approve = reading.words(table, "approve", _is_gate, 'patterns of topics such as "actuator/#"', "link.")
    if len(approve) > APPROVE_MAX:
        reading.fault("link.approve", f"there are {len(approve)}, more than {APPROVE_MAX}")
    return origins, approve


def _update(reading: _Reading, document: Mapping[str, object]) -> tuple[Window, ...]:
    """`[update] windows`: each that is wrong is told."""
    table = reading.table(document, "update")
    reading.only(table, ("windows",), "update.")
    texts = table.get("windows", [])
    wanted = 'such as "Mon..Fri 02:00-04:00", "Sat,Sun 22:00-06:00" or "03:00-04:30"'
    if not isinstance(texts, list) or len(texts) > WINDOWS_MAX or not all(isinstance(text, str) for text in texts):
        reading.fault("update.windows", f"it must be a list of at most {WINDOWS_MAX} texts", wanted)
        return ()
    found = []
    for text in texts:
        try:
            found.append(parse_window(text))
        except ValueError as error:
            reading.fault("update.windows", f"{text!a}: {error}", wanted)
    return tuple(found)


def _is_gate(word: str) -> bool:
    return pattern_fault(word) is None and not word.startswith("$")


def _is_grant_pattern(word: str) -> bool:
    head, colon, argument = word.partition(":")
    return bool(_NAME.fullmatch(head)) and word.isprintable() and " " not in word and (not colon or argument != "")
