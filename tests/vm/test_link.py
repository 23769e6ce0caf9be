"""AuroraLink: the hub comes with its first client and goes with its last, and knows each by the kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, tidied
from tests.vm.machine import Machine

HUB = "aurora-link.service"

# Publishes once a second, what it may and what it may not, and writes what it is told to the journal.
WEATHER = """
import json, os, socket, time

link = socket.socket(socket.AF_UNIX)
link.connect(os.environ["AURORA_LINK"].removeprefix("unix:"))
lines = link.makefile("r")
link.sendall(b'{"type":"hello","version":1}\\n')
print(lines.readline(), end="", flush=True)
link.sendall(b'{"topic":"lamp","data":1,"id":"no"}\\n')
print(lines.readline(), end="", flush=True)
link.sendall(b'{"topic":"site/temp","from":"broker","data":1,"id":"posing"}\\n')
print(lines.readline(), end="", flush=True)
number = 0
while True:
    number += 1
    link.sendall(b'{"topic":"site/temp","data":%d}\\n' % number)
    time.sleep(1)
"""
MAY = Module(name="weather", entry="run.py", program=WEATHER, more='[link]\npublish = ["site/+"]\n')

# A module without the table looks for the socket.
LOOKS = """
import os, socket, time

try:
    socket.socket(socket.AF_UNIX).connect("/run/aurora/link.sock")
    print("let in", flush=True)
except OSError as error:
    print(type(error).__name__, os.environ.get("AURORA_LINK"), flush=True)
time.sleep(3600)
"""
MAY_NOT = Module(name="outside", entry="run.py", program=LOOKS)

# Takes as much of the hub as one module can: hundreds of connections, each with a large will, which wait for a queue
# that nobody reads, with lines that wait behind.
HOG = """
import os, socket, time

place = os.environ["AURORA_LINK"].removeprefix("unix:")
text = b"x" * 20_000
lines = b'{"type":"hello","version":1,"will":{"topic":"hog","data":"' + text + b'"}}\\n'
lines += b'{"type":"sub","topic":"hog","bound":"block","queue_messages":1}\\n'
lines += (b'{"topic":"hog","data":"' + text + b'"}\\n') * 2 + b"{}\\n" * 200
links = []
for number in range(400):
    link = socket.socket(socket.AF_UNIX)
    link.connect(place)
    link.setblocking(False)
    try:
        link.send(lines)
    except OSError:
        pass
    links.append(link)
print("hogging", flush=True)
time.sleep(3600)
"""
GREEDY = Module(name="greedy", entry="run.py", program=HOG, more='[link]\npublish = ["hog"]\nsubscribe = ["hog"]\n')

# Wants to open a door twice, would rather approve that itself, and says what it is told.
OPENS = """
import json, socket

link = socket.socket(socket.AF_UNIX)
link.connect("/run/aurora/link.sock")
for id in ("first", "second"):
    link.sendall(json.dumps({"topic": "actuator/door", "data": id, "id": id}).encode() + b"\\n")
mine = {"type": "req", "topic": "$sys/approvals", "id": "mine", "data": {"approve": "a1"}}
link.sendall(json.dumps(mine).encode() + b"\\n")
for line in link.makefile():
    print(line, end="", flush=True)
"""
OPENER = Module(name="opener", entry="run.py", program=OPENS, more='[link]\npublish = ["actuator/#"]\n')
OWNER = "/etc/aurora/core.toml"
LAMP = Module(
    name="lamp",
    entry="run.py",
    program="""
from aurora import sdk

on = False
with sdk.link() as link:
    link.serve("lamp/set")
    sdk.ready()
    for _ in sdk.heartbeat(0.1):
        for request in link.messages(within_sec=1.0):
            on = bool(request["data"])
            link.reply(request, {"on": on, "for": request["from"]})
            link.publish("lamp/state", on, retain=True)
""",
    more='[start]\nreadiness = "notify"\n[link]\nserve = ["lamp/set"]\npublish = ["lamp/state"]\n',
)

# Connects as whoever runs it, poses as the module, and prints what it is told.
POSES = """
import socket

link = socket.socket(socket.AF_UNIX)
link.settimeout(60)
link.connect("/run/aurora/link.sock")
try:
    link.sendall(b'{"topic":"site/temp","from":"weather","data":666,"id":"1"}\\n')
except BrokenPipeError:
    pass
