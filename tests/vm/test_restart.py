"""A module that hangs, dies or crashes is started again, as its manifest says and no faster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, tidied
from tests.vm.machine import Machine

# Feeds its watchdog, and at its first start soon stops to.
HANGING = Module(
    name="hanging",
    entry="run.py",
    program="""
import time

from aurora import sdk

mark = sdk.state_directory() / "hung"
sdk.ready()
for turn, _ in enumerate(sdk.heartbeat(0.3)):
    if turn == 5 and not mark.exists():
        mark.touch()
        print("hanging", flush=True)
        time.sleep(3600)
""",
    more="""
[start]
readiness = "notify"
[watchdog]
timeout = "4s"
[restart]
delay = "100ms"
delay_max = "1s"
[directories]
state = true
""",
)
WATCHDOG_SEC = 4

KILLED = Module(name="killed", more='[restart]\npolicy = "always"\ndelay = "100ms"\ndelay_max = "1s"\n')

CRASHING = Module(
    name="crashing",
    program="#!/bin/sh\necho started\nexit 7\n",
    more="""
[restart]
delay = "500ms"
delay_max = "4s"
steps = 3
give_up_after = 6
""",
)
CRASHING_WAITS_SEC = (0.5, 1, 2, 4, 4)
"""Between its six starts: from delay to delay_max in three steps, by the same factor each time."""

EXITED = "98e322203f7a4ed290d09fe03c09fe15"  # sd-messages.h: SD_MESSAGE_UNIT_PROCESS_EXIT
RESTARTING = "5eb03494b6584870a536b337290809b3"  # SD_MESSAGE_UNIT_RESTART_SCHEDULED


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install(HANGING, KILLED)
        yield core


def test_a_hung_module_is_killed_by_its_watchdog_and_started_again(core: Core) -> None:
    core.wait_for("hanging", NRestarts="1", ActiveState="active")
    starts = [event for event in core.events("hanging") if event.get("JOB_RESULT") == "done"]
    runs = list(dict.fromkeys(event["INVOCATION_ID"] for event in core.events("hanging")))
    assert len(runs) == 2
    assert core.invocations("hanging") == {"hanging": runs[1]}
    assert "hanging" in core.said("hanging", runs[0])
    assert any("Watchdog timeout" in event["MESSAGE"] for event in core.events("hanging"))
    assert starts


def test_a_module_that_feeds_its_watchdog_is_left_alone(core: Core) -> None:
    core.wait_for("hanging", NRestarts="1", ActiveState="active")
    run = core.invocations("hanging")
    began_usec = int(core.show("hanging", "ActiveEnterTimestampMonotonic")["ActiveEnterTimestampMonotonic"])
    later_sec = began_usec / 1e6 + 3 * WATCHDOG_SEC
    core.machine.wait_until(f"awk '{{exit $1 < {later_sec}}}' /proc/uptime", 60)
    assert core.invocations("hanging") == run


def test_a_killed_module_is_started_again(core: Core) -> None:
    before = core.show("killed", "InvocationID", "MainPID")
    core.run("systemctl kill --signal=KILL aurora@killed")
    core.wait_for("killed", NRestarts="1", ActiveState="active")
    after = core.show("killed", "InvocationID", "MainPID")
    assert before["InvocationID"] != after["InvocationID"]
    assert before["MainPID"] != after["MainPID"]
    assert core.run("auroractl status killed --json").stdout.count('"restarts": 1') == 1


def test_a_crash_loop_backs_off_as_declared_and_gives_up(core: Core) -> None:
    core.install_only(CRASHING)
    core.run("auroractl start crashing")
    core.wait_for("crashing", ActiveState="failed", SubState="failed")

    events = core.events("crashing")
    ends = [int(event["__MONOTONIC_TIMESTAMP"]) for event in events if event.get("MESSAGE_ID") == EXITED]
    restarts = [int(event["__MONOTONIC_TIMESTAMP"]) for event in events if event.get("MESSAGE_ID") == RESTARTING]
    assert len(ends) == len(CRASHING_WAITS_SEC) + 1
    waited_sec = [(began - ended) / 1e6 for ended, began in zip(ends, restarts, strict=False)]
    for waited, declared in zip(waited_sec, CRASHING_WAITS_SEC, strict=False):
        assert 0.95 * declared <= waited <= 1.25 * declared + 1, waited_sec

    assert core.said("crashing") == ["started"] * 6
    shown = core.show("crashing", "Result", "NRestarts", "ExecMainStatus", "Job")
    assert shown["ExecMainStatus"] == "7"
    assert shown.get("Job", "") in ("", "0")  # nothing more is to come
    done = core.run("auroractl status crashing", check=False)
    assert done.returncode == 3
    assert "failed" in done.stdout


def test_a_module_that_gave_up_starts_when_its_owner_says_so(core: Core) -> None:
    core.wait_for("crashing", ActiveState="failed")
    starts = len(core.said("crashing"))
    core.run("auroractl start crashing")
    core.machine.wait_until(f"[ $(journalctl -q -o cat -u aurora@crashing | grep -c ^started) -gt {starts} ]", 30)
    core.run("auroractl stop crashing")
