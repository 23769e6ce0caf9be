"""Policies and grants, once read: frozen, equal by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aurora.directives import Value
from aurora.policy.window import Window

__all__ = [
    "SIGNATURES_OFF",
    "SIGNATURES_REQUIRED",
    "SIGNATURES_WARN",
    "SIGNATURE_MODES",
    "Catalogue",
    "Grant",
    "Owner",
    "Policy",
]

SIGNATURES_OFF = "off"
"""Signatures are not looked at."""
SIGNATURES_WARN = "warn"
"""What is against a package is said, and it is taken."""
SIGNATURES_REQUIRED = "required"
"""A package that is not accepted is refused."""
SIGNATURE_MODES = (SIGNATURES_REQUIRED, SIGNATURES_WARN, SIGNATURES_OFF)


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A named sandbox."""

    name: str
    description: str
    directives: Mapping[str, Value]
    """Directives of `directives.SANDBOX` and their values."""
    apparmor: tuple[str, ...]
    """Rules in AppArmor's language, one each."""
    base: str = ""
    """The policy that its file is a change of; empty: of none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One thing that loosens a policy."""

    name: str
    """As a manifest writes it; in a catalogue a word of `arguments.ARGUMENTS` may stand behind the colon."""
    description: str
    set: Mapping[str, Value]
    """Directives whose value it replaces."""
    add: Mapping[str, tuple[str, ...]]
    """Words it puts into a directive's list."""
    remove: Mapping[str, tuple[str, ...]]
    """Words it takes out of a directive's list."""
    apparmor: tuple[str, ...]
    """Rules that it adds. In all of these, $WORD stands for what follows the colon."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All policies and grants of a machine, by name."""

    policies: Mapping[str, Policy]
    grants: Mapping[str, Grant]


@dataclass(frozen=True, kw_only=True, slots=True)
class Owner:
    """What the machine's owner has decided, in /etc/aurora/core.toml."""

    accept_unenforced: frozenset[str] = frozenset()
    """Features (`plan.Feature`) whose absence on this machine is accepted."""
    exposure_max_tenths: int | None = None
    """The highest exposure score that a module may have, in tenths; None: any."""
    grants_never: tuple[str, ...] = ()
    """Grants that no module gets; `NAME:*` stands for all of that name."""
    policies_never: tuple[str, ...] = ()
    """Policies that no module gets."""
    origins: tuple[str, ...] = ()
    """Of web pages that may talk to AuroraLink, under `[link]`."""
    approve: tuple[str, ...] = ()
    """Patterns of topics where what modules send needs an operator's approval, under `[link]`."""
    windows: tuple[Window, ...] = ()
    """When new versions of modules may come in by themselves, under `[update]`; none: at any time."""
    signatures: str = SIGNATURES_OFF
    """Whether packages of modules must be signed by those whom the owner trusts; one of SIGNATURE_MODES."""
