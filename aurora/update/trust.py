"""Whether a package may be installed: one pure function over what is known, with its rules in its docstring.

Modelled on the client of The Update Framework (https://theupdateframework.github.io/specification/latest/, section 5):
its four attacks are rollback, freeze, mix and match, and the compromise of a key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from aurora.update.keyring import ANY_ROLE, Key, Rule, rule_for
from aurora.update.keys import is_signed
from aurora.update.kinds import brief
from aurora.update.signature import Facts, Signature, Statement, facts_fault, signed_bytes
from aurora.update.versions import is_older, is_version

__all__ = ["Known", "Signer", "Verdict", "judge"]


class Known(NamedTuple):
    """What this machine knows of the package from before."""

    installed: str | None = None
    """The version that is installed."""
    lowest: str | None = None
    """The lowest version to go back to, as the signers of what was accepted last have said."""


class Signer(NamedTuple):
    """One signature, and what it counts for."""

    key: str
    """The public key."""
    name: str
    """Its name in the keyring; empty where it is not in it."""
    roles: tuple[str, ...]
    fault: str
    """Why it does not count; empty when it does."""


class Verdict(NamedTuple):
    """What was decided."""

    reasons: tuple[str, ...]
    """Every reason against the package, each reading after "because"; none when it is accepted."""
    signers: tuple[Signer, ...]
    """Who signed it, those who do not count included."""
    statement: Statement | None
    """What they all signed; None when there is no such thing."""

    @property
    def accepted(self) -> bool:
        """Whether it may be installed."""
        return not self.reasons


def judge(
    facts: Facts,
    signatures: Sequence[Signature],
    keyring: Iterable[Key],
    rules: Iterable[Rule],
    *,
    today: date,
    known: Known,
) -> Verdict:
    """Accept the package, or refuse it with every reason. It is accepted when all of this holds:

    1. Each of its signatures was made by the key that it names, also one that counts for nothing: a damaged one is
       refused, never passed over.
    2. Each of them is about this package: its name, version, architecture, and the digests of its parts, all of them
       and in their order (mix and match; replay).
    3. All of them make the same statement: several signers have agreed on one thing, lowest version and expiry
       included.
    4. The statement has not expired; `today` may be its last day (freeze).
    5. Of the rules the first whose pattern is the package's name decides; there is one.
    6. Each role of that rule has as many signers as it asks for, `*` of any role. A signer is a key of the keyring
       that is valid today and not revoked. No key counts twice, nor for two roles (compromise of a key: of fewer keys
       than the rule asks for nothing follows, and a revoked one counts for nothing).
    7. Its version is not below the lowest that was remembered; where none is, not below the installed one (rollback).
    """
    keys = {key.public: key for key in keyring}
    reasons = [fault] if (fault := facts_fault(facts)) else []
    signers = tuple(_signer(one, keys.get(one.key), today) for one in signatures)
    for one in signatures:
        if not is_signed(one.key, signed_bytes(one.statement, one.key), one.signature):
            reasons.append(f"the signature of {_shown(one.key, keys)} is not by that key, or was damaged")
        reasons += _differences(facts, one.statement.facts, _shown(one.key, keys))
    if len({one.key for one in signatures}) != len(signatures):
        reasons.append("a key has signed it twice")
    statements = {one.statement for one in signatures}
    if len(statements) > 1:
        reasons.append("its signatures say different things: expiry, lowest version, or what is signed")
    statement = next(iter(statements)) if len(statements) == 1 else None
    for day in sorted({said.expires for said in statements}):
        if today > day:
            reasons.append(f"its signatures have expired on {day}, and today is {today}")
    reasons += _missing(facts, signers, rule_for(rules, facts.package))
    reasons += _rollback(facts.version, known)
    return Verdict(tuple(dict.fromkeys(reasons)), signers, statement)


def _shown(public: str, keys: Mapping[str, Key]) -> str:
    return keys[public].name if public in keys else f"the key {brief(public)}"


def _signer(signature: Signature, key: Key | None, today: date) -> Signer:
    if key is None:
        return Signer(signature.key, "", (), "it is not in the keyring")
    return Signer(key.public, key.name, key.roles, key.fault(today) or "")


def _differences(facts: Facts, signed: Facts, who: str) -> list[str]:
    """What a signature is about that the package is not."""
    found = [
        f"{who} has signed the {word} {theirs}, and it is {ours}"
        for word, theirs, ours in (
            ("package", signed.package, facts.package),
            ("version", signed.version, facts.version),
            ("architecture", signed.architecture, facts.architecture),
        )
        if theirs != ours
    ]
    if [name for name, _ in signed.parts] != [name for name, _ in facts.parts]:
        found.append(f"{who} has signed other parts than it has")
    else:
        pairs = zip(signed.parts, facts.parts, strict=True)
        found += [f"{who} has signed another {theirs[0]}" for theirs, ours in pairs if theirs != ours]
    return found


def _rollback(version: str, known: Known) -> list[str]:
    bound, what = known.lowest, "the lowest to go back to"
    if bound is None:
        bound, what = known.installed, "which is installed"
    if bound is None:
        return []
    if not is_version(version) or not is_version(bound):
        return [f"its version cannot be compared with {bound[:64]!a}, {what}"]
    return [f"its version {version} is below {bound}, {what}"] if is_older(version, bound) else []


def _missing(facts: Facts, signers: Sequence[Signer], rule: Rule | None) -> list[str]:
    """What the rule asks for that is not there."""
    if rule is None:
        return [f"no rule says who must sign {facts.package}"]
    good = {one.key: one for one in signers if not one.fault}
    places = [role for role, count in sorted(rule.signers.items()) for _ in range(count)]
    short = len(places) - _filled(places, [frozenset((*one.roles, ANY_ROLE)) for one in good.values()])
    if not short:
        return []
    needed = " and ".join(_counted(count, role) for role, count in sorted(rule.signers.items()))
    reasons = [] if signers else ["nobody has signed it"]
    reasons += [f"the signature of {one.name or f'the key {brief(one.key)}'} does not count: {one.fault}"
                for one in signers if one.fault]  # fmt: skip
    has = ", ".join(f"{one.name} ({', '.join(one.roles)})" for one in good.values()) or "none"
    return [*reasons, f"it must be signed by {needed}, and the signatures that count are by: {has}"]


def _counted(count: int, role: str) -> str:
    keys = "1 key" if count == 1 else f"{count} different keys"
    return f"{keys} of any role" if role == ANY_ROLE else f"{keys} of the role {role}"


def _filled(places: Sequence[str], signers: Sequence[frozenset[str]]) -> int:
    """How many of the places can be filled by signers at once, each in one (Kuhn's bipartite matching)."""
    holds: dict[int, int] = {}

    def seat(signer: int, seen: set[int]) -> bool:
        for place, role in enumerate(places):
            if role in signers[signer] and place not in seen:
                seen.add(place)
                if place not in holds or seat(holds[place], seen):
                    holds[place] = signer
                    return True
        return False

    return sum(seat(signer, set()) for signer in range(len(signers)))
