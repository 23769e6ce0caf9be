"""The plan of a learning run."""

from __future__ import annotations

from aurora.directives import Value
from aurora.emit import apparmor_text, service_properties, unit_text
from aurora.identity import installed, learning
from aurora.plan import Plan
from aurora.plan.learning import learning_plan
from tests.unit.examples import plan

GRANTED = '[directories]\nstate = true\n[limits]\nmemory_max = "64M"\n[sandbox]\ngrants = ["network.loopback"]'
BARE = '[directories]\nstate = true\n[limits]\nmemory_max = "64M"'


def made(*, restore: bool = True, groups: tuple[str, ...] = ()) -> Plan:
    identity = learning(installed("hello"))
    return learning_plan(plan(GRANTED), plan(BARE), identity, box_usec=600_000_000, restore=restore, groups=groups)


def changed() -> dict[str, tuple[Value | None, Value | None]]:
    before, after = plan(GRANTED).settings, made().settings
    names = sorted(before.keys() | after.keys())
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def test_it_goes_without_what_would_hide_a_wish_and_keeps_all_else() -> None:
    assert set(changed()) == {
        # gone or opened
        "AmbientCapabilities", "BindReadOnlyPaths", "CapabilityBoundingSet", "DevicePolicy", "IPAddressAllow",
        "IPAddressDeny", "PrivateDevices", "PrivateUsers", "ProcSubset", "ProtectHome", "ProtectProc", "ReadWritePaths",
        "RestrictAddressFamilies", "SystemCallErrorNumber", "SystemCallFilter", "TemporaryFileSystem",
        # logged instead
        "AppArmorProfile", "SystemCallLog",
        # a run of its own
        "After", "Conflicts", "Description", "OnFailure", "OnSuccess", "Restart", "RestartMaxDelaySec", "RestartSec",
        "RestartSteps", "RuntimeMaxSec", "Slice",
    }  # fmt: skip


def test_it_runs_as_the_module_itself_in_its_own_directories_under_its_limits() -> None:
    for name in ("User", "StateDirectory", "MemoryMax", "ExecStart", "WorkingDirectory", "NoNewPrivileges"):
        assert made().settings[name] == plan(GRANTED).settings[name]
    assert made().writable == plan(GRANTED).writable


def test_systemd_ends_it_and_starts_the_module_again() -> None:
    settings = made().settings
    assert settings["RuntimeMaxSec"] == 600_000_000
    assert settings["Restart"] == "no"
    for name in ("Conflicts", "After", "OnSuccess", "OnFailure"):
        assert settings[name] == ("aurora@hello.service",)


def test_a_module_that_was_stopped_is_not_started_afterwards() -> None:
    settings = made(restore=False).settings
    assert "OnSuccess" not in settings
    assert "OnFailure" not in settings


def test_its_profile_logs_and_has_only_what_the_policy_lets_through() -> None:
    text = apparmor_text(made(), complain=True)
    assert "profile aurora-learn.hello flags=(attach_disconnected,complain) {" in text
    assert "network inet" not in text
    assert "/var/lib/aurora/hello/{,**} rwkl," in text


def test_every_call_is_logged_that_the_policy_does_not_let_through() -> None:
    log = [(one.signature, one.value) for one in service_properties(made()) if one.name == "SystemCallLog"]
    (first_kind, (first, unlogged)), (_, (second, logged)) = log
    assert (first_kind, first, second) == ("(bas)", False, True)
    assert unlogged == ["@default", "@system-service"]
    assert "@keyring" in logged
    text = unit_text(made())
    assert "SystemCallLog=~@default @system-service\nSystemCallLog=@privileged" in text


def test_it_joins_the_groups_that_own_devices() -> None:
    assert made(groups=("dialout",)).settings["SupplementaryGroups"] == ("dialout",)
    assert "SupplementaryGroups" not in made().settings


def test_a_oneshot_is_held_to_its_time_too_and_keeps_its_order() -> None:
    text = 'kind = "oneshot"\n[start]\nreadiness = "exec"\n[order]\nafter = ["first"]'
    settings = learning_plan(plan(text), plan(text), learning(installed("hello")), box_usec=1, restore=True).settings
    assert settings["Type"] == "exec", "RuntimeMaxSec does not bound a oneshot"
    assert "RemainAfterExit" not in settings
    assert settings["After"] == ("aurora@first.service", "aurora@hello.service")
