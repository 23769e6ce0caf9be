"""Every name under which systemd and the kernel know a running module, and the user it runs as.

Two modules that shared a user could signal and read one another. systemd derives a dynamic user's name from the
unit's prefix, so without a name of its own every `aurora@…` unit would run as the same user.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from aurora.names import profile_name, slice_name, unit_name

__all__ = ["LEARNING_PROFILES", "Identity", "foreground", "installed", "learning", "user_name"]

LEARNING_PROFILES = "aurora-learn."
"""What the name of every learning run's profile begins with."""
_USER_MAX_LENGTH = 31  # UT_NAMESIZE - 1: systemd refuses longer names for dynamic users


def user_name(module: str, *, prefix: str = "au-") -> str:
    """The user the module runs as: its own, at most 31 characters, a digest at the end where it was cut."""
    full = prefix + module
    if len(full) <= _USER_MAX_LENGTH:
        return full
    digest = hashlib.sha256(module.encode()).hexdigest()[:10]
    # The double hyphen cannot come from a module's own name, so a cut name never equals a whole one.
    return f"{full[: _USER_MAX_LENGTH - 12].rstrip('-')}--{digest}"


class Identity(NamedTuple):
    """Every name under which systemd and the kernel know one running module."""

    module: str
    unit: str
    slice: str
    user: str
    profile: str
    directory: str
    """Path below /var/lib, /var/cache and /var/log for the module's own directories."""
    runtime_directory: str
    """The same below /run."""


def installed(module: str) -> Identity:
    """The identity of an installed module: `aurora@NAME.service`."""
    return Identity(
        module=module,
        unit=unit_name(module),
        slice=slice_name(module),
        user=user_name(module),
        profile=profile_name(module),
        directory=f"aurora/{module}",
        runtime_directory=f"aurora-modules/{module}",
    )


def foreground(module: str) -> Identity:
    """The identity of a module run from a folder in a terminal: nothing of the installed one is shared."""
    return Identity(
        module=module,
        unit=f"aurora-run-{module}.service",
        slice="aurora.slice",  # no module's own slice: a module may be called anything
        user=user_name(module, prefix="ar-"),
        profile=f"aurora-run.{module}",
        directory=f"aurora-run/{module}",
        runtime_directory=f"aurora-run-modules/{module}",
    )


def learning(identity: Identity) -> Identity:
    """The identity of a module in a learning run: its own user and directories under another unit and profile.

    The profile is another so that what it was seen to do cannot be mistaken for what the module did enforced; the
    slice, as its own would be left behind.
    """
    return identity._replace(
        unit=f"aurora-learn-{identity.module}.service",
        slice="aurora.slice",
        profile=f"{LEARNING_PROFILES}{identity.module}",
    )
