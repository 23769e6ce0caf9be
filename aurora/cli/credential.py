"""credential set, list and remove: secrets that the owner gives to modules."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.errors import UsageError
from aurora.paths import Paths
from aurora.runtime.credentials import VALUE_MAX_BYTES, read_credentials, remove_credential, set_credential

__all__ = ["listing", "remove", "store"]


def store(arguments: SimpleNamespace) -> int:
    """`auroractl credential set NAME CREDENTIAL`."""
    if arguments.file is not None:
        value = _bounded(Path(arguments.file))
    elif sys.stdin.isatty():
        import getpass  # noqa: PLC0415  # only to ask somebody for a secret

        value = getpass.getpass(f"{arguments.credential} of {arguments.name}: ").encode()
    else:
        value = sys.stdin.buffer.read(VALUE_MAX_BYTES + 1)
    set_credential(Paths(), arguments.name, arguments.credential, value, encrypted=arguments.encrypt)
    render.tell(f"set; auroractl restart {arguments.name} hands it over")
    return 0


def _bounded(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(VALUE_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError("read the credential", str(error), where=str(file)) from error


def listing(arguments: SimpleNamespace) -> int:
    """`auroractl credential list [NAME]`."""
    found = read_credentials(Paths(), arguments.name)
    if arguments.json:
        render.dump([one._asdict() for one in found])
    elif not found:
        render.tell("no module asks for a credential and none is set")
    else:
        rows = [(one.module, one.name, one.form, "yes" if one.declared else "no") for one in found]
        render.emit(render.table(("MODULE", "CREDENTIAL", "SET", "ASKED FOR"), rows))
    return 0


def remove(arguments: SimpleNamespace) -> int:
    """`auroractl credential remove NAME CREDENTIAL`."""
    remove_credential(Paths(), arguments.name, arguments.credential)
    return 0
