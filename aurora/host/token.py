"""Keys in PKCS #11 tokens, which are smart cards, security keys and TPMs: the only file that knows PyKCS11.

A token is reached through a library that comes with it, loaded into this process; PyKCS11 makes it callable. That one
is a suggestion of the package and no dependency: hardly any machine signs. Names are those of PKCS #11 (2.40 and 3.0),
without which nobody can look up what a token answers. A PIN is given to a token once, and never again of our own
accord: tokens count wrong ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from aurora.errors import AuroraError, HostError, InputError, NotFound, Refused

try:
    import PyKCS11
except ImportError:  # see above
    PyKCS11 = None

__all__ = ["PROXY", "Library", "Session", "Token", "TokenKey", "Way", "library"]

PROXY = "p11-kit-proxy.so"
"""Knows all tokens whose libraries are registered on this machine, as Debian's packages do."""
TOKENS_MAX = 256
"""More tokens of a library, or keys of a token, are not looked at."""
_TOOL = "the tool of the token's maker"
_EXISTING = f"{_TOOL} to make a key, and auroractl key new --existing to use it"
_WAIT = f"{_TOOL}; a TPM opens again by itself after some time, or with tpm2_dictionarylockout"
_CLEARED = "as a TPM does that was cleared, or is not the one that its keys were made in"
_ANSWERS: dict[str, tuple[type[AuroraError], str, str]] = {
    "CKR_PIN_INCORRECT": (InputError, "the PIN is wrong; tokens count wrong ones, and lock themselves after a few", ""),
    "CKR_PIN_INVALID": (InputError, "the PIN has signs in it that no PIN of this token has", ""),
    "CKR_PIN_LEN_RANGE": (InputError, "the PIN is shorter or longer than a PIN of this token can be", ""),
    "CKR_PIN_LOCKED": (Refused, "the token has locked its PIN, as too many wrong ones were given", _WAIT),
    "CKR_PIN_EXPIRED": (Refused, "the token's PIN has expired", _TOOL),
    "CKR_USER_PIN_NOT_INITIALIZED": (Refused, "no PIN was set for the token yet", _TOOL),
    "CKR_TOKEN_NOT_PRESENT": (NotFound, "the token was removed", "with the token in its place"),
    "CKR_DEVICE_REMOVED": (NotFound, "the token was removed", "with the token in its place"),
    "CKR_SESSION_HANDLE_INVALID": (NotFound, "the token was removed", "with the token in its place"),
    "CKR_USER_NOT_LOGGED_IN": (Refused, "the token does not let this be done by its PIN alone", _EXISTING),
    "CKR_TOKEN_NOT_RECOGNIZED": (HostError, "its library does not know this token", "module-path= with another one"),
    "CKR_TOKEN_WRITE_PROTECTED": (Refused, "the token lets nothing be written", _TOOL),
    "CKR_GENERAL_ERROR": (HostError, f"the token has answered CKR_GENERAL_ERROR, {_CLEARED}", ""),
    "CKR_DEVICE_MEMORY": (HostError, "the token has no room for it", "removing a key from it"),
    "CKR_MECHANISM_INVALID": (Refused, "the token cannot do this with keys of this kind", ""),
    "CKR_KEY_FUNCTION_NOT_PERMITTED": (Refused, "the key is not one that may sign", ""),
}


class Token(NamedTuple):
    """A token that is there now."""

    slot: int
    label: str
    manufacturer: str
    serial: str
    model: str
    takes_pin: bool
    """Whether its private keys are there only for who gives its PIN."""
    has_pad: bool
    """Whether the PIN is typed on the token itself."""
    counts_wrong: bool
    """Whether wrong PINs were given since the last right one."""
    last_try: bool
    """Whether it locks itself at the next wrong PIN."""
    locked: bool


class Way(NamedTuple):
    """How keys of a kind are made and used."""

    key_type: str
    generation: str
    signing: str
    params: bytes
    """CKA_EC_PARAMS for a new key."""


class TokenKey(NamedTuple):
    """A private key in a token."""

    handle: Any
    public_handle: Any
    """Of the public key beside it; None where there is none."""
    label: str
    id: bytes
    key_type: str
    params: bytes
    point: bytes
    """CKA_EC_POINT as the token has it; empty where it tells none."""
    stays: bool
    """Whether the token says that it does not give it away: it is sensitive, and not extractable."""
    always_stayed: bool
    """Whether that was so all the time, and it was made there."""
    asks_each_time: bool
    """Whether each signature takes the PIN again."""


