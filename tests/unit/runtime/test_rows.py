"""Rows of doctor: what was declared, what was read, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aurora.directives import DIRECTIVES
from aurora.host.bpf import Attach
from aurora.host.mounts import parse_mounts
from aurora.plan import Facts, Feature
from aurora.runtime.doctor import rows_of
from aurora.runtime.readback import Readback
from aurora.runtime.verdict import SYSTEMD, Row, Verdict
from tests.unit.examples import EVERY, plan
from tests.unit.runtime.observed import ALLOWED, GROUPS, MORE, MOUNTS, STATUS, evidence, process

DROP_IN = "/etc/systemd/system/aurora@hello.service.d/override.conf"


def bad(seen: Readback) -> dict[str, Row]:
    return {row.name: row for row in rows_of(seen, GROUPS) if not row.good}


def held(**changed: object) -> Readback:
    healthy = evidence()
    return replace(healthy, held={**healthy.held, **changed})


def test_a_healthy_module_has_a_row_for_each_directive_and_all_are_enforced() -> None:
    rows = list(rows_of(evidence(), GROUPS))
    assert [row.name for row in rows] == sorted(evidence().plan.settings)
    assert {row.verdict for row in rows} == {Verdict.ENFORCED}


def test_the_plan_alone_proves_nothing() -> None:
    blind = evidence(held={}, cgroup={}, programs={}, process=process(status=None, mounts=None, namespaces=None))
    assert {row.verdict for row in rows_of(blind, GROUPS)} <= {Verdict.NOT_READ, Verdict.NOT_ENFORCED}


def test_without_the_machines_own_mounts_none_can_be_called_the_modules_own() -> None:
    found = bad(evidence(first=process(pid=1, mounts=None)))
    assert found["PrivateTmp"].verdict is Verdict.NOT_READ


def test_what_only_systemd_can_be_asked_says_so() -> None:
    rows = {row.name: row for row in rows_of(evidence(), GROUPS)}
    assert rows["Restart"].source == SYSTEMD
    assert rows["MemoryMax"].source == "memory.max"


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("memory.max", "max", "MemoryMax"),
        ("memory.max", "134217728", "MemoryMax"),
        ("memory.swap.max", "max", "MemorySwapMax"),
        ("cpu.max", "max 100000", "CPUQuota"),
        ("cpu.max", "40000 100000", "CPUQuota"),
        ("pids.max", "max", "TasksMax"),
    ],
)
def test_a_cgroup_file_that_is_not_as_declared_is_not_enforced(file: str, text: str, name: str) -> None:
    healthy = evidence()
    found = bad(replace(healthy, cgroup={**healthy.cgroup, file: text}))
    assert found.keys() == {name}
    assert found[name].verdict is Verdict.NOT_ENFORCED
    assert f"{file} is {text}" in found[name].why
    assert "though systemd holds" in found[name].why


def test_a_cgroup_file_that_is_not_there_is_no_limit() -> None:
    found = bad(evidence(cgroup={"cpu.max": "20000 100000", "pids.max": "16"}))
    assert found.keys() == {"MemoryMax", "MemorySwapMax"}
    assert found["MemoryMax"].effective == "no limit"


@pytest.mark.parametrize(("size", "pages"), [("10000001B", 2441), ("64M", 16384), ("1.5G", 393216)])
def test_the_kernel_counts_memory_in_whole_pages(size: str, pages: int) -> None:
    made = plan(MORE.replace("64M", size))
    for count, names in ((pages, set()), (pages + 1, {"MemoryMax"})):
        files = {**evidence().cgroup, "memory.max": str(count * 4096)}
        assert bad(evidence(made, cgroup=files)).keys() == names


@pytest.mark.parametrize(
    ("key", "value", "names"),
    [
        ("NoNewPrivs", "0", {"NoNewPrivileges"}),
        ("CapBnd", "0000000000200000", {"CapabilityBoundingSet"}),
        ("CapBnd", "0000000002000000", {"CapabilityBoundingSet", "ProtectClock"}),
        ("CapAmb", "0000000000000001", {"AmbientCapabilities"}),
        ("Uid", "0\t0\t0\t0", {"User", "DynamicUser"}),
        ("Uid", "65106\t65106\t65106\t65106", {"User"}),
        ("Umask", "0022", {"UMask"}),
    ],
)
def test_a_privilege_that_the_process_has_is_not_enforced(key: str, value: str, names: set[str]) -> None:
    found = bad(evidence(process=process(status={**STATUS, key: value})))
    assert found.keys() == names


@pytest.mark.parametrize("status", [{"Seccomp": "0", "Seccomp_filters": "0"}, {"Seccomp": "2", "Seccomp_filters": "1"}])
def test_too_few_seccomp_filters_are_noticed(status: dict[str, str]) -> None:
    found = bad(evidence(process=process(status={**STATUS, **status})))
    assert {"SystemCallFilter", "RestrictNamespaces", "MemoryDenyWriteExecute"} <= found.keys()


@pytest.mark.parametrize("label", ["unconfined", "aurora.hello (complain)", "aurora.other (enforce)", None])
def test_another_profile_or_mode_is_not_enforced(label: str | None) -> None:
    assert bad(evidence(process=process(label=label))).keys() == {"AppArmorProfile"}


def test_a_profile_of_the_same_name_and_another_content_is_not_enforced() -> None:
    assert "not the one" in bad(evidence(profile_differs=True))["AppArmorProfile"].why


@pytest.mark.parametrize(
    ("kind", "name"),
    [("net", "PrivateNetwork"), ("ipc", "PrivateIPC"), ("user", "PrivateUsers"), ("mnt", "PrivateMounts"),
     ("uts", "ProtectHostname")],
)  # fmt: skip
def test_a_namespace_that_is_the_machines_is_not_enforced(kind: str, name: str) -> None:
    own = dict(process().namespaces or {})
    own[kind] = f"{kind}:[4026531835]"
    assert bad(evidence(process=process(namespaces=own))).keys() == {name}


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        ("/ / ro,nosuid", "/ / rw,nosuid", {"ProtectSystem"}),
        ("0:46 / /home ro", "0:46 / /home rw", {"ProtectHome", "ProtectSystem"}),
        ("/systemd/inaccessible/reg /etc/shadow", "/etc/shadow /etc/shadow", {"InaccessiblePaths"}),
        ("0:40 / /boot ro", "0:40 / /elsewhere ro", {"TemporaryFileSystem"}),
        ("/sys ro,", "/sys rw,", {"ProtectKernelTunables"}),
        ("/sys/fs/cgroup ro,", "/sys/fs/cgroup rw,", {"ProtectControlGroups"}),
        ("hidepid=invisible,", "", {"ProtectProc"}),
        ("subset=pid", "x=y", {"ProcSubset", "ProtectKernelTunables"}),
        ("0:43 / /dev ro", "0:6 / /dev ro", {"PrivateDevices"}),
        ("/tmp rw,nosuid,nodev shared:121", "/elsewhere rw shared:121", {"PrivateTmp"}),
        ("/run/systemd/notify ro", "/run/systemd/notify rw", {"BindReadOnlyPaths", "ProtectSystem"}),
        ("/private/aurora/hello rw", "/private/aurora/hello ro", {"StateDirectory"}),
    ],
)
def test_a_mount_that_is_not_as_declared_is_not_enforced(before: str, after: str, names: set[str]) -> None:
    assert before in MOUNTS
    found = bad(evidence(process=process(mounts=parse_mounts(MOUNTS.replace(before, after)))))
    assert found.keys() == names
    assert {row.verdict for row in found.values()} == {Verdict.NOT_ENFORCED}


def test_a_place_that_can_be_written_beyond_the_declared_ones_is_named() -> None:
    more = MOUNTS + "\n160 108 254:0 /etc /etc rw,nosuid - ext4 /dev/vda rw"
    assert "/etc is writable" in bad(evidence(process=process(mounts=parse_mounts(more))))["ProtectSystem"].why


@pytest.mark.parametrize(
    ("attach", "names"),
    [(Attach.DEVICE, {"DevicePolicy"}), (Attach.INGRESS, {"IPAddressDeny"}), (Attach.EGRESS, {"IPAddressDeny"})],
)
def test_a_program_that_is_gone_is_not_enforced_and_one_that_cannot_be_asked_for_is_not_read(
    attach: Attach, names: set[str]
) -> None:
    gone = bad(evidence(programs={**dict.fromkeys(Attach, 1), attach: 0}))
    unread = bad(evidence(programs={**dict.fromkeys(Attach, 1), attach: None}))
    assert gone.keys() == unread.keys() == names
    assert {row.verdict for row in gone.values()} == {Verdict.NOT_ENFORCED}
    assert {row.verdict for row in unread.values()} == {Verdict.NOT_READ}


# What systemd holds


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MemoryMax", 2**64 - 1),
        ("CPUQuota", 2**64 - 1),
        ("RestrictNamespaces", 0x7E020000),
        ("Restart", "no"),
        ("RestartSec", 5),
        ("NoNewPrivileges", False),
        ("ProtectSystem", "full"),
        ("CapabilityBoundingSet", 1 << 21),
        ("RestrictAddressFamilies", [True, ["AF_UNIX", "AF_INET"]]),
        ("RestrictAddressFamilies", [False, []]),
        ("SystemCallFilter", [True, [*ALLOWED, "bpf"]]),
        ("SystemCallFilter", [False, []]),
        ("IPAddressDeny", []),
        ("IPAddressDeny", [[2, [10, 0, 0, 0], 8]]),
        ("InaccessiblePaths", ["-/lost+found"]),
        ("TemporaryFileSystem", [["/run", "ro"]]),
        ("AppArmorProfile", [True, "aurora.hello"]),
        ("AppArmorProfile", [False, "other"]),
        ("ExecStart", [["/bin/sh", ["/bin/sh"], [], 0, 0, 0, 0, 0, 0, 0]]),
        ("User", "root"),
        ("UMask", 0o022),
        ("Environment", ["PATH=/tmp"]),
    ],
)
def test_a_setting_that_systemd_has_loosened_for_the_next_start_is_noticed(name: str, value: object) -> None:
    found = bad(held(**{name: value}))
    assert found.keys() == {name}
    assert found[name].verdict is Verdict.NOT_ENFORCED
    assert "systemd holds" in found[name].why


def test_a_reload_that_has_loosened_something_leaves_the_running_process_tight_and_says_so() -> None:
    assert "from the next start on" in bad(held(MemoryMax=2**40))["MemoryMax"].why


def test_what_a_seccomp_filter_holds_is_not_claimed_for_the_running_process() -> None:
    assert "next start" not in bad(held(RestrictNamespaces=0x7E020000))["RestrictNamespaces"].why


def test_system_calls_that_this_architecture_has_not_may_be_missing() -> None:
    assert bad(held(SystemCallFilter=[True, ALLOWED[:-1]])) == {}


def test_without_the_groups_a_filter_is_not_read_rather_than_enforced() -> None:
    rows = {row.name: row for row in rows_of(evidence(), None)}
    assert rows["SystemCallFilter"].verdict is Verdict.NOT_READ


@pytest.mark.parametrize("name", sorted(DIRECTIVES.keys() & evidence().plan.settings.keys()))
@pytest.mark.parametrize("value", [None, {}, [1], [[1]], "?", -1])
def test_a_property_of_another_shape_is_never_enforced(name: str, value: Any) -> None:
    assert name in bad(held(**{name: value}))


# Drop-ins


def test_a_drop_in_that_overrides_is_named() -> None:
    seen = replace(held(MemoryMax=2**29), drop_ins={DROP_IN: {"MemoryMax": "512M"}})
    both = replace(seen, cgroup={**seen.cgroup, "memory.max": str(2**29)})
    for one in (seen, both):
        row = bad(one)["MemoryMax"]
        assert (row.verdict, row.drop_in) == (Verdict.OVERRIDDEN, DROP_IN)
        assert DROP_IN in row.why


def test_the_last_of_several_drop_ins_is_named() -> None:
    seen = replace(held(MemoryMax=2**29), drop_ins={"/a": {"MemoryMax": "1"}, "/b": {"MemoryMax": "2"}, "/c": {}})
    assert bad(seen)["MemoryMax"].drop_in == "/b"


def test_a_drop_in_that_says_what_was_declared_changes_nothing() -> None:
    assert bad(evidence(drop_ins={DROP_IN: {"MemoryMax": "64M"}})) == {}


def test_a_drop_in_that_takes_system_calls_away_is_an_override_too() -> None:
    seen = held(SystemCallFilter=[True, ALLOWED[:-1]])
    found = bad(replace(seen, drop_ins={DROP_IN: {"SystemCallFilter": "~read"}}))
    assert found["SystemCallFilter"].verdict is Verdict.OVERRIDDEN


def test_masks_are_shown_by_their_names() -> None:
    assert "CAP_SYS_ADMIN" in bad(held(CapabilityBoundingSet=1 << 21))["CapabilityBoundingSet"].why
    assert "systemd holds all" in bad(held(RestrictNamespaces=0x7E020000))["RestrictNamespaces"].why
    rows = {row.name: row for row in rows_of(evidence(), GROUPS)}
    assert (rows["RestrictNamespaces"].declared, rows["CapabilityBoundingSet"].declared) == ("uts", "none")


def test_what_a_drop_in_adds_beyond_the_plan_is_named() -> None:
    row = bad(evidence(drop_ins={DROP_IN: {"ReadWritePaths": "/etc"}}))["ReadWritePaths"]
    assert (row.verdict, row.effective, row.drop_in) == (Verdict.OVERRIDDEN, "/etc", DROP_IN)


def test_files_that_systemd_has_not_read_yet_are_noticed() -> None:
    assert "daemon-reload" in bad(evidence(stale=True))["unit files"].why


# Modules that do not run, machines that lack something


def test_a_module_that_does_not_run_is_judged_by_what_the_next_start_gets() -> None:
    down = evidence(process=None, active="inactive", cgroup={}, programs={})
    assert {row.verdict for row in rows_of(down, GROUPS)} == {Verdict.NOT_RUNNING}
    loosened = replace(down, held={**down.held, "MemoryMax": 2**64 - 1})
    assert bad(loosened).keys() == {"MemoryMax"}


@pytest.mark.parametrize(
    ("feature", "names"),
    [
        (Feature.MEMORY, {"MemoryMax", "MemorySwapMax"}),
        (Feature.APPARMOR, {"AppArmorProfile"}),
        (Feature.IP_FILTER, {"IPAddressDeny"}),
    ],
)
def test_what_the_owner_accepts_to_go_without_is_not_enforced(feature: Feature, names: set[str]) -> None:
    made = plan(MORE, facts=Facts(features=EVERY - {feature}, accepted=frozenset({feature})))
    found = bad(evidence(made))
    assert found.keys() == names
    assert {row.why for row in found.values()} == {f"this machine lacks {feature}, which its owner accepts"}


# Declared beyond the limits of most


RICH = plan(
    """
