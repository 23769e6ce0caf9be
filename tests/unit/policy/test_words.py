from __future__ import annotations

from aurora.policy import difference, find_grants, find_policy, reach, resolve
from tests.unit.examples import shipped


def test_the_default_alone_lets_nothing_more() -> None:
    assert reach(find_policy(shipped(), "strict"), ()) == ({}, (), ())


def test_what_is_granted_is_said_with_its_argument_and_its_paths() -> None:
    grants = find_grants(shipped(), ["read:/srv/a", "write:/srv/b", "device:/dev/ttyUSB0"])
    found = reach(find_policy(shipped(), "network"), grants)
    assert list(found.does) == ["policy network", "read:/srv/a", "write:/srv/b", "device:/dev/ttyUSB0"]
    assert found.does["write:/srv/b"].startswith("Read and change /srv/b and all that is in it")
    assert found.reads == ("/srv/a",)
    assert found.writes == ("/srv/b", "/dev/ttyUSB0")


def test_every_description_is_a_clause_without_a_placeholder() -> None:
    for grant in shipped().grants.values():
        assert grant.description[0].isupper()
        assert not grant.description.endswith(".")


def test_a_policy_differs_from_itself_in_nothing() -> None:
    strict = find_policy(shipped(), "strict")
    assert difference(strict, strict) == ({}, (), ())


def test_a_grant_is_the_difference_that_it_makes() -> None:
    strict = find_policy(shipped(), "strict")
    found = difference(strict, resolve(shipped(), "strict", ["network.loopback"], where="m"))
    assert found.directives["PrivateNetwork"] == (True, False)
    assert found.directives["RestrictAddressFamilies"] == ((), ("AF_INET", "AF_INET6"))
    assert found.directives["IPAddressAllow"] == (None, ("127.0.0.0/8", "::1/128"))
    assert found.rules_gone == ()
    assert "network inet stream," in found.rules_new
