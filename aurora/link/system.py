"""What the hub tells about itself below $sys, once a second at most and only when it changed."""

from __future__ import annotations

from collections.abc import Mapping

from aurora.link.envelope import quoted
from aurora.link.publishing import Publishing
from aurora.link.session import Client, Core

__all__ = ["System"]

_PAUSE_MSEC = 1000


class System:
    """`$sys/hub`: counts since the start, and rates of the last second or so; `$sys/modules/NAME/connections`: how many
    a module has; `$sys/modules/NAME/state`: whether it is up, and which of its runs that is.
    """

    def __init__(self, core: Core, publishing: Publishing) -> None:
        self._core = core
        self._publishing = publishing
        self._connections: dict[str, int] = {}
        """Of modules alone; a user's are in `$sys/hub`."""
        self._changed: set[str] = set()
        self._runs: Mapping[str, str] = {}
        self._timer = 0
        self._told_received = 0
        self._told_msec = 0
        self._since = (0, 0, 0)
        """When, and at which counts, what the next rates are of began."""

    def changed(self, client: Client, by: int) -> None:
        """A connection came or went."""
        if name := client.peer.module:
            self._connections[name] = self._connections.get(name, 0) + by
            self._changed.add(name)
        self._soon()

    def resume(self) -> None:
        """What the hub before has told, which is kept, need not be told again."""
        kept = {name: self._publishing.retained.find(_connections(name)) for name in self._changed}
        self._changed -= {
            name for name, value in kept.items() if value is not None and value.data == b"%d" % self._connections[name]
        }

    def wake(self) -> None:
        """Messages came since it was last told, perhaps: tell it soon."""
        if not self._timer and self._core.received != self._told_received:
            self._soon()

    def runs(self, found: Mapping[str, str]) -> None:
        """These modules run, each in this run: tell what has changed. That one is down is told once, and not kept."""
        for name, run in found.items():
            if self._runs.get(name) != run:
                self._publishing.tell(_state(name), quoted({"state": "up", "run": run}))
        for name in self._runs.keys() - found.keys():
            self._publishing.tell(_state(name), quoted({"state": "down"}), retain=False)
            self._publishing.retained.remove(_state(name))
        self._runs = found

    def _soon(self) -> None:
        core = self._core
        if not self._timer:
            self._timer = core.timers.at(core.now_msec + _PAUSE_MSEC, self._tell)
            if core.now_msec - self._told_msec > _PAUSE_MSEC:  # what came in a long pause has no rate
                self._since = (core.now_msec, core.received, core.delivered)

    def counts(self) -> dict[str, int]:
        """What `$sys/hub` says."""
        core = self._core
        return {
            "clients": len(core.clients),
            "subscriptions": len(self._publishing.index),
            "retained": len(self._publishing.retained),
            "received": core.received,
            "delivered": core.delivered,
            "dropped": core.dropped + core.total.dropped,
            "denied": sum(core.gatekeeper.denials.values()),
            "queues_bytes": core.total.used,
        }

    def _tell(self) -> None:
        core = self._core
        self._timer = 0
        self._told_received = core.received
        for name in sorted(self._changed):
            topic = _connections(name)
            count = self._connections[name]
            self._publishing.tell(topic, b"%d" % count)
            if not count:
                del self._connections[name]
                self._publishing.retained.remove(topic)
        self._changed.clear()
        since_msec, received, delivered = self._since
        passed_sec = (core.now_msec - since_msec) / 1000
        came, went = core.received - received, core.delivered - delivered
        rates = {"received_per_sec": round(came / passed_sec, 1), "delivered_per_sec": round(went / passed_sec, 1)}
        self._publishing.tell("$sys/hub", quoted(self.counts() | rates))
        self._told_msec, self._since = core.now_msec, (core.now_msec, core.received, core.delivered)
        if came:
            self._soon()  # should nothing more come, that is to be told too


def _connections(module: str) -> str:
    return f"$sys/modules/{module}/connections"


def _state(module: str) -> str:
    return f"$sys/modules/{module}/state"
