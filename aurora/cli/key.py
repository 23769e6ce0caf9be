"""key new, list, trust and revoke: who signs packages, and whom the owner trusts to."""

from __future__ import annotations

import contextlib
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
from aurora.text import visible
from aurora.update.keyring import Key
from aurora.update.keys import new_key
from aurora.update.keystore import OwnKey, check_new, make_key, make_token_key, own_keys, trusted
from aurora.update.keystore import revoke as revoke_key
from aurora.update.keystore import trust as trust_key
from aurora.update.kinds import Kind, kind_of
from aurora.update.signature import day_of
from aurora.update.tokenuri import BrokenUri, TokenUri, is_token_uri, parse_uri

TYPE_CHECKING = False
if TYPE_CHECKING:
    from aurora.host.token import Token
    from aurora.update.tokens import InToken

__all__ = ["asked", "asked_pin", "day_or_none", "listing", "new", "own_folder", "revoke", "tell_of_token", "trust"]

PASSPHRASE_MIN_CHARS = 8


def own_folder() -> Path:
    """Where a signer's own keys lie."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path("~/.config").expanduser()
    return Path(home) / "aurora/keys"


def asked(prompt: str, what: str, remedy: str, named: str = "passphrase") -> str:
    """A secret, typed on the terminal and not shown; UsageError where there is none to ask on."""
    if not sys.stdin.isatty():
        raise UsageError(what, f"there is no terminal to ask for the {named} on", remedy=remedy)
    import getpass  # noqa: PLC0415  # only to ask somebody for a secret

    try:
        return getpass.getpass(prompt)
    except EOFError as error:  # Ctrl+D
        raise UsageError(what, f"no {named} was typed", remedy=remedy) from error


def day_or_none(text: str | None, flag: str) -> date | None:
    """The day that an option gives; UsageError when it gives none."""
    if text is None:
        return None
    try:
        return day_of(text)
    except ValueError as error:
        raise UsageError("understand the command line", str(error), where=flag) from error


def asked_pin(token: Token) -> bytes | None:
    """A token's PIN, typed on the terminal and not shown; None where it is typed on the token itself."""
    label = visible(token.label)
    if token.last_try:
        render.tell(f"the token {label} locks itself at the next wrong PIN")
    elif token.counts_wrong:
        render.tell(f"the token {label} was given wrong PINs, and locks itself after a few")
    if token.has_pad:
        render.tell(f"type the PIN on the token {label} itself")
        return None
    what = f"open the token {label}"
    remedy = "a terminal, or pin-source=file:/PATH in the key's URI, with the PIN in that file"
    pin = asked(f"PIN of the token {label}: ", what, remedy, "PIN").encode(errors="surrogateescape")
    if not pin:  # which a token might take for a wrong one, or for the wish to type it on its own pad
        raise UsageError(what, "no PIN was typed, and none was given to it")
    return pin


def tell_of_token(key: InToken) -> None:
    """Say it where a token can give a key away, or could before."""
    label = visible(key.label)
    if not key.stays:
        render.tell(f"the key can be taken out of the token {label}: whoever has its PIN can copy it")
    elif not key.always_stayed:
        render.tell(f"the key may have been outside the token {label} before: it was put there, or was not held there")


def new(arguments: SimpleNamespace) -> int:
    """`auroractl key new NAME`."""
    if arguments.folder is not None and is_token_uri(arguments.folder):
        return _new_in_token(arguments)
    if arguments.kind is not None or arguments.existing:
        why = "--kind and --existing are for keys in tokens"
        raise UsageError(f"make the key {arguments.name!a}", why, remedy="--in pkcs11:token=LABEL")
    folder = own_folder() if arguments.folder is None else Path(arguments.folder)
    passphrase = None if arguments.no_passphrase else _new_passphrase(arguments.name)
    secret, public = make_key(folder, arguments.name, new_key(), passphrase)
    if passphrase is None:
        render.tell(f"{secret} is not sealed: whoever can read it, or a backup of it, can sign as {arguments.name}")
    render.tell(f"made {secret}, which stays with you; hand over {public}, for auroractl key trust")
    return 0


def _new_in_token(arguments: SimpleNamespace) -> int:
    # Loads the library that knows tokens, if it is there; most keys are in files.
    from aurora.update.tokens import existing_in_token, made_in_token  # noqa: PLC0415  # see above

    name, folder = arguments.name, own_folder()
    if arguments.no_passphrase:
        raise UsageError(f"make the key {name!a}", "a key in a token has no passphrase, but the token's PIN")
    check_new(folder, name)
    uri = _uri(arguments.folder, name)
    with contextlib.ExitStack() as undone_unless_written:
        if arguments.existing:
            key = existing_in_token(uri, asked_pin)
        else:
            kind = None if arguments.kind is None else Kind(arguments.kind)
            key = undone_unless_written.enter_context(made_in_token(uri, name, kind, asked_pin))
        file, public = make_token_key(folder, name, key.public, key.uri)
    tell_of_token(key)
    did = "is" if arguments.existing else "was made"
    render.tell(
        f"the {kind_of(key.public)} key {did} in the token {visible(key.label)}; {file} says where, and holds no"
        f" secret; hand over {public}, for auroractl key trust"
    )
    return 0


def _uri(text: str, name: str) -> TokenUri:
    try:
        return parse_uri(text)
    except BrokenUri as error:
        remedy = "--in pkcs11:token=LABEL"
        raise UsageError(f"make the key {name!a}", f"of its URI {error}", where="--in", remedy=remedy) from error


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
        rows = [(one.name, one.public, _sealed(one), one.file if one.uri is None else one.uri) for one in own]
        render.emit(("\n" if keys else "") + render.table(("YOURS", "KEY", "SEALED", "WHERE"), rows))
    return 0


def _sealed(key: OwnKey) -> str:
    if key.uri is not None:
        return "in a token"
    return "by a passphrase" if key.sealed else "no"


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
