"""URIs of keys in PKCS #11 tokens, as RFC 7512 has them: from text, to text, and which token one is of. Pure.

    pkcs11:token=aurora;serial=52d6b30b9c1562b8;id=%01%a0;object=release?module-path=/usr/lib/softhsm/libsofthsm2.so

Section 2.3 is the grammar: attributes parted by `;`, and behind `?` by `&`; each at most once; letters, digits and a
few signs, all others as % and two hexadecimal digits; `id` is any bytes, the rest UTF-8. By section 2.4 two attributes
behind the `?` say how to come to the token: `module-path`, the library that is loaded for it, and `pin-source`, the
file with its PIN. By section 2.5 a token is meant when it has every value that the URI names, padding aside.

Taken is what is needed to name one key for years. Refused, each with its reason, are attributes that only hold until a
reader is plugged in elsewhere (`slot-...`), that name a library by what it says of itself (`library-...`), that leave
the library to be searched for (`module-name`), those of vendors, and any other: one that was passed over could have
told two keys apart. `pin-value` is refused as section 7 warns: a command line and a file of settings are read by many.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

__all__ = ["SCHEME", "URI_MAX_CHARS", "BrokenUri", "TokenUri", "is_token_uri", "parse_uri", "uri_text"]

SCHEME = "pkcs11:"
URI_MAX_CHARS = 2048
_MAX_BYTES = {"token": 32, "manufacturer": 32, "serial": 16, "model": 16, "object": 128, "id": 64}
"""What a token has room for: CK_TOKEN_INFO, PKCS #11 2.40, section 3.2; for the last two, bounds of our own."""
_PATH_MAX_BYTES = 1024
_PATH = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})*", re.ASCII)
"""*pk11-pchar"""
_QUERY = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=/?|-]|%[0-9A-Fa-f]{2})*", re.ASCII)
"""*pk11-qchar"""
_PIN_FILE = re.compile(r"(?:file:(?://(?:localhost)?)?)?(?P<path>/(?!/).*)", re.DOTALL)
"""By RFC 8089, section 2, and without `file:` a path as it is."""
_LASTING = "token, manufacturer, serial, model, object and id, which last"


class BrokenUri(ValueError):
    """It is no URI of a key in a token, or not one that is taken; the text reads after "because"."""


class TokenUri(NamedTuple):
    """A token, or a key in it; what is None is not said."""

    token: str | None = None
    """The token's label."""
    manufacturer: str | None = None
    serial: str | None = None
    model: str | None = None
    object: str | None = None
    """The key's label."""
    id: bytes | None = None
    """The key's id, CKA_ID."""
    module_path: str | None = None
    """The library that is loaded for the token, an absolute path."""
    pin_source: str | None = None
    """The file with the PIN, an absolute path."""

    def is_of(self, *, label: str, manufacturer: str, serial: str, model: str) -> bool:
        """Whether a token that says this of itself is one that is meant."""
        pairs = (
            (self.token, label), (self.manufacturer, manufacturer), (self.serial, serial), (self.model, model),
        )  # fmt: skip
        return all(wanted is None or wanted == has for wanted, has in pairs)

    @property
    def of_token(self) -> TokenUri:
        """The token, without a key in it and without the way to it."""
        return TokenUri(self.token, self.manufacturer, self.serial, self.model)

    @property
    def of_key(self) -> TokenUri:
        """The token and the key in it, without the way to it."""
        return self._replace(module_path=None, pin_source=None)


def is_token_uri(text: str) -> bool:
    """Whether somebody who wrote this meant a token."""
    return text[: len(SCHEME)].lower() == SCHEME


def parse_uri(text: str) -> TokenUri:
    """The key or token that a URI names; BrokenUri for any text that is none, or that is not taken."""
    if len(text) > URI_MAX_CHARS:
        raise BrokenUri(f"it has more than {URI_MAX_CHARS} characters")
    if not is_token_uri(text):
        raise BrokenUri(f"it does not begin with {SCHEME}")
    path, _, query = text[len(SCHEME) :].partition("?")
    found: dict[str, str | bytes] = {}
    for name, value in _attributes(path, ";", _PATH):
        found[name] = _of_path(name, value)
    kind = found.pop("type", "private")
    if kind != "private":
        raise BrokenUri("it names by type= something else than a private key")
    for name, value in _attributes(query, "&", _QUERY):
        found[name.replace("-", "_")] = _of_query(name, value)
    return TokenUri(**found)  # type: ignore[arg-type]  # id is bytes, and the others text: see _of_path


def _attributes(text: str, between: str, allowed: re.Pattern[str]) -> list[tuple[str, bytes]]:
    found: dict[str, bytes] = {}
    for one in text.split(between) if text else []:
        name, equals, value = one.partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z0-9_-]+", name, re.ASCII):
            raise BrokenUri(f"{one[:64]!a} in it is no attribute such as token=aurora")
        if name in found:
            raise BrokenUri(f"it has {name}= twice")
        if not allowed.fullmatch(value):
            raise BrokenUri(f"the value of {name}= has signs that are to be written as % and two hexadecimal digits")
        found[name] = unquote_to_bytes(value)
    return list(found.items())


def _of_path(name: str, value: bytes) -> str | bytes:
    if name == "type":
        return value.decode("ascii", errors="replace")
    if name not in _MAX_BYTES:
        raise BrokenUri(f"it goes by {name}=, which is not supported; what is are {_LASTING}")
    if len(value) > _MAX_BYTES[name]:
        raise BrokenUri(f"the value of {name}= is longer than the {_MAX_BYTES[name]} bytes that it can have")
    return value if name == "id" else _text(name, value)


def _of_query(name: str, value: bytes) -> str:
    if name == "pin-value":
        raise BrokenUri(
            "a PIN does not belong into a URI, as many read command lines and files of settings: leave pin-value="
            " out to be asked for it, or name a file with pin-source=file:/PATH"
        )
    if name == "module-name":
        raise BrokenUri("module-name= leaves the library to be searched for: give its path with module-path=/PATH")
    if name not in ("module-path", "pin-source"):
        raise BrokenUri(f"it has {name}= behind the ?, which is not supported; module-path= and pin-source= are")
    text = _text(name, value)
    if name == "pin-source":
        match = _PIN_FILE.fullmatch(text)
        text = match["path"] if match is not None else ""
        if match is not None and match.start("path") > 0:  # a URI in a URI
            text = _text(name, unquote_to_bytes(text))
    if not text.startswith("/") or len(text.encode()) > _PATH_MAX_BYTES:
        raise BrokenUri(f"the value of {name}= is no absolute path of a file")
    return text


def _text(name: str, value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        raise BrokenUri(f"the value of {name}= is not UTF-8") from error
    if "\0" in text:
        raise BrokenUri(f"the value of {name}= has a byte 0 in it")
    return text


def uri_text(uri: TokenUri) -> str:
    """The text of it, in the one order; parse_uri makes the same of it again."""
    named = (("token", uri.token), ("manufacturer", uri.manufacturer), ("serial", uri.serial), ("model", uri.model))
    path = [f"{name}={quote(value, safe='')}" for name, value in named if value is not None]
    if uri.id is not None:
        path.append("id=" + "".join(f"%{byte:02x}" for byte in uri.id))
    if uri.object is not None:
        path.append(f"object={quote(uri.object, safe='')}")
    query = [] if uri.module_path is None else [f"module-path={quote(uri.module_path)}"]
    if uri.pin_source is not None:
        query.append(f"pin-source=file:{quote(quote(uri.pin_source))}")
    return SCHEME + ";".join(path) + ("?" + "&".join(query) if query else "")
