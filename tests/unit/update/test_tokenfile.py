from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.update.kinds import Kind
from aurora.update.tokenfile import BrokenTokenFile, is_token_file, parse_token_file, public_of, token_file_bytes
from aurora.update.tokenuri import URI_MAX_CHARS, TokenUri, uri_text
from tests.unit.fuzz.budget import tries
from tests.unit.update.signing import token_key
from tests.unit.update.test_ecdsa import PUBLIC, X, Y
from tests.unit.update.test_tokenuri import uris

URI = TokenUri("aurora", serial="1", object="release", id=b"\x01")
WRITTEN = token_file_bytes(PUBLIC, URI)
POINT = f"04{X}{Y}"


def test_the_file_of_a_key_in_a_token_is_these_bytes() -> None:
    text = f"aurora-core token key 1\nkey {PUBLIC}\nuri pkcs11:token=aurora;serial=1;id=%01;object=release\n"
    assert text.encode() == WRITTEN
    assert is_token_file(WRITTEN)
    assert parse_token_file(WRITTEN) == (PUBLIC, URI)


@pytest.mark.parametrize(
    ("old", "new"),
    [("key 1\n", "key 2\n"), ("key ecdsa", "key  ecdsa"), ("p256:03", "p256:05"), ("uri pkcs11", "uri pkcs12"),
     ("\n", "\r\n"), ("uri", "URI"), ("object=release", "object=é"), ("object=", "slot-id="), ("release\n", "release")],
)  # fmt: skip
def test_any_other_writing_is_refused(old: str, new: str) -> None:
    assert old.encode() in WRITTEN
    with pytest.raises(BrokenTokenFile):
        parse_token_file(WRITTEN.replace(old.encode(), new.encode()))


@pytest.mark.parametrize("wrong", [b"", b"aurora-core token key 1\n", WRITTEN + b"\n", b"\xff", bytes(5000)])
def test_what_is_no_such_file_is_refused(wrong: bytes) -> None:
    with pytest.raises(BrokenTokenFile):
        parse_token_file(wrong)


@tries(200)
@given(uris)
def test_wherever_a_key_is_its_file_is_read_back(uri: TokenUri) -> None:
    try:
        data = token_file_bytes(PUBLIC, uri)
    except ValueError:
        assert len(uri_text(uri)) > URI_MAX_CHARS  # of many signs, each of which takes three to nine in a URI
    else:
        assert parse_token_file(data) == (PUBLIC, uri)


@pytest.mark.parametrize("point", [POINT, f"0441{POINT}", f"03{X}", f"0421{'03' + X}", f"034200{POINT}"])
def test_a_point_is_read_in_each_of_the_ways_that_tokens_write_it(point: str) -> None:
    assert public_of(Kind.ECDSA_P256, bytes.fromhex(point)) == PUBLIC


@pytest.mark.parametrize("point", [X, f"0420{X}", f"032100{X}"])
def test_an_ed25519_key_is_read_in_each_of_the_ways_that_tokens_write_it(point: str) -> None:
    assert public_of(Kind.ED25519, bytes.fromhex(point)) == X


@tries(200)
@given(st.binary(max_size=80), st.sampled_from(Kind))
def test_whatever_a_token_has_for_a_point_is_read_or_refused(point: bytes, kind: Kind) -> None:
    try:
        assert public_of(kind, point) != token_key("one")
    except ValueError as error:
        assert str(error)  # noqa: PT017  # any of several reasons