print(link.recv(4096).decode())
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        yield core


@pytest.fixture(scope="module")
def weather(core: Core) -> Core:
    core.install(MAY, MAY_NOT)
    core.machine.wait_until("journalctl -q -o cat -u aurora@weather | grep -q unknown-member", 120)
    return core


def told(core: Core, command: str) -> dict[str, Any]:
    """The first message that the hub sends a program which poses as the module, run by `command`."""
    core.run("mkdir -p /var/lib/aurora-test && cat >/var/lib/aurora-test/poses.py", input=POSES)
    core.run("chmod 755 /var/lib/aurora-test && chmod 644 /var/lib/aurora-test/poses.py")
    said = core.run(f"{command} python3 /var/lib/aurora-test/poses.py").stdout
    found: dict[str, Any] = json.loads(said.splitlines()[0])
    return found


def test_nothing_is_resident_until_somebody_connects(core: Core) -> None:
    core.run(f"systemctl stop {HUB}")
    assert core.run("systemctl is-active aurora-link.socket").stdout == "active\n"
    core.run("auroractl link pub first 1")
    assert core.run(f"systemctl is-active {HUB}").stdout == "active\n"
    shown = core.run(f"systemctl show -p User,DynamicUser,StatusText,NRestarts {HUB}").stdout
    assert "DynamicUser=yes" in shown
    assert "NRestarts=0" in shown


def test_the_hub_is_as_narrow_as_it_says(core: Core) -> None:
    assert core.run(f"systemd-analyze security --threshold=10 --no-pager {HUB} >&2", check=False).returncode == 0


def test_the_hub_goes_when_nobody_is_connected_and_the_next_client_brings_it_back(core: Core) -> None:
    core.run("auroractl link pub first 1")
    core.machine.wait_until(f'[ "$(systemctl show -P ActiveState {HUB})" = inactive ]', 120)
    assert core.run(f"systemctl show -P Result {HUB}").stdout == "success\n"
    assert core.run("pgrep -fc '[a]urora.link.main' || true").stdout == "0\n"
    core.run("auroractl link pub again 1")


def test_a_module_publishes_and_root_reads_from_whom(weather: Core) -> None:
    said = weather.run("auroractl link sub 'site/#' --count 3 --within 60 --json").stdout.splitlines()
    messages = [json.loads(line) for line in said]
    assert len(messages) == 3
    assert {one["from"] for one in messages} == {"weather"}
    numbers = [one["data"] for one in messages]
    assert numbers == list(range(numbers[0], numbers[0] + 3))
    counted = json.loads(weather.run("auroractl link clients --json").stdout)
    assert counted["modules"] == {"weather": 1}


def test_a_module_is_told_why_what_its_manifest_does_not_name_is_refused(weather: Core) -> None:
    hello, no, posing = (json.loads(line) for line in weather.said("weather")[:3])
    assert (hello["type"], hello["id"]) == ("hello", "weather")
    assert (no["code"], no["id"]) == ("denied", "no")
    assert "the manifest of weather" in no["text"]
    assert posing["code"] == "unknown-member"


def test_a_module_without_the_table_does_not_even_see_the_socket(weather: Core) -> None:
    (said,) = weather.said("outside")
    assert said.split()[1] == "None"
    assert said.split()[0] in ("FileNotFoundError", "PermissionError", "ConnectionRefusedError")


def test_a_plain_user_is_refused_and_told_so(weather: Core) -> None:
    found = told(weather, "setpriv --reuid=nobody --regid=nogroup --clear-groups")
    assert (found["type"], found["code"]) == ("error", "denied")
    assert "neither a module nor a member of the group aurora" in found["text"]


def test_another_unit_that_poses_as_the_module_is_refused(weather: Core) -> None:
    unit = "systemd-run -q --pipe --wait --collect -p User=nobody"
    found = told(weather, f"{unit} --unit=aurora@posing --slice=aurora-weather.slice")
    assert found["code"] == "denied"
    found = told(weather, f"{unit} --unit=weather.service")
    assert found["code"] == "denied"
    # root may publish, but not as somebody else.
    assert told(weather, "")["code"] == "unknown-member"
    read = weather.run("auroractl link sub 'site/#' --count 2 --within 60 --json").stdout
    assert "666" not in read


