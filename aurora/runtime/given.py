"""What systemd was given of a module, as far as a failure needs it. Light: a failure must be looked at quickly.

The plan itself is read by `applied`, which imports all that plans are made of.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from aurora.paths import Paths

__all__ = ["Given", "read_given"]

FILE_MAX_BYTES = 1 << 20
_NAMES = {
    "MemoryMax": "memory_max",
    "WatchdogSec": "watchdog",
    "TimeoutStartSec": "start_timeout",
    "StartLimitBurst": "give_up_after",
    "Restart": "restart",
}


class Given(NamedTuple):
    """The plan in force, in part."""

    version: str
    settings: dict[str, int | str]
    """The settings that a remedy may change, by the names of `evidence.Evidence.settings`."""
    has_safe_state: bool


def read_given(paths: Paths, module: str) -> Given | None:
    """None when systemd holds no plan of the module, or that is not known."""
    try:
        with open(f"{paths.applied}/{module}.json", encoding="utf-8") as file:  # noqa: PTH123  # pathlib costs more
            plan = json.loads(file.read(FILE_MAX_BYTES))
        settings = plan["settings"]
        found = {key: settings[name] for name, key in _NAMES.items() if isinstance(settings.get(name), int | str)}
        if "give_up_after" in found:
            found["give_up_within"] = int(settings["StartLimitIntervalSec"])
        found["readiness"] = "notify" if settings["Type"] == "notify" else "exec"
        found["program"] = str(settings["ExecStart"][0])
        return Given(str(plan["version"]), found, bool(plan["safe_command"] or plan["safe_module"]))
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return None
