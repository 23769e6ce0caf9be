"""Incidents: what was known of each module's last failures, on disk, where a volatile journal does not reach.

One file a module, a line of JSON for each incident, oldest first. At the bound the oldest goes. A failure that has
the cause of the one before it replaces it and counts, so that a module that fails for ever keeps its older incidents,
and is not written down more often than every WRITE_EVERY_USEC: systemd's NRestarts counts all of them. Nor is it looked
at more often: `hold_back` leaves a note, by which aurora-incident@.service ends before it starts any Python.
"""

from __future__ import annotations

import json

from aurora.errors import Denied, HostError
from aurora.host.files import write_atomic
from aurora.paths import Paths
from aurora.runtime.evidence import EVIDENCE_MAX_BYTES, Evidence, evidence_from_json, evidence_to_bytes

__all__ = [
    "INCIDENTS_MAX",
    "WRITE_EVERY_USEC",
    "forget_incidents",
    "hold_back",
    "read_incidents",
    "remember_incident",
]

INCIDENTS_MAX = 20
"""Incidents that are kept of one module."""
WRITE_EVERY_USEC = 10_000_000
"""Equal failures are written down at most this often. Also in units/aurora-incident@.service, as seconds."""
READERS = "systemd-journal"
"""Log lines are in it: who may read the journal may read it."""
FILE_MAX_BYTES = INCIDENTS_MAX * EVIDENCE_MAX_BYTES


def read_incidents(paths: Paths, module: str) -> list[Evidence]:
    """The incidents of a module, oldest first; lines that are damaged are left out. Denied for those who may not."""
    try:
        with (paths.incidents / module).open("rb") as file:
            lines = file.read(FILE_MAX_BYTES).splitlines()
    except FileNotFoundError:
        return []
    except PermissionError as error:
        raise Denied("read the incidents", str(error), where=module, remedy="sudo") from error
    except OSError as error:
        raise HostError("read the incidents", str(error), where=str(paths.incidents / module)) from error
    found = []
    for line in lines:
        try:
            found.append(evidence_from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError):
            continue
    return found[-INCIDENTS_MAX:]


def remember_incident(paths: Paths, evidence: Evidence) -> bool:
    """Write an incident down; whether that was needed. HostError when it cannot be written."""
    kept = read_incidents(paths, evidence.module)
    before = kept[-1] if kept else None
    if before is not None and before.fingerprint == evidence.fingerprint:
        if before.invocation == evidence.invocation and evidence.invocation:
            return False  # the same failure, seen twice
        if 0 <= evidence.when_usec - before.when_usec < WRITE_EVERY_USEC and not evidence.gave_up:
            return False
        missed = evidence.restarts - before.restarts
        times = before.times + (missed if missed > 0 else 1)
        evidence = evidence._replace(times=times, first_usec=before.first_usec)
        kept.pop()
    elif before is not None and before.invocation == evidence.invocation and not before.gave_up and evidence.gave_up:
        kept.pop()  # the same run, of which more is known now
    kept.append(evidence)
    data = b"".join(evidence_to_bytes(one) for one in kept[-INCIDENTS_MAX:])
    write_atomic(paths.incidents / evidence.module, data, mode=0o640, group=READERS)
    return True


def hold_back(paths: Paths, evidence: Evidence) -> None:
    """Have failures with the same result passed over for WRITE_EVERY_USEC, as long as systemd tries again by itself.

    For a failure with the cause of the one before it: those that follow at once will hardly have another. HostError
    when it cannot be noted.
    """
    write_atomic(paths.repeated / evidence.module, f"{evidence.result}\n".encode(), durable=False)


def forget_incidents(paths: Paths, module: str) -> None:
    """Remove what is known of a module that is purged."""
    for file in (paths.incidents / module, paths.safe_runs / module, paths.repeated / module):
        file.unlink(missing_ok=True)
