"""What a manifest declares under [limits] is what the module gets, and what becomes of it is its own affair."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, tidied, unit
from tests.vm.machine import Machine

HOG = Module(
    name="hog",
    entry="run.py",
    program="""
import os

print("starting to eat", flush=True)
eaten = []
while True:
    eaten.append(bytearray(os.urandom(1 << 20)))
""",
    more='[limits]\nmemory_max = "32M"\n[restart]\npolicy = "no"\n',
)

# Two loops would take two whole processors.
BUSY = Module(
    name="busy",
    program="#!/bin/sh\nwhile :; do :; done &\nwhile :; do :; done\n",
    more='[limits]\ncpu = "20%"\n',
)
BUSY_SHARE = 0.20

# Each of its processes forks for ever, and begins anew when it may not.
BOMB = Module(
    name="bomb",
    entry="run.py",
    program="""
import os

print("lit", flush=True)
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
    more="[limits]\ntasks = 24\n",
)
BOMB_TASKS = 24

BYSTANDER = Module(name="bystander", program='#!/bin/sh\nn=0\nwhile sleep 0.2; do n=$((n+1)); echo "beat $n"; done\n')

MEASURE_SHARE = """
import time, sys
def used_usec():
    with open(sys.argv[1]) as stat:
        return int(next(line for line in stat if line.startswith("usage_usec")).split()[1])
begun, before = time.monotonic(), used_usec()
time.sleep(15)
after, ended = used_usec(), time.monotonic()
print((after - before) / 1e6 / (ended - begun))
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install(BYSTANDER)
        core.install_only(HOG, BUSY, BOMB)
        yield core


def test_a_memory_hog_ends_in_its_own_unit_and_nothing_else_does(core: Core) -> None:
    others = core.running_services()
    core.run("auroractl start hog")
    core.wait_for("hog", ActiveState="failed")

    assert core.show("hog", "Result", "NRestarts") == {"Result": "oom-kill", "NRestarts": "0"}
    assert core.said("hog") == ["starting to eat"]
    # The service's own cgroup went with it; that of its slice counts what happened below.
    events = core.run("cat /sys/fs/cgroup/aurora.slice/aurora-hog.slice/memory.events").stdout.split()
    assert int(events[events.index("oom_kill") + 1]) >= 1
    beside = core.cgroup("bystander", "memory.events")["memory.events"].split()
    assert beside[beside.index("oom_kill") + 1] == "0"
    now = core.running_services()
    assert unit("bystander") in others
    assert {name: now.get(name) for name in others} == others


def test_the_owner_sees_why_a_memory_hog_ended(core: Core) -> None:
    done = core.run("auroractl status hog", check=False)
    assert done.returncode == 3
    assert "oom-kill" in done.stdout
    assert "oom-kill" in core.run("systemctl status --no-pager aurora@hog || true").stdout


def test_a_busy_loop_is_held_to_its_share(core: Core) -> None:
    core.run("auroractl start busy")
    group = f"/sys/fs/cgroup/aurora.slice/aurora-busy.slice/{unit('busy')}"
    measured = core.machine.run(f"python3 - {group}/cpu.stat", input=MEASURE_SHARE).stdout
    core.run("auroractl stop busy")
    assert float(measured) == pytest.approx(BUSY_SHARE, abs=0.03)


def test_a_fork_bomb_is_held_and_the_machine_answers(core: Core) -> None:
    run, beats = core.invocations("bystander")["bystander"], len(core.said("bystander"))
    core.run("auroractl start bomb")
    group = f"/sys/fs/cgroup/aurora.slice/aurora-bomb.slice/{unit('bomb')}"
    core.machine.wait_until(f'[ "$(cat {group}/pids.current)" -eq {BOMB_TASKS} ]', 60)

    # All of this happens while the bomb goes on.
    seen = core.run(
        f"""
        for i in $(seq 20); do cat {group}/pids.current; sleep 0.1; done
        systemctl is-active {unit("bystander")} {unit("bomb")} ssh.service
        auroractl list >/dev/null
        """,
        timeout_sec=60,
    ).stdout.split()
    assert all(int(tasks) <= BOMB_TASKS for tasks in seen[:20])
    assert seen[20:] == ["active", "active", "active"]
    assert int(core.cgroup("bomb", "pids.events")["pids.events"].split()[1]) > 0
    assert core.invocations("bystander")["bystander"] == run
    core.machine.wait_until(f"[ $(journalctl -q -o cat -u {unit('bystander')} | grep -c beat) -gt {beats + 5} ]", 60)

    # It does not outrun its end either.
    core.run("auroractl stop bomb", timeout_sec=90)
    assert core.run(f"cat {group}/pids.current 2>/dev/null || echo none").stdout == "none\n"