[limits]
memory_max = "64M"
memory_high = "48M"
cpu = "20%"
tasks = 16
cpu_weight = 50
io_weight = 60
io_read_max = "10M"
io_write_max = "5M"
[stop]
signal = "SIGINT"
[directories]
state = true
[order]
after = ["other"]
requires = ["first"]
"""
)
RICH_FILES = {
    **evidence().cgroup,
    "memory.high": "50331648",
    "cpu.weight": "50",
    "io.weight": "default 60",
    "io.max": "254:0 rbps=10485760 wbps=5242880 riops=max wiops=max",
}


def rich(**changed: object) -> Readback:
    healthy = evidence(RICH, cgroup=RICH_FILES, weights_work=True)
    return replace(healthy, held={**healthy.held, **changed})


def test_weights_bandwidth_order_and_stop_signal_are_read_back_too() -> None:
    assert bad(rich()) == {}
    implied = ["basic.target", *map(str, RICH.settings["After"]), "sysinit.target"]  # type: ignore[arg-type]  # a list
    assert bad(rich(After=implied)) == {}, "systemd adds units of its own"


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("memory.high", "max", "MemoryHigh"),
        ("cpu.weight", "100", "CPUWeight"),
        ("io.weight", "default 100", "IOWeight"),
        ("io.max", "", "IOReadBandwidthMax"),
        ("io.max", "254:0 rbps=max wbps=5242880 riops=max wiops=max", "IOReadBandwidthMax"),
        ("io.max", "254:0 rbps=10485760 wbps=9999999 riops=max wiops=max", "IOWriteBandwidthMax"),
    ],
)
def test_a_weight_or_bandwidth_that_is_not_as_declared_is_not_enforced(file: str, text: str, name: str) -> None:
    assert name in bad(replace(rich(), cgroup={**RICH_FILES, file: text}))


def test_an_io_weight_that_no_scheduler_looks_at_is_not_enforced() -> None:
    assert "looks at weights" in bad(replace(rich(), weights_work=False))["IOWeight"].why


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KillSignal", 9),
        ("After", ["basic.target"]),
        ("Requires", []),
        ("IOReadBandwidthMax", [["/var/lib", 1]]),
        ("IOWriteBandwidthMax", []),
    ],
)
def test_such_a_setting_that_systemd_has_loosened_is_noticed(name: str, value: object) -> None:
    assert bad(rich(**{name: value})).keys() == {name}


TIMED = plan('kind = "oneshot"\n[schedule]\ncalendar = "daily"\njitter = "10min"\ncatch_up = true\n')
TIMER: dict[str, object] = {
    "Description": TIMED.timer["Description"],
    "OnCalendar": [["OnCalendar", "*-*-* 00:00:00", 0]],
    "RandomizedDelaySec": 600_000_000,
    "AccuracySec": 1_000_000,
    "Persistent": True,
}


def timed(**changed: object) -> Readback:
    healthy = evidence(TIMED, process=None, active="inactive", timer_active=True, calendar="*-*-* 00:00:00")
    return replace(healthy, timer_held={**TIMER, **changed})


def test_a_schedule_is_compared_as_systemd_spells_it_out() -> None:
    rows = {row.name: row for row in rows_of(timed(), GROUPS)}
    assert bad(timed()) == {}
    assert rows["OnCalendar"].verdict is Verdict.ENFORCED
    assert rows["SystemCallFilter"].verdict is Verdict.NOT_RUNNING
    stopped = {row.name: row for row in rows_of(replace(timed(), timer_active=False), GROUPS)}
    assert stopped["OnCalendar"].verdict is Verdict.NOT_RUNNING


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OnCalendar", [["OnCalendar", "*-*-01 00:00:00", 0]]),
        ("OnCalendar", [["OnCalendar", "*-*-* 00:00:00", 0], ["OnCalendar", "hourly", 0]]),
        ("OnCalendar", []),
        ("RandomizedDelaySec", 0),
        ("Persistent", False),
    ],
)
def test_a_schedule_that_systemd_does_not_hold_as_declared_is_noticed(name: str, value: object) -> None:
    assert bad(timed(**{name: value})).keys() == {name}


def test_a_drop_in_of_the_timer_is_named() -> None:
    seen = timed(OnCalendar=[["OnCalendar", "*-*-* 00:00:00", 0], ["OnCalendar", "hourly", 0]])
    found = bad(replace(seen, timer_drop_ins={"/etc/t.conf": {"OnCalendar": "hourly", "Unit": "other.service"}}))
    assert {name: row.drop_in for name, row in found.items()} == {"OnCalendar": "/etc/t.conf", "Unit": "/etc/t.conf"}


def test_an_interval_is_compared_with_what_the_timer_counts_from() -> None:
    made = plan('kind = "oneshot"\n[schedule]\ninterval = "10min"\n')
    seen = evidence(made, process=None, timer_active=True)
    counted = [["OnActiveUSec", 0, 0], ["OnUnitActiveUSec", 600_000_000, 0]]
    plain = {name: value for name, value in made.timer.items() if not name.startswith("On")}
    good = replace(seen, timer_held={**plain, "OnActiveSec": counted, "OnUnitActiveSec": counted})
    assert bad(good) == {}
    slower = [["OnActiveUSec", 0, 0], ["OnUnitActiveUSec", 900_000_000, 0]]
    assert bad(replace(good, timer_held={**good.timer_held, "OnUnitActiveSec": slower})).keys() == {"OnUnitActiveSec"}


def test_credentials_that_are_not_in_view_are_not_enforced() -> None:
    made = replace(plan(MORE), settings={**plan(MORE).settings, "LoadCredential": ("key:/etc/aurora/key",)})
    held = {**evidence(made).held, "LoadCredential": [["key", "/etc/aurora/key"]]}
    assert bad(evidence(made, held=held)).keys() == {"LoadCredential"}
    place = "/run/credentials/aurora@hello.service"
    shown = f"{MOUNTS}\n170 110 0:70 / {place} ro,nosuid,nodev,noexec - tmpfs tmpfs rw,size=1024k"
    assert bad(evidence(made, held=held, process=process(mounts=parse_mounts(shown)))) == {}
