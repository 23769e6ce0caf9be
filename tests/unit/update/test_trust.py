"""The decision, rule by rule, and the attacks of TUF's workflow: rollback, freeze, mix and match, key compromise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import date, timedelta

import pytest

from aurora.update.keyring import DEFAULT_RULES, Key, Rule
from aurora.update.keys import sign
from aurora.update.signature import (
    BrokenSignature,
    Facts,
    Signature,
    Statement,
    member_name,
    parse_signature,
    signature_bytes,
    signed_bytes,
    statement_bytes,
)
from aurora.update.trust import Known, Verdict, judge
from tests.unit.update.signing import (
    EXPIRES,
    FACTS,
    SAID,
    TODAY,
    key,
    private,
    signed,
    token_key,
    token_sign,
    token_signed,
)

KEYRING = (key("ann"), key("bob"), key("eve", "qa"), key("max", "release", "qa"))
TWO = (Rule(("*",), {"release": 2}),)
NOTHING = Known()


def judged(
    *signatures: Signature,
    facts: Facts = FACTS,
    keyring: Sequence[Key] = KEYRING,
    rules: Sequence[Rule] = DEFAULT_RULES,
    today: date = TODAY,
    known: Known = NOTHING,
) -> Verdict:
    return judge(facts, signatures, keyring, rules, today=today, known=known)


def refused(*signatures: Signature, **more: object) -> str:
    found = judged(*signatures, **more)  # type: ignore[arg-type]  # as judged takes them
    assert not found.accepted
    return "\n".join(found.reasons)


def test_a_package_that_a_trusted_key_has_signed_is_accepted_with_who_it_was() -> None:
    found = judged(signed("ann"))
    assert found.accepted
    assert found.reasons == ()
    assert [(one.name, one.roles, one.fault) for one in found.signers] == [("ann", ("release",), "")]
    assert found.statement == SAID


def test_a_package_that_nobody_has_signed_is_refused() -> None:
    assert "nobody has signed it" in refused()


def test_a_key_that_is_not_in_the_keyring_counts_for_nothing() -> None:
    assert "it is not in the keyring" in refused(signed("stranger"))
    assert judged(signed("ann"), signed("stranger")).accepted


def test_every_reason_is_given() -> None:
    other = SAID._replace(facts=FACTS._replace(package="aurora-module-other", version="1.1"), lowest="1.1")
    found = judged(signed("stranger", other), today=EXPIRES + timedelta(days=1), known=Known("2", "2"))
    assert len(found.reasons) == 6
    for words in ("signed the package", "signed the version", "expired", "not in the keyring", "must be signed by",
                  "is below 2"):  # fmt: skip
        assert any(words in reason for reason in found.reasons), words


# 1. Damage


@pytest.mark.parametrize("who", ["ann", "stranger"])
def test_a_damaged_signature_is_not_passed_over_beside_a_good_one(who: str) -> None:
    bad = signed(who)._replace(signature=signed(who).signature[:-1] + bytes([signed(who).signature[-1] ^ 1]))
    assert "is not by that key, or was damaged" in refused(signed("bob"), bad)


def test_a_signature_of_another_key_under_a_trusted_name_is_refused() -> None:
    assert "ann is not by that key" in refused(signed("stranger")._replace(key=signed("ann").key))


def test_words_that_were_changed_after_signing_are_refused() -> None:
    later = SAID._replace(expires=date(2099, 1, 1))
    assert "is not by that key" in refused(signed("ann")._replace(statement=later))


# Two kinds of keys

TOKEN = Key("tok", token_key("tok"), ("release",))


def test_keys_of_both_kinds_sign_side_by_side() -> None:
    assert judged(token_signed("tok"), keyring=[TOKEN]).accepted
    found = judged(signed("ann"), token_signed("tok"), keyring=[*KEYRING, TOKEN], rules=TWO)
    assert found.accepted
    assert [one.name for one in found.signers] == ["ann", "tok"]
    assert "nobody" not in refused(token_signed("other"), keyring=[TOKEN])
    assert f"the key ecdsa-p256:{token_key('other')[11:27]}…" in refused(token_signed("other"), keyring=[TOKEN])


def test_a_key_of_the_second_kind_signs_its_own_text_as_well() -> None:
    """So that a signature is good for one key alone, and for one way to verify it."""
    bare = Signature(SAID, TOKEN.public, token_sign("tok", statement_bytes(SAID)))
    assert "tok is not by that key" in refused(bare, keyring=[TOKEN])
    for_other = Signature(SAID, TOKEN.public, token_sign("tok", signed_bytes(SAID, token_key("other"))))
    assert "tok is not by that key" in refused(for_other, keyring=[TOKEN])
    longer = signed("ann")._replace(
        signature=sign(private("ann"), statement_bytes(SAID) + f"key {private('ann').key}\n".encode())
    )
    assert "ann is not by that key" in refused(longer)


@pytest.mark.parametrize("kind", ["ann", "tok"])
def test_no_bit_of_what_is_written_of_a_signature_can_be_another(kind: str) -> None:
    good = signed("ann") if kind == "ann" else token_signed("tok")
    written = signature_bytes(good)
    for bit in range(len(written) * 8):
        changed = bytearray(written)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            found = parse_signature(bytes(changed), member=member_name(good.key))
        except BrokenSignature:
            continue
        assert "is not by that key, or was damaged" in refused(found, keyring=[*KEYRING, TOKEN])


def test_a_signature_of_one_kind_is_never_verified_in_the_way_of_the_other() -> None:
    ed, ec = signed("ann"), token_signed("tok")
    for digits in (ed.key, TOKEN.public[13:]):
        for kind in ("", "ecdsa-p256:02", "ecdsa-p256:03"):
            public = kind + digits
            if public in (ed.key, TOKEN.public):
                continue
            for one in (ed, ec):
                posed = [Key("posed", public, ("release",))]
                assert "posed is not by that key" in refused(one._replace(key=public), keyring=posed)
    assert "tok is not by that key" in refused(ed._replace(key=TOKEN.public), keyring=[TOKEN])


# 2. Mix and match, replay


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (FACTS._replace(package="aurora-module-other"), "signed the package aurora-module-other"),
        (FACTS._replace(version="1.3"), "signed the version 1.3"),
        (FACTS._replace(architecture="amd64"), "signed the architecture amd64"),
        (FACTS._replace(parts=(*FACTS.parts[:2], ("data.tar", "d" * 64))), "signed another data.tar"),
        (FACTS._replace(parts=(FACTS.parts[0], ("control.tar.gz", "d" * 64), FACTS.parts[2])), "another control.tar"),
        (FACTS._replace(parts=(*FACTS.parts[:2], ("data.tar.xz", "c" * 64))), "other parts"),
        (FACTS._replace(parts=FACTS.parts[:2]), "other parts"),
        (FACTS._replace(parts=FACTS.parts[::-1]), "other parts"),
    ],
)
def test_mix_and_match_a_signature_over_anything_else_is_refused(theirs: Facts, why: str) -> None:
    assert why in refused(signed("ann", SAID._replace(facts=theirs)))
    assert why in refused(signed("bob"), signed("ann", SAID._replace(facts=theirs)))


# 3. One statement


@pytest.mark.parametrize("other", [SAID._replace(expires=date(2099, 1, 1)), SAID._replace(lowest="1.1")])
def test_signers_who_say_different_things_have_agreed_on_nothing(other: Statement) -> None:
    assert "say different things" in refused(signed("ann"), signed("bob", other), rules=TWO)


# 4. Freeze


def test_freeze_a_package_is_refused_from_the_day_after_its_last() -> None:
    assert judged(signed("ann"), today=EXPIRES).accepted
    assert "have expired on 2027-06-15" in refused(signed("ann"), today=EXPIRES + timedelta(days=1))


# 5, 6. Rules, and keys that are lost


def test_a_package_that_no_rule_names_is_refused() -> None:
    assert "no rule says" in refused(signed("ann"), rules=(Rule(("aurora-core",), {"*": 1}),))
    assert "no rule says" in refused(signed("ann"), rules=())


def test_key_compromise_one_key_is_not_two() -> None:
    assert "must be signed by 2 different keys of the role release" in refused(signed("ann"), rules=TWO)
    assert "a key has signed it twice" in refused(signed("ann"), signed("ann"), rules=TWO)
    assert judged(signed("ann"), signed("bob"), rules=TWO).accepted


def test_key_compromise_a_revoked_key_counts_for_nothing() -> None:
    keyring = (key("ann", revoked=date(2026, 6, 1)), key("bob"))
    assert "it was revoked on 2026-06-01" in refused(signed("ann"), keyring=keyring)
    assert "does not count" in refused(signed("ann"), signed("bob"), keyring=keyring, rules=TWO)
    assert judged(signed("ann"), signed("bob"), keyring=keyring).accepted


def test_a_revoked_key_does_not_count_though_its_revocation_is_dated_later() -> None:
    assert "revoked" in refused(signed("ann"), keyring=[key("ann", revoked=date(2030, 1, 1))])


@pytest.mark.parametrize(
    "more", [{"valid_until": TODAY - timedelta(days=1)}, {"valid_from": TODAY + timedelta(days=1)}]
)
def test_a_key_counts_only_on_its_days(more: dict[str, date]) -> None:
    assert "does not count" in refused(signed("ann"), keyring=[key("ann", **more)])


def test_no_key_counts_for_two_roles_and_the_roles_are_shared_out_as_well_as_they_can_be() -> None:
    both = (Rule(("*",), {"release": 1, "qa": 1}),)
    assert "of the role qa and 1 key of the role release" in refused(signed("max"), rules=both)
    assert "must be signed" in refused(signed("ann"), signed("bob"), rules=both)
    for names in itertools.permutations(("max", "ann")):
        assert judged(*map(signed, names), rules=both).accepted
    for names in itertools.permutations(("max", "eve")):
        assert judged(*map(signed, names), rules=both).accepted
    three = (Rule(("*",), {"release": 2, "qa": 1, "*": 1}),)
    assert judged(*map(signed, ("ann", "bob", "max", "eve")), rules=three).accepted
    assert not judged(*map(signed, ("ann", "max", "eve")), rules=three).accepted


# 7. Rollback


@pytest.mark.parametrize(
    ("known", "accepted"),
    [
        (Known(None, None), True),
        (Known("1.2", None), True),
        (Known("1.1", None), True),
        (Known("1.3", None), False),
        (Known("1.3", "1.0"), True),  # its signers have said that 1.2 may be gone back to
        (Known("1.3", "1.2"), True),
        (Known("1.3", "1.2.1"), False),
        (Known(None, "1.3"), False),  # removed and brought back older
        (Known("1.3~", "1.2~"), True),
        (Known("not a version", None), False),
        (Known(None, "not a version"), False),
    ],
)
def test_rollback_a_version_below_the_lowest_is_refused(known: Known, accepted: bool) -> None:
    found = judged(signed("ann"), known=known)
    assert found.accepted is accepted
    assert accepted or "its version" in found.reasons[0]


def test_the_decision_does_not_depend_on_the_order_of_what_it_is_given() -> None:
    names = ("ann", "bob", "stranger")
    found = {judged(*map(signed, order), rules=TWO).reasons for order in itertools.permutations(names)}
    assert found == {()}
    keyrings = (judged(signed("eve"), keyring=order).accepted for order in itertools.permutations(KEYRING))
    assert all(keyrings)


def test_a_package_without_a_name_is_refused_and_no_error() -> None:
    assert "is no version" in refused(signed("ann"), facts=FACTS._replace(version="x y"), known=Known("1", None))
