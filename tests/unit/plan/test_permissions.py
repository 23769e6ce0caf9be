"""What a new version would newly be able to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aurora.directives import Value
from aurora.plan.permissions import Change, Effect, Permitted, compare_permissions
from tests.unit.examples import manifest, plan, shipped


def permitted(more: str = "", *, version: str = "1.0", entry: str = '"run.py"', slot: str = "a") -> Permitted:
    read = manifest(more, version=version, entry=entry)
    words = {name: shipped().grants[name].description for name in read.sandbox.grants}
    made = plan(more, version=version, entry=entry, folder=f"/var/lib/aurora-core/modules/hello/{slot}")
    return Permitted(manifest=read, plan=made, grants=words)


def compared(before: str, after: str) -> dict[str, Effect]:
    return {one.subject: one.effect for one in compare_permissions(permitted(before), permitted(after))}


def test_the_same_module_in_another_slot_may_do_the_same() -> None:
    assert compare_permissions(permitted(), permitted(slot="b")) == ()


def test_another_version_or_program_is_told_and_is_not_more() -> None:
    found = compare_permissions(permitted(), permitted(version="2.0", entry='"go.py"'))
    assert {one.subject: one.effect for one in found} == {
        "version": Effect.OTHER,
        "entry": Effect.OTHER,
    }


@pytest.mark.parametrize(
    ("before", "after", "subject"),
    [
        ("", '[sandbox]\ngrants = ["network.loopback"]', "grant"),
        ("", "[directories]\nstate = true", "directory"),
        ('[limits]\nmemory_max = "64M"', '[limits]\nmemory_max = "65M"', "limits.memory_max_bytes"),
        ('[limits]\nmemory_max = "64M"', "", "limits.memory_max_bytes"),
        ('[limits]\ncpu = "10%"', '[limits]\ncpu = "20%"', "limits.cpu_share_usec"),
        ("[limits]\ntasks = 3", "[limits]\ntasks = 4", "limits.tasks_max"),
        ('[limits]\nio_read_max = "1M"', '[limits]\nio_read_max = "2M"', "limits.io_read_max_bytes"),
        ("[limits]\ncpu_weight = 50", "", "limits.cpu_weight"),
        ("", "[limits]\nio_weight = 200", "limits.io_weight"),
        ("", '[credentials]\nnames = ["token"]', "credential"),
        ("", '[link]\npublish = ["a/#"]', "link"),
        ('[link]\nserve = ["a"]', '[link]\nserve = ["a", "b"]', "link"),
    ],
)
def test_what_grows_one_way_shrinks_the_other(before: str, after: str, subject: str) -> None:
    assert compared(before, after)[subject] is Effect.MORE
    back = compared(after, before)
    assert back[subject] is Effect.LESS
    assert Effect.MORE not in back.values()


BOTH = '[link]\npublish = ["out/#"]\nserve = ["in/#"]\n'


@pytest.mark.parametrize(
    ("before", "after", "effect", "words"),
    [
        ("", "out/+", Effect.LESS, "Send to out/+ without somebody's approval"),
        ("out/+", "", Effect.MORE, "Nobody has to approve any more what it sends to out/+"),
        ("", "in/#", Effect.MORE, "Have what any module sends to in/# wait for somebody's approval"),
        ("in/#", "", Effect.MORE, "Nobody has to approve any more what any module sends to in/#"),
        ("in/#", "in/a", Effect.MORE, "Nobody has to approve any more what any module sends to in/#"),
        ("in/a", "in/#", Effect.MORE, "Have what any module sends to in/# wait for somebody's approval"),
    ],
)
def test_what_nobody_has_to_approve_any_more_is_more_and_so_is_holding_up_others(
    before: str, after: str, effect: Effect, words: str
) -> None:
    old, new = (permitted(f'{BOTH}approve = ["{one}"]\n' if one else BOTH) for one in (before, after))
    assert [(one.effect, one.words) for one in compare_permissions(old, new)] == [(effect, words)]


def test_a_grant_is_told_in_words_and_first() -> None:
    found = compare_permissions(permitted(), permitted('[sandbox]\ngrants = ["network.internet"]'))
    assert found[0].effect is Effect.MORE
    assert "Talk over IP with any address, and be talked to by any" in [one.words for one in found]


def test_what_a_grant_does_is_told_by_directives_and_rules_as_well() -> None:
    found = compare_permissions(permitted(), permitted('[sandbox]\ngrants = ["network.loopback"]'))
    words = {one.subject: one.words for one in found}
    assert words["PrivateNetwork"] == "PrivateNetwork loosens: yes becomes no"
    assert words["RestrictAddressFamilies"] == "RestrictAddressFamilies loosens: +AF_INET +AF_INET6"
    rules = [one.after for one in found if one.subject == "AppArmor rule"]
    assert "network inet stream," in rules


def directive(name: str, before: Value | None, after: Value | None) -> Change:
    """A policy file that was changed under a manifest that was not."""
    plans = []
    for value in (before, after):
        made = plan()
        settings = {key: one for key, one in made.settings.items() if key != name}
        plans.append(replace(made, settings=settings if value is None else {**settings, name: value}))
    old, new = (Permitted(manifest=manifest(), plan=one, grants={}) for one in plans)
    (change,) = compare_permissions(old, new)
    return change


@pytest.mark.parametrize(
    ("name", "tight", "loose"),
    [
        ("NoNewPrivileges", True, False),
        ("NoNewPrivileges", True, None),
        ("ProtectSystem", "strict", "full"),
        ("ProtectProc", "invisible", "default"),
        ("DevicePolicy", "closed", "auto"),
        ("DevicePolicy", "closed", None),
        ("SystemCallFilter", ("@system-service", "~@keyring"), ("@system-service",)),
        ("SystemCallFilter", ("@system-service",), ("@system-service", "bpf")),
        ("SystemCallFilter", ("@system-service",), None),
        ("RestrictAddressFamilies", ("AF_UNIX",), None),
        ("CapabilityBoundingSet", (), ("CAP_NET_RAW",)),
        ("CapabilityBoundingSet", (), None),
        ("AmbientCapabilities", (), ("CAP_NET_RAW",)),
        ("AmbientCapabilities", None, ("CAP_NET_RAW",)),
        ("DeviceAllow", None, ("/dev/null rw",)),
        ("SupplementaryGroups", None, ("dialout",)),
        ("BindReadOnlyPaths", (), ("/srv",)),
        ("TemporaryFileSystem", ("/run", "/var"), ("/run",)),
        ("TemporaryFileSystem", ("/run", "/var"), None),
        ("InaccessiblePaths", ("-/etc/ssh",), ()),
        ("IPAddressDeny", ("any",), None),
        ("IPAddressAllow", None, ("127.0.0.0/8",)),
        ("IPAddressAllow", ("127.0.0.0/8",), ("127.0.0.0/8", "10.0.0.0/8")),
    ],
)
def test_a_directive_is_more_or_less_by_what_it_lets_through(
    name: str, tight: Value | None, loose: Value | None
) -> None:
    assert directive(name, tight, loose).effect is Effect.MORE
    assert directive(name, loose, tight).effect is Effect.LESS


def test_a_rule_that_denies_is_less_and_taking_it_away_is_more() -> None:
    made = plan()
    with_it = replace(made, apparmor=(*made.apparmor, "deny /srv/** r,"))
    old, new = (Permitted(manifest=manifest(), plan=one, grants={}) for one in (made, with_it))
    assert [one.effect for one in compare_permissions(old, new)] == [Effect.LESS]
    assert [one.effect for one in compare_permissions(new, old)] == [Effect.MORE]
    without = Permitted(manifest=manifest(), plan=replace(made, profile=None), grants={})
    assert Effect.MORE in [one.effect for one in compare_permissions(old, without)]
