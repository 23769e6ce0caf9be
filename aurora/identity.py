"""Every name under which systemd and the kernel know a running module, and the user it runs as.

Two modules that shared a user could signal and read one another. systemd derives a dynamic user's name from the
unit's prefix, so without a name of its own every `aurora@…` unit would run as the same user.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from aurora.names import profile_name, slice_name, unit_name

__all__ = ["Identity", "foreground", "installed", "user_name"]

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