@contextlib.contextmanager
def library(path: str | None, *, what: str) -> Iterator[Library]:
    """The library of a token, loaded until the block ends; PROXY when none is named.

    HostError where it cannot be, which begins with `what`, as every error of a token does.
    """
    if PyKCS11 is None:
        raise HostError(what, "python3-pykcs11 is not installed", remedy="apt install python3-pykcs11")
    loaded = PyKCS11.PyKCS11Lib()
    try:
        loaded.load(PROXY if path is None else path)
    except PyKCS11.PyKCS11Error as error:
        raise _not_loaded(error.value, path, what) from error
    try:
        yield Library(loaded, what)
    finally:
        loaded.unload()


def _not_loaded(answer: int, path: str | None, what: str) -> HostError:
    if answer >= 0:  # of C_Initialize; what is below are PyKCS11's own
        why = f"the token's library does not start: it has answered {PyKCS11.CKR.get(answer, answer)}"
        return HostError(what, why, where=path or PROXY, remedy="with the right to use the token: tss is a TPM's group")
    if path is None:
        why = f"{PROXY}, which finds the token where no library is named, cannot be loaded"
        return HostError(what, why, remedy="apt install p11-kit-modules, or module-path= with the token's library")
    why = "it is no library of PKCS #11 that can be loaded"
    return HostError(what, why, where=path, remedy="module-path= with the token's library")


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except PyKCS11.PyKCS11Error as error:
        name = PyKCS11.CKR.get(error.value, str(error.value))
        kind, why, remedy = _ANSWERS.get(name, (HostError, f"the token has answered {name}", ""))
        raise kind(what, why, remedy=remedy) from error


def _check(answer: int) -> None:
    if answer != PyKCS11.CKR_OK:
        raise PyKCS11.PyKCS11Error(answer)


def _text(said: str) -> str:
    # What is not UTF-8 comes as surrogates.
    return said.encode(errors="surrogateescape").decode(errors="replace")


def _unpadded(said: str) -> str:
    # A field of fixed length is padded with blanks; some pad it with zeros.
    return _text(said).rstrip(" \0")


class Library:
    """A loaded library, and the tokens that it knows."""

    def __init__(self, loaded: Any, what: str) -> None:
        self._loaded = loaded
        self._what = what

    def tokens(self) -> list[Token]:
        """The tokens that are there and were made ready for use, TOKENS_MAX at most."""
        found = []
        with _told(self._what):
            for slot in self._loaded.getSlotList(tokenPresent=True)[:TOKENS_MAX]:
                try:
                    info = self._loaded.getTokenInfo(slot)
                except PyKCS11.PyKCS11Error:
                    continue  # it was pulled out just now, or is of a kind that its library does not know
                flags = info.flags
                if flags & PyKCS11.CKF_TOKEN_INITIALIZED:
                    found.append(
                        Token(
                            slot=slot,
                            label=_unpadded(info.label),
                            manufacturer=_unpadded(info.manufacturerID),
                            serial=_unpadded(info.serialNumber),
                            model=_unpadded(info.model),
                            takes_pin=bool(flags & PyKCS11.CKF_LOGIN_REQUIRED),
                            has_pad=bool(flags & PyKCS11.CKF_PROTECTED_AUTHENTICATION_PATH),
                            counts_wrong=bool(flags & PyKCS11.CKF_USER_PIN_COUNT_LOW),
                            last_try=bool(flags & PyKCS11.CKF_USER_PIN_FINAL_TRY),
                            locked=bool(flags & PyKCS11.CKF_USER_PIN_LOCKED),
                        )
                    )
        return sorted(found, key=lambda one: (one.label, one.manufacturer, one.model, one.serial))

    def can(self, token: Token, mechanism: str) -> bool:
        """Whether the token can do what PKCS #11 calls so: "CKM_ECDSA"."""
        # getMechanismList of PyKCS11 knows no mechanism that is newer than itself.
        found = PyKCS11.LowLevel.ckintlist()
        with _told(self._what):
            _check(self._loaded.lib.C_GetMechanismList(token.slot, found))
        return getattr(PyKCS11, mechanism) in list(found)

    @contextlib.contextmanager
    def session(self, token: Token, *, pin: bytes | None, writes: bool = False) -> Iterator[Session]:
        """The token, ready to use until the block ends; `pin` is given to it once, None where it takes none.

        InputError for a wrong PIN. A token with a pad asks there, and `pin` is None.
        """
        with _told(self._what):
            opened = self._loaded.openSession(token.slot, PyKCS11.CKF_RW_SESSION if writes else 0)
            try:
                if token.takes_pin:
                    opened.login(pin)
                yield Session(opened, self._what, pin)
            finally:
                with contextlib.suppress(PyKCS11.PyKCS11Error):  # it may have been pulled out
                    opened.closeSession()  # the last one logs out


