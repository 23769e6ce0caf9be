from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.directives import DIRECTIVES, Value
from aurora.errors import Refused
from aurora.identity import foreground, installed
from aurora.manifest import KEYS
from aurora.plan import Facts, Feature, Plan, Secrets, make_plan
from tests.unit.examples import ALL_FEATURES, EVERY, manifest, plan, shipped

FOLDER = "/var/lib/aurora-core/modules/hello/a"
# A manifest that relies on every feature that a manifest can ask for, and those features.
HEAVY = '[limits]\ncpu = "20%"\nmemory_max = "64M"\ntasks = 8\nio_read_max = "1M"\nio_weight = 50\n'
HEAVY += 'state_max = "8M"\n[directories]\nstate = true\n'
RELIED_ON = EVERY


def facts(*features: Feature, accepted: frozenset[Feature] = frozenset()) -> Facts:
    return Facts(features=frozenset(features), accepted=accepted)


def added(more: str) -> dict[str, Value | None]:
    """The settings that `more` in the manifest changes."""
    before, after = plan().settings, plan(more).settings
    return {
        name: after.get(name) for name in before.keys() | after.keys() if before.get(name) != after.get(name)
    }  # fmt: skip


def environment(settings: Mapping[str, Value]) -> dict[str, str]:
    words = settings["Environment"]
    assert isinstance(words, tuple)
    return dict(word.split("=", 1) for word in words)


# What would be no sandbox


@pytest.mark.parametrize("directive", ["RestrictAddressFamilies", "RestrictNamespaces"])
def test_a_list_that_grants_have_emptied_is_refused_as_systemd_takes_it_for_no_restriction(directive: str) -> None:
    strict = shipped().policies["strict"]
    emptied = dataclasses.replace(strict, directives={**strict.directives, directive: ()})
    with pytest.raises(Refused, match=f"leave nothing in {directive}"):
        make_plan(manifest(), emptied, ALL_FEATURES, identity=installed("hello"), folder=FOLDER)


# What this machine can enforce


@pytest.mark.parametrize("feature", sorted(RELIED_ON))
def test_a_plan_that_relies_on_something_missing_is_refused_with_what_to_do(feature: Feature) -> None:
    with pytest.raises(Refused) as caught:
        plan(HEAVY, facts=facts(*EVERY - {feature}))
    (problem,) = caught.value.problems
    assert problem.what == "run the module hello"
    assert feature in problem.why
    assert f'accept_unenforced = ["{feature}"] in /etc/aurora/core.toml' in problem.remedy


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(Refused) as caught:
        plan(HEAVY, facts=facts())
    assert len(caught.value.problems) == len(RELIED_ON)


@pytest.mark.parametrize("feature", sorted(RELIED_ON))
def test_a_missing_feature_that_the_owner_accepts_is_kept_in_sight(feature: Feature) -> None:
    made = plan(HEAVY, facts=facts(*EVERY - {feature}, accepted=frozenset({feature})))
    assert made.unenforced == (feature,)
    assert environment(made.settings)["AURORA_UNENFORCED"] == feature


def test_what_is_not_enforced_stands_before_anything_that_a_module_could_write_there() -> None:
    gone = facts(*EVERY - {Feature.APPARMOR}, accepted=frozenset({Feature.APPARMOR}))
    words = plan('[environment]\nA = "AURORA_UNENFORCED="', facts=gone).settings["Environment"]
    assert isinstance(words, tuple)
    assert words[0] == "AURORA_UNENFORCED=apparmor"


def test_accepting_one_feature_does_not_accept_another() -> None:
    with pytest.raises(Refused) as caught:
        plan(HEAVY, facts=facts(accepted=frozenset({Feature.APPARMOR})))
    assert len(caught.value.problems) == len(RELIED_ON) - 1


def test_what_is_accepted_but_there_is_enforced_all_the_same() -> None:
    made = plan(HEAVY, facts=facts(*Feature, accepted=EVERY))
    assert made == plan(HEAVY)
    assert made.unenforced == ()
    assert "AURORA_UNENFORCED" not in environment(made.settings)


@pytest.mark.parametrize("feature", [Feature.MEMORY, Feature.CPU])
def test_a_limit_that_is_not_declared_needs_no_controller(feature: Feature) -> None:
    assert plan(facts=facts(*EVERY - {feature})) == plan()


