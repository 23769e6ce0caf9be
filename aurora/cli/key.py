"""key new, list, trust and revoke: who signs packages, and whom the owner trusts to."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from types import SimpleNamespace

from aurora.cli import render
from aurora.errors import UsageError
from aurora.host.caller import require_root
from aurora.paths import Paths
from aurora.runtime.accepted import today
from aurora.update.keyring import Key
from aurora.update.keys import new_key
from aurora.update.keystore import make_key, own_keys, trusted
from aurora.update.keystore import revoke as revoke_key
from aurora.update.keystore import trust as trust_key
from aurora.update.signature import day_of

__all__ = ["asked", "day_or_none", "listing", "new", "own_folder", "revoke", "trust"]

PASSPHRASE_MIN_CHARS = 8


def own_folder() -> Path:
    """Where a signer's own keys lie."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home) / "aurora/keys"


def asked(prompt: str, what: str, remedy: str) -> str:
    """A passphrase, typed on the terminal and not shown; UsageError where there is none to ask on."""
    if not sys.stdin.isatty():
        raise UsageError(what, "there is no terminal to ask for the passphrase on", remedy=remedy)
    import getpass  # noqa: PLC0415  # only to ask somebody for a secret

    return getpass.getpass(prompt)


def day_or_none(text: str | None, flag: str) -> date | None:
    """The day that an option gives; UsageError when it gives none."""
    if text is None:
        return None
    try:
        return day_of(text)
    except ValueError as error:
        raise UsageError("understand the command line", str(error), where=flag) from error


def new(arguments: SimpleNamespace) -> int:
    """`auroractl key new NAME`."""
    folder = own_folder() if arguments.folder is None else Path(arguments.folder)
    passphrase = None if arguments.no_passphrase else _new_passphrase(arguments.name)
    secret, public = make_key(folder, arguments.name, new_key(), passphrase)
    if passphrase is None:
        render.tell(f"{secret} is not sealed: whoever can read it, or a backup of it, can sign as {arguments.name}")
    render.tell(f"made {secret}, which stays with you; hand over {public}, for auroractl key trust")
    return 0


def _new_passphrase(name: str) -> bytes:
    what, remedy = f"make the key {name!a}", "--no-passphrase, which leaves the key open to who can read its file"
    first = asked("new passphrase: ", what, remedy)
    if len(first) < PASSPHRASE_MIN_CHARS:
        raise UsageError(what, f"a passphrase has at least {PASSPHRASE_MIN_CHARS} characters")
    if asked("the same once more: ", what, remedy) != first:
        raise UsageError(what, "the two passphrases are not the same")
    return first.encode(errors="surrogateescape")


def listing(arguments: SimpleNamespace) -> int:
    """`auroractl key list`."""
    keys, _ = trusted(Paths())
    own, problems = own_keys(own_folder())
    for problem in problems:
        render.tell(f"auroractl: {problem}")
    if arguments.json:
        render.dump({"keyring": [_document(key) for key in keys], "own": [one._asdict() for one in own]})
        return 0
    if keys:
        rows = [(key.name, key.public, ", ".join(key.roles), key.fault(today()) or _valid(key)) for key in keys]
        colours = ["red" if key.fault(today()) else None for key in keys]
        render.emit(render.table(("TRUSTED", "KEY", "ROLES", "COUNTS"), rows, colours))
    else:
        render.tell("no key is trusted; sudo auroractl key trust NAME.toml trusts one")
    if own:
        rows = [(one.name, one.public, "by a passphrase" if one.sealed else "no", one.file) for one in own]
        render.emit(("\n" if keys else "") + render.table(("YOURS", "KEY", "SEALED", "FILE"), rows))
    return 0


def _document(key: Key) -> dict[str, object]:
    days = {name: getattr(key, name) for name in ("valid_from", "valid_until", "revoked")}
    return {
        "name": key.name,
        "public": key.public,
        "roles": list(key.roles),
        "counts": key.fault(today()) is None,
        "why_not": key.fault(today()),
        **{name: None if day is None else day.isoformat() for name, day in days.items()},
    }


def _valid(key: Key) -> str:
    return "yes" if key.valid_until is None else f"until {key.valid_until}"


def trust(arguments: SimpleNamespace) -> int:
    """`auroractl key trust FILE`."""
    require_root("trust a key")
    roles = [role.strip() for role in arguments.roles.split(",")]
    since, until = day_or_none(arguments.since, "--from"), day_or_none(arguments.until, "--until")
    key = trust_key(Paths(), Path(arguments.file), name=arguments.name, roles=roles, since=since, until=until)
    render.tell(f"{key.name} may sign as {', '.join(key.roles)}; its key, to compare with its owner's:")
    render.emit(key.public)
    return 0


def revoke(arguments: SimpleNamespace) -> int:
    """`auroractl key revoke NAME`."""
    require_root("revoke a key")
    key = revoke_key(Paths(), arguments.name, today=today())
    render.tell(f"{key.name} is revoked: no signature of it counts any more, whenever it was made")
    return 0
