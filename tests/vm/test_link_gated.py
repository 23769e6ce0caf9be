"""AuroraLink: what a manifest names for approval waits for a human, and who talks is seen live."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

# Says what it is told to do.
DOOR = Module(
    name="door",
    entry="run.py",
    program="""
from aurora import sdk

with sdk.link() as link:
    link.serve("door/set")
    link.subscribe("door/open")
    sdk.ready()
    for _ in sdk.heartbeat(0.1):
        for message in link.messages(within_sec=1.0):
            print(message["type"], message["from"], message["data"], flush=True)
            if message["type"] == "req":
                link.reply(message, "done")
""",
    more="""[start]
readiness = "notify"
[link]
serve = ["door/set"]
subscribe = ["door/open"]
approve = ["door/set", "door/open"]
""",
)
# Wants the door opened as soon as it is up, says what it is told, and talks all the time.
ROBOT = Module(
    name="robot",
    entry="run.py",
    program="""
import json, os, socket

link = socket.socket(socket.AF_UNIX)
link.connect(os.environ["AURORA_LINK"].removeprefix("unix:"))
link.settimeout(0.1)
for number in (1, 2):
    link.sendall(json.dumps({"topic": "door/open", "data": number, "id": f"p{number}", "retain": True}).encode())
    link.sendall(b"\\n")
link.sendall(b'{"type":"req","topic":"door/set","id":"q","deadline_ms":60000,"data":3}\\n')
while True:
    link.sendall(b'{"topic":"robot/tick","data":1}\\n')
    try:
        said = link.recv(65536)
    except TimeoutError:
        continue
    if not said:
        break
    print(said.decode(), end="", flush=True)
""",
    more='[link]\npublish = ["door/open", "robot/tick"]\nrequest = ["door/set"]\n',
)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install(DOOR, ROBOT)
        yield core


def told(core: Core, count: int) -> dict[str, dict[str, Any]]:
    """What the run of robot that goes on was answered, by the messages' ids, once it is so much."""
    run = core.invocations("robot")["robot"]
    shown = f"journalctl -q -o cat _SYSTEMD_INVOCATION_ID={run}"
    core.machine.wait_until(f'[ "$({shown} | grep -c type)" -ge {count} ]', 120)
    said = [json.loads(line) for line in core.said("robot", run) if line.startswith("{")]
    return {one["id"]: one for one in said}


def waiting(core: Core) -> dict[str, str]:
    """Approval -> topic, of all that wait."""
    found = json.loads(core.run("auroractl link approvals --json").stdout)
    return {one["id"]: one["topic"] for one in found["waiting"]}


def heard(core: Core) -> list[str]:
    """What door was told, by whom, so far."""
    return [line for line in core.said("door") if line.startswith(("pub ", "req "))]


def test_check_says_it_in_plain_words(core: Core) -> None:
    said = core.run(f"auroractl check {folder('door')}").stdout
    assert "Have what any module sends to door/open wait for somebody's approval" in said


def test_what_another_modules_manifest_names_waits_and_passes_or_not_as_an_operator_says(core: Core) -> None:
    acks = told(core, 3)
    assert {(one["type"], "approval" in one) for one in acks.values()} == {("ack", True)}
    first, second, asked = (acks[one]["approval"] for one in ("p1", "p2", "q"))
    assert waiting(core) == {first: "door/open", second: "door/open", asked: "door/set"}
    assert heard(core) == []
    core.run(f"auroractl link deny {first}")
    core.run(f"auroractl link approve {second}")
    core.run(f"auroractl link approve {asked}")
    core.machine.wait_until("journalctl -q -o cat -u aurora@door | grep -q '^req robot 3'", 60)
    assert heard(core) == ["pub robot 2", "req robot 3"]
    answers = told(core, 6)
    assert (answers["p1"]["type"], answers["p1"]["code"]) == ("error", "denied")
    assert "user:root denied it" in answers["p1"]["text"]
    assert answers["p2"] == {"type": "ack", "id": "p2"}
    assert (answers["q"]["type"], answers["q"]["data"]) == ("rep", "done")
    assert waiting(core) == {}


def test_what_an_operator_sends_passes_at_once(core: Core) -> None:
    core.run("auroractl link pub door/open '\"mine\"'")
    core.machine.wait_until("journalctl -q -o cat -u aurora@door | grep -q '^pub user:root mine'", 60)


