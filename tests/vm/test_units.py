"""Modules are units like any other: systemctl works on them, reboots bring them back, nothing of ours stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, folder, tidied, unit
from tests.vm.machine import Machine

LIMITED = """
[limits]
cpu = "30%"
memory_max = "40M"
tasks = 12
[directories]
state = true
"""

ALPHA = Module(name="alpha", more=LIMITED, program='#!/bin/sh\necho "up $(ls $STATE_DIRECTORY)"\nexec sleep inf\n')
BETA = Module(name="beta")
STOPPED = Module(name="stopped-one")

KEPT = (
    "AppArmorProfile,CPUQuotaPerSecUSec,CapabilityBoundingSet,Delegate,DeviceAllow,DevicePolicy,DynamicUser,"
    "Environment,ExecStart,IPAddressAllow,IPAddressDeny,InaccessiblePaths,KeyringMode,LockPersonality,"
    "BindReadOnlyPaths,MemoryDenyWriteExecute,MemoryHigh,MemoryMax,MemorySwapMax,NoNewPrivileges,PrivateDevices,"
    "PrivateIPC,PrivateMounts,PrivateNetwork,PrivateTmp,PrivateUsers,ProcSubset,ProtectClock,ProtectControlGroups,"
    "ProtectHome,ProtectHostname,ProtectKernelLogs,ProtectKernelModules,ProtectKernelTunables,ProtectProc,"
    "ProtectSystem,RemoveIPC,Restart,RestartMaxDelayUSec,RestartSteps,RestartUSec,RestrictAddressFamilies,"
    "RestrictNamespaces,RestrictRealtime,RestrictSUIDSGID,Slice,StateDirectory,SystemCallArchitectures,"
    "SystemCallErrorNumber,SystemCallFilter,TasksMax,TemporaryFileSystem,Type,UMask,User,WatchdogUSec,"
    "WorkingDirectory"
)
"""What must not change while a module is installed."""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install(ALPHA, STOPPED)
        core.install_only(BETA)
        core.run("auroractl start beta")
        yield core


@pytest.fixture
def alpha_is_up(core: Core) -> None:
    core.run("systemctl start aurora@alpha")


def kept_properties(core: Core) -> dict[str, str]:
    """All that the plan decides; of the command only the command, not when it ran."""
    found = core.show("alpha", *KEPT.split(","))
    found["ExecStart"] = found["ExecStart"].partition(" ; start_time")[0]
    for name in ("IPAddressAllow", "IPAddressDeny"):  # sets: systemd prints them in the order of its hash table
        found[name] = " ".join(sorted(found[name].split()))
    assert len(found) == len(KEPT.split(",")), "systemd knows each of them"
    return found


@pytest.mark.usefixtures("alpha_is_up")
def test_systemctl_stops_starts_and_restarts_a_module(core: Core) -> None:
    before, first = kept_properties(core), core.invocations("alpha")
    assert before["MemoryMax"] == str(40 << 20)

    core.run("systemctl stop aurora@alpha")
    assert core.run("systemctl is-active aurora@alpha || true").stdout == "inactive\n"
    core.run("systemctl start aurora@alpha")
    second = core.invocations("alpha")
    core.run("systemctl restart aurora@alpha")
    third = core.invocations("alpha")

    assert len({*first.values(), *second.values(), *third.values()}) == 3
    status = core.run("systemctl status --no-pager aurora@alpha").stdout
    assert "active (running)" in status
    assert "(limit: 12)" in status
    assert "max: 40M" in status
    assert kept_properties(core) == before


@pytest.mark.usefixtures("alpha_is_up")
@pytest.mark.parametrize("command", ["daemon-reload", "daemon-reexec"])
def test_a_module_keeps_all_it_was_given_when_systemd_reads_its_units_anew(core: Core, command: str) -> None:
    before, run = kept_properties(core), core.invocations("alpha")
    core.run(f"systemctl {command}")
    assert core.invocations("alpha") == run, "it goes on undisturbed"
    core.run("systemctl restart aurora@alpha")
    assert kept_properties(core) == before
    core.run("systemctl stop aurora@alpha && systemctl start aurora@alpha")
    assert kept_properties(core) == before
    assert core.run("systemctl is-active aurora@alpha").stdout == "active\n"


@pytest.mark.usefixtures("alpha_is_up")
def test_an_owners_drop_in_overrides_the_manifest(core: Core) -> None:
    drop_in = f"/etc/systemd/system/{unit('alpha')}.d"
    core.run(
        f"""
        mkdir -p {drop_in}
        printf '[Service]\\nMemoryMax=24M\\nEnvironment=OWNER=here\\n' >{drop_in}/override.conf
        systemctl daemon-reload
        systemctl restart aurora@alpha
        """
    )
    assert core.cgroup("alpha", "memory.max")["memory.max"] == str(24 << 20)
    assert "OWNER=here" in core.show("alpha", "Environment")["Environment"]
    assert f"{drop_in}/override.conf" in core.run("systemctl status --no-pager aurora@alpha").stdout.replace(
        "\n             └─", "/"
    )
    assert "of 24M" in core.run("auroractl status alpha").stdout, "what is in force is shown, not what was declared"

    core.run(f"rm -r {drop_in} && systemctl daemon-reload && systemctl restart aurora@alpha")
    assert core.cgroup("alpha", "memory.max")["memory.max"] == str(40 << 20)


@pytest.mark.usefixtures("alpha_is_up")
def test_a_reload_of_the_core_restarts_what_changed_and_only_that(core: Core) -> None:
    before = core.invocations("alpha", "beta", "stopped-one")
    core.run("systemctl reload aurora-core")
    assert core.invocations("alpha", "beta", "stopped-one") == before, "nothing changed"

    core.install_only(Module(name="beta", version="2.0", more='[limits]\nmemory_max = "50M"\n'))
    assert core.invocations("beta")["beta"] == before["beta"], "it runs on until it is told otherwise"
    core.run("systemctl reload aurora-core")

    after = core.invocations("alpha", "beta", "stopped-one")
    assert after["beta"] != before["beta"]
    assert core.cgroup("beta", "memory.max")["memory.max"] == str(50 << 20)
    del before["beta"], after["beta"]
    assert after == before


@pytest.mark.usefixtures("alpha_is_up")
def test_a_changed_address_that_no_module_follows_is_heard_and_does_not_keep_anything_busy(core: Core) -> None:
    # /proc/net/netlink: family, groups that are heard, bytes that wait to be read.
    waiting = "awk '$2 == 0 && $4 == \"00000110\" {print $5}' /proc/net/netlink"
    runs = "systemctl show -P ConditionTimestampMonotonic aurora-networks.service"
    assert core.run(waiting).stdout == "0\n"
    before = core.run(runs).stdout.strip()
    core.run("ip link add aurora1 type dummy && ip address add 10.78.0.1/24 dev aurora1")
    try:
        core.machine.wait_until(f"[ $({runs}) != {before} ]", 60)
        idle = "[ $(systemctl show -P ActiveState aurora-networks.service) = inactive ]"
        core.machine.wait_until(f'{idle} && [ "$({waiting})" = 0 ]', 60)
    finally:
        core.run("ip link delete aurora1")


def test_a_policy_that_its_owner_tightens_reaches_the_modules_at_the_next_reload(core: Core) -> None:
    core.put(Module(name="alpha", version="1.1", more=LIMITED + '[sandbox]\npolicy = "house"\n'))
    core.run(
        f"""
        mkdir -p /etc/aurora/policies
        cp /usr/share/aurora/policies/strict.toml /etc/aurora/policies/house.toml
        auroractl install {folder("alpha")}
        """
    )
    before = core.invocations("alpha", "beta")
    assert core.show("alpha", "ProtectHome")["ProtectHome"] == "tmpfs"
    core.run("sed -i '/^ProtectHome/s/tmpfs/yes/' /etc/aurora/policies/house.toml")
    core.run("systemctl reload aurora-core")
    after = core.invocations("alpha", "beta")
    assert after["alpha"] != before["alpha"]
    assert after["beta"] == before["beta"]
    assert core.show("alpha", "ProtectHome")["ProtectHome"] == "yes"
    core.put(ALPHA)
    core.run(f"auroractl install {folder('alpha')}; rm -r /etc/aurora/policies")


@pytest.fixture(scope="module")
def rebooted(core: Core) -> Core:
    """The machine after a reboot; alpha and stopped-one are enabled, of which the latter was stopped by hand."""
    core.run(
        f"""
        systemctl start aurora@alpha aurora@beta
        echo kept >/var/lib/private/aurora/alpha/note
        auroractl enable alpha stopped-one
        auroractl disable beta
        systemctl stop aurora@stopped-one
        systemctl is-active {unit("alpha")} {unit("beta")}
        """
    )
    core.machine.reboot()
    return core


@pytest.mark.deadline(900)
def test_enabled_modules_are_back_after_a_reboot_and_others_are_not(rebooted: Core) -> None:
    shown = rebooted.show_all(["alpha", "beta", "stopped-one"], "ActiveState", "LoadState")
    assert shown["alpha"]["ActiveState"] == "active"
    assert shown["stopped-one"]["ActiveState"] == "active"
    assert shown["beta"] == {"ActiveState": "inactive", "LoadState": "not-found"}
    assert rebooted.cgroup("alpha", "memory.max")["memory.max"] == str(40 << 20)
    listed = rebooted.listed()
    assert {name: row["enabled"] for name, row in listed.items()} == {
        "alpha": True,
        "beta": False,
        "stopped-one": True,
    }


def test_a_module_has_its_state_again_after_a_reboot(rebooted: Core) -> None:
    assert rebooted.said("alpha", rebooted.invocations("alpha")["alpha"]) == ["up note"]


def test_the_machine_is_well_after_a_reboot(rebooted: Core) -> None:
    assert rebooted.run("systemctl is-system-running || true").stdout == "running\n"
    shown = rebooted.run("systemctl show -p ActiveState,SubState,Result,MainPID aurora-core.service").stdout
    assert set(shown.split()) == {"ActiveState=active", "SubState=exited", "Result=success", "MainPID=0"}


def test_nothing_of_ours_is_resident(rebooted: Core) -> None:
    # Our own commands run below ssh.service; a module is not ours.
    processes = rebooted.run("ps -ww -eo cgroup:300=,args=").stdout.splitlines()
    others = [line for line in processes if "/ssh.service " not in line and "/aurora.slice/" not in line]
    assert len(processes) - len(others) >= 3, "two modules and this command are told from the rest"
    assert any("systemd-journald" in line for line in others)
    assert not [line for line in others if "aurora" in line]
    listening = rebooted.run("systemctl is-active aurora-link.socket aurora-link-websocket.socket").stdout
    assert listening == "active\nactive\n", "systemd listens, and no hub runs"
