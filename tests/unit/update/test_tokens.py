"""Keys in tokens, with SoftHSM: nothing of the private key leaves it, and what is wrong is said before the PIN is."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("PyKCS11", reason="python3-pykcs11 is in the build tree")

import PyKCS11  # after it is known to be there

from aurora.errors import AuroraError, HostError, InputError, NotFound, Refused
from aurora.host import token as host_token
from aurora.host.token import Token
from aurora.update import tokens
from aurora.update.keys import is_signed
from aurora.update.kinds import Kind, kind_of
from aurora.update.tokens import InToken, existing_in_token, made_in_token, sign_in_token
from aurora.update.tokenuri import TokenUri, parse_uri
from tests.unit.update.softhsm import MODULE, PIN, SoftHsm, softhsm

__all__ = ["softhsm"]

AURORA = parse_uri(f"pkcs11:token=aurora?module-path={MODULE}")
P384 = bytes.fromhex("06052b81040022")


class Asked:
    """Somebody who gives PINs, and how often he was asked."""

    def __init__(self, pin: str = PIN) -> None:
        self.pin = pin
        self.times = 0

    def __call__(self, token: Token) -> bytes:
        self.times += 1
        return self.pin.encode()


def made(uri: TokenUri = AURORA, name: str = "release", kind: Kind | None = None) -> InToken:
    with made_in_token(uri, name, kind, Asked()) as key:
        return key


def nobody(token: Token) -> bytes:
    raise AssertionError("nobody was to be asked for the PIN")


# Making and using


@pytest.mark.parametrize("kind", list(Kind))
def test_a_key_is_made_in_the_token_and_signs_there(softhsm: SoftHsm, kind: Kind) -> None:
    key = made(kind=kind)
    assert kind_of(key.public) is kind
    assert (key.stays, key.always_stayed, key.label) == (True, True, "aurora")
    assert key.uri.token == "aurora"
    assert key.uri.object == "release"
    assert key.uri.id
    assert key.uri.serial
    asked = Asked()
    signature, used = sign_in_token(key.public, key.uri, b"text", asked)
    assert is_signed(key.public, b"text", signature)
    assert not is_signed(key.public, b"texu", signature)
    assert (asked.times, used) == (1, key)


def test_where_no_kind_is_said_it_is_the_first_that_the_token_can_do(softhsm: SoftHsm) -> None:
    assert kind_of(made().public) is Kind.ED25519


def test_the_token_does_not_give_the_key_out(softhsm: SoftHsm) -> None:
    made(kind=Kind.ECDSA_P256)
    with softhsm.session() as session:
        (private,) = session.findObjects([(PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY)])
        wanted = [PyKCS11.CKA_VALUE, PyKCS11.CKA_EXTRACTABLE, PyKCS11.CKA_SENSITIVE]
        assert session.getAttributeValue(private, wanted) == [None, False, True]
        with pytest.raises(PyKCS11.PyKCS11Error):
            session.setAttributeValue(private, [(PyKCS11.CKA_EXTRACTABLE, True)])


def test_every_signature_of_many_is_in_its_one_form(softhsm: SoftHsm) -> None:
    """Of each two s that a token could give, the higher one would come every other time."""
    key = made(kind=Kind.ECDSA_P256)
    for number in range(12):
        signature, _ = sign_in_token(key.public, key.uri, b"%d" % number, Asked())
        assert int.from_bytes(signature[32:]) < 1 << 255


def test_a_key_can_have_a_label_and_an_id_of_its_owners_choice(softhsm: SoftHsm) -> None:
    key = made(AURORA._replace(object="my kéy ", id=b"\x01\x02"))
    assert (key.uri.object, key.uri.id) == ("my kéy ", b"\x01\x02")
    assert softhsm.labels() == ["my kéy ", "my kéy "]
    assert is_signed(key.public, b"text", sign_in_token(key.public, key.uri, b"text", Asked())[0])


def test_a_key_that_asks_each_time_is_given_the_pin_again_by_the_same_hand(softhsm: SoftHsm) -> None:
    softhsm.put("each", b"\x07", ALWAYS_AUTHENTICATE=True)
    key = existing_in_token(AURORA._replace(object="each"), Asked())
    asked = Asked()
    signature, _ = sign_in_token(key.public, key.uri, b"text", asked)
    assert is_signed(key.public, b"text", signature)
    assert asked.times == 1


def test_a_key_whose_files_cannot_be_written_is_not_left_in_the_token(softhsm: SoftHsm) -> None:
    with pytest.raises(HostError, match="disk is full"), made_in_token(AURORA, "release", None, Asked()):
        raise HostError("write", "the disk is full")
    assert softhsm.labels() == []


@pytest.mark.parametrize("uri", [AURORA, AURORA._replace(id=b"\x05"), AURORA._replace(object="release")])
def test_a_key_is_not_made_beside_one_that_would_be_taken_for_it(softhsm: SoftHsm, uri: TokenUri) -> None:
    softhsm.put("release", b"\x05")
    with pytest.raises(Refused, match=r"there is one, pkcs11:token=aurora;.*id=%05;object=release.*--existing"):
        made(uri)
    assert softhsm.labels() == ["release", "release"]


# Keys that are there already


def test_a_key_that_is_there_is_used(softhsm: SoftHsm) -> None:
    softhsm.put("there", b"\x01")
    for uri in (AURORA, AURORA._replace(object="there"), AURORA._replace(id=b"\x01")):
        key = existing_in_token(uri, Asked())
        assert (key.uri.object, key.uri.id, key.stays, key.always_stayed) == ("there", b"\x01", True, True)
        assert is_signed(key.public, b"text", sign_in_token(key.public, key.uri, b"text", Asked())[0])


def test_a_key_that_can_be_taken_out_is_said_to_be_so(softhsm: SoftHsm) -> None:
    softhsm.put("loose", b"\x01", EXTRACTABLE=True)
    key = existing_in_token(AURORA._replace(object="loose"), Asked())
    assert (key.stays, key.always_stayed) == (False, False)
    assert not sign_in_token(key.public, key.uri, b"text", Asked())[1].stays


def test_a_key_that_was_open_before_is_said_to_be_so(softhsm: SoftHsm) -> None:
    softhsm.put("was", b"\x01", EXTRACTABLE=True, SENSITIVE=False)
    with softhsm.session() as session:
        (private,) = session.findObjects([(PyKCS11.CKA_CLASS, PyKCS11.CKO_PRIVATE_KEY)])
        session.setAttributeValue(private, [(PyKCS11.CKA_SENSITIVE, True)])
        session.setAttributeValue(private, [(PyKCS11.CKA_EXTRACTABLE, False)])
    key = existing_in_token(AURORA._replace(object="was"), Asked())
    assert (key.stays, key.always_stayed) == (True, False)


def test_a_key_of_another_kind_is_refused(softhsm: SoftHsm) -> None:
    softhsm.put("big", b"\x01", params=P384)
    with pytest.raises(Refused, match="another kind than ed25519, ecdsa-p256"):
        existing_in_token(AURORA, Asked())


def test_several_keys_and_none_are_told(softhsm: SoftHsm) -> None:
    with pytest.raises(NotFound, match="the key is not in the token aurora; it has no private key"):
        existing_in_token(AURORA, Asked())
    softhsm.put("twin", b"\x01")
    softhsm.put("twin", b"\x02")
    with pytest.raises(Refused, match=r"2 keys fit: pkcs11:.*id=%01;object=twin, pkcs11:.*id=%02;object=twin"):
        existing_in_token(AURORA._replace(object="twin"), Asked())
    with pytest.raises(NotFound, match=r"not in the token aurora; there is pkcs11:.*object=twin, pkcs11:"):
        existing_in_token(AURORA._replace(object="other"), Asked())


# Which token


def test_no_token_and_another_one_are_told(softhsm: SoftHsm) -> None:
    there = "because no token fits; there is pkcs11:token=aurora;manufacturer=SoftHSM%20project;serial="
    remedy = "; try with the token in its place; a TPM is there for members of the group tss"
    with pytest.raises(NotFound, match=f"cannot make a key in pkcs11:token=lost, {there}.*{remedy}"):
        made(AURORA._replace(token="lost"))
    for file in softhsm.files():
        Path(file).unlink()
    with pytest.raises(NotFound, match="no token is there"):
        made()


def test_two_tokens_of_one_label_are_told_apart_by_serial(softhsm: SoftHsm) -> None:
    second = parse_uri(softhsm.add("aurora"))
    with pytest.raises(
        Refused, match=r"2 tokens fit: pkcs11:token=aurora;.*, pkcs11:token=aurora;.*; try one of these"
    ):
        made()
    key = made(second)
    assert key.uri.serial == second.serial
    assert is_signed(key.public, b"text", sign_in_token(key.public, key.uri, b"text", Asked())[0])


def test_a_token_that_was_removed_is_told(softhsm: SoftHsm) -> None:
    key = made()
    for file in softhsm.files():
        Path(file).unlink()
    with pytest.raises(NotFound, match=r"cannot sign with pkcs11:token=aurora;.*because no token is there"):
        sign_in_token(key.public, key.uri, b"text", nobody)


def test_a_token_that_is_removed_while_it_is_used_signs_nothing(softhsm: SoftHsm) -> None:
    key = made()

    def pulls_it_out(token: Token) -> bytes:
        for file in softhsm.files():
            Path(file).unlink()
        return PIN.encode()

    with pytest.raises(AuroraError, match="cannot sign with pkcs11:token=aurora;"):
        sign_in_token(key.public, key.uri, b"text", pulls_it_out)


def test_tokens_are_found_through_p11_kit_where_no_library_is_named(softhsm: SoftHsm) -> None:
    key = made(AURORA._replace(module_path=None))
    assert key.uri.module_path is None
    assert is_signed(key.public, b"text", sign_in_token(key.public, key.uri, b"text", Asked())[0])


# The PIN


def test_a_wrong_pin_is_given_once(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    key = made()
    wrong = Asked("0000000")
    with pytest.raises(InputError, match="the PIN is wrong; tokens count wrong ones") as caught:
        sign_in_token(key.public, key.uri, b"text", wrong)
    assert wrong.times == 1
    assert "0000000" not in "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__context__)))
    said: list[Token] = []
    with pytest.raises(InputError):
        sign_in_token(key.public, key.uri, b"text", lambda token: (said.append(token), b"0000000")[1])
    assert said[0].counts_wrong


def test_a_wrong_pin_makes_no_key(softhsm: SoftHsm) -> None:
    before = softhsm.labels()
    with pytest.raises(InputError), made_in_token(AURORA, "release", None, Asked("1111")):
        pass
    assert softhsm.labels() == before


def test_a_pin_too_short_for_the_token_is_told(softhsm: SoftHsm) -> None:
    with pytest.raises(InputError, match="the PIN is"):
        existing_in_token(AURORA, Asked("1"))


def pin_file(place: Path, content: bytes = PIN.encode() + b"\n", mode: int = 0o600) -> Path:
    file = place / "pin"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_pin_is_read_from_the_file_that_the_uri_names(softhsm: SoftHsm, tmp_path: Path, end: bytes) -> None:
    softhsm.put("there", b"\x01")
    uri = AURORA._replace(pin_source=str(pin_file(tmp_path, PIN.encode() + end)))
    key = existing_in_token(uri, nobody)
    assert key.uri.pin_source == uri.pin_source
    assert is_signed(key.public, b"text", sign_in_token(key.public, key.uri, b"text", nobody)[0])


@pytest.mark.parametrize(
    ("content", "mode", "error", "why"),
    [
        (PIN.encode(), 0o640, Refused, "others than you may read its PIN"),
        (PIN.encode(), 0o604, Refused, "chmod 600"),
        (b"", 0o600, InputError, "on one line"),
        (b"\n", 0o600, InputError, "on one line"),
        (b"a\nb\n", 0o600, InputError, "on one line"),
        (b"a\0b", 0o600, InputError, "on one line"),
        (b"1" * 300, 0o600, InputError, "on one line"),
        (b"000000", 0o600, InputError, "the PIN is wrong"),
    ],
)
def test_a_file_with_no_good_pin_is_refused(
    softhsm: SoftHsm, tmp_path: Path, content: bytes, mode: int, error: type[AuroraError], why: str
) -> None:
    file = pin_file(tmp_path, content, mode)
    with pytest.raises(error, match=why) as caught:
        existing_in_token(AURORA._replace(pin_source=str(file)), nobody)
    assert PIN not in str(caught.value)


def test_a_file_with_the_pin_that_is_not_there_or_a_link_is_refused(softhsm: SoftHsm, tmp_path: Path) -> None:
    uri = AURORA._replace(pin_source=str(tmp_path / "link"))
    with pytest.raises(NotFound, match="the file with its PIN is not there"):
        existing_in_token(uri, nobody)
    (tmp_path / "link").symlink_to(pin_file(tmp_path))
    with pytest.raises(AuroraError, match="the file with its PIN"):
        existing_in_token(uri, nobody)


def token(**more: bool) -> Token:
    flags = dict.fromkeys(("takes_pin", "has_pad", "counts_wrong", "last_try", "locked"), False)
    return Token(0, "aurora", "", "", "", **{**flags, "takes_pin": True, **more})


def test_the_last_try_is_never_taken_with_a_pin_from_a_file(
    softhsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_token.Library, "tokens", lambda _self: [token(last_try=True)])
    with pytest.raises(Refused, match=r"locks itself at the next wrong PIN.*try the key's file without pin-source="):
        existing_in_token(AURORA._replace(pin_source=str(pin_file(tmp_path))), nobody)


def test_a_locked_token_is_told_before_anybody_is_asked(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_token.Library, "tokens", lambda _self: [token(locked=True)])
    with pytest.raises(Refused, match="is locked, as too many wrong PINs were given"):
        existing_in_token(AURORA, nobody)


# What the token cannot do


def test_what_a_token_cannot_do_is_told_before_anybody_is_asked(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a TPM is, which has no Ed25519."""
    key = made(kind=Kind.ED25519)
    monkeypatch.setattr(host_token.Library, "can", lambda _self, _token, name: "ED" not in name)
    assert kind_of(made(name="other").public) is Kind.ECDSA_P256
    with pytest.raises(Refused, match=r"makes no keys of the kind ed25519; try --kind ecdsa-p256"):
        made(name="third", kind=Kind.ED25519)
    with pytest.raises(Refused, match="does not sign in the way of ed25519"):
        sign_in_token(key.public, key.uri, b"text", nobody)
    monkeypatch.setattr(host_token.Library, "can", lambda *_: False)
    with pytest.raises(Refused, match="makes no key of the kinds ed25519, ecdsa-p256"):
        made(name="fourth")


