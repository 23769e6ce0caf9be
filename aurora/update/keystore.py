"""Where keys lie: the owner's keyring below /etc/aurora, and a signer's own private keys in his home."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

from aurora.errors import AuroraError, Denied, HostError, InputError, NotFound, Problem, Refused, UsageError
from aurora.host.files import locked, ownership_problem, read_bounded, write_atomic
from aurora.paths import Paths
from aurora.update.keyring import (
    DEFAULT_RULES,
    KEY_FILE_MAX_BYTES,
    NAME_RULE,
    RULES_MAX_BYTES,
    Key,
    Rule,
    is_key_name,
    key_bytes,
    parse_public,
    parse_rules,
    public_bytes,
    read_keyring,
)
from aurora.update.keys import BrokenKey, PrivateKey, is_sealed, private_bytes
from aurora.update.tokenfile import (
    TOKEN_FILE_MAX_BYTES,
    BrokenTokenFile,
    is_token_file,
    parse_token_file,
    token_file_bytes,
)
from aurora.update.tokenuri import TokenUri, is_token_uri, uri_text

__all__ = [
    "OwnKey",
    "check_new",
    "make_key",
    "make_token_key",
    "own_keys",
    "read_key_file",
    "read_own",
    "revoke",
    "trust",
    "trusted",
]

PRIVATE_SUFFIX = ".key"
OWN_MAX = 256
"""More of a signer's own keys are not listed."""


class OwnKey(NamedTuple):
    """One of a signer's own keys, without its secret."""

    name: str
    public: str
    file: str
    """Of the private key."""
    sealed: bool
    """Whether it takes a passphrase to use it, or to come to the token that it is in."""
    uri: str | None
    """The token that it is in; None for one that is in its file."""


# The owner's


def trusted(paths: Paths) -> tuple[tuple[Key, ...], tuple[Rule, ...]]:
    """The keyring and the rules; Refused when others than the owner may write them, InputError when they are wrong."""
    files = sorted(paths.owner_keyring.glob("*.toml")) if paths.owner_keyring.is_dir() else []
    places = (paths.owner_keyring, paths.owner_trust, *files)
    problems = [found for place in places if (found := ownership_problem(place, below=paths.owner.parent))]
    if problems:
        raise Refused.of(dict.fromkeys(problems))
    keys = read_keyring((str(file), file.stem, _read(file, KEY_FILE_MAX_BYTES)) for file in files)
    if not paths.owner_trust.exists(follow_symlinks=False):
        return keys, DEFAULT_RULES
    return keys, parse_rules(_read(paths.owner_trust, RULES_MAX_BYTES), file=str(paths.owner_trust))


def trust(
    paths: Paths, file: Path, *, name: str | None, roles: Iterable[str], since: date | None, until: date | None
) -> Key:
    """Take the public key in `file` into the keyring, or give the one that is there other roles and days.

    Refused when its name belongs to another key there, it is there by another name, or it was revoked: a revoked key
    does not come back.
    """
    found = parse_public(_read(file, KEY_FILE_MAX_BYTES), file=str(file))
    key = Key(found.name if name is None else name, found.public, tuple(dict.fromkeys(roles)), since, until)
    what = f"trust the key {key.name}"
    wrong = [one for one in (key.name, *key.roles) if not is_key_name(one)]
    if wrong or not key.roles:
        raise UsageError(what, f"a key and a role each have a name of {NAME_RULE}", remedy="--roles release")
    if since is not None and until is not None and until < since:
        raise UsageError(what, "it would be valid never: its last day is before its first")
    with locked(paths.lock):
        for other in trusted(paths)[0]:
            if (other.name == key.name) != (other.public == key.public):
                why = f"{other.name} in the keyring is another key" if other.name == key.name else (
                    f"it is in the keyring as {other.name}")  # fmt: skip
                raise Refused(what, why, where=str(paths.owner_keyring), remedy="--name with another name")
            if other.public == key.public and other.revoked is not None:
                raise Refused(what, f"it was revoked on {other.revoked}", remedy="auroractl key new, for a new one")
        write_atomic(paths.owner_keyring / f"{key.name}.toml", key_bytes(key))
    return key


def revoke(paths: Paths, name: str, *, today: date) -> Key:
    """Let no signature of a key count any more; NotFound when it is not in the keyring. It stays there, so marked."""
    with locked(paths.lock):
        keys = {key.name: key for key in trusted(paths)[0]}
        if name not in keys:
            known = ", ".join(sorted(keys))
            raise NotFound(f"revoke the key {name}", "it is not in the keyring", where=str(paths.owner_keyring),
                           remedy=f"one of {known}" if known else "")  # fmt: skip
        key = keys[name]
        if key.revoked is None:
            key = key._replace(revoked=today)
            write_atomic(paths.owner_keyring / f"{name}.toml", key_bytes(key))
    return key


