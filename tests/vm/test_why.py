"""A failure is told by its root cause, its record outlives the boot, and a module's safe state runs when it has to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import SLEEPER, VOLATILE, Core, Module, tidied, unit
from tests.vm.machine import Machine

NO_RESTART = '[restart]\npolicy = "no"\n'
SAFE = '[safe_state]\ncommand = ["safe.sh", "now"]\n'
SAFE_FILES = {"safe.sh": "#!/bin/sh\necho made safe: $1\n"}

OOM = Module(
    name="oom",
    entry="run.py",
    program="import os\nprint('eating', flush=True)\neaten = []\nwhile True:\n    eaten.append(os.urandom(1 << 20))\n",
    more='[limits]\nmemory_max = "32M"\n' + NO_RESTART,
)
HANGING = Module(
    name="hanging",
    entry="run.py",
    program="import time\nfrom aurora import sdk\nsdk.ready()\nprint('hanging', flush=True)\ntime.sleep(3600)\n",
    more='[start]\nreadiness = "notify"\n[watchdog]\ntimeout = "3s"\n[restart]\ndelay = "1h"\n' + SAFE,
    files=SAFE_FILES,
)
CRASHING = Module(
    name="crashing", program="#!/bin/sh\necho no such sensor\nexit 7\n", more=NO_RESTART + SAFE, files=SAFE_FILES
)
MISSING = Module(name="missing", program="#!/opt/nowhere/bin/tool\n", entry="tool", more=NO_RESTART)
DENIED = Module(name="denied", program="#!/bin/sh\ncat /etc/fstab || exit 9\n", more=NO_RESTART)
SILENT = Module(name="silent", more='[start]\nreadiness = "notify"\ntimeout = "4s"\n' + NO_RESTART)
KEEPER = Module(name="keeper")
GIVING_UP = Module(
    name="giving-up",
    program="#!/bin/sh\nexit 3\n",
    more='[restart]\ndelay = "100ms"\ndelay_max = "100ms"\ngive_up_after = 3\n[safe_state]\nmodule = "keeper"\n',
)
ORDINARY = Module(
    name="ordinary", program="#!/bin/sh\nexit 4\n", more='[restart]\ndelay = "1h"\n' + SAFE, files=SAFE_FILES
)
STUBBORN = Module(
    name="stubborn", program="#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n", more=SAFE, files=SAFE_FILES
)
POLITE = Module(name="polite", program=SLEEPER, more=SAFE, files=SAFE_FILES)

FAILING = (OOM, HANGING, CRASHING, MISSING, DENIED, SILENT, GIVING_UP, ORDINARY)
HOOKS = "'aurora-incident@*' 'aurora-safe*'"


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With every module that fails in its way, and two that do not, each of which has been started once."""
    with tidied(vm) as core:
        core.run("touch /etc/fstab")
        core.install_only(*FAILING, KEEPER, STUBBORN, POLITE)
        names = " ".join(module.name for module in (*FAILING, STUBBORN, POLITE))
        # As at boot: one that does not come up stays with systemd.
        core.run(f"auroractl enable {names}; auroractl apply || true")
        for module in FAILING:
            waits = module.name in ("hanging", "ordinary")
            core.wait_for(module.name, ActiveState="activating" if waits else "failed")
        settled(core)
        yield core


def settled(core: Core) -> None:
    """Return when no hook of ours is at work."""
    busy = f"systemctl list-units --no-legend --plain --state=activating,deactivating,active {HOOKS}"
    core.machine.wait_until(f'[ -z "$({busy})" ]', 240)


def why(core: Core, module: str, *, status: int = 3) -> dict[str, Any]:
    done = core.run(f"auroractl why {module} --json", check=False)
    assert done.returncode == status, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def safe_runs(core: Core, module: str) -> list[str]:
    """What the command of the module's safe state wrote."""
    matches = f"_SYSTEMD_UNIT=aurora-safe@{module}.service"
    return core.run(f"journalctl --sync; journalctl -q -o cat {matches}").stdout.splitlines()


