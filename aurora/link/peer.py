"""Who is at the other end of a connection. Others find it out (from the kernel); here it is only used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Peer", "Role"]


class Role(StrEnum):
    """What somebody may do at all."""

    ADMIN = "admin"
    """root."""
    OPERATOR = "operator"
    """A member of the group `aurora`."""
    MODULE = "module"
    """A module, by the patterns of its manifest."""
    OTHER = "other"
    """Everybody else: refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Peer:
    """A module in one of its runs, or a user."""

    name: str
    """What others see in `from`: the module's name, or user:NAME, which can be no module's."""
    role: Role
    module: str = ""
    """The module's name; empty for users."""
    invocation: str = ""
    """The InvocationID of the module's unit; empty for users."""
