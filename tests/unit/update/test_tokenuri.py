from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.update.tokenuri import URI_MAX_CHARS, BrokenUri, TokenUri, is_token_uri, parse_uri, uri_text
from tests.unit.fuzz.budget import tries

FULL = TokenUri("my token", "Snake Oil, Inc.", "12/34", "v;2", "release", b"\x01\xa0", "/usr/lib/x.so", "/run/a pin")
FULL_TEXT = (
    "pkcs11:token=my%20token;manufacturer=Snake%20Oil%2C%20Inc.;serial=12%2F34;model=v%3B2;id=%01%a0;object=release"
    "?module-path=/usr/lib/x.so&pin-source=file:/run/a%2520pin"
)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("pkcs11:", TokenUri()),
        ("PKCS11:", TokenUri()),
        ("pkcs11:?", TokenUri()),
        ("pkcs11:token=aurora", TokenUri("aurora")),
        ("pkcs11:token=", TokenUri("")),
        ("pkcs11:object=my-pubkey;type=private", TokenUri(object="my-pubkey")),
        ("pkcs11:token=PKCS%2311%20Softtoken;serial=", TokenUri("PKCS#11 Softtoken", serial="")),
        ("pkcs11:id=%69%95%3E%5C%F4%BD%EC%91", TokenUri(id=b"i\x95>\\\xf4\xbd\xec\x91")),
        ("pkcs11:id=a:[]@!$'()*+,=&b", TokenUri(id=b"a:[]@!$'()*+,=&b")),
        ("pkcs11:token=%C3%A9", TokenUri("é")),
        ("pkcs11:object=a?pin-source=file:/etc/token_pin", TokenUri(object="a", pin_source="/etc/token_pin")),
        ("pkcs11:?pin-source=/etc/pin", TokenUri(pin_source="/etc/pin")),
        ("pkcs11:?pin-source=file:///etc/pin", TokenUri(pin_source="/etc/pin")),
        ("pkcs11:?pin-source=file://localhost/etc/pin", TokenUri(pin_source="/etc/pin")),
        ("pkcs11:?pin-source=file:/a%2520b", TokenUri(pin_source="/a b")),
        ("pkcs11:?pin-source=/a%2520b", TokenUri(pin_source="/a%20b")),
        ("pkcs11:?module-path=/lib/a%26b.so&pin-source=/p", TokenUri(module_path="/lib/a&b.so", pin_source="/p")),
        (FULL_TEXT, FULL),
    ],
)  # fmt: skip
def test_a_uri_is_read_as_the_rfc_has_it(text: str, uri: TokenUri) -> None:
    assert parse_uri(text) == uri
    assert parse_uri(uri_text(uri)) == uri