# A signer's own


def make_key(folder: Path, name: str, private: PrivateKey, passphrase: bytes | None) -> tuple[Path, Path]:
    """Write a new key to NAME.key, for its owner alone, and its public part to NAME.toml; both paths.

    Refused when there is a key of that name.
    """
    return _write_own(folder, name, private_bytes(private, passphrase), private.key)


def make_token_key(folder: Path, name: str, public: str, uri: TokenUri) -> tuple[Path, Path]:
    """Write where a key is that lives in a token to NAME.key, and its public part to NAME.toml; both paths.

    Refused when there is a key of that name, UsageError when its URI is one that would not be read again.
    """
    try:
        content = token_file_bytes(public, uri)
    except ValueError as error:
        why = f"of the URI that would name it {error}"
        raise UsageError(f"make the key {name}", why, remedy="object= with another name") from error
    return _write_own(folder, name, content, public)


def check_new(folder: Path, name: str) -> tuple[Path, Path]:
    """Where a new key of that name is to be written; Refused when there is one, UsageError for what is no name."""
    if not is_key_name(name):
        raise UsageError(f"make the key {name!a}", f"a key's name is {NAME_RULE}")
    secret, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}.toml"
    for file in (secret, public):
        if file.exists(follow_symlinks=False):
            raise Refused(f"make the key {name}", "there is one of that name", where=str(file), remedy="another name")
    return secret, public


def _write_own(folder: Path, name: str, content: bytes, key: str) -> tuple[Path, Path]:
    secret, public = check_new(folder, name)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"make the key {name}", str(error), where=str(folder)) from error
    write_atomic(secret, content, mode=0o600)
    try:
        write_atomic(public, public_bytes(Key(name, key, ())))
    except BaseException:
        secret.unlink(missing_ok=True)
        raise
    return secret, public


def read_key_file(file: Path) -> bytes:
    """A private key as its file has it, or where it is; Refused when others than its owner can read the file."""
    what = "read the private key"
    data = _read(file, TOKEN_FILE_MAX_BYTES, what)  # the longer one of the two kinds of files
    if stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise Refused(what, "others than its owner may read it", where=str(file), remedy=f"chmod 600 {file}")
    try:
        _ = parse_token_file(data) if is_token_file(data) else is_sealed(data)
    except (BrokenKey, BrokenTokenFile) as error:
        raise InputError(what, str(error), where=str(file)) from error
    return data


def read_own(folder: Path, name: str) -> tuple[Path, bytes]:
    """The file of an own key, given its name or a path (with a slash, or ending in .key), and what is in it."""
    if is_token_uri(name):
        why = "a key in a token is used by a name, whose file says which public key it is to have"
        raise UsageError("find the key", why, remedy="auroractl key new NAME --in URI --existing, and then --key NAME")
    if "/" in name or name.endswith(PRIVATE_SUFFIX):
        return Path(name), read_key_file(Path(name))
    if not is_key_name(name):
        raise UsageError("find the key", f"{name!a} is no name of one", remedy="its name, or the path of its file")
    return folder / f"{name}{PRIVATE_SUFFIX}", read_key_file(folder / f"{name}{PRIVATE_SUFFIX}")


def own_keys(folder: Path) -> tuple[list[OwnKey], list[Problem]]:
    """A signer's own keys, and what is wrong with those that cannot be read."""
    found: list[OwnKey] = []
    problems: list[Problem] = []
    for file in sorted(folder.glob(f"*{PRIVATE_SUFFIX}"))[:OWN_MAX] if folder.is_dir() else []:
        try:
            data = read_key_file(file)
            found.append(_own(file, data))
        except AuroraError as error:
            problems += error.problems
    return found, problems


def _own(file: Path, data: bytes) -> OwnKey:
    if is_token_file(data):
        public, uri = parse_token_file(data)
        return OwnKey(file.stem, public, str(file), sealed=True, uri=uri_text(uri.of_key))
    public = data.decode("ascii").splitlines()[1].partition(" ")[2]
    return OwnKey(file.stem, public, str(file), sealed=is_sealed(data), uri=None)


def _read(file: Path, max_bytes: int, what: str = "read a key") -> bytes:
    try:
        return read_bounded(file, max_bytes=max_bytes)
    except FileNotFoundError as error:
        raise NotFound(what, "there is no such file", where=str(file)) from error
    except PermissionError as error:
        raise Denied(what, str(error), where=str(file), remedy="sudo") from error
    except OSError as error:
        raise HostError(what, str(error), where=str(file)) from error
