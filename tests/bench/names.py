"""What the figures, cases and contenders are called, in the guest that measures and the host that reports."""

from __future__ import annotations

from typing import NamedTuple

# Figures
START = "start to ready"
RESTART = "SIGKILL to ready again, beyond the declared delay"
MEMORY = "memory that supervising takes"
SHORT = "CPU time of a short command, 10 modules up"
PROFILES = "compiling and loading 10 AppArmor profiles"
RESIDENTS = "processes of ours when idle"

PHASES = ("start", "profiles", "restart", "short")
"""What can be measured by itself; a phase gives one or more figures."""

# Contenders
FLOOR = "floor: same units, bare"
OURS_LOADED = "auroractl start, profiles in the kernel"
OURS_REBOOT = "auroractl start, as after a reboot"
OURS_COLD = "auroractl start, nothing compiled"
OURS = "aurora module"
PLAIN = "systemd-run, no sandbox, one by one"
SUPERVISORD = "supervisord"
PODMAN = "podman"

PASS = "python3 -c pass"
STATUS = "auroractl status"

ONE_RUN_COLD = "one run, nothing compiled"
ONE_RUN_WARM = "one run, all compiled"
EACH_COLD = "one run each, nothing compiled"
EACH_WARM = "one run each, all compiled"

SEEN = "seen from outside"
BY_PID1 = "by PID 1's own timestamps"


def start_case(kind: str, count: int) -> str:
    """How a case of START and MEMORY is called."""
    return f"{count} {kind}"


class Series(NamedTuple):
    """One contender's values in one case of a figure, one for each round."""

    figure: str
    case: str
    contender: str
    unit: str
    """s, KiB or a count's name."""
    values: list[float]


class Miss(NamedTuple):
    """A contender that could not be measured."""

    figure: str
    case: str
    contender: str
    why: str