def test_a_policy_without_filters_needs_neither_seccomp_nor_bpf() -> None:
    bare = dataclasses.replace(shipped().policies["strict"], directives={"PrivateTmp": True})
    few = facts(Feature.APPARMOR, Feature.PIDS)
    made = make_plan(manifest(), bare, few, identity=installed("hello"), folder=FOLDER)
    assert made.unenforced == ()


def test_without_apparmor_there_is_no_profile_and_no_directive_for_one() -> None:
    gone = facts(*EVERY - {Feature.APPARMOR}, accepted=frozenset({Feature.APPARMOR}))
    made = plan(facts=gone)
    assert made.profile is None
    assert "AppArmorProfile" not in made.settings


# What a manifest becomes


def test_all_directives_of_a_plan_are_in_the_table() -> None:
    everything = plan('[watchdog]\ntimeout = "1s"\n[start]\nreadiness = "notify"\n' + HEAVY)
    assert everything.settings.keys() <= DIRECTIVES.keys()


def test_the_policy_comes_through_whole() -> None:
    made = plan()
    policy = shipped().policies["strict"]
    shown = policy.directives["BindReadOnlyPaths"]
    assert isinstance(shown, tuple)
    expected = {**policy.directives, "BindReadOnlyPaths": (*shown, FOLDER)}
    assert {name: made.settings[name] for name in expected} == expected
    assert made.apparmor == policy.apparmor


def test_the_module_sees_its_folder_also_where_the_policy_shows_nothing_else() -> None:
    policy = dataclasses.replace(shipped().policies["strict"], directives={"TemporaryFileSystem": ("/var",)})
    made = make_plan(manifest(), policy, ALL_FEATURES, identity=installed("hello"), folder=FOLDER)
    assert made.settings["BindReadOnlyPaths"] == (FOLDER,)


def test_a_module_has_a_user_a_slice_and_a_profile_of_its_own() -> None:
    made = plan(name="hello")
    assert (made.unit, made.slice, made.profile) == ("aurora@hello.service", "aurora-hello.slice", "aurora.hello")
    assert made.settings["DynamicUser"] is True
    assert made.settings["User"] == "au-hello"
    assert made.settings["Slice"] == made.slice
    assert made.settings["AppArmorProfile"] == made.profile


def test_in_the_foreground_it_shares_none_of_them() -> None:
    policy = shipped().policies["strict"]
    declared = manifest("[directories]\nstate = true\nruntime = true\n")
    one = make_plan(declared, policy, ALL_FEATURES, identity=installed("hello"), folder=FOLDER)
    other = make_plan(declared, policy, ALL_FEATURES, identity=foreground("hello"), folder=FOLDER)
    for name in ("User", "StateDirectory", "RuntimeDirectory", "AppArmorProfile"):
        assert one.settings[name] != other.settings[name]
    assert (one.unit, one.profile) != (other.unit, other.profile)
    assert not set(one.writable) & set(other.writable)