def test_a_token_that_makes_keys_which_can_be_taken_out_keeps_none(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate = host_token.Session.generate
    monkeypatch.setattr(host_token.Session, "generate", lambda *a, **k: generate(*a, **k)._replace(stays=False))
    with pytest.raises(Refused, match="makes none that cannot be taken out"):
        made()
    assert softhsm.labels() == []


def test_a_signature_that_is_not_by_the_key_in_the_file_is_refused(softhsm: SoftHsm) -> None:
    one, other = made(name="one"), made(name="other")
    with pytest.raises(HostError, match="not by the public key in the key's file"):
        sign_in_token(one.public, other.uri, b"text", Asked())
    third = made(name="third", kind=Kind.ECDSA_P256)
    with pytest.raises(Refused, match="not of the kind ed25519, as its file says"):
        sign_in_token(one.public, third.uri, b"text", Asked())


# The libraries


def test_without_pykcs11_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_token, "PyKCS11", None)
    with pytest.raises(HostError) as caught:
        sign_in_token("0" * 64, parse_uri("pkcs11:token=aurora;object=a"), b"text", nobody)
    assert str(caught.value) == (
        "cannot sign with pkcs11:token=aurora;object=a, because python3-pykcs11 is not installed;"
        " try apt install python3-pykcs11"
    )


