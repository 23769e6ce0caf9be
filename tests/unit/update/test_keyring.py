from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.errors import InputError
from aurora.update.keyring import (
    KEY_FILE_MAX_BYTES,
    KEYS_MAX,
    Key,
    Rule,
    key_bytes,
    parse_key,
    parse_public,
    parse_rules,
    public_bytes,
    read_keyring,
    rule_for,
)
from tests.unit.fuzz.budget import tries
from tests.unit.fuzz.material import anything, texts, toml

PUBLIC = "ab" * 32
DAY = date(2026, 6, 15)
FULL = Key("release", PUBLIC, ("release", "qa"), date(2026, 1, 1), date(2028, 12, 31), DAY)


def whys(error: InputError) -> list[str]:
    return [f"{problem.where}: {problem.why}" for problem in error.problems]


def faults_of(text: str, stem: str = "release") -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_key(text.encode(), file="release.toml", stem=stem)
    return whys(caught.value)


@pytest.mark.parametrize("key", [FULL, Key("a", PUBLIC, ("x",)), FULL._replace(valid_until=None, revoked=None)])
def test_a_key_is_read_as_it_was_written(key: Key) -> None:
    assert parse_key(key_bytes(key), file="x", stem=key.name) == key


def test_what_a_signer_hands_over_is_a_name_and_a_key_and_no_word_on_trust() -> None:
    assert parse_public(public_bytes(FULL), file="x") == Key("release", PUBLIC, ())
    with pytest.raises(InputError, match="there is no such key"):
        parse_public(key_bytes(FULL), file="x")


def test_a_key_of_the_second_kind_is_written_and_read_back() -> None:
    token = FULL._replace(public=f"ecdsa-p256:02{PUBLIC}")
    assert parse_key(key_bytes(token), file="x", stem="release") == token
    assert parse_public(public_bytes(token), file="x").public == token.public


GOOD = f'name = "release"\npublic = "{PUBLIC}"\nroles = ["release"]\n'


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "key name"),
        (GOOD.replace("ab", "AB", 1), "key public"),
        (GOOD.replace("ab", "", 1), "key public"),
        (GOOD.replace("ab", "ecdsa-p256:ab", 1), "key public"),
        (GOOD.replace("ab", "ecdsa-p384:02ab", 1), "key public"),
        (GOOD.replace("ab", "ed25519:ab", 1), "key public"),
        (GOOD.replace('["release"]', "[]"), "key roles"),
        (GOOD.replace('["release"]', '"release"'), "key roles"),
        (GOOD.replace('["release"]', '["*"]'), "key roles"),
        (GOOD.replace('name = "release"', 'name = "../x"'), "key name"),
        (GOOD + 'valid_until = "2027-01-01"', "a day without quotes"),
        (GOOD + "valid_from = 2027-01-01T00:00:00Z", "a day without quotes"),
        (GOOD + "revoked = true", "a day without quotes"),
        (GOOD + "revokd = 2027-01-01", "there is no such key"),
        (GOOD + "x" * KEY_FILE_MAX_BYTES, "more than"),
        ("\\", "it is not TOML"),
        ("a." * 30 + "a = 1", "too many parts"),
    ],
)
def test_a_key_that_is_wrong_is_refused(text: str, why: str) -> None:
    assert any(why in fault for fault in faults_of(text))


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(faults_of('name = 1\npublic = "x"\nroles = 1\nx = 1\nvalid_from = 1')) == 6


def test_a_key_has_its_name_from_its_file() -> None:
    assert any("must have its name" in fault for fault in faults_of(GOOD, stem="other"))


def test_one_public_key_under_two_names_is_refused() -> None:
    files = [(f"{name}.toml", name, key_bytes(FULL._replace(name=name))) for name in ("one", "two")]
    with pytest.raises(InputError, match="its public key is that of one, and would count twice"):
        read_keyring(files)


def test_one_key_that_is_wrong_refuses_the_keyring() -> None:
    with pytest.raises(InputError, match=r"bad\.toml"):
        read_keyring([("release.toml", "release", GOOD.encode()), ("bad.toml", "bad", b"x")])
    assert len(read_keyring([("release.toml", "release", GOOD.encode())])) == 1


