"""A signer's keys in tokens: made there, found there, and used there; `host.token` speaks with the token.

Everything that can be found out without the PIN is, before anybody is asked for it, and it is given once: the token
counts wrong ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from aurora.errors import Denied, HostError, InputError, NotFound, Refused
from aurora.host.files import read_bounded
from aurora.host.token import Library, Session, Token, TokenKey, Way, library
from aurora.update import ecdsa
from aurora.update.keys import is_signed
from aurora.update.kinds import Kind, kind_of
from aurora.update.tokenfile import CURVES, public_of
from aurora.update.tokenuri import TokenUri, uri_text

__all__ = ["Ask", "InToken", "existing_in_token", "made_in_token", "sign_in_token"]

type Ask = Callable[[Token], bytes | None]
"""Asks somebody for the PIN of a token; None where it is typed on the token itself."""

PIN_MAX_BYTES = 256
NEW_ID_BYTES = 8
SHOWN_MAX = 8
"""As many tokens or keys does an error name."""
_WHOSE = "a TPM is there for members of the group tss"
_WAYS = {
    Kind.ED25519: Way("CKK_EC_EDWARDS", "CKM_EC_EDWARDS_KEY_PAIR_GEN", "CKM_EDDSA", b"\x13\x0cedwards25519"),
    Kind.ECDSA_P256: Way("CKK_EC", "CKM_EC_KEY_PAIR_GEN", "CKM_ECDSA", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
}
"""In the order in which a new key is of them, where nobody says a kind. CKM_ECDSA takes a digest, which is ours to
make: more tokens can do that than digest themselves."""


class InToken(NamedTuple):
    """A key that is in a token."""

    public: str
    uri: TokenUri
    """Names it among all that there are, and has the way to it."""
    label: str
    """Of the token."""
    stays: bool
    """Whether the token never gives it away."""
    always_stayed: bool
    """Whether that was so since it was made, in the token."""


@contextlib.contextmanager
def made_in_token(uri: TokenUri, name: str, kind: Kind | None, ask: Ask) -> Iterator[InToken]:
    """Make a key in the token that `uri` names, which has no way out of it; removed again when the block fails.

    Its label is the one in `uri`, or `name`. Without a kind it is of the first one that the token can do. NotFound and
    Refused when there is not one token that is meant; Refused when there is such a key in it, or it cannot keep one.
    """
    what = f"make a key in {uri_text(uri.of_key)}"
    with _opened(uri, what) as loaded:
        token = _the_token(loaded, uri, what)
        way = _WAYS[_kind_for(loaded, token, kind, what)]
        label = name if uri.object is None else uri.object
        with loaded.session(token, pin=_pin(token, uri, ask, what), writes=True) as session:
            if there := session.keys(label=label, id=None) or (uri.id and session.keys(label=None, id=uri.id)):
                shown = uri_text(_uri_of(token, there[0], uri).of_key)
                remedy = "object= with another name, or --existing to use it"
                raise Refused(what, f"there is one, {shown}", remedy=remedy)
            key = session.generate(way, label=label, id=uri.id or os.urandom(NEW_ID_BYTES))
            try:
                if not key.stays:
                    raise Refused(what, "the token would give the key away: it makes none that cannot be taken out")
                yield _in_token(token, key, uri, what)
            except BaseException:
                session.destroy(key)
                raise


def existing_in_token(uri: TokenUri, ask: Ask) -> InToken:
    """The key that is in the token already; NotFound or Refused when there is not one that `uri` means."""
    what = f"use the key {uri_text(uri.of_key)}"
    with _opened(uri, what) as loaded:
        token = _the_token(loaded, uri, what)
        with loaded.session(token, pin=_pin(token, uri, ask, what)) as session:
            return _in_token(token, _the_key(session, token, uri, what), uri, what)


def sign_in_token(public: str, uri: TokenUri, data: bytes, ask: Ask) -> tuple[bytes, InToken]:
    """The data signed by the key in the token, and the key; the signature is good by the public key.

    HostError when what the token has made is not by that key.
    """
    what = f"sign with {uri_text(uri.of_key)}"
    kind = kind_of(public)
    assert kind is not None  # noqa: S101  # the key's file was parsed
    with _opened(uri, what) as loaded:
        token = _the_token(loaded, uri, what)
        if not loaded.can(token, _WAYS[kind].signing):
            raise Refused(what, f"the token {token.label} does not sign in the way of {kind}")
        with loaded.session(token, pin=_pin(token, uri, ask, what)) as session:
            key = _the_key(session, token, uri, what)
            if CURVES.get(key.params) is not kind:
                raise Refused(what, f"the key in the token is not of the kind {kind}, as its file says")
            if kind is Kind.ECDSA_P256:
                made = session.sign(key, _WAYS[kind], hashlib.sha256(data).digest())
            else:
                made = session.sign(key, _WAYS[kind], data)
    with contextlib.suppress(ValueError):  # what is no signature is not one below, either
        made = ecdsa.canonical(made) if kind is Kind.ECDSA_P256 else made
    if not is_signed(public, data, made):
        why = "what the token has signed is not by the public key in the key's file"
        raise HostError(what, why, remedy="auroractl key new --existing, for the key that is there")
    found = InToken(public, _uri_of(token, key, uri), token.label, key.stays, key.always_stayed)
    return made, found


# Finding


@contextlib.contextmanager
def _opened(uri: TokenUri, what: str) -> Iterator[Library]:
    path, remedy = uri.module_path, "module-path= with the token's library"
    try:
        fault = None if path is None else _loading_fault(Path(path))
    except FileNotFoundError as error:
        raise NotFound(what, "its library is not there", where=path or "", remedy=remedy) from error
    if path is not None and fault is not None:
        raise Refused(what, fault, where=path, remedy=remedy)
    with library(path, what=what) as loaded:
        yield loaded


def _loading_fault(path: Path) -> str | None:
    """Why a library is not loaded: it could be anybody's program, which would then see the PIN.

    FileNotFoundError when there is none.
    """
    real = path.resolve()
    for place in (real, *real.parents):
        try:
            info = place.stat()
        except FileNotFoundError:
            raise
        except OSError as error:
            return f"of its library {error.strerror}"
        shared = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX  # as /tmp, where each has his own files
        if info.st_uid not in (0, os.geteuid()) or (info.st_mode & 0o022 and not shared):
            return f"others than root and you may write to its library, by {place}"
    return None if real.is_file() else "its library is no file"


def _the_token(loaded: Library, uri: TokenUri, what: str) -> Token:
    tokens = loaded.tokens()
    found = [one for one in tokens if uri.is_of(
        label=one.label, manufacturer=one.manufacturer, serial=one.serial, model=one.model
    )]  # fmt: skip
    if not tokens:
        raise NotFound(what, "no token is there", remedy=f"module-path= with the token's library; {_WHOSE}")
    if not found:
        there = _listed([_uri_of_token(one) for one in tokens])
        raise NotFound(what, f"no token fits; there is {there}", remedy=f"with the token in its place; {_WHOSE}")
    if len(found) > 1:
        raise Refused(what, f"{len(found)} tokens fit: {_listed([_uri_of_token(one) for one in found])}",
                      remedy="one of these, or the one token alone in its reader")  # fmt: skip
    if found[0].locked:
        raise Refused(what, f"the token {found[0].label} is locked, as too many wrong PINs were given")
    return found[0]


def _the_key(session: Session, token: Token, uri: TokenUri, what: str) -> TokenKey:
    keys = session.keys(label=uri.object, id=uri.id)
    if not keys:
        others = [_uri_of(token, one, uri).of_key for one in session.keys(label=None, id=None)]
        there = f"there is {_listed(others)}" if others else "it has no private key"
        raise NotFound(what, f"the key is not in the token {token.label}; {there}")
    if len(keys) > 1:
        listed = _listed([_uri_of(token, one, uri).of_key for one in keys])
        raise Refused(what, f"{len(keys)} keys fit: {listed}", remedy="one of these")
    return keys[0]


def _listed(uris: list[TokenUri]) -> str:
    shown = ", ".join(uri_text(one) for one in uris[:SHOWN_MAX])
    return shown + (f" and {len(uris) - SHOWN_MAX} more" if len(uris) > SHOWN_MAX else "")


def _uri_of_token(token: Token) -> TokenUri:
    return TokenUri(token.label, token.manufacturer, token.serial, token.model)


def _uri_of(token: Token, key: TokenKey, way: TokenUri) -> TokenUri:
    named = _uri_of_token(token)._replace(object=key.label or None, id=key.id or None)
    return named._replace(module_path=way.module_path, pin_source=way.pin_source)


def _kind_for(loaded: Library, token: Token, kind: Kind | None, what: str) -> Kind:
    able = [one for one, way in _WAYS.items() if all(loaded.can(token, name) for name in (way.generation, way.signing))]
    if not able:
        raise Refused(what, f"the token {token.label} makes no key of the kinds {', '.join(_WAYS)}")
    if kind is not None and kind not in able:
        raise Refused(what, f"the token {token.label} makes no keys of the kind {kind}", remedy=f"--kind {able[0]}")
    return able[0] if kind is None else kind


def _in_token(token: Token, key: TokenKey, uri: TokenUri, what: str) -> InToken:
    kind = CURVES.get(key.params)
    if kind is None or _WAYS[kind].key_type != key.key_type:
        raise Refused(what, f"it is of another kind than {', '.join(_WAYS)}")
    if not key.point:
        raise NotFound(what, "the token does not tell its public key", remedy="the public key beside it in the token")
    try:
        public = public_of(kind, key.point)
    except ValueError as error:
        raise HostError(what, str(error)) from error
    return InToken(public, _uri_of(token, key, uri), token.label, key.stays, key.always_stayed)


# The PIN


def _pin(token: Token, uri: TokenUri, ask: Ask, what: str) -> bytes | None:
    if not token.takes_pin:
        return None
    if uri.pin_source is None or token.has_pad:
        return ask(token)
    if token.last_try:
        why = f"the token {token.label} locks itself at the next wrong PIN, which is not risked with one from a file"
        raise Refused(what, why, where=uri.pin_source, remedy="the key's file without pin-source=, to type it")
    return _pin_in(Path(uri.pin_source), what)


def _pin_in(file: Path, what: str) -> bytes:
    try:
        info = file.stat(follow_symlinks=False)
        data = read_bounded(file, max_bytes=PIN_MAX_BYTES)
    except FileNotFoundError as error:
        raise NotFound(what, "the file with its PIN is not there", where=str(file)) from error
    except PermissionError as error:
        raise Denied(what, "you may not read the file with its PIN", where=str(file)) from error
    except OSError as error:
        raise HostError(what, f"of the file with its PIN {error}", where=str(file)) from error
    if info.st_uid not in (0, os.geteuid()) or stat.S_IMODE(info.st_mode) & 0o077:
        raise Refused(what, "others than you may read its PIN", where=str(file), remedy=f"chmod 600 {file}")
    pin = data.removesuffix(b"\n")
    if not pin or len(data) > PIN_MAX_BYTES or b"\n" in pin or b"\0" in pin:
        raise InputError(what, "the file with its PIN does not hold it alone, on one line", where=str(file))
    return pin
