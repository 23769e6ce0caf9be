from __future__ import annotations

import pytest

pytest.importorskip("PyKCS11", reason="python3-pykcs11 is in the build tree")

import PyKCS11  # after it is known to be there

from aurora.errors import AuroraError, HostError, InputError, NotFound, Refused
from aurora.host import token


def answered(code: int) -> AuroraError:
    with pytest.raises(AuroraError) as caught, token._told("try it"):
        raise PyKCS11.PyKCS11Error(code)
    return caught.value


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("CKR_PIN_INCORRECT", InputError, "the PIN is wrong"),
        ("CKR_PIN_LOCKED", Refused, "has locked its PIN"),
        ("CKR_DEVICE_REMOVED", NotFound, "the token was removed"),
        ("CKR_TOKEN_NOT_PRESENT", NotFound, "the token was removed"),
        ("CKR_USER_NOT_LOGGED_IN", Refused, "auroractl key new --existing"),
        ("CKR_DEVICE_MEMORY", HostError, "has no room"),
    ],
)
def test_what_a_token_answers_is_said_in_words(name: str, kind: type[AuroraError], why: str) -> None:
    error = answered(getattr(PyKCS11, name))
    assert type(error) is kind
    assert str(error).startswith("cannot try it, because ")
    assert why in str(error)


def test_any_other_answer_is_said_by_its_name_or_its_number() -> None:
    assert str(answered(PyKCS11.CKR_DEVICE_ERROR)) == "cannot try it, because the token has answered CKR_DEVICE_ERROR"
    assert str(answered(0x80000042)) == "cannot try it, because the token has answered 2147483714"


def test_every_answer_that_is_known_is_one_of_pkcs_11() -> None:
    assert [name for name in token._ANSWERS if not hasattr(PyKCS11, name)] == []
