"""Credentials that an owner gives to modules: files that root alone can read, handed over by systemd.

A credential is a file /etc/aurora/credentials/MODULE/NAME, or NAME.cred where systemd-creds(1) has encrypted it, with
the machine's own key or its TPM. What is in it never stands in a plan, an argument, an environment or the journal.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from aurora.errors import Denied, HostError, InputError, NotFound, Problem
from aurora.host.files import locked, sync_folder, write_atomic
from aurora.host.process import run
from aurora.paths import Paths
from aurora.plan import ENCRYPTED_SUFFIX
from aurora.runtime.folders import read_module
from aurora.runtime.records import read_records, require

__all__ = ["VALUE_MAX_BYTES", "Credential", "read_credentials", "remove_credential", "set_credential"]

VALUE_MAX_BYTES = 1 << 20
"""systemd takes no larger credential (CREDENTIAL_SIZE_MAX in its src/shared/creds-util.h)."""


class Credential(NamedTuple):
    """One credential, without what is in it."""

    module: str
    name: str
    form: str
    """plain, encrypted, or no where it is not set."""
    declared: bool
    """Whether the module's manifest asks for it."""


def set_credential(paths: Paths, module: str, name: str, value: bytes, *, encrypted: bool) -> None:
    """Store a credential that the installed module's manifest asks for; the file is replaced by one rename.

    InputError when the manifest names no such credential, or the value is empty or larger than VALUE_MAX_BYTES.
    """
    declared = _declared(paths, module)
    what = f"set the credential {name} of {module}"
    if name not in declared:
        known = ", ".join(declared)
        remedy = f"one of {known}" if known else "names below [credentials] in its manifest"
        raise InputError.of([Problem(what, "its manifest asks for no such credential", "", remedy)])
    if not 1 <= len(value) <= VALUE_MAX_BYTES:
        raise InputError.of([Problem(what, f"it must have 1 to {VALUE_MAX_BYTES} bytes")])
    folder = paths.owner_credentials / module
    with locked(paths.lock):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for one in (paths.owner_credentials, folder):
                one.chmod(0o700)
        except PermissionError as error:
            raise Denied(what, str(error), where=str(folder), remedy="sudo") from error
        except OSError as error:
            raise HostError(what, str(error), where=str(folder)) from error
        written = f"{name}{ENCRYPTED_SUFFIX}" if encrypted else name
        data = _encrypted(name, value) if encrypted else value
        write_atomic(folder / written, data, mode=0o600)
        for other in {name, f"{name}{ENCRYPTED_SUFFIX}"} - {written}:
            (folder / other).unlink(missing_ok=True)
        sync_folder(folder)


def _encrypted(name: str, value: bytes) -> bytes:
    done = run(["systemd-creds", "encrypt", f"--name={name}", "-", "-"], stdin=value)
    return done.stdout.encode()


def remove_credential(paths: Paths, module: str, name: str) -> None:
    """Forget a credential; NotFound when it is not set."""
    folder = paths.owner_credentials / module
    with locked(paths.lock):
        found = [file for file in (folder / name, folder / f"{name}{ENCRYPTED_SUFFIX}") if file.is_file()]
        if "/" in name or not found:
            raise NotFound(f"remove the credential {name} of {module}", "it is not set", where=str(folder))
        for file in found:
            file.unlink()
        sync_folder(folder)


def read_credentials(paths: Paths, module: str | None) -> list[Credential]:
    """What is asked for and what is set, of one installed module or of all; Denied for all but root."""
    records = [require(paths, module)] if module is not None else [one for one in read_records(paths) if one.installed]
    found = []
    for record in records:
        declared = _declared(paths, record.name)
        stored = dict(_stored(paths.owner_credentials / record.name))
        found += [
            Credential(record.name, name, stored.get(name, "no"), name in declared)
            for name in sorted({*declared, *stored})
        ]
    return found


def _declared(paths: Paths, module: str) -> tuple[str, ...]:
    return read_module(Path(require(paths, module).folder(paths))).credentials


def _stored(folder: Path) -> Iterator[tuple[str, str]]:
    try:
        files = sorted(folder.iterdir()) if folder.is_dir() else []
    except PermissionError as error:
        raise Denied("list credentials", str(error), where=str(folder), remedy="sudo") from error
    for file in files:
        if file.name.endswith(ENCRYPTED_SUFFIX):
            yield file.name.removesuffix(ENCRYPTED_SUFFIX), "encrypted"
        elif not file.name.startswith("."):
            yield file.name, "plain"