@pytest.mark.parametrize(
    ("entry", "argv"),
    [
        ('"run.py"', ("/usr/bin/python3", f"{FOLDER}/run.py")),
        ('"run.sh"', ("/bin/sh", f"{FOLDER}/run.sh")),
        ('"bin/tool"', (f"{FOLDER}/bin/tool",)),
        ('"run.pyc"', (f"{FOLDER}/run.pyc",)),
        ('".py"', (f"{FOLDER}/.py",)),
        ('["run.py", "-v", "$HOME", "%n"]', ("/usr/bin/python3", f"{FOLDER}/run.py", "-v", "$HOME", "%n")),
        ('["/usr/bin/tool.py", "x"]', ("/usr/bin/tool.py", "x")),
    ],
)
def test_an_entry_becomes_an_argument_vector(entry: str, argv: tuple[str, ...]) -> None:
    assert plan(entry=entry).settings["ExecStart"] == argv


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ('[limits]\ncpu = "20%"', {"CPUQuota": 200_000}),
        ('[limits]\nmemory_max = "64M"', {"MemoryMax": 64 << 20, "MemorySwapMax": 0}),
        ('[limits]\nmemory_high = "48M"', {"MemoryHigh": 48 << 20}),
        ("[limits]\ntasks = 7", {"TasksMax": 7}),
        ("[limits]\ncpu_weight = 7", {"CPUWeight": 7}),
        ("[limits]\nio_weight = 7", {"IOWeight": 7}),
        ('[limits]\nio_read_max = "1M"', {"IOReadBandwidthMax": ("/var/lib 1048576",)}),
        ('[limits]\nio_write_max = "2M"', {"IOWriteBandwidthMax": ("/var/lib 2097152",)}),
        ('[stop]\nsignal = "SIGINT"', {"KillSignal": "SIGINT"}),
        ('[stop]\ntimeout = "5s"', {"TimeoutStopSec": 5_000_000}),
        ('[order]\nafter = ["clock"]', {"After": ("aurora@clock.service",)}),
        (
            '[order]\nrequires = ["broker"]',
            {"After": ("aurora@broker.service",), "Requires": ("aurora@broker.service",)},
        ),
        ('[start]\nreadiness = "notify"', {"Type": "notify", "NotifyAccess": "main"}),
        ('[start]\ntimeout = "7s"', {"TimeoutStartSec": 7_000_000}),
        (
            '[start]\nreadiness = "notify"\n[watchdog]\ntimeout = "5s"',
            {"Type": "notify", "NotifyAccess": "main", "WatchdogSec": 5_000_000},
        ),
        ('[restart]\npolicy = "always"', {"Restart": "always"}),
        (
            '[restart]\npolicy = "no"',
            {
                "Restart": "no",
                "RestartSec": None,
                "RestartSteps": None,
                "RestartMaxDelaySec": None,
                "StartLimitIntervalSec": None,
            },
        ),
        ('[restart]\ndelay = "2s"', {"RestartSec": 2_000_000}),
        ('[restart]\ndelay_max = "5min"', {"RestartMaxDelaySec": 300_000_000}),
        ("[restart]\nsteps = 3", {"RestartSteps": 3}),
        ("[restart]\nsteps = 0", {"RestartSteps": None, "RestartMaxDelaySec": None}),
        ('[restart]\ndelay = "60s"', {"RestartSec": 60_000_000, "RestartSteps": None, "RestartMaxDelaySec": None}),
        ("[restart]\ngive_up_after = 4", {"StartLimitBurst": 4, "StartLimitIntervalSec": 600_000_000}),
        (
            '[restart]\ngive_up_after = 4\ngive_up_within = "1min"',
            {"StartLimitBurst": 4, "StartLimitIntervalSec": 60_000_000},
        ),
        ('[restart]\ngive_up_after = "never"', {}),
        ("[directories]\nstate = true", {"StateDirectory": ("aurora/hello",), "StateDirectoryMode": 0o700}),
        ("[directories]\ncache = true", {"CacheDirectory": ("aurora/hello",), "CacheDirectoryMode": 0o700}),
        ("[directories]\nlogs = true", {"LogsDirectory": ("aurora/hello",), "LogsDirectoryMode": 0o700}),
        (
            "[directories]\nruntime = true",
            {
                "RuntimeDirectory": ("aurora-modules/hello",),
                "RuntimeDirectoryMode": 0o700,
                "After": ("run-aurora\\x2dmodules-hello.mount",),
                "BindsTo": ("run-aurora\\x2dmodules-hello.mount",),
            },
        ),
    ],
)
def test_a_key_becomes_these_directives_and_no_others(more: str, settings: dict[str, Value | None]) -> None:
    assert added(more) == settings


@pytest.mark.parametrize(
    ("entry", "access"), [('"run.py"', "main"), ('"run.sh"', "all"), ('"tool"', "all"), ('["/usr/bin/x"]', "all")]
)
def test_what_may_start_another_program_to_say_that_it_is_ready_may_have_it_do_so(entry: str, access: str) -> None:
    assert plan('[start]\nreadiness = "notify"', entry=entry).settings["NotifyAccess"] == access
    assert "NotifyAccess" not in plan(entry=entry).settings


def test_a_oneshot_has_done_its_work_once_it_ends_and_is_not_run_again() -> None:
    settings = plan('kind = "oneshot"').settings
    assert (settings["Type"], settings["RemainAfterExit"], settings["Restart"]) == ("oneshot", True, "no")


