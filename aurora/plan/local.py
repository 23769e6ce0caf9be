"""What a policy leaves to the machine: its networks, its groups, the group of a device."""

from __future__ import annotations

from aurora.directives import Value
from aurora.errors import Problem
from aurora.plan.model import Facts
from aurora.policy import LAN, Policy

__all__ = ["NETWORKS", "localized", "needs_groups", "needs_networks", "wanted_devices"]

NETWORKS = "networks"
"""In `Plan.follows`: made again when the machine's networks change."""
DEVICE = "of:"

# By the name of a device that is not there now: the group that Debian and Raspberry Pi OS give it.
_USUAL_GROUP = {
    "/dev/tty": "dialout",
    "/dev/video": "video",
    "/dev/media": "video",
    "/dev/dri/": "video",
    "/dev/snd/": "audio",
    "/dev/i2c-": "i2c",
    "/dev/spidev": "spi",
    "/dev/gpiochip": "gpio",
    "/dev/input/": "input",
    "/dev/bus/usb/": "plugdev",
}


def _listed(policy: Policy, directive: str) -> tuple[str, ...]:
    value = policy.directives.get(directive, ())
    return value if isinstance(value, tuple) else ()


def needs_networks(policy: Policy) -> bool:
    """Whether its plan depends on `Facts.networks`."""
    return any(LAN in _listed(policy, name) for name in ("IPAddressAllow", "IPAddressDeny"))


def needs_groups(policy: Policy) -> bool:
    """Whether its plan depends on `Facts.groups`."""
    return bool(_listed(policy, "SupplementaryGroups"))


def wanted_devices(policy: Policy) -> tuple[str, ...]:
    """The devices whose group its plan depends on (`Facts.device_groups`)."""
    groups = _listed(policy, "SupplementaryGroups")
    return tuple(word.removeprefix(DEVICE) for word in groups if word.startswith(DEVICE))


def localized(policy: Policy, facts: Facts, module: str) -> tuple[dict[str, Value], list[Problem]]:
    """The policy's directives with the machine's own words put in, and a problem for each that it has not."""
    found: dict[str, Value] = dict(policy.directives)
    for name in ("IPAddressAllow", "IPAddressDeny"):
        words = _listed(policy, name)
        if LAN in words:
            at = words.index(LAN)
            found[name] = tuple(dict.fromkeys((*words[:at], *facts.networks, *words[at + 1 :])))
    problems: list[Problem] = []
    if words := _listed(policy, "SupplementaryGroups"):
        found["SupplementaryGroups"] = _groups(words, facts, module, problems)
        if not found["SupplementaryGroups"]:
            del found["SupplementaryGroups"]
    return found, problems


def _groups(words: tuple[str, ...], facts: Facts, module: str, problems: list[Problem]) -> tuple[str, ...]:
    groups: dict[str, None] = {}
    for word in words:
        device = word.removeprefix(DEVICE)
        if device == word:
            group: str | None = word
        else:
            usual = next((name for start, name in _USUAL_GROUP.items() if device.startswith(start)), None)
            group = facts.device_groups.get(device, usual if usual in facts.groups else None)
        if group == "root":
            problems.append(
                Problem(
                    f"run the module {module}",
                    f"the device {device} belongs to root's own group, so that no other user may open it",
                    device,
                    "a udev rule that gives the device a group of its own (udev(7): GROUP=)",
                )
            )
        elif group is not None and group not in facts.groups:
            problems.append(
                Problem(
                    f"run the module {module}",
                    f"this machine has no group {group}, which may use such devices on Raspberry Pi OS and Debian",
                    "",
                    f"addgroup --system {group} and a udev rule with GROUP={group}, or device:/dev/NAME for one",
                )
            )
        elif group is not None:
            groups[group] = None
    return tuple(groups)
