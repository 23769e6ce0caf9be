"""Those who start N programs, all through the same five moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tests.bench import names
from tests.bench.guest import modules
from tests.bench.guest.modules import Kind
from tests.bench.guest.tools import pss_kib, run, stop_units


class Contender(Protocol):
    """One way to start programs. Only `start` is timed."""

    name: str

    def arm(self, count: int) -> None:
        """Come to the state that the start is timed from."""
        ...

    def start(self, count: int) -> None:
        """Start them, and return when all are up."""
        ...

    def check(self, count: int) -> None:
        """Failed unless all are up."""
        ...

    def memory_kib(self, count: int) -> float:
        """What it takes in memory to supervise them, while they are up; not the programs themselves."""
        ...

    def disarm(self, count: int) -> None:
        """Stop them."""
        ...


class _UnderPid1:
    """systemd supervises: the memory is what PID 1 has grown by since it was fresh."""

    _before_kib = 0

    def _fresh_pid1(self) -> None:
        run(["systemctl", "daemon-reexec"])
        self._before_kib = pss_kib(1)

    def memory_kib(self, count: int) -> float:
        return pss_kib(1) - self._before_kib


class Floor(_UnderPid1):
    """`systemctl start` of unit files with the plans' own text."""

    def __init__(self, kind: Kind) -> None:
        self.name = names.FLOOR
        self._kind = kind

    def _units(self, count: int) -> list[str]:
        return [modules.floor_unit(name) for name in modules.names(self._kind, count)]

    def arm(self, count: int) -> None:
        modules.ensure_loaded(modules.names(self._kind, count))
        self._fresh_pid1()

    def start(self, count: int) -> None:
        run(["systemctl", "start", *self._units(count)])

    def check(self, count: int) -> None:
        modules.must_be_up(self._units(count))

    def disarm(self, count: int) -> None:
        # The slices too: the next contender's start then makes them again, as this one's did.
        stop_units([*self._units(count), *map(modules.slice_of, modules.names(self._kind, count))])


class Ours(_UnderPid1):
    """`auroractl start` of installed modules that systemd does not know yet."""

    def __init__(self, kind: Kind, name: str) -> None:
        self.name = name
        self._kind = kind

    def arm(self, count: int) -> None:
        wanted = modules.names(self._kind, count)
        if self.name == names.OURS_LOADED:
            modules.ensure_loaded(wanted)
        else:
            modules.unload(wanted)
        if self.name == names.OURS_COLD:
            modules.drop_compiled()
        self._fresh_pid1()

    def start(self, count: int) -> None:
        run(["auroractl", "start", *modules.names(self._kind, count)])

    def check(self, count: int) -> None:
        modules.must_be_up([modules.unit(name) for name in modules.names(self._kind, count)])

    def disarm(self, count: int) -> None:
        modules.forget(modules.names(self._kind, count))


class Plain(_UnderPid1):
    """`systemd-run` of the bare program, one after the other, without any sandbox."""

    def __init__(self, kind: Kind, command: Sequence[str]) -> None:
        self.name = names.PLAIN
        self._type = kind.readiness
        self._command = list(command)

    def _units(self, count: int) -> list[str]:
        return [f"plain-{number:03}.service" for number in range(1, count + 1)]

    def arm(self, count: int) -> None:
        self._fresh_pid1()

    def start(self, count: int) -> None:
        for unit in self._units(count):
            run(["systemd-run", "--quiet", f"--unit={unit}", f"--service-type={self._type}", *self._command])

    def check(self, count: int) -> None:
        modules.must_be_up(self._units(count))

    def disarm(self, count: int) -> None:
        stop_units(self._units(count))