def test_without_p11_kit_it_is_told_what_to_install_or_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_token, "PROXY", "p11-kit-proxy-that-is-not-there.so")
    with pytest.raises(HostError, match=r"cannot be loaded; try apt install p11-kit-modules, or module-path="):
        made(parse_uri("pkcs11:token=aurora"))


def test_what_is_no_library_of_pkcs11_is_not_taken(tmp_path: Path) -> None:
    text = tmp_path / "x.so"
    text.write_text("x")
    text.chmod(0o644)
    for path in (str(text), "/lib/x86_64-linux-gnu/libc.so.6"):
        with pytest.raises(HostError, match="no library of PKCS #11 that can be loaded"):
            made(AURORA._replace(module_path=path))
    with pytest.raises(Refused, match="its library is no file"):
        made(AURORA._replace(module_path=str(tmp_path)))
    with pytest.raises(NotFound, match=r"because its library is not there, at .*/none\.so; try module-path="):
        made(AURORA._replace(module_path=str(tmp_path / "none.so")))


def test_a_library_that_others_may_write_is_not_loaded(tmp_path: Path) -> None:
    """It would see the PIN."""
    library = tmp_path / "x.so"
    library.write_bytes(Path(MODULE).read_bytes())
    library.chmod(0o666)
    with pytest.raises(Refused, match="others than root and you may write to its library"):
        made(AURORA._replace(module_path=str(library)))
    library.chmod(0o644)
    tmp_path.chmod(0o777)
    with pytest.raises(Refused, match="others than root and you may write to its library"):
        made(AURORA._replace(module_path=str(library)))


def test_every_way_is_one_that_the_library_has_names_for() -> None:
    for way in tokens._WAYS.values():
        assert all(hasattr(PyKCS11, name) for name in (way.key_type, way.generation, way.signing))
