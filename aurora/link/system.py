"""What the hub tells about itself below $sys, once a second at most and only when it changed."""

from __future__ import annotations

from aurora.link.envelope import quoted
from aurora.link.publishing import Publishing
from aurora.link.session import Client, Core

__all__ = ["System"]

_PAUSE_MSEC = 1000


class System:
    """`$sys/hub`: counts since the start; `$sys/modules/NAME/connections`: how many a module has."""

    def __init__(self, core: Core, publishing: Publishing) -> None:
        self._core = core
        self._publishing = publishing
        self._connections: dict[str, int] = {}
        """Of modules alone; a user's are in `$sys/hub`."""
        self._changed: set[str] = set()
        self._timer = 0
        self._told_received = 0

    def changed(self, client: Client, by: int) -> None:
        """A connection came or went."""
        if name := client.peer.module:
            self._connections[name] = self._connections.get(name, 0) + by
            self._changed.add(name)
        self._soon()

    def wake(self) -> None:
        """Messages came since it was last told, perhaps: tell it soon."""
        if not self._timer and self._core.received != self._told_received:
            self._soon()

    def _soon(self) -> None:
        if not self._timer:
            self._timer = self._core.timers.at(self._core.now_msec + _PAUSE_MSEC, self._tell)

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
        self._timer = 0
        self._told_received = self._core.received
        for name in sorted(self._changed):
            topic = f"$sys/modules/{name}/connections"
            count = self._connections[name]
            self._publishing.tell(topic, b"%d" % count)
            if not count:
                del self._connections[name]
                self._publishing.retained.remove(topic)
        self._changed.clear()
        self._publishing.tell("$sys/hub", quoted(self.counts()))
