"""Whom the owner trusts to sign: the keys in /etc/aurora/keyring, the rules in /etc/aurora/trust.toml. Pure.

A key is a file of its name, NAME.toml:

    name = "release"
    public = "3f0e…"              # Ed25519; a key of another kind begins with its name: "ecdsa-p256:02ab…"
    roles = ["release"]
    valid_from = 2026-01-01       # both days count, in UTC
    valid_until = 2028-12-31      # may be left out, as may valid_from
    revoked = 2027-05-01          # from then on; no signature of it counts any more, whenever it was made

The rules are a list; of those whose pattern is that of a package, the first one decides:

    [[rule]]
    packages = ["aurora-module-test-*"]
    signers = { "*" = 1 }                # one key of any role

    [[rule]]
    packages = ["*"]
    signers = { release = 2, qa = 1 }    # three keys: none counts for two roles
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import NamedTuple

from aurora.errors import InputError, Problem
from aurora.manifest.located import overlong_key
from aurora.text import visible
from aurora.update.kinds import PUBLIC_RULE, kind_of

__all__ = [
    "ANY_ROLE",
    "DEFAULT_RULES",
    "KEYS_MAX",
    "KEY_FILE_MAX_BYTES",
    "NAME_RULE",
    "RULES_MAX_BYTES",
    "Key",
    "Rule",
    "is_key_name",
    "key_bytes",
    "parse_key",
    "parse_public",
    "parse_rules",
    "public_bytes",
    "read_keyring",
    "rule_for",
]

KEY_FILE_MAX_BYTES = 4096
RULES_MAX_BYTES = 64 * 1024
KEYS_MAX = 256
"""A keyring with more is refused."""
RULES_MAX = 256
ROLES_MAX = 16
PROBLEMS_MAX = 50
SIGNERS_MAX = 16
"""As many as a package can have signatures."""
ANY_ROLE = "*"
NAME_RULE = "lower-case letters, digits and hyphens, a letter first, at most 48"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,47}", re.ASCII)
_PATTERN = re.compile(r"[a-z0-9+.*?-]{1,128}", re.ASCII)


class Key(NamedTuple):
    """A public key that the owner trusts, and how far."""

    name: str
    public: str
    roles: tuple[str, ...]
    valid_from: date | None = None
    valid_until: date | None = None
    revoked: date | None = None

    def fault(self, today: date) -> str | None:
        """Why no signature of it counts; None when it does."""
        if self.revoked is not None:
            return f"it was revoked on {self.revoked}"
        if self.valid_from is not None and today < self.valid_from:
            return f"it is valid from {self.valid_from}, and today is {today}"
        if self.valid_until is not None and today > self.valid_until:
            return f"it was valid until {self.valid_until}, and today is {today}"
        return None


class Rule(NamedTuple):
    """How many of which roles must sign which packages."""

    packages: tuple[str, ...]
    """Patterns: * stands for any characters, ? for one."""
    signers: Mapping[str, int]
    """Role, or ANY_ROLE, and how many keys of it."""


DEFAULT_RULES = (Rule(("*",), {ANY_ROLE: 1}),)
"""Where the owner has written none: any one key of the keyring."""


def is_key_name(text: str) -> bool:
    """Whether it can be the name of a key or a role."""
    return _NAME.fullmatch(text) is not None


class _Reading:
    """One file being read: collects its problems."""

    def __init__(self, what: str, file: str) -> None:
        self.what = what
        self.file = file
        self.problems: list[Problem] = []

    def fault(self, key: str, why: str, remedy: str = "") -> None:
        where = f"{self.file}, key {visible(key[:64])}" if key else self.file
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(self.what, visible(why[:300]), where, remedy))

    def table(self, data: bytes, max_bytes: int, known: Iterable[str]) -> dict[str, object]:
        if len(data) > max_bytes:
            self.fault("", f"it has more than {max_bytes} bytes")
            return {}
        try:
            text = data.decode()
            if overlong_key(text) is not None:
                self.fault("", "a key in it has too many parts")
                return {}
            found = tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            self.fault("", f"it is not TOML in UTF-8: {error}")
            return {}
        self.only(found, known)
        return found

    def only(self, table: Mapping[str, object], known: Iterable[str], prefix: str = "") -> None:
        names = list(known)
        for key in table:
            if key not in names:
                self.fault(prefix + key, "there is no such key", f"one of {', '.join(names)}")

    def day(self, table: Mapping[str, object], key: str) -> date | None:
        value = table.get(key)
        if value is None:
            return None
        if not isinstance(value, date) or isinstance(value, datetime):
            self.fault(key, "it must be a day without quotes", f"{key} = 2027-11-30")
            return None
        return value

    def done[T](self, value: T) -> T:
        if self.problems:
            raise InputError.of(self.problems)
        return value


def _identity(reading: _Reading, table: Mapping[str, object]) -> tuple[str, str]:
    name, public = table.get("name"), table.get("public")
    if not isinstance(name, str) or not is_key_name(name):
        reading.fault("name", f"a key's name is {NAME_RULE}")
    if not isinstance(public, str) or kind_of(public) is None:
        reading.fault("public", f"it must be a text of {PUBLIC_RULE}")
    return str(name), str(public)


def parse_public(data: bytes, *, file: str) -> Key:
    """The public key that a signer hands over, name and public alone; InputError with all that is wrong."""
    reading = _Reading("read the public key", file)
    table = reading.table(data, KEY_FILE_MAX_BYTES, ("name", "public"))
    name, public = _identity(reading, table) if table or not reading.problems else ("", "")
    return reading.done(Key(name, public, ()))


def parse_key(data: bytes, *, file: str, stem: str) -> Key:
    """A key of the keyring, from the file stem.toml; InputError with all that is wrong."""
    reading = _Reading("read a key of the keyring", file)
    known = ("name", "public", "roles", "valid_from", "valid_until", "revoked")
    table = reading.table(data, KEY_FILE_MAX_BYTES, known)
    if not table and reading.problems:
        raise InputError.of(reading.problems)
    name, public = _identity(reading, table)
    if name != stem:
        reading.fault("name", f"the file of the key {visible(name[:64])} must have its name, not {visible(stem[:64])}")
    roles = table.get("roles")
    if (
        not isinstance(roles, list)
        or not 1 <= len(roles) <= ROLES_MAX
        or not all(isinstance(role, str) and is_key_name(role) for role in roles)
    ):
        reading.fault("roles", f"it must be a list of 1 to {ROLES_MAX} names", 'roles = ["release"]')
        roles = []
    days = [reading.day(table, key) for key in ("valid_from", "valid_until", "revoked")]
    return reading.done(Key(name, public, tuple(roles), *days))


def read_keyring(files: Iterable[tuple[str, str, bytes]]) -> tuple[Key, ...]:
    """The keys in files (path, stem, content); InputError with the problems of all of them.

    One public key has one file: under two names it would count as two signers.
    """
    found: dict[str, Key] = {}
    problems: list[Problem] = []
    for count, (file, stem, data) in enumerate(files):
        if count >= KEYS_MAX:
            problems.append(Problem("read the keyring", f"it has more than {KEYS_MAX} keys", file))
            break
        try:
            key = parse_key(data, file=file, stem=stem)
        except InputError as error:
            problems += error.problems
            continue
        if key.public in found:
            why = f"its public key is that of {found[key.public].name}, and would count twice"
            problems.append(Problem("read the keyring", why, file, "removing one of the two"))
        found[key.public] = key
    if problems:
        raise InputError.of(problems[:PROBLEMS_MAX])
    return tuple(found.values())


def parse_rules(data: bytes, *, file: str) -> tuple[Rule, ...]:
    """The owner's rules, in their order; InputError with all that is wrong."""
    reading = _Reading("read the rules of trust", file)
    table = reading.table(data, RULES_MAX_BYTES, ("rule",))
    raw = table.get("rule", [])
    if not isinstance(raw, list) or len(raw) > RULES_MAX or not all(isinstance(one, dict) for one in raw):
        reading.fault("rule", f"it must be at most {RULES_MAX} tables, each headed [[rule]]")
        raw = []
    return reading.done(tuple(_rule(reading, one, f"rule {number}: ") for number, one in enumerate(raw, 1)))