def test_a_module_that_is_stopped_is_gone_from_the_hub_and_back_with_its_next_run(weather: Core) -> None:
    weather.run("systemctl stop aurora@weather")
    assert json.loads(weather.run("auroractl link clients --json").stdout)["modules"].get("weather", 0) == 0
    weather.run("systemctl start aurora@weather")
    said = weather.run("auroractl link sub 'site/#' --count 1 --within 60").stdout
    assert said.startswith("weather  site/temp")


def test_modules_come_back_with_the_socket_when_that_is_made_anew(weather: Core) -> None:
    # Each has a mount of the socket itself, which would show the old one.
    weather.run("systemctl restart aurora-link.socket")
    weather.machine.wait_until('[ "$(systemctl is-active aurora@weather)" = active ]', 120)
    said = weather.run("auroractl link sub 'site/#' --count 1 --within 60").stdout
    assert said.startswith("weather  site/temp")
    pid = weather.run("systemctl show -P MainPID aurora@weather").stdout.strip()
    mounts = weather.run(f"grep /run/aurora/link.sock /proc/{pid}/mountinfo").stdout
    assert mounts
    assert "deleted" not in mounts


def test_what_the_owner_wants_approved_waits_for_a_human(core: Core) -> None:
    core.run(f"printf '[link]\\napprove = [\"actuator/#\"]\\n' >{OWNER}; systemctl stop {HUB}")
    sub = "auroractl link sub 'actuator/#' --within 300 --count 1 --json"
    core.run(f"rm -f /run/opened; {sub} >/run/opened 2>/dev/null </dev/null &")
    core.install(OPENER)
    own = "journalctl -q -o cat -u aurora@opener"
    core.machine.wait_until(f'{own} | grep -q \'"id":"mine"\'', 120)
    told = [json.loads(line) for line in core.said("opener") if line.startswith("{")]
    assert [(one["type"], one["id"], one.get("approval"), one.get("code")) for one in told] == [
        ("ack", "first", "a1", None),
        ("ack", "second", "a2", None),
        ("error", "mine", None, "denied"),
    ]
    core.machine.wait_until("auroractl link approvals | grep -q 'a1 .*opener .*actuator/door .*\"first\"'", 60)
    core.run("auroractl link deny a1; [ ! -s /run/opened ]")
    core.run("auroractl link approve a2")
    core.machine.wait_until(f'{own} | grep -q \'"ack","id":"second"}}\'', 60)
    core.machine.wait_until("[ -s /run/opened ]", 60)
    opened = json.loads(core.run("cat /run/opened").stdout)
    assert (opened["topic"], opened["from"], opened["data"]) == ("actuator/door", "opener", "second")
    assert "user:root denied it" in " ".join(core.said("opener"))
    record = core.run(f"journalctl -q -o cat -u {HUB} --since -15min").stdout
    assert "user:root denied a1, pub 'actuator/door' of opener" in record
    assert "user:root approved a2, pub 'actuator/door' of opener" in record
    core.run(f"rm {OWNER}; auroractl remove --purge opener")


def test_a_module_in_python_serves_and_publishes_with_the_sdk(core: Core) -> None:
    core.install(LAMP)
    assert json.loads(core.run("auroractl link req lamp/set true").stdout) == {"on": True, "for": "user:root"}
    assert core.run("auroractl link sub lamp/state --count 1 --within 60").stdout == "lamp  lamp/state  true\n"
    core.run("systemctl stop aurora@lamp")
    assert core.show("lamp", "Result") == {"Result": "success"}
    core.run("auroractl remove --purge lamp")


@pytest.mark.deadline(600)
def test_one_module_cannot_take_the_hubs_memory_from_all_others(weather: Core) -> None:
    weather.install(GREEDY)
    weather.machine.wait_until("journalctl -q -o cat -u aurora@greedy | grep -q hogging", 120)
    pid = weather.run(f"systemctl show -P MainPID {HUB}").stdout
    # Whoever keeps the hub busy makes others wait, and they may be told so; it takes nothing else from them.
    weather.machine.wait_until("auroractl link pub first 1", 200)
    said = weather.run("auroractl link sub 'site/#' --count 3 --within 60").stdout
    assert said.count("weather  site/temp") == 3
    assert weather.run(f"systemctl show -P MainPID,NRestarts {HUB}").stdout.split() == [pid.strip(), "0"]
    weather.run("systemctl stop aurora@greedy")