def test_it_waits_also_while_the_module_that_gets_it_does_not_run(core: Core) -> None:
    core.run("systemctl stop aurora@door; auroractl link pub --retain door/open null")
    core.run("systemctl restart aurora-link.service; systemctl restart aurora@robot")
    acks = told(core, 3)
    assert ["approval" in acks[one] for one in ("p1", "p2", "q")] == [True] * 3
    before = len(heard(core))
    core.run("systemctl start aurora@door && auroractl link pub door/open '\"now\"'")
    core.machine.wait_until("journalctl -q -o cat -u aurora@door | grep -q '^pub user:root now'", 60)
    assert heard(core)[before:] == ["pub user:root now"], "nothing was kept for it meanwhile"
    assert len(waiting(core)) == 3


def test_another_version_of_it_leaves_no_moment_without(core: Core) -> None:
    """Robot begins anew again and again while door is replaced: each of its messages waits, in every run."""
    core.put(Module(name="door", entry="run.py", program=DOOR.program, version="2.0", more=DOOR.more))
    since = core.run("date +%s").stdout.strip()
    # The hub looks at what is to be approved when a module connects, which each run does some time after its start.
    robot = "systemctl reset-failed aurora@robot; systemctl restart aurora@robot"
    again = f"while [ ! -e /run/enough ]; do {robot}; sleep 2; done"
    core.run(f"({again}) & auroractl install {folder('door')}; touch /run/enough; wait; rm /run/enough")
    assert core.listed()["door"]["version"] == "2.0"
    lines = core.run(f"journalctl -q -o cat -u aurora@robot --since @{since} | grep '^{{'").stdout.splitlines()
    acks = [json.loads(line) for line in lines if '"ack"' in line]
    assert len(acks) >= 3
    assert [one for one in acks if "approval" not in one] == []


def test_it_is_over_with_the_removal_of_the_module(core: Core) -> None:
    core.run("auroractl remove --purge door; systemctl reset-failed aurora@robot; systemctl restart aurora@robot")
    answers = told(core, 3)
    assert answers["p1"] == {"type": "ack", "id": "p1"}
    assert answers["q"]["code"] == "no-server"


def test_which_modules_are_up_is_told_as_systemd_has_it(core: Core) -> None:
    """Of all modules, also of those that have nothing to do with AuroraLink; a crash is seen, and the run after it."""
    core.install(Module(name="plain", more='[restart]\ndelay = "30s"\n'))
    sub = "auroractl link sub '$sys/modules/plain/state' --count 4 --within 400 --json"
    core.run(f"{sub} >/run/states 2>&1 </dev/null &")
    seen = "[ $(wc -l </run/states) -ge {} ]"
    core.machine.wait_until(seen.format(1), 60)
    run = core.invocations("plain")["plain"]
    core.run("systemctl kill --signal KILL aurora@plain")
    core.machine.wait_until(seen.format(2), 60)
    core.wait_for("plain", ActiveState="active")
    core.machine.wait_until(seen.format(3), 60)
    core.run("systemctl stop aurora@plain")
    core.machine.wait_until(seen.format(4), 60)
    lines = core.run("cat /run/states").stdout.splitlines()
    states = [json.loads(line)["data"] for line in lines]
    assert [one["state"] for one in states] == ["up", "down", "up", "down"]
    assert states[0]["run"] == run != states[2]["run"]


def test_who_talks_is_seen_live(core: Core) -> None:
    lines = core.run("auroractl link top --json --count 2 --delay 3").stdout.splitlines()
    assert len(lines) == 2
    found = {one["name"]: one for one in json.loads(lines[1])["clients"]}
    assert found["robot"]["connections"] == 1
    assert 1 <= found["robot"]["received_per_sec"] <= 11
    assert found["robot"]["received_bytes_per_sec"] > 30
    assert found["user:root"]["delivered_per_sec"] > 0
    table = core.run("auroractl link top").stdout
    assert table.split()[0] == "CLIENT"
    assert "\nrobot" in table
    refused = core.run("setpriv --reuid=nobody --regid=nogroup --clear-groups auroractl link top", check=False)
    assert refused.returncode == 77
