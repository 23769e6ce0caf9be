from __future__ import annotations

from aurora.policy import Owner, exposure_problems, forbidden, read_owner


def test_an_owner_who_forbids_nothing_stands_against_nothing() -> None:
    assert forbidden(Owner(), "trusted", ["cap:SYS_ADMIN"], module="x", where="m") == []


def test_each_policy_and_grant_that_is_never_given_is_told() -> None:
    owner = read_owner(
        b'grants_never = ["cap:*", "network.internet"]\npolicies_never = ["trusted"]', file="/etc/aurora/core.toml"
    )
    grants = ["network.loopback", "cap:KILL", "network.internet"]
    problems = forbidden(owner, "trusted", grants, module="x", where="module.toml")
    assert [(problem.what, problem.where) for problem in problems] == [
        ("run the module x", "module.toml, key sandbox.policy"),
        ("run the module x", "module.toml, key sandbox.grants"),
        ("run the module x", "module.toml, key sandbox.grants"),
    ]
    assert "the policy trusted" in problems[0].why
    assert "the grant cap:KILL ('cap:*'" in problems[1].why
    assert "the grant network.internet" in problems[2].why


def test_a_name_without_a_star_forbids_that_grant_alone() -> None:
    owner = Owner(grants_never=("listen:80",))
    assert forbidden(owner, "strict", ["listen:8080", "listen"], module="x", where="m") == []
    assert len(forbidden(owner, "strict", ["listen:80"], module="x", where="m")) == 1


def test_a_score_above_a_bound_is_told_with_what_each_part_costs() -> None:
    bounds = ((None, "author"), (9, "owner"), (20, "other"))
    costs = {"the policy strict": 2, "the grant network.lan": 8}
    (problem,) = exposure_problems(10, bounds, costs, module="x")
    assert problem.where == "owner"
    assert problem.why == (
        "its exposure score 1.0 is above 0.9: the policy strict costs 0.2; the grant network.lan costs 0.8"
    )
    assert exposure_problems(9, bounds, costs, module="x") == []
