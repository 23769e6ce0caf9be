"""All that was read about one module, and who judges it needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aurora.host.bpf import Attach
from aurora.host.observe import Process
from aurora.plan import Plan

__all__ = ["Readback"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Readback:
    """The declared plan, and what the machine shows; the plan is never taken for what is."""

    plan: Plan
    active: str
    """ActiveState of the unit; empty when systemd does not know the unit."""
    process: Process | None
    """The module's main process; None when there is none."""
    first: Process | None
    """Process 1, which is in no sandbox."""
    group: str
    """The cgroup of the unit, as systemd holds it."""
    cgroup: Mapping[str, str]
    """Its files (`observe.CGROUP_FILES`)."""
    programs: Mapping[Attach, int | None]
    """How many BPF programs hold it."""
    held: Mapping[str, object]
    """Directive -> the property that systemd holds; one that could not be read is not there."""
    drop_ins: Mapping[str, Mapping[str, str]]
    """File -> the directives that it sets, in the order in which systemd read them."""
    users: Mapping[str, int]
    """Users and groups that the plan names -> their numbers, as far as they exist."""
    places: Mapping[str, str]
    """Paths that the plan names -> where they really are, as far as they exist."""
    profile_differs: bool | None
    """Whether the kernel's AppArmor profile is another one than was compiled; None when it was not read."""
    weights_work: bool
    """Whether the scheduler of the modules' disk, or io.cost, looks at IO weights."""
    timer_held: Mapping[str, object]
    """The same as `held`, of the directives of the plan's timer."""
    timer_drop_ins: Mapping[str, Mapping[str, str]]
    timer_active: bool
    """Whether the timer waits for its next time."""
    calendar: str | None
    """The plan's calendar event as systemd spells it out; None where there is none, or it was not read."""
    volume_states: Mapping[str, str]
    """Mount units of the plan's volumes -> their ActiveState."""
    loops: Mapping[str, tuple[str, int]]
    """Loop devices that the module sees, as MAJOR:MINOR -> the file behind each, and its length in bytes."""
    link_held: Mapping[str, tuple[str, ...] | int | str] | None
    """What AuroraLink's hub goes by; empty where there is nothing, None when it cannot be read."""
    stale: bool
    """Whether files of the unit have changed since systemd read them."""
    page_bytes: int
    """The kernel counts memory in these."""

    @property
    def running(self) -> bool:
        """Whether there is a process to look at."""
        return self.process is not None