@pytest.mark.parametrize(
    ("schedule", "settings"),
    [
        ('calendar = "daily"', {"OnCalendar": "daily"}),
        ('calendar = "daily"\ncatch_up = true', {"OnCalendar": "daily", "Persistent": True}),
        ('interval = "10min"', {"OnActiveSec": 0, "OnUnitActiveSec": 600_000_000}),
        (
            'interval = "10min"\njitter = "30s"',
            {"OnActiveSec": 0, "OnUnitActiveSec": 600_000_000, "RandomizedDelaySec": 30_000_000},
        ),
    ],
)
def test_a_schedule_becomes_a_timer_which_is_what_is_started(schedule: str, settings: dict[str, Value]) -> None:
    made = plan(f'kind = "oneshot"\n[schedule]\n{schedule}')
    assert made.timer == settings | {"Description": "Schedule of the AuroraOS module hello", "AccuracySec": 1_000_000}
    assert made.started == "aurora@hello.timer"
    assert "RemainAfterExit" not in made.settings


def test_without_a_schedule_there_is_no_timer() -> None:
    assert (plan().timer, plan().started) == ({}, "aurora@hello.service")


def test_what_it_requires_it_is_after_as_well() -> None:
    made = plan('[order]\nafter = ["clock"]\nrequires = ["broker"]')
    assert (made.after, made.requires) == (("broker", "clock"), ("broker",))


def test_a_plan_has_the_place_of_a_secret_and_nothing_else_of_it() -> None:
    secrets = Secrets("/etc/aurora/credentials/hello", frozenset({"sealed"}))
    declared = manifest('[credentials]\nnames = ["open", "sealed"]')
    policy = shipped().policies["strict"]
    made = make_plan(declared, policy, ALL_FEATURES, identity=installed("hello"), folder=FOLDER, secrets=secrets)
    assert made.settings["LoadCredential"] == ("open:/etc/aurora/credentials/hello/open",)
    assert made.settings["LoadCredentialEncrypted"] == ("sealed:/etc/aurora/credentials/hello/sealed.cred",)
    assert made.credentials == ("/etc/aurora/credentials/hello/open", "/etc/aurora/credentials/hello/sealed.cred")


THOUGHT_OF = """
    module.kind module.owner_may credentials.names limits.cpu_weight limits.io_weight limits.io_read_max
    limits.io_write_max limits.state_max limits.cache_max limits.logs_max
    stop.signal stop.timeout schedule.calendar schedule.interval schedule.jitter
    schedule.catch_up order.after order.requires
    module.name module.version module.description module.entry environment limits.cpu limits.memory_max
    limits.memory_high limits.tasks start.readiness start.timeout watchdog.timeout restart.policy restart.delay
    restart.delay_max restart.steps restart.give_up_after restart.give_up_within directories.state
    directories.cache directories.logs directories.runtime sandbox.policy sandbox.grants sandbox.exposure_max
    safe_state.command safe_state.module link.publish link.subscribe link.request link.serve
    link.durable link.durable_size_max link.durable_age_max link.durable_full link.retained link.approve
    update.window update.restarts_max update.memory_growth update.check update.snapshot
"""


def test_a_directory_with_a_budget_is_a_volume_that_the_module_is_bound_to() -> None:
    made = plan('[directories]\nstate = true\n[limits]\nstate_max = "50M"\n[order]\nafter = ["clock"]')
    (volume,) = made.volumes
    assert (volume.directory, volume.size_bytes, volume.place) == ("state", 50 << 20, "/var/lib/private/aurora/hello")
    assert volume.image == "/var/lib/aurora-core/volumes/state/aurora/hello.ext4"
    assert volume.unit == "var-lib-private-aurora-hello.mount"
    assert made.settings["BindsTo"] == (volume.unit,)
    assert made.settings["After"] == ("aurora@clock.service", volume.unit)
    assert environment(made.settings)["AURORA_STATE_MAX"] == str(50 << 20)
    assert Plan.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_without_loop_devices_and_with_the_owners_leave_the_directory_is_a_plain_one() -> None:
    gone = facts(*EVERY - {Feature.LOOP}, accepted=frozenset({Feature.LOOP}))
    made = plan('[directories]\nstate = true\n[limits]\nstate_max = "50M"', facts=gone)
    assert (made.volumes, made.unenforced) == ((), ("loop",))
    assert made.settings["StateDirectory"] == ("aurora/hello",)
    assert "AURORA_STATE_MAX" not in environment(made.settings)