def test_a_keyring_is_bounded() -> None:
    many = ((f"k{i}.toml", f"k{i}", key_bytes(Key(f"k{i}", f"{i:064x}", ("x",)))) for i in range(KEYS_MAX + 5))
    with pytest.raises(InputError, match="more than 256 keys"):
        read_keyring(many)


@pytest.mark.parametrize(
    ("key", "fault"),
    [
        (FULL._replace(revoked=None), None),
        (FULL._replace(revoked=None, valid_from=DAY, valid_until=DAY), None),
        (FULL._replace(revoked=None, valid_from=date(2026, 6, 16)), "valid from 2026-06-16"),
        (FULL._replace(revoked=None, valid_until=date(2026, 6, 14)), "valid until 2026-06-14"),
        (FULL._replace(revoked=date(2030, 1, 1)), "revoked"),
    ],
)
def test_a_key_counts_on_its_days_and_never_again_once_revoked(key: Key, fault: str | None) -> None:
    found = key.fault(DAY)
    assert (found is None) if fault is None else (found is not None and fault in found)


# Rules


RULES = """
[[rule]]
packages = ["aurora-module-test-*", "aurora-core"]
signers = { "*" = 1 }
[[rule]]
packages = ["*"]
signers = { release = 2, qa = 1 }
"""


def test_of_the_rules_the_first_that_names_the_package_decides() -> None:
    rules = parse_rules(RULES.encode(), file="trust.toml")
    assert rules == (
        Rule(("aurora-module-test-*", "aurora-core"), {"*": 1}),
        Rule(("*",), {"release": 2, "qa": 1}),
    )
    assert rule_for(rules, "aurora-module-test-x") == rules[0]
    assert rule_for(rules, "aurora-core") == rules[0]
    assert rule_for(rules, "aurora-corex") == rules[1]
    assert rule_for(rules[:1], "aurora-module-hello") is None
    assert rule_for(parse_rules(b"", file="x"), "aurora-core") is None


@pytest.mark.parametrize(
    "text",
    [
        "rule = 1", "[rule]\npackages = []", "[[rules]]", "[[rule]]\npackages = ['*']",
        "[[rule]]\nsigners = { a = 1 }", "[[rule]]\npackages = ['*']\nsigners = { a = 0 }",
        "[[rule]]\npackages = ['*']\nsigners = { a = true }", "[[rule]]\npackages = ['*']\nsigners = {}",
        "[[rule]]\npackages = ['*']\nsigners = { a = -1 }", "[[rule]]\npackages = ['*']\nsigners = { a = 9, b = 9 }",
        "[[rule]]\npackages = ['*']\nsigners = { 'A' = 1 }", "[[rule]]\npackages = ['[a]']\nsigners = { a = 1 }",
        "[[rule]]\npackages = '*'\nsigners = { a = 1 }", "[[rule]]\npackages = ['*']\nsigners = { a = 1 }\nx = 1",
    ],
)  # fmt: skip
def test_a_rule_that_is_wrong_refuses_them_all(text: str) -> None:
    with pytest.raises(InputError, match=r"trust\.toml"):
        parse_rules(text.encode(), file="trust.toml")


tables = st.dictionaries(
    st.sampled_from(["name", "public", "roles", "valid_from", "revoked", "rule", "packages"]) | texts,
    anything | st.lists(st.dictionaries(st.sampled_from(["packages", "signers"]), anything), max_size=2),
    max_size=4,
)


@tries(150)
@given(tables.map(toml) | st.binary(max_size=100))
def test_whatever_a_file_holds_it_is_read_or_refused(data: bytes) -> None:
    for read in (
        lambda: parse_key(data, file="x", stem="x"),
        lambda: parse_public(data, file="x"),
        lambda: parse_rules(data, file="x"),
    ):
        try:
            read()
        except InputError as error:
            for problem in error.problems:
                assert all(part.isprintable() for part in problem.to_json().values())
