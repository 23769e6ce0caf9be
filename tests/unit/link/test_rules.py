from __future__ import annotations

import pytest

from aurora.link.bounds import Bounds
from aurora.link.peer import Role
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import BROADCAST, FURTHER, Action, Gatekeeper, ModuleRules, Rules

from .talking import OPERATOR, ROOT, STRANGER, module

RULES = Rules(
    modules={
        "weather": ModuleRules(publish=("site/+/temp", "actuator/#"), request=("lamp",)),
        "log": ModuleRules(subscribe=("site/#",), serve=("lamp",)),
    },
    gated=("actuator/#",),
)


def keeper() -> Gatekeeper:
    return Gatekeeper(RULES, Bounds())


@pytest.mark.parametrize(
    ("name", "action", "topic", "allowed"),
    [
        ("weather", Action.PUBLISH, "site/a/temp", True),
        ("weather", Action.PUBLISH, "site/a/humidity", False),
        ("weather", Action.SUBSCRIBE, "site/a/temp", False),
        ("weather", Action.REQUEST, "lamp", True),
        ("weather", Action.SERVE, "lamp", False),
        ("log", Action.SUBSCRIBE, "site/#", True),
        ("log", Action.SUBSCRIBE, "site/+/temp", True),
        ("log", Action.SUBSCRIBE, "#", False),
        ("log", Action.SUBSCRIBE, "+/a", False),
        ("log", Action.SERVE, "lamp", True),
        ("log", Action.SUBSCRIBE, "$sys/modules/log/connections", True),
        ("log", Action.SUBSCRIBE, "$sys/modules/log/#", True),
        ("log", Action.SUBSCRIBE, "$sys/modules/weather/#", False),
        ("log", Action.SUBSCRIBE, "$sys/#", False),
        ("unheard-of", Action.PUBLISH, "site/a/temp", False),
        ("unheard-of", Action.SUBSCRIBE, "$sys/modules/unheard-of/x", True),
    ],
)
def test_a_module_may_what_its_manifest_says_and_hear_about_itself(
    name: str, action: Action, topic: str, allowed: bool
) -> None:
    decision = keeper().decide(module(name), action, topic)
    assert decision.allowed is allowed
    assert allowed or name in decision.why


@pytest.mark.parametrize("peer", [OPERATOR, ROOT])
def test_operators_may_everything_but_speak_for_the_hub(peer: object) -> None:
    gates = keeper()
    for action in Action:
        assert gates.decide(peer, action, "any/thing").allowed  # type: ignore[arg-type]  # one of two peers
    assert gates.decide(OPERATOR, Action.SUBSCRIBE, "$sys/#").allowed
    for action in (Action.PUBLISH, Action.REQUEST, Action.SERVE):
        assert not gates.decide(OPERATOR, action, "$sys/hub").allowed
    assert gates.decide(OPERATOR, Action.PUBLISH, BROADCAST).allowed


def test_others_may_not_even_connect_and_are_told_why() -> None:
    gates = keeper()
    with pytest.raises(LinkError) as caught:
        gates.admit(STRANGER)
    assert caught.value.code is Code.DENIED
    assert "user:eve is neither a module nor a member of the group aurora" in str(caught.value)
    assert gates.denials == {("user:eve", "connect"): 1}
    assert not any(gates.decide(STRANGER, action, "a").allowed for action in Action)


def test_a_modules_messages_to_a_gated_topic_wait_and_an_operators_do_not() -> None:
    gates = keeper()
    assert gates.decide(module("weather"), Action.PUBLISH, "actuator/door").gated
    assert not gates.decide(OPERATOR, Action.PUBLISH, "actuator/door").gated


def test_a_user_whose_role_changed_is_judged_anew() -> None:
    gates = keeper()
    assert gates.decide(OPERATOR, Action.PUBLISH, "a").allowed
    outsider = STRANGER.__class__(name=OPERATOR.name, role=Role.OTHER)
    assert not gates.decide(outsider, Action.PUBLISH, "a").allowed


def test_other_rules_hold_at_once() -> None:
    gates = keeper()
    assert gates.decide(module("weather"), Action.PUBLISH, "site/a/temp").allowed
    gates.change(Rules())
    assert not gates.decide(module("weather"), Action.PUBLISH, "site/a/temp").allowed


def test_every_denial_is_counted_and_what_is_remembered_is_bounded() -> None:
    gates = Gatekeeper(RULES, Bounds(denials_counted_max=3, decisions_cached_max=5))
    for number in range(10):
        for _ in range(2):
            with pytest.raises(LinkError):
                gates.require(module(f"m{number}"), Action.PUBLISH, "a")
    assert sum(gates.denials.values()) == 20
    assert gates.denials[FURTHER, FURTHER] == 14
    assert len(gates.denials) == 4
    assert len(gates._cache) <= 5