@pytest.mark.parametrize(
    ("module", "cause", "sentence", "patch"),
    [
        ("oom", "out-of-memory", "it used more memory than limits.memory_max, 32M", ["[limits]", 'memory_max = "48M"']),
        ("hanging", "watchdog", "it did not say that it is alive for 3s", ["[watchdog]", 'timeout = "6s"']),
        ("crashing", "exited", "crashing ended with status 7", []),
        ("missing", "not-executable", "missing could not be executed", []),
        ("denied", "refused-access", "after AppArmor refused it open of /etc/fstab (r)",
         ["[sandbox]", 'grants = ["host.figures"]']),
        ("silent", "not-ready", "silent did not say that it is ready within 4s", ["[start]", 'timeout = "8s"']),
        ("giving-up", "exited", "ended with status 3; systemd gave up after 3 starts within 10min", []),
    ],
)  # fmt: skip
def test_the_root_cause_of_a_failure_is_told(
    core: Core, module: str, cause: str, sentence: str, patch: list[str]
) -> None:
    found = why(core, module)
    assert found["cause"] == cause
    assert sentence in found["sentence"]
    assert found["patch"] == patch
    assert found["failed"]


LOUD = Module(name="denied-too", program="#!/bin/sh\nwhile :; do cat /etc/fstab; sleep 0.2; done\n")


def test_what_is_refused_to_others_all_the_time_does_not_hide_what_was_refused_to_one(core: Core) -> None:
    core.install_only(LOUD)
    core.run("auroractl start denied-too")
    core.machine.wait_until("[ $(journalctl -k -q -g 'profile=.aurora.denied-too' | wc -l) -ge 30 ]", 60)
    before = core.show("denied", "InvocationID")
    core.run("auroractl start denied || true")
    core.wait_for("denied", ActiveState="failed")
    settled(core)
    core.run("systemctl stop aurora@denied-too")
    assert core.show("denied", "InvocationID") != before, "it ran again"
    found = why(core, "denied")
    assert (found["cause"], found["evidence"]["times"]) == ("refused-access", 2)
    assert [one["often"] for one in found["evidence"]["denials"]] == [1]


def test_for_people_it_is_a_sentence_then_evidence_then_what_to_do(core: Core) -> None:
    lines = core.run("auroractl why crashing || test $? -eq 3").stdout.splitlines()
    assert lines[0] == ('crashing ended with status 7; it is not started again, as restart.policy is "no".')
    assert "    no such sensor" in lines
    assert lines[-1].startswith("Try ")
    oom = core.run("auroractl why oom || test $? -eq 3").stdout
    assert "peak 32M of at most 32M; killed for memory: 1" in oom
    assert oom.endswith('In module.toml:\n    [limits]\n    memory_max = "48M"\n')
    assert "CAUSE" in core.run("auroractl why oom --all || test $? -eq 3").stdout


def test_what_has_not_failed_is_told_too(core: Core) -> None:
    assert why(core, "polite", status=0)["cause"] == "healthy"


def test_a_safe_state_runs_for_a_hang_and_where_systemd_gives_up(core: Core) -> None:
    for module, because in (("hanging", "watchdog"), ("crashing", "failed")):
        assert safe_runs(core, module) == ["made safe: now"], module
        shown = json.loads(core.run(f"auroractl status {module} --json || true").stdout)["safe_state"]
        assert (shown["because"], shown["ended"]) == (because, "well")
    assert core.show("keeper", "ActiveState") == {"ActiveState": "active"}, "giving-up has a module for it"


def test_no_safe_state_runs_at_an_ordinary_crash_or_a_clean_stop(core: Core) -> None:
    assert core.show("ordinary", "SubState")["SubState"] == "auto-restart"
    core.run("systemctl stop aurora@polite")
    settled(core)
    assert why(core, "polite", status=0)["cause"] == "stopped"
    for module in ("ordinary", "polite"):
        assert safe_runs(core, module) == []
        assert json.loads(core.run(f"auroractl status {module} --json || true").stdout)["safe_state"] is None


def test_a_safe_state_runs_where_a_module_is_stopped_by_force(core: Core) -> None:
    core.run("systemctl stop aurora@stubborn || true")
    core.wait_for("stubborn", ActiveState="failed")
    settled(core)
    assert why(core, "stubborn")["cause"] == "stopped-by-force"
    assert safe_runs(core, "stubborn") == ["made safe: now"]


