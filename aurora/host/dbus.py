"""systemd over D-Bus through pystemd: the only file that knows pystemd.

Its D-Bus core (`pystemd.dbuslib`, sd-bus in a Cython module) is used, not its object layer: that one reads
introspection XML through lxml for every object, which costs more than all that a short command does. The parent
package imports that layer, so it is stood in for by an empty package of the same path before the core is imported.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from aurora.errors import DeadlineExceeded, Denied, HostError
from aurora.host.systemd import ENDED, JobResult, Systemd, Transient, UnitRow

if "pystemd" not in sys.modules:
    _found = PathFinder.find_spec("pystemd")
    if _found is not None and _found.submodule_search_locations is not None:
        _package = ModuleType("pystemd")
        _package.__path__ = list(_found.submodule_search_locations)
        sys.modules["pystemd"] = _package

from pystemd import dbusexc, dbuslib  # the stand-in has to be there first

__all__ = ["connect"]

_DESTINATION = b"org.freedesktop.systemd1"
_MANAGER_PATH = b"/org/freedesktop/systemd1"
_UNIT_PATH = b"/org/freedesktop/systemd1/unit"
_MANAGER = b"org.freedesktop.systemd1.Manager"
_NOT_ALLOWED = (dbusexc.DBusAccessDeniedError, dbusexc.DBusInteractiveAuthorizationRequiredError)
_NOT_LOADED = "not loaded"
_PRIVATE_SOCKET = b"unix:path=/run/systemd/private"
_ANSWER_TIMEOUT = "5min"
LOOK_SEC = 1.0
"""How long the end of a unit is waited for before it is looked for again."""

type _Arguments = list[tuple[int, object]]


def connect() -> Systemd:
    """A connection to this machine's system manager; HostError when there is none.

    Root talks to systemd itself (/run/systemd/private, no dbus-daemon needed), others through the system bus.
    """
    # sd-bus waits 25 s for an answer, and then a call that systemd has carried out would look refused. While a hundred
    # modules come up at once on a small machine, an answer can take longer (systemd's docs/ENVIRONMENT.md).
    os.environ.setdefault("SYSTEMD_BUS_TIMEOUT", _ANSWER_TIMEOUT)
    bus = dbuslib.DBusAddress(_PRIVATE_SOCKET, peer_to_peer=True) if os.geteuid() == 0 else dbuslib.DBus()
    try:
        bus.open()
    except dbusexc.DBusBaseError as error:
        raise HostError(
            "reach systemd",
            f"the connection failed: {_words(error)}",
            remedy="a machine that was booted by systemd",
        ) from error
    return _Bus(bus)


class _Bus(Systemd):
    def __init__(self, bus: Any) -> None:
        self._bus = bus
        self._subscribed = False
        self._removed: dict[str, str] = {}

    # Jobs

    def start_transient(self, wanted: Sequence[Transient], *, deadline_sec: float) -> Mapping[str, JobResult]:
        calls = {
            transient.unit: (lambda one=transient: self._call("StartTransientUnit", _transient_arguments(one)))
            for transient in wanted
        }
        return self._jobs(calls, deadline_sec)

    def start(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        return self._unit_jobs("StartUnit", units, deadline_sec)

    def restart(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        return self._unit_jobs("RestartUnit", units, deadline_sec)

    def stop(self, units: Sequence[str], *, deadline_sec: float) -> Mapping[str, JobResult]:
        found = self._unit_jobs("StopUnit", units, deadline_sec)
        return {unit: JobResult(unit, "done") if job.result == _NOT_LOADED else job for unit, job in found.items()}

    def _unit_jobs(self, method: str, units: Sequence[str], deadline_sec: float) -> Mapping[str, JobResult]:
        calls = {unit: (lambda one=unit: self._call(method, _arguments("ss", one, "replace"))) for unit in units}
        return self._jobs(calls, deadline_sec)

    def _jobs(self, calls: Mapping[str, Callable[[], Any]], deadline_sec: float) -> dict[str, JobResult]:
        """Make every call, then wait until each job that came of one is gone."""
        self._subscribe()
        results: dict[str, JobResult] = {}
        jobs: dict[str, str] = {}
        for unit, call in calls.items():
            try:
                jobs[_text(call())] = unit
            except dbusexc.DBusBaseError as error:
                if isinstance(error, _NOT_ALLOWED):
                    raise Denied("change units", _words(error), remedy="sudo") from error
                gone = isinstance(error, dbusexc.DBusNoSuchUnitError)
                results[unit] = JobResult(unit, _NOT_LOADED if gone else "refused", _words(error))
        deadline = time.monotonic() + deadline_sec
        while missing := jobs.keys() - self._removed.keys():
            left_sec = deadline - time.monotonic()
            if left_sec <= 0:
                late = ", ".join(sorted(jobs[job] for job in missing))
                raise DeadlineExceeded("wait for systemd", f"{late} took longer than {deadline_sec:g} s")
            self._bus.wait(int(left_sec * 1_000_000))
            self._bus.process()
        for job, unit in jobs.items():
            results[unit] = JobResult(unit, self._removed.pop(job))
        return results

    def _subscribe(self) -> None:
        if self._subscribed:
            return

        def removed(message: Any, error: Any = None, userdata: Any = None) -> None:  # noqa: ARG001  # pystemd's form
            message.process_reply(False)
            _, job, _, result = message.body
            self._removed[_text(job)] = _text(result)

        self._removed_callback = removed  # sd-bus keeps a bare pointer to it
        self._bus.match_signal(None, _MANAGER_PATH, _MANAGER, b"JobRemoved", removed)
        self._call("Subscribe", [])
        self._subscribed = True

    # Everything else

    def set_properties(self, unit: str, properties: Sequence[tuple[str, str, object]]) -> None:
        arguments = [*_arguments("sb", unit, True), *_property_arguments(properties)]
        try:
            self._call("SetUnitProperties", arguments)
        except dbusexc.DBusBaseError as error:
            raise HostError(f"change {unit}", _words(error)) from error

    def reset_failed(self, units: Sequence[str]) -> None:
        for unit in units:
            try:
                self._call("ResetFailedUnit", _arguments("s", unit))
            except dbusexc.DBusNoSuchUnitError:
                continue
            except dbusexc.DBusBaseError as error:
                raise HostError(f"reset {unit}", _words(error)) from error

    def list_units(self, patterns: Sequence[str]) -> Sequence[UnitRow]:
        try:
            rows = self._call("ListUnitsByPatterns", _arguments("asas", [], list(patterns)))
        except dbusexc.DBusBaseError as error:
            raise HostError("list units", _words(error)) from error
        return [UnitRow(_text(row[0]), _text(row[2]), _text(row[3]), _text(row[4])) for row in rows or []]

    def wait_ended(self, units: Sequence[str], *, deadline_sec: float) -> bool:
        deadline = time.monotonic() + deadline_sec
        while any(row.active not in ENDED for row in self.list_units(units)):
            self._subscribe()  # first now: most have nothing to wait for
            left_sec = deadline - time.monotonic()
            if left_sec <= 0:
                return False
            # The end of its job wakes us. What is up without one is looked for again.
            self._bus.wait(int(min(left_sec, LOOK_SEC) * 1_000_000))
            self._bus.process()
        return True

    def get(self, unit: str, interface: str, prop: str, signature: str) -> object:
        path = dbuslib.path_encode(_UNIT_PATH, unit.encode())
        full = f"{_DESTINATION.decode()}.{interface}".encode()
        try:
            value = self._bus.get_property(_DESTINATION, path, full, prop.encode(), signature.encode())
        except dbusexc.DBusBaseError as error:
            raise HostError(f"read {prop} of {unit}", _words(error)) from error
        return _decoded(value)

    def close(self) -> None:
        self._bus.close()

    def _call(self, method: str, arguments: _Arguments) -> Any:
        return self._bus.call_method(_DESTINATION, _MANAGER_PATH, _MANAGER, method.encode(), arguments).body


def _arguments(signature: str, *values: object) -> _Arguments:
    found: _Arguments = dbuslib.apply_signature(signature.encode(), list(values))
    return found


def _property_arguments(properties: Sequence[tuple[str, str, object]]) -> _Arguments:
    """`a(sv)` in pystemd's flat form: (type, content) opens a container, (-1, None) closes it."""
    found: _Arguments = [(ord("a"), b"(sv)")]
    for name, signature, value in properties:
        found += [(ord("r"), b"sv"), (ord("s"), name.encode()), (ord("v"), signature.encode())]
        found += _arguments(signature, value)
        found += [(-1, None), (-1, None)]
    found.append((-1, None))
    return found


def _transient_arguments(transient: Transient) -> _Arguments:
    found = _arguments("ss", transient.unit, "replace")
    found += _property_arguments(transient.properties)
    found.append((ord("a"), b"(sa(sv))"))
    pin = [] if transient.pin is None else [(transient.pin, transient.pin_properties)]
    for name, properties in (*transient.beside, *pin):
        found += [(ord("r"), b"sa(sv)"), (ord("s"), name.encode())]
        found += _property_arguments(properties)
        found.append((-1, None))
    found.append((-1, None))
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _decoded(value: Any) -> object:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, (list, tuple)):
        return [_decoded(one) for one in value]
    return value


def _words(error: Any) -> str:
    """Systemd's own words, with the error's D-Bus name where pystemd has no class for it."""
    words = _text(error.err_message)
    name = _text(error.err_name)
    return f"{words} ({name})" if name else words or str(error)