def _rule(reading: _Reading, table: Mapping[str, object], prefix: str) -> Rule:
    reading.only(table, ("packages", "signers"), prefix)
    packages, signers = table.get("packages"), table.get("signers")
    if (
        not isinstance(packages, list)
        or not 1 <= len(packages) <= RULES_MAX
        or not all(isinstance(one, str) and _PATTERN.fullmatch(one) for one in packages)
    ):
        reading.fault(f"{prefix}packages", "it must be a list of names of packages, with * and ?", '["*"]')
        packages = []
    if not isinstance(signers, dict) or not signers or not all(map(_is_need, signers, signers.values())):
        reading.fault(f"{prefix}signers", "it must be a table of roles, or *, and numbers", "{ release = 1 }")
        signers = {}
    if sum(signers.values()) > SIGNERS_MAX:
        reading.fault(f"{prefix}signers", f"a package has at most {SIGNERS_MAX} signatures")
    return Rule(tuple(packages), signers)


def _is_need(role: object, count: object) -> bool:
    named = isinstance(role, str) and (role == ANY_ROLE or is_key_name(role))
    return named and isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= SIGNERS_MAX


def rule_for(rules: Iterable[Rule], package: str) -> Rule | None:
    """The first rule that is for the package."""
    return next((rule for rule in rules if any(fnmatchcase(package, one) for one in rule.packages)), None)


def key_bytes(key: Key) -> bytes:
    """The file of a key of the keyring."""
    lines = [f'name = "{key.name}"', f'public = "{key.public}"']
    lines.append(f"roles = [{', '.join(f'"{role}"' for role in key.roles)}]")
    days = (("valid_from", key.valid_from), ("valid_until", key.valid_until), ("revoked", key.revoked))
    lines += [f"{name} = {day.isoformat()}" for name, day in days if day is not None]
    return "".join(f"{line}\n" for line in lines).encode()


def public_bytes(key: Key) -> bytes:
    """The file that a signer hands over."""
    return f'name = "{key.name}"\npublic = "{key.public}"\n'.encode()
