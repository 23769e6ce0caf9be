from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.update import keys
from aurora.update.keys import (
    BrokenKey,
    PrivateKey,
    WrongPassphrase,
    is_sealed,
    is_signed,
    new_key,
    private_bytes,
    read_private,
    sign,
)
from tests.unit.fuzz.budget import tries

VECTORS = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
        "d25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
        "387b2eaeb4302aeeb00d291612bb0c00",
    ),
)
"""Tests 1 and 2 of RFC 8032, section 7.1: secret, public, message, signature."""


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_a_signature_is_that_of_the_standard(secret: str, public: str, message: str, signature: str) -> None:
    private = PrivateKey(public, bytes.fromhex(secret))
    assert sign(private, bytes.fromhex(message)).hex() == signature
    assert is_signed(public, bytes.fromhex(message), bytes.fromhex(signature))
    assert not is_signed(public, b"x" + bytes.fromhex(message), bytes.fromhex(signature))
    open_file = private_bytes(private, None)
    assert read_private(open_file, None) == private


def test_no_bit_of_a_signature_or_key_can_be_another() -> None:
    private = new_key()
    good = sign(private, b"text")
    assert is_signed(private.key, b"text", good)
    for bit in range(64 * 8):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed(private.key, b"text", bytes(changed))
    for bit in range(32 * 8):
        changed = bytearray.fromhex(private.key)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed(changed.hex(), b"text", good)


@pytest.mark.parametrize(("key", "signature"), [("", b""), ("zz", b"x" * 64), ("0" * 64, b""), ("ab", b"x" * 64)])
def test_what_is_no_key_or_no_signature_has_signed_nothing(key: str, signature: bytes) -> None:
    assert not is_signed(key, b"text", signature)


def test_two_keys_are_two() -> None:
    assert new_key().key != new_key().key


# Private keys in files


def test_a_sealed_key_is_opened_by_its_passphrase_alone() -> None:
    private = new_key()
    data = private_bytes(private, b"correct horse")
    assert is_sealed(data)
    assert private.secret.hex().encode() not in data
    assert read_private(data, b"correct horse") == private
    for wrong in (None, b"", b"correct horsf"):
        with pytest.raises(WrongPassphrase):
            read_private(data, wrong)


def test_two_files_of_one_key_have_nothing_in_common_that_is_secret() -> None:
    private = new_key()
    one, other = (private_bytes(private, b"pass").splitlines() for _ in range(2))
    assert one[:3] == other[:3]
    assert not set(one[3:]) & set(other[3:])


@pytest.mark.parametrize("line", [1, 3, 4, 5])
def test_a_sealed_key_that_was_changed_is_not_opened(line: int) -> None:
    lines = private_bytes(new_key(), b"pass").splitlines(keepends=True)
    name, _, digits = lines[line].partition(b" ")
    lines[line] = name + b" " + (b"1" if digits[:1] != b"1" else b"2") + digits[1:]
    with pytest.raises(WrongPassphrase):
        read_private(b"".join(lines), b"pass")


def test_an_open_key_that_was_changed_is_not_taken() -> None:
    data = private_bytes(new_key(), None)
    assert not is_sealed(data)
    wrong = data.replace(b"secret ", b"secret 00", 1)[:-3] + b"\n"
    with pytest.raises(BrokenKey, match="not that of its secret"):
        read_private(wrong, None)


def test_a_secret_stands_in_no_traceback() -> None:
    private = new_key()
    assert private.secret.hex() not in repr(private)
    assert repr(private.secret) not in repr(private)


def test_a_file_cannot_ask_for_more_memory_than_ours_take() -> None:
    assert keys.SCRYPT["n"] * keys.SCRYPT["r"] * 128 == 64 << 20
    assert b"65536" not in private_bytes(new_key(), None)


@tries(200)
@given(st.binary(max_size=1100) | st.text(max_size=100).map(str.encode))
def test_what_is_no_private_key_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BrokenKey):
        is_sealed(data)
    with pytest.raises(BrokenKey):
        read_private(data, b"x")
