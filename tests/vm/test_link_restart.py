"""AuroraLink restarted under a thousand clients: none of them notices, and whoever is to notice an end does."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vm.core import Core, Module, tidied
from tests.vm.machine import Machine

HUB = "aurora-link.service"
FLEET = "/var/lib/aurora-test/fleet.py"
DEB = "/var/lib/aurora-test/deb/aurora-core_*.deb"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0"
RESTART = f"systemctl restart {HUB}"
GOING_AWAY = "880203e9"
"""A close frame of WebSocket with the code 1001."""

# Answers a request with how often it was answered since it connected.
COUNTER = Module(
    name="counter",
    entry="run.py",
    program="""
from aurora import sdk

count = 0
with sdk.link() as link:
    link.serve("count")
    sdk.ready()
    for _ in sdk.heartbeat(0.1):
        for request in link.messages(within_sec=1.0):
            count += 1
            link.reply(request, count)
""",
    more='[start]\nreadiness = "notify"\n[link]\nserve = ["count"]\n',
)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        vm.push(Path(__file__).parent / "fleet.py", FLEET)
        core.run("groupadd -f --system aurora")
        yield core
        core.run("groupdel aurora")


def seen(core: Core, *arguments: str) -> dict[str, Any]:
    """What the fleet saw."""
    said = core.run(f"python3 {FLEET} {shlex.join(arguments)}", timeout_sec=750).stdout
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    print(found)
    return found


def check_that_nobody_noticed(found: dict[str, Any], restarts: int) -> None:
    assert found["faults"] == []
    assert found["read"] == found["expected"] > 0, "all that was acknowledged is read, once"
    assert found["answer"] == "in the end", "a request that waited all the time is answered"
    assert found["kept"] == "kept by the hub alone"
    assert len({hub["pid"] for hub in found["hubs"]}) == restarts + 1


def left_in_the_store(core: Core) -> str:
    return core.run(f"systemctl show -P NFileDescriptorStore {HUB}").stdout.strip()


@pytest.mark.deadline(900)
def test_a_thousand_clients_notice_no_restart(core: Core) -> None:
    found = seen(core, "1000", "400", *[RESTART] * 4)
    check_that_nobody_noticed(found, 4)
    assert left_in_the_store(core) == "0"
    failed = core.run(f"journalctl -q -o cat -u {HUB} --since -15min | grep -c 'is dropped' || true").stdout
    assert failed == "0\n"


@pytest.mark.deadline(900)
def test_no_client_notices_that_the_package_is_installed_anew(core: Core) -> None:
    check_that_nobody_noticed(seen(core, "100", "200", f"{APT} reinstall {DEB}"), 1)


def test_a_module_serves_on_as_itself(core: Core) -> None:
    core.install(COUNTER)
    said = [core.run(f"auroractl link req count null && {RESTART}").stdout for _ in range(3)]
    assert said == ["1\n", "2\n", "3\n"]
    assert json.loads(core.run("auroractl link clients --json").stdout)["modules"] == {"counter": 1}
    core.run("auroractl remove --purge counter")


def test_a_stop_ends_every_connection_and_says_so(core: Core) -> None:
    found = seen(core, "ends", f"systemctl stop {HUB}")
    assert found["last"] == {"": 40, GOING_AWAY: 10}
    assert left_in_the_store(core) == "0"


def test_a_hub_that_is_killed_leaves_nobody_in_silence(core: Core) -> None:
    found = seen(core, "ends", f"systemctl kill -s KILL {HUB}")
    assert found["last"] == {"": 50}
    core.machine.wait_until(f'[ "$(systemctl show -P ActiveState {HUB})" = active ]', 60)
    core.run("auroractl link pub first 1")


def test_a_hub_that_ends_by_itself_leaves_nothing_behind(core: Core) -> None:
    core.run(f"auroractl link pub first 1 && {RESTART}")
    core.machine.wait_until(f'[ "$(systemctl show -P ActiveState {HUB})" = inactive ]', 120)
    assert core.run(f"systemctl show -P Result {HUB}").stdout == "success\n"
    assert left_in_the_store(core) == "0"