def test_every_key_of_a_manifest_was_thought_of_here() -> None:
    assert {key.path for key in KEYS} == set(THOUGHT_OF.split()), "a new key needs its row in the table above"


def test_a_module_that_says_nothing_about_it_is_restarted_for_ever() -> None:
    # 0 switches systemd's own limit off, which is five starts in ten seconds.
    assert plan().settings["StartLimitIntervalSec"] == 0
    assert "StartLimitBurst" not in plan().settings


def test_the_description_is_the_manifests_or_says_whose_unit_it_is() -> None:
    assert plan().settings["Description"] == "AuroraOS module hello"
    assert plan('description = "Says 100% $HOME"').settings["Description"] == "Says 100% $HOME"


def test_no_description_can_join_the_next_line_of_a_units_file() -> None:
    for text in ("ends in \\", "ends in \\\\"):
        assert str(plan(f"description = '{text}'").settings["Description"]).rstrip() == text
        assert not str(plan(f"description = '{text}'").settings["Description"]).endswith("\\")


def test_the_version_is_in_the_plan_and_not_in_the_unit() -> None:
    one, other = plan(version="1.0"), plan(version="2.0")
    assert (one.version, other.version) == ("1.0", "2.0")
    assert one.settings == other.settings


def test_variables_of_the_manifest_come_beside_those_of_the_house() -> None:
    found = environment(plan('[environment]\nA = "x=y"\nPYTHONUNBUFFERED = ""').settings)
    assert found == {"A": "x=y", "AURORA_MODULE": "hello", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": ""}


def test_directories_are_writable_under_both_their_names() -> None:
    assert plan().writable == ()
    assert plan("[directories]\nstate = true\nruntime = true").writable == (
        "/var/lib/private/aurora/hello",
        "/var/lib/aurora/hello",
        "/run/private/aurora-modules/hello",
        "/run/aurora-modules/hello",
    )


def test_a_grant_reaches_the_plan() -> None:
    changed = added('[sandbox]\ngrants = ["network.loopback"]')
    assert changed["PrivateNetwork"] is False
    assert changed["RestrictAddressFamilies"] == ("AF_UNIX", "AF_INET", "AF_INET6")
    assert "IPAddressDeny" not in changed


@given(st.sets(st.sampled_from(list(Feature))), st.sets(st.sampled_from(list(Feature))))
def test_a_plan_is_made_exactly_when_what_is_missing_is_accepted(there: set[Feature], accepted: set[Feature]) -> None:
    machine = Facts(features=frozenset(there), accepted=frozenset(accepted))
    missing = RELIED_ON - there
    if missing <= accepted:
        assert plan(HEAVY, facts=machine).unenforced == tuple(sorted(missing))
    else:
        with pytest.raises(Refused):
            plan(HEAVY, facts=machine)


def test_the_machines_sys_is_read_only_for_a_module_in_the_machines_own_network() -> None:
    changed = added('[sandbox]\ngrants = ["network.loopback"]')
    shown = changed["BindReadOnlyPaths"]
    assert isinstance(shown, tuple)
    assert shown[-1] == "/sys"
    alone = plan().settings["BindReadOnlyPaths"]
    assert isinstance(alone, tuple)
    assert "/sys" not in alone


@pytest.mark.parametrize(
    ("manifest", "signals"),
    [
        ("", None),
        ('[stop]\nsignal = "SIGINT"', None),
        ('[stop]\nsignal = "SIGUSR1"', ("SIGUSR1",)),
        ('kind = "oneshot"', ("SIGTERM",)),
        ('kind = "oneshot"\n[stop]\nsignal = "SIGQUIT"', ("SIGQUIT",)),
    ],
)
def test_a_module_that_ends_by_the_signal_it_is_stopped_with_has_not_failed(
    manifest: str, signals: tuple[str, ...] | None
) -> None:
    assert plan(manifest).settings.get("SuccessExitStatus") == signals
