"""What was accepted last of each module's package, for its signatures: one file a module, replaced by one rename.

A signature is in the .deb, which dpkg does not keep. So what was accepted is noted before apt gets it, with a digest
of the module in it; what then lies there, or came past auroractl, is compared with the note before it is taken in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from aurora.errors import AuroraError, Denied, HostError, Problem
from aurora.host.files import locked, read_bounded, write_atomic
from aurora.names import is_module_name, package_name
from aurora.paths import Paths
from aurora.policy import SIGNATURES_OFF
from aurora.runtime.folders import folder_digest, owner_settings

__all__ = ["Accepted", "not_accepted", "read_accepted", "remember", "today"]

NOTE_MAX_BYTES = 4096


class Accepted(NamedTuple):
    """The package of a module that was accepted last."""

    module: str
    version: str
    lowest: str
    """The lowest version to go back to."""
    expires: date
    """The last day on which it may be taken in."""
    digest: str
    """Of the module's folder in it (`folders.folder_digest`)."""
    signers: tuple[str, ...]
    """Names of the keys."""


def today() -> date:
    """The day, in UTC, as validity and expiry count it.

    It is that of this machine's clock: one that is behind takes what has expired, and nothing else tells the day.
    """
    return datetime.now(UTC).date()


def remember(paths: Paths, accepted: Accepted) -> None:
    """Note what was accepted, in the place of what was before."""
    fields = accepted._asdict() | {"expires": accepted.expires.isoformat(), "signers": " ".join(accepted.signers)}
    with locked(paths.lock):
        data = "".join(f"{key}: {value}\n" for key, value in fields.items()).encode()
        write_atomic(paths.accepted / accepted.module, data)


def read_accepted(paths: Paths, module: str) -> Accepted | None:
    """What was accepted last of a module; None when nothing was, HostError when the note is damaged."""
    file = paths.accepted / module
    what = f"read what was accepted of {module}"
    if not is_module_name(module):
        return None
    try:
        data = read_bounded(file, max_bytes=NOTE_MAX_BYTES)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Denied(what, str(error), where=str(file), remedy="sudo") from error
    except OSError as error:
        raise HostError(what, str(error), where=str(file)) from error
    found = dict(line.partition(": ")[::2] for line in data.decode(errors="replace").splitlines())
    try:
        if found.keys() != set(Accepted._fields) or found["module"] != module or len(data) > NOTE_MAX_BYTES:
            raise ValueError("fields")
        return Accepted(
            module=module,
            version=found["version"],
            lowest=found["lowest"],
            expires=date.fromisoformat(found["expires"]),
            digest=found["digest"],
            signers=tuple(found["signers"].split()),
        )
    except ValueError as error:
        why = "it is damaged, or of another version"
        raise HostError(what, why, where=str(file), remedy="removing that file, which forgets it") from error


def not_accepted(paths: Paths, module: str, folder: Path) -> tuple[str, Problem | None]:
    """The owner's word on signatures, and what it has against taking in the module that lies in `folder`.

    There is nothing against it where the word is off.
    """
    mode = owner_settings(paths).signatures
    if mode == SIGNATURES_OFF:
        return mode, None
    what = f"take in the package of {module}"
    remedy = f"auroractl install with the signed .deb of {package_name(module)}"
    try:
        note = read_accepted(paths, module)
    except AuroraError as error:
        return mode, error.problems[0]
    why = ""
    if note is None or note.digest != folder_digest(folder):
        why = "it was not accepted for its signatures: it came past auroractl and apt, or is another than was accepted"
    elif today() > note.expires:
        why = f"it was accepted, and its signatures have expired on {note.expires}"
    return mode, Problem(what, why, str(folder), remedy) if why else None
