"""What the house asks of systemd, as a Protocol: `dbus` is the real one, `fake` the one for tests without root.

Both pass the same contract suite (tests/contract).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

__all__ = ["ENDED", "BusProperty", "JobResult", "Systemd", "Transient", "UnitRow"]


ENDED = ("inactive", "failed")
"""ActiveState of a unit that is neither up nor on its way."""


class BusProperty(NamedTuple):
    """A property of a transient unit, as `emit` makes it."""

    name: str
    signature: str
    value: object


class Transient(NamedTuple):
    """A transient unit to start; a scope is for processes that there are."""

    unit: str
    properties: Sequence[tuple[str, str, object]]
    """Name, D-Bus signature and value of each property, in the order to send."""
    pin: str | None = None
    """A transient slice that is started beside it and wants it, so that it stays loaded when it stops."""
    pin_properties: Sequence[tuple[str, str, object]] = ()
    beside: Sequence[tuple[str, Sequence[tuple[str, str, object]]]] = ()
    """Other transient units that are made in the same call and not started, with their properties."""


class JobResult(NamedTuple):
    """How a unit's job ended (JobRemoved in org.freedesktop.systemd1(5))."""

    unit: str
    result: str
    """done, failed, timeout, canceled, dependency, skipped; or, when the call itself failed, refused or not loaded."""
    message: str = ""
    """systemd's own words when it refused the call."""

    @property
    def ok(self) -> bool:
        """Whether the job did what was asked."""
        return self.result == "done"


class UnitRow(NamedTuple):
    """A loaded unit in systemd's list."""

    name: str
    load: str
    active: str
    sub: str


class Systemd(Protocol):
    """A connection to a system manager. Every wait has a deadline and raises DeadlineExceeded."""

    def start_transient(self, wanted: Sequence[Transient], *, deadline_sec: float) -> Mapping[str, JobResult]:
        """Submit all, then wait for each unit's job; the result of each by its name.

        A call that systemd refuses gives the result `refused` and creates nothing.
        """
        ...

    def start(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        """Start loaded units and wait."""
        ...

    def restart(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        """Restart loaded units and wait."""
        ...

    def stop(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        """Stop units and wait; one that is not loaded counts as done."""
        ...

    def set_properties(self, unit: str, properties: Sequence[tuple[str, str, object]]) -> None:
        """Change properties of a loaded unit until it is unloaded; HostError when systemd refuses."""
        ...

    def reset_failed(self, units: Sequence[str]) -> None:
        """Forget the failed state of units; those not loaded are passed over."""
        ...

    def list_units(self, patterns: Sequence[str]) -> Sequence[UnitRow]:
        """Loaded units whose names match one of the glob patterns."""
        ...

    def wait_ended(self, units: Sequence[str], *, deadline_sec: float) -> bool:
        """Wait until none of the units is up or on its way; False when one still is after `deadline_sec`."""
        ...

    def get(self, unit: str, interface: str, prop: str, signature: str) -> object:
        """One property of a unit; `interface` is Unit, Service, Slice or Scope. HostError when there is none."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
