"""The names that follow from a module's name: unit, slice, profile, package.

They stand in one file because they must agree everywhere. It is on the path of `auroractl status`: it imports
little; the user's name, which needs a digest, is in `identity`.
"""

from __future__ import annotations

__all__ = [
    "BUDGET_VARIABLES",
    "CORE_PACKAGE",
    "LINK_PROFILE",
    "LINK_SERVICE",
    "LINK_SOCKET",
    "LINK_UNIT",
    "LINK_VARIABLE",
    "NAME_MAX_LENGTH",
    "NAME_RULE",
    "UNENFORCED_VARIABLE",
    "check_unit",
    "incident_unit",
    "is_module_name",
    "module_of_unit",
    "mount_name",
    "package_name",
    "ports_unit",
    "profile_name",
    "safe_hook_unit",
    "safe_unit",
    "slice_name",
    "timer_name",
    "unit_name",
]

NAME_MAX_LENGTH = 48
UNENFORCED_VARIABLE = "AURORA_UNENFORCED"
"""In the module's environment where the machine lacks something and its owner accepts that: words with commas."""
BUDGET_VARIABLES = {"state": "AURORA_STATE_MAX", "cache": "AURORA_CACHE_MAX", "logs": "AURORA_LOGS_MAX"}
"""In the environment of a module that has a disk budget: how many bytes that directory may hold."""
LINK_SOCKET = "/run/aurora/link.sock"
LINK_UNIT = "aurora-link.socket"
"""What listens there."""
LINK_SERVICE = "aurora-link.service"
"""What it starts: the hub."""
LINK_PROFILE = "aurora-link"
"""The hub's own AppArmor profile."""
LINK_VARIABLE = "AURORA_LINK"
"""In the environment of a module that may talk on AuroraLink: unix:PATH of the socket."""
NAME_RULE = f"lower-case letters, digits and single hyphens, a letter first, at most {NAME_MAX_LENGTH}"


def is_module_name(text: str) -> bool:
    """Whether `text` can name a module: safe in unit names, paths, user names and profiles as it stands."""
    if not (text.isascii() and text[:1].isalpha() and len(text) <= NAME_MAX_LENGTH and text == text.lower()):
        return False
    return all(word.isalnum() for word in text.split("-"))


def unit_name(module: str) -> str:
    """`aurora@NAME.service`."""
    return f"aurora@{module}.service"


def timer_name(module: str) -> str:
    """`aurora@NAME.timer`, which starts the unit of its name (systemd.timer(5), Unit=)."""
    return f"aurora@{module}.timer"


def mount_name(place: str) -> str:
    """The mount unit of an absolute path that holds letters, digits, hyphens and slashes (systemd.mount(5))."""
    return f"{place.strip('/').replace('-', chr(92) + 'x2d').replace('/', '-')}.mount"


def module_of_unit(unit: str) -> str | None:
    """The module whose unit this is, or None when it is not one."""
    name = unit.removeprefix("aurora@").removesuffix(".service")
    return name if unit == unit_name(name) and is_module_name(name) else None


def ports_unit(module: str) -> str:
    """What holds the module's slice to its ports: units/aurora-ports@.service, which is in that slice."""
    return f"aurora-ports@{slice_name(module).removeprefix('aurora-').removesuffix('.slice')}.service"


def slice_name(module: str) -> str:
    """The module's slice, a child of aurora.slice; a hyphen would nest it deeper (systemd.slice(5))."""
    return f"aurora-{module.replace('-', chr(92) + 'x2d')}.slice"


def profile_name(module: str) -> str:
    """The AppArmor profile."""
    return f"aurora.{module}"


def incident_unit(instance: str) -> str:
    """What systemd starts when the module of that name fails; for the module's safe state, NAME.safe."""
    return f"aurora-incident@{instance}.service"


def safe_hook_unit(module: str) -> str:
    """What brings a module into its safe state: units/aurora-safe-state@.service."""
    return f"aurora-safe-state@{module}.service"


def safe_unit(module: str) -> str:
    """The transient unit that the command of `safe_state` runs in."""
    return f"aurora-safe@{module}.service"


def check_unit(module: str) -> str:
    """The transient unit that the command of `update.check` runs in."""
    return f"aurora-check@{module}.service"


CORE_PACKAGE = "aurora-core"
"""The Debian package that all of this comes with."""


def package_name(module: str) -> str:
    """The Debian package that `auroractl pack` makes."""
    return f"aurora-module-{module}"
