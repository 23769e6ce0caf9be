from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from aurora.update.ecdsa import canonical, public_text
from aurora.update.keys import is_signed
from aurora.update.kinds import Kind, brief, first_digits, kind_of, point_of
from tests.unit.fuzz.budget import tries
from tests.unit.update.signing import token_key, token_sign

X = "60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6".lower()
Y = "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299".lower()
PUBLIC = f"ecdsa-p256:03{X}"
VECTORS = (
    (
        b"sample",
        "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
        "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
    ),
    (
        b"test",
        "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
        "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
    ),
)
"""RFC 6979, A.2.5, with SHA-256: message, r, s. The s of the first is the higher one of two."""
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
FIELD = 2**256 - 2**224 + 2**192 + 2**96 - 1


def raw(r: int, s: int) -> bytes:
    return r.to_bytes(32) + s.to_bytes(32)


@pytest.mark.parametrize(("message", "r", "s"), VECTORS, ids=["high", "low"])
def test_a_signature_is_that_of_the_standard_in_its_one_form(message: bytes, r: str, s: str) -> None:
    made = bytes.fromhex(r + s)
    low = min(int(s, 16), ORDER - int(s, 16))
    assert canonical(made) == raw(int(r, 16), low)
    assert is_signed(PUBLIC, message, canonical(made))
    assert is_signed(PUBLIC, message, made) == (canonical(made) == made)
    assert not is_signed(PUBLIC, message + b"x", canonical(made))
    assert canonical(canonical(made)) == canonical(made)


def test_the_other_s_that_verifies_is_not_taken() -> None:
    public = token_key("one")
    good = token_sign("one", b"text")
    r, s = int.from_bytes(good[:32]), int.from_bytes(good[32:])
    assert is_signed(public, b"text", good)
    assert not is_signed(public, b"text", raw(r, ORDER - s))


def test_no_bit_of_a_signature_or_key_can_be_another() -> None:
    public, good = token_key("one"), token_sign("one", b"text")
    for bit in range(64 * 8):
        changed = bytearray(good)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed(public, b"text", bytes(changed))
    for bit in range(33 * 8):
        changed = bytearray(point_of(public))
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_signed(f"ecdsa-p256:{changed.hex()}", b"text", good)


def test_numbers_out_of_range_and_other_encodings_are_no_signature() -> None:
    public, good = token_key("one"), token_sign("one", b"text")
    r, s = int.from_bytes(good[:32]), int.from_bytes(good[32:])
    for wrong in (raw(0, s), raw(r, 0), raw(ORDER, s), raw(r, ORDER), raw(0, 0), raw(ORDER - 1, ORDER - 1)):
        assert not is_signed(public, b"text", wrong)
    for wrong in (b"", good[:-1], good + b"\0", b"\0" + good):
        assert not is_signed(public, b"text", wrong)
    key = ec.derive_private_key(7, ec.SECP256R1())
    text = public_text(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))
    der = key.sign(b"text", ec.ECDSA(SHA256()))
    assert is_signed(text, b"text", canonical(raw(*decode_dss_signature(der))))
    assert not is_signed(text, b"text", der)
    other = canonical(raw(*decode_dss_signature(key.sign(b"text", ec.ECDSA(SHA384())))))
    assert not is_signed(text, b"text", other)


def test_a_key_has_one_text_whichever_way_its_point_was_written() -> None:
    assert public_text(bytes.fromhex(f"04{X}{Y}")) == public_text(bytes.fromhex(f"03{X}")) == PUBLIC
    assert point_of(PUBLIC).hex() == f"03{X}"


@pytest.mark.parametrize(
    "point",
    ["", "00", f"04{X}{X}", f"05{X}", f"03{X}00", f"06{X}{Y}", f"03{FIELD:064x}", f"02{FIELD + 5:064x}", f"02{0:062x}"],
)
def test_what_is_no_point_of_the_curve_is_no_key(point: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        public_text(bytes.fromhex(point))
    assert not is_signed(f"ecdsa-p256:{point}", b"text", bytes(64))


@pytest.mark.parametrize(
    "text",
    ["", "zz", X[:-1], X.upper(), f"{X}\n", f"ecdsa-p256:{X}", f"ecdsa-p256:04{X}{Y}", f"ecdsa-p256:03{X.upper()}",
     f"ed25519:{X}", f"ecdsa-p384:03{X}", f"ECDSA-P256:03{X}", f"03{X}", f" ecdsa-p256:03{X}", f"ecdsa-p256:03{X}\n"],
)  # fmt: skip
def test_only_the_one_text_names_a_key(text: str) -> None:
    assert kind_of(text) is None
    assert not is_signed(text, b"text", bytes(64))


def test_a_kind_is_read_off_a_keys_text() -> None:
    assert kind_of(X) is Kind.ED25519
    assert kind_of(PUBLIC) is Kind.ECDSA_P256
    assert (first_digits(X), first_digits(PUBLIC)) == (X[:8], X[:8])
    assert (brief(X), brief(PUBLIC)) == (f"{X[:16]}…", f"ecdsa-p256:03{X[:14]}…")


@tries(200)
@given(st.binary(max_size=70))
def test_whatever_a_token_answers_is_brought_to_one_form_or_refused(data: bytes) -> None:
    try:
        found = canonical(data)
    except ValueError:
        assert len(data) != 64
        return
    assert len(found) == 64
    assert int.from_bytes(found[32:]) <= ORDER // 2