def test_a_safe_state_has_the_sandbox_and_the_limits_of_its_module(core: Core) -> None:
    boxed = Module(
        name="boxed",
        program="#!/bin/sh\nexit 1\n",
        more='[limits]\nmemory_max = "24M"\n' + NO_RESTART + SAFE,
        files={
            "safe.sh": "#!/bin/sh\nid -u\ncat /proc/self/attr/current\ncat /sys/fs/cgroup/memory.max\n"
            "sed 's/.*:://' /proc/self/cgroup\ncat /etc/fstab || exit 6\n"
        },
    )
    core.install_only(boxed)
    core.run("systemctl start aurora-safe-state@boxed || true")
    core.machine.wait_until('auroractl status boxed --json | grep -q \'"ended": "badly"\'', 60)
    settled(core)
    said = safe_runs(core, "boxed")
    assert said[1] == "aurora.boxed (enforce)"
    assert 61184 <= int(said[0]) <= 65519  # a user that is made for it (DynamicUser= in systemd.exec(5))
    # Its own failure is an incident of its own, and starts nothing more.
    last = json.loads(core.run("auroractl why boxed --all --json || true").stdout)["incidents"]
    assert [one["evidence"]["safe_state"] for one in last] == [True]
    assert last[0]["sentence"].startswith("the safe state of boxed ended with status 6")


def test_a_full_disk_keeps_no_module_from_its_safe_state(core: Core) -> None:
    core.run("mount -t tmpfs -o size=4k,nr_inodes=1 full /var/lib/aurora-core/incidents")
    before = len(safe_runs(core, "crashing"))
    try:
        core.run("auroractl start crashing || true")
        core.wait_for("crashing", ActiveState="failed")
        core.machine.wait_until(
            f"[ $(journalctl -q -o cat _SYSTEMD_UNIT=aurora-safe@crashing.service | wc -l) -gt {before} ]", 90
        )
        settled(core)
        assert "could not be recorded" in core.run("journalctl -q -o cat -u aurora-incident@crashing -n 5").stdout
    finally:
        core.run("umount /var/lib/aurora-core/incidents")


STORM = Module(
    name="storm", program="#!/bin/sh\nexit 1\n", more='[restart]\npolicy = "always"\ndelay = "0s"\n[sandbox]\n'
)
STORM_MIN = 10


def test_a_storm_of_failures_leaves_nothing_behind(core: Core) -> None:
    core.install_only(STORM)
    core.run("auroractl start storm || true")
    core.machine.wait_until(f"[ $(systemctl show -P NRestarts {unit('storm')}) -ge {STORM_MIN} ]", 240)
    # Once two of them were alike, not every further one is looked at.
    core.machine.wait_until("journalctl -q -u aurora-incident@storm | grep -q 'Skipped due to .exec-condition'", 240)
    core.run("systemctl stop aurora@storm")
    settled(core)
    restarts = int(core.show("storm", "NRestarts")["NRestarts"])
    assert restarts >= STORM_MIN
    assert core.run("systemctl list-units --no-legend --plain --state=failed 'aurora-*'").stdout == ""
    assert int(core.run("systemctl list-units --all --no-legend --plain 'aurora-incident@storm*' | wc -l").stdout) <= 1
    kept = json.loads(core.run("auroractl why storm --all --json || true").stdout)["incidents"]
    assert 1 <= len(kept) <= 20
    assert sum(one["evidence"]["times"] for one in kept) <= restarts + 1
    assert int(core.run("stat -c %s /var/lib/aurora-core/incidents/storm").stdout) <= 20 * 4096


def test_what_is_purged_takes_its_incidents_along(core: Core) -> None:
    core.run("auroractl remove --purge oom")
    assert core.run("ls /var/lib/aurora-core/incidents").stdout.split().count("oom") == 0


@pytest.mark.deadline(900)
def test_an_incident_outlives_a_boot_and_a_volatile_journal(core: Core) -> None:
    core.run(f"mkdir -p {VOLATILE.rpartition('/')[0]} && printf '[Journal]\\nStorage=volatile\\n' >{VOLATILE}")
    core.install_only(CRASHING)
    core.run("systemctl restart systemd-journald && auroractl start crashing || true")
    core.machine.wait_until("test -s /var/lib/aurora-core/incidents/crashing", 120)
    settled(core)
    run = core.run("systemctl show -P InvocationID aurora@crashing").stdout.strip()
    of_that_run = f"journalctl -q -o cat _SYSTEMD_INVOCATION_ID={run} + INVOCATION_ID={run}"
    assert "no such sensor" in core.run(of_that_run).stdout
    core.machine.reboot()
    assert core.run(of_that_run).stdout == ""
    found = why(core, "crashing")
    assert found["sentence"].startswith("crashing ended with status 7")
    assert found["evidence"]["lines"] == ["no such sensor"]
    core.run(f"rm {VOLATILE} && systemctl restart systemd-journald")
