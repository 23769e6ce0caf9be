"""Tells on AuroraLink when a figure of this machine has been too high for some time, and when that is over.

The figures are those that the module hoststat publishes. In the environment:
  WATCH      figures and their bounds: "cpu_percent=90 memory_used_percent=90"
  HOLD_SEC   so long must a figure have been at its bound or above, or calm again, to count
  CALM       so far below its bound it is calm again, so that a figure at the bound does not chatter
"""

import json
import math
import os
import sys
from pathlib import Path

from aurora import sdk
from aurora.errors import HostError, InputError
from aurora.link.lasting import Link

READINGS = "hoststat/figures"
ALARMS = "alarm/load-alert/"
TIMEOUT_SEC = 5.0
"""For the hub's answers; well below the watchdog's time."""
TURN_SEC = 2.0
"""How long a wait for readings lasts: a stop is heard after it."""


class Watch:
    """One figure, and whether its alarm stands."""

    def __init__(self, figure: str, bound: float, *, standing: bool) -> None:
        self.figure = figure
        self.bound = bound
        self.standing = standing
        self._since_sec: float | None = None
        """Since when the figure speaks against that."""

    def is_due(self, value: float, now_sec: float, hold_sec: float, calm: float) -> bool:
        """Whether the alarm is to come, or to go, at this value."""
        against = value < self.bound - calm if self.standing else value >= self.bound
        if not against:
            self._since_sec = None
            return False
        if self._since_sec is None or now_sec < self._since_sec:  # the clock is the machine's time since its boot
            self._since_sec = now_sec
        return now_sec - self._since_sec >= hold_sec

    def turn(self) -> None:
        """The alarm has come, or gone."""
        self.standing = not self.standing
        self._since_sec = None


class Alert:
    """All watches, with what is told about them and kept of them."""

    def __init__(self, link: Link, bounds: dict[str, float], kept: Path) -> None:
        self._link = link
        self._kept = kept
        stood = json.loads(kept.read_text()) if kept.exists() else []
        self._watches = [Watch(name, bound, standing=name in stood) for name, bound in bounds.items()]
        self._hold_sec = number("HOLD_SEC", "60")
        self._calm = number("CALM", "5")

    def read(self, figures: dict[str, object]) -> None:
        """Tell what a reading changes."""
        for watch in self._watches:
            value, now_sec = figures.get(watch.figure), figures.get("uptime_sec")
            if not isinstance(value, int | float) or not isinstance(now_sec, int | float):
                continue  # null where the machine has no such sensor
            if watch.is_due(value, now_sec, self._hold_sec, self._calm):
                self._tell(watch, value)
        standing = [watch.figure for watch in self._watches if watch.standing]
        sdk.status(f"alarm: {', '.join(standing)}" if standing else "all is calm")

    def _tell(self, watch: Watch, value: float) -> None:
        state = "over" if watch.standing else "alarm"
        alarm = {"state": state, "figure": watch.figure, "value": value, "bound": watch.bound}
        try:
            self._link.publish(ALARMS + watch.figure, alarm, retain=True)
        except HostError as error:
            sdk.log.warning("%s is not told yet: %s", watch.figure, error)
            return  # the next reading is another chance
        watch.turn()
        text = "is calm again" if state == "over" else "has been too high"
        sdk.log.warning("%s %s: %g, the bound is %g", watch.figure, text, value, watch.bound)
        # Written after it is told: a crash in between tells it twice, and never not at all.
        new = self._kept.with_suffix(".new")
        new.write_text(json.dumps([one.figure for one in self._watches if one.standing]))
        new.replace(self._kept)


def main() -> None:
    bounds = parsed(os.environ.get("WATCH", "cpu_percent=90 memory_used_percent=90"))
    with sdk.link(timeout_sec=TIMEOUT_SEC) as link:
        alert = Alert(link, bounds, sdk.state_directory() / "standing.json")
        link.subscribe(READINGS)
        sdk.ready("waits for figures")
        for _ in sdk.heartbeat(0.1):
            for message in link.messages(within_sec=TURN_SEC):
                figures = message["data"]
                if isinstance(figures, dict):
                    alert.read(figures)


def parsed(text: str) -> dict[str, float]:
    """Figure -> bound, of WATCH."""
    found = {}
    for word in text.split():
        figure, _, bound = word.partition("=")
        if not figure.isidentifier():
            raise wrong("WATCH", f"{word!r} names no figure", "cpu_percent=90")
        found[figure] = finite("WATCH", bound, "cpu_percent=90")
    if not found:
        raise wrong("WATCH", "it is empty", "cpu_percent=90")
    return found


def number(variable: str, default: str) -> float:
    return finite(variable, os.environ.get(variable, default), default)


def finite(variable: str, text: str, example: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        raise wrong(variable, f"{text!r} is no number from 0 on", example)
    return value


def wrong(variable: str, why: str, example: str) -> InputError:
    where = "[environment] in module.toml"
    return InputError(f"use {variable}", why, where=where, remedy=f'{variable} = "{example}"')


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sdk.log.error("%s", error)
        sys.exit(os.EX_CONFIG)