class Session:
    """An open token."""

    def __init__(self, opened: Any, what: str, pin: bytes | None) -> None:
        self._opened = opened
        self._what = what
        self._pin = pin

    def keys(self, *, label: str | None, id: bytes | None) -> list[TokenKey]:  # noqa: A002  # as PKCS #11 calls it
        """The private keys of that label and that id, each when it is given, TOKENS_MAX at most."""
        with _told(self._what):
            found = [self._read(one, None) for one in self._found(PyKCS11.CKO_PRIVATE_KEY, label, id)[:TOKENS_MAX]]
        return sorted(found, key=lambda one: (one.label, one.id))

    def _found(self, kind: int, label: str | None, id_: bytes | None) -> list[Any]:
        template = [(PyKCS11.CKA_CLASS, kind), (PyKCS11.CKA_TOKEN, PyKCS11.CK_TRUE)]
        template += [(PyKCS11.CKA_LABEL, label)] if label is not None else []
        template += [(PyKCS11.CKA_ID, id_)] if id_ is not None else []
        return list(self._opened.findObjects(template))

    def _read(self, handle: Any, public: Any) -> TokenKey:
        names = ("LABEL", "ID", "KEY_TYPE", "EC_PARAMS", "SENSITIVE", "EXTRACTABLE", "ALWAYS_SENSITIVE",
                 "NEVER_EXTRACTABLE", "LOCAL", "ALWAYS_AUTHENTICATE", "EC_POINT")  # fmt: skip
        values = self._opened.getAttributeValue(handle, [getattr(PyKCS11, f"CKA_{name}") for name in names])
        has = dict(zip(names, values, strict=True))
        label, id_ = _text(has["LABEL"] or ""), bytes(has["ID"] or b"")
        if public is None and (id_ or label):
            beside = self._found(PyKCS11.CKO_PUBLIC_KEY, None if id_ else label, id_ or None)
            public = beside[0] if len(beside) == 1 else None
        point = has["EC_POINT"]
        if public is not None:
            point = self._opened.getAttributeValue(public, [PyKCS11.CKA_EC_POINT])[0]
        stays = has["SENSITIVE"] is True and has["EXTRACTABLE"] is False
        always = all(has[name] is True for name in ("ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL"))
        key_type = str(PyKCS11.CKK.get(has["KEY_TYPE"], ""))
        return TokenKey(
            handle, public, label, id_, key_type, bytes(has["EC_PARAMS"] or b""), bytes(point or b""),
            stays, stays and always, has["ALWAYS_AUTHENTICATE"] is True,
        )  # fmt: skip

    def generate(self, way: Way, *, label: str, id: bytes) -> TokenKey:  # noqa: A002  # as PKCS #11 calls it
        """A new pair of keys of which the private one is to stay in the token; what came of that is in the answer."""
        yes, no = PyKCS11.CK_TRUE, PyKCS11.CK_FALSE
        both = [(PyKCS11.CKA_TOKEN, yes), (PyKCS11.CKA_LABEL, label), (PyKCS11.CKA_ID, id)]
        public = [*both, (PyKCS11.CKA_VERIFY, yes), (PyKCS11.CKA_EC_PARAMS, way.params)]
        private = [*both, (PyKCS11.CKA_SIGN, yes), (PyKCS11.CKA_PRIVATE, yes), (PyKCS11.CKA_SENSITIVE, yes),
                   (PyKCS11.CKA_EXTRACTABLE, no)]  # fmt: skip
        mechanism = PyKCS11.Mechanism(getattr(PyKCS11, way.generation), None)
        with _told(self._what):
            made, made_private = self._opened.generateKeyPair(public, private, mechanism)
            try:
                return self._read(made_private, made)
            except BaseException:
                self._destroy(made_private, made)
                raise

    def destroy(self, key: TokenKey) -> None:
        """Remove a pair of keys from the token."""
        with _told(self._what):
            self._destroy(key.handle, key.public_handle)

    def _destroy(self, *handles: Any) -> None:
        for handle in handles:
            if handle is not None:
                self._opened.destroyObject(handle)

    def sign(self, key: TokenKey, way: Way, data: bytes) -> bytes:
        """What the key makes of the data, as the token gives it."""
        # Session.sign of PyKCS11 leaves no room for the login between its two calls.
        low, handle = self._opened.lib, self._opened.session
        mechanism = PyKCS11.Mechanism(getattr(PyKCS11, way.signing), None)
        signature = PyKCS11.ckbytelist()
        with _told(self._what):
            _check(low.C_SignInit(handle, mechanism.to_native(), key.handle))
            if key.asks_each_time:
                self._opened.login(self._pin, PyKCS11.CKU_CONTEXT_SPECIFIC)
            for _ in range(2):  # the first call tells only how long it will be
                _check(low.C_Sign(handle, PyKCS11.ckbytelist(data), signature))
        return bytes(signature)