def test_it_is_written_in_one_way() -> None:
    assert uri_text(FULL) == FULL_TEXT
    assert uri_text(FULL.of_key) == FULL_TEXT.partition("?")[0]
    assert uri_text(FULL.of_token) == FULL_TEXT.partition(";id")[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "does not begin with pkcs11:"),
        ("pkcs12:token=a", "does not begin with pkcs11:"),
        (" pkcs11:token=a", "does not begin with pkcs11:"),
        ("pkcs11:token", "no attribute such as"),
        ("pkcs11:token=a;", "no attribute such as"),
        ("pkcs11:;token=a", "no attribute such as"),
        ("pkcs11:=a", "no attribute such as"),
        ("pkcs11:to ken=a", "no attribute such as"),
        ("pkcs11:token=a;token=a", "token= twice"),
        ("pkcs11:?pin-source=/a&pin-source=/a", "pin-source= twice"),
        ("pkcs11:token=a b", "% and two hexadecimal digits"),
        ("pkcs11:token=a/b", "% and two hexadecimal digits"),
        ("pkcs11:token=a#b", "% and two hexadecimal digits"),
        ("pkcs11:token=%", "% and two hexadecimal digits"),
        ("pkcs11:token=%4", "% and two hexadecimal digits"),
        ("pkcs11:token=%4g", "% and two hexadecimal digits"),
        ("pkcs11:token=é", "% and two hexadecimal digits"),
        ("pkcs11:token=a\n", "% and two hexadecimal digits"),
        ("pkcs11:token=%FF", "not UTF-8"),
        ("pkcs11:token=%00", "byte 0"),
        ("pkcs11:token=" + "a" * 33, "longer than the 32 bytes"),
        ("pkcs11:serial=" + "a" * 17, "longer than the 16 bytes"),
        ("pkcs11:id=" + "%00" * 65, "longer than the 64 bytes"),
        ("pkcs11:Token=a", "goes by Token=, which is not supported"),
        ("pkcs11:slot-id=1", "goes by slot-id=, which is not supported"),
        ("pkcs11:library-version=2.4", "goes by library-version=, which is not supported"),
        ("pkcs11:x-vendor=1", "goes by x-vendor=, which is not supported"),
        ("pkcs11:type=public", "something else than a private key"),
        ("pkcs11:type=cert", "something else than a private key"),
        ("pkcs11:token=a?pin-value=1234", "a PIN does not belong into a URI"),
        ("pkcs11:token=a?pin-value=1234&pin-source=/p", "a PIN does not belong into a URI"),
        ("pkcs11:?module-name=softhsm2", "module-path=/PATH"),
        ("pkcs11:?module-path=softhsm2.so", "no absolute path"),
        ("pkcs11:?module-path=", "no absolute path"),
        ("pkcs11:?module-path=/" + "a" * 1100, "no absolute path"),
        ("pkcs11:?pin-source=%7C/usr/lib/pinomatic", "no absolute path"),
        ("pkcs11:?pin-source=|/usr/lib/pinomatic", "no absolute path"),
        ("pkcs11:?pin-source=https://host/pin", "no absolute path"),
        ("pkcs11:?pin-source=file://host/pin", "no absolute path"),
        ("pkcs11:?x-vendor=1", "not supported"),
        ("pkcs11:?token=a", "not supported"),
        ("pkcs11:" + "a" * URI_MAX_CHARS, "more than 2048 characters"),
    ],
)
def test_what_is_not_taken_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(BrokenUri) as caught:
        parse_uri(text)
    assert why in str(caught.value)
    assert "1234" not in str(caught.value)


def test_a_token_is_meant_when_it_has_every_value_that_is_named() -> None:
    says = {"label": "aurora", "manufacturer": "m", "serial": "1", "model": "x"}
    for text in ("pkcs11:", "pkcs11:token=aurora", "pkcs11:token=aurora;serial=1;model=x;manufacturer=m;object=any"):
        assert parse_uri(text).is_of(**says)
    for text in ("pkcs11:token=aurorA", "pkcs11:token=aurora;serial=2", "pkcs11:token=", "pkcs11:model=y"):
        assert not parse_uri(text).is_of(**says)


def test_what_was_meant_to_be_one_is_known() -> None:
    assert is_token_uri("pkcs11:x")
    assert is_token_uri("PKCS11:")
    assert not is_token_uri("./pkcs11:x")
    assert not is_token_uri("pkcs11")


words = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=8)
paths = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20).map(lambda text: "/" + text)
uris = st.builds(
    TokenUri,
    st.none() | words, st.none() | words, st.none() | words.map(lambda text: text[:4]),
    st.none() | words.map(lambda text: text[:4]), st.none() | words, st.none() | st.binary(max_size=64),
    st.none() | paths, st.none() | paths.map(lambda path: "/" + path.lstrip("/")),
)  # fmt: skip


@tries(300)
@given(uris)
def test_whatever_a_token_is_called_is_written_and_read_back(uri: TokenUri) -> None:
    text = uri_text(uri)
    assert parse_uri(text) == uri
    assert text.isascii()
    assert text.isprintable()


signs = st.text(string.printable + "é%;=&?:", max_size=60)
pieces = st.sampled_from(
    ["token=", "id=", "object=", "type=private", "serial=", ";", "&", "?", "%", "%4", "%41", "%ff", "%00", "=", "/",
     "a", "pin-source=", "pin-value=", "module-path=", "file:", "//", "|", "#", " ", "\0", "é", "pkcs11:"]
)  # fmt: skip


@tries(500)
@given(signs | st.lists(pieces, max_size=14).map("".join))
def test_any_text_is_read_or_refused_and_what_is_read_is_written_in_one_way(text: str) -> None:
    for whole in (text, f"pkcs11:{text}"):
        try:
            found = parse_uri(whole)
        except BrokenUri:
            continue
        assert parse_uri(uri_text(found)) == found
        assert uri_text(parse_uri(uri_text(found))) == uri_text(found)
