"""AuroraLink by WebSocket: systemd holds its addresses, the kernel says who comes, no web page is let in unasked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, tidied
from tests.vm.machine import Machine

HUB = "aurora-link.service"
SOCKET = "aurora-link-websocket.socket"
ADDRESSES = ("ws://127.0.0.1:9801", "ws://[::1]:9801")
MINE = "/var/lib/aurora-test/websocket"
OWNER = "/etc/aurora/core.toml"

# Publishes once a second by WebSocket what it may, and says before what it is told about what it may not.
WEATHER = """
import time
from websockets.sync.client import connect

with connect("ws://127.0.0.1:9801", compression=None, proxy=None, open_timeout=60) as web:
    web.send('{"type":"hello","version":1}')
    print(web.recv(60), flush=True)
    web.send('{"topic":"lamp","data":1,"id":"no"}')
    print(web.recv(60), flush=True)
    web.send('{"topic":"site/temp","from":"broker","data":1,"id":"posing"}')
    print(web.recv(60), flush=True)
    number = 0
    while True:
        number += 1
        web.send('{"topic":"site/temp","data":%d}' % number)
        time.sleep(1)
"""
ASKS = '[sandbox]\ngrants = ["network.loopback"]\n[link]\npublish = ["site/+"]\n'
MAY = Module(name="breeze", entry="run.py", program=WEATHER, more=ASKS)

# May talk with programs on this machine, and has no [link].
NO_TABLE = """
import time
from websockets.sync.client import connect

with connect("ws://127.0.0.1:9801", compression=None, proxy=None, open_timeout=60) as web:
    web.send('{"topic":"site/temp","data":666,"id":"no"}')
    print(web.recv(60), flush=True)
    time.sleep(3600)
"""
UNASKED = Module(name="unasked", entry="run.py", program=NO_TABLE, more='[sandbox]\ngrants = ["network.loopback"]\n')

# Has [link], and no way to loopback.
NO_WAY = """
import time
from websockets.sync.client import connect

try:
    connect("ws://127.0.0.1:9801", compression=None, proxy=None, open_timeout=5)
    print("let in", flush=True)
except OSError as error:
    print(type(error).__name__, flush=True)
time.sleep(3600)
"""
BOXED = Module(name="boxed", entry="run.py", program=NO_WAY, more='[link]\npublish = ["site/+"]\n')

# Connects as whoever runs it, poses as the module, and prints what it is told: by the hub, or in HTTP.
POSES = """
import json, sys
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

origin = sys.argv[2] if len(sys.argv) > 2 else None
try:
    with connect(sys.argv[1], compression=None, proxy=None, origin=origin, open_timeout=60) as web:
        web.send('{"type":"hello","version":1}')
        print(web.recv(60))
        web.send('{"topic":"site/temp","from":"breeze","data":666,"id":"1"}')
        print(web.recv(60))
except InvalidStatus as error:
    print(json.dumps({"status": error.response.status_code, "text": error.response.body.decode()}))
"""

# Takes a module's socket, as only root can, and says what comes by it after the module's end.
STEALS = """
import ctypes, os, socket, subprocess, sys

pid = int(sys.argv[1])
pidfd = os.pidfd_open(pid)
for name in os.listdir(f"/proc/{pid}/fd"):
    if os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:"):
        handle = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, int(name), 0)  # pidfd_getfd
        kept = socket.socket(fileno=handle)
        if kept.family == socket.AF_INET:
            break
else:
    sys.exit("it has no socket")
subprocess.run(["systemctl", "stop", "aurora@breeze"], check=True)
kept.settimeout(90)
said = b""
while more := kept.recv(65536):
    said += more
    if b"is over" in said:
        break
print(said.decode(errors="replace"))
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.run(f"mkdir -p {MINE} && chmod 755 /var/lib/aurora-test {MINE}")
        for name, text in (("poses.py", POSES), ("steals.py", STEALS)):
            core.run(f"cat >{MINE}/{name} && chmod 644 {MINE}/{name}", input=text)
        yield core


@pytest.fixture(scope="module")
def breeze(core: Core) -> Core:
    core.install(MAY, UNASKED, BOXED)
    core.machine.wait_until("journalctl -q -o cat -u aurora@breeze | grep -q unknown-member", 120)
    return core


def told(core: Core, command: str = "", address: str = ADDRESSES[0], origin: str = "") -> dict[str, Any]:
    """The first that the hub tells a program which poses as the module, run by `command`."""
    said = core.run(f"{command} python3 {MINE}/poses.py '{address}' {origin}").stdout
    found: dict[str, Any] = json.loads(said.splitlines()[0])
    return found


def test_systemd_listens_on_loopback_alone_and_the_first_client_starts_the_hub(core: Core) -> None:
    core.run(f"systemctl stop {HUB}")
    assert core.run(f"systemctl is-active {SOCKET}").stdout == "active\n"
    listening = core.run("ss -Hltn 'sport = :9801' | awk '{print $4}' | sort").stdout.split()
    assert listening == ["127.0.0.1:9801", "[::1]:9801"]
    assert told(core)["id"] == "user:root"
    assert core.run(f"systemctl is-active {HUB}").stdout == "active\n"


@pytest.mark.parametrize("address", ADDRESSES)
def test_root_is_known_by_either_address(core: Core, address: str) -> None:
    assert told(core, address=address)["id"] == "user:root"


def test_the_hub_has_neither_the_hosts_network_nor_a_right_to_make_its_sockets(core: Core) -> None:
    told(core)
    shown = core.run(f"systemctl show -p PrivateNetwork,RestrictAddressFamilies {HUB}").stdout.splitlines()
    assert sorted(shown) == ["PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX"]
    namespaces = core.run(f"readlink /proc/1/ns/net /proc/$(systemctl show -P MainPID {HUB})/ns/net").stdout.split()
    assert namespaces[0] != namespaces[1]


def test_the_hub_goes_when_nobody_is_connected_and_is_not_brought_back_by_what_it_has_asked(core: Core) -> None:
    told(core)
    core.machine.wait_until(f'[ "$(systemctl show -P ActiveState {HUB})" = inactive ]', 120)
    before = core.run(f"systemctl show -P InvocationID {HUB}").stdout
    # Nothing lies in the netlink socket that would start it again, while other clients come and go elsewhere.
    core.run("ss -tn >/dev/null; ss -tan >/dev/null")
    assert core.run(f"systemctl show -P InvocationID {HUB}").stdout == before
    assert core.run(f"systemctl show -P ActiveState {HUB}").stdout == "inactive\n"
    assert told(core)["id"] == "user:root"


def test_a_module_publishes_by_websocket_and_root_reads_from_whom_by_the_unix_socket(breeze: Core) -> None:
    said = breeze.run("auroractl link sub 'site/#' --count 3 --within 60 --json").stdout.splitlines()
    messages = [json.loads(line) for line in said]
    assert {one["from"] for one in messages} == {"breeze"}
    hello, no, posing = (json.loads(line) for line in breeze.said("breeze")[:3])
    assert (hello["type"], hello["id"]) == ("hello", "breeze")
    assert (no["code"], no["id"]) == ("denied", "no")
    assert "the manifest of breeze" in no["text"]
    assert posing["code"] == "unknown-member"


def test_a_module_without_the_table_may_nothing_and_one_without_loopback_does_not_get_there(breeze: Core) -> None:
    breeze.machine.wait_until('[ -n "$(journalctl -q -o cat _SYSTEMD_UNIT=aurora@unasked.service)" ]', 120)
    breeze.machine.wait_until('[ -n "$(journalctl -q -o cat _SYSTEMD_UNIT=aurora@boxed.service)" ]', 120)
    (refused,) = breeze.said("unasked")
    assert (json.loads(refused)["code"], json.loads(refused)["id"]) == ("denied", "no")
    (said,) = breeze.said("boxed")
    assert said != "let in"


def test_a_plain_user_and_units_that_pose_as_the_module_are_refused_in_http(breeze: Core) -> None:
    found = told(breeze, "setpriv --reuid=nobody --regid=nogroup --clear-groups")
    assert found["status"] == 403
    assert "neither a module nor a member of the group aurora" in found["text"]
    unit = "systemd-run -q --pipe --wait --collect -p User=nobody"
    for as_if in ("--unit=aurora@posing --slice=aurora-breeze.slice", "--unit=breeze.service"):
        assert told(breeze, f"{unit} {as_if}")["status"] == 403
    read = breeze.run("auroractl link sub 'site/#' --count 2 --within 60 --json").stdout
    assert "666" not in read


def test_a_member_of_the_group_is_an_operator_by_the_user_database(core: Core) -> None:
    core.run("groupadd --system aurora; useradd --no-create-home --groups aurora linkanna")
    try:
        assert told(core, "setpriv --reuid=linkanna --regid=linkanna --clear-groups")["id"] == "user:linkanna"
    finally:
        core.run("userdel linkanna; groupdel aurora")
    assert "status" in told(core, "setpriv --reuid=31999 --regid=31999 --clear-groups")


def test_a_web_page_is_let_in_only_where_the_owner_lists_its_origin(core: Core) -> None:
    page = "https://panel.example"
    refused = told(core, origin=page)
    assert refused["status"] == 403
    assert "[link] origins" in refused["text"]
    core.run(f"""printf '[link]\\norigins = ["{page}"]\\n' >{OWNER}""")
    try:
        assert told(core, origin=page)["id"] == "user:root"
        assert told(core, origin="https://evil.example")["status"] == 403
        core.run(f"chmod o+w {OWNER}")  # others may have written that
        assert told(core, origin=page)["status"] == 403
    finally:
        core.run(f"rm -f {OWNER}")


def test_a_connection_that_was_handed_on_ends_with_the_run_of_the_module(breeze: Core) -> None:
    pid = breeze.show("breeze", "MainPID")["MainPID"]
    try:
        said = breeze.run(f"python3 {MINE}/steals.py {pid}", timeout_sec=150).stdout
        assert "this run of breeze is over" in said
    finally:
        breeze.run("systemctl start aurora@breeze")


def test_a_port_that_is_taken_costs_the_websocket_alone(core: Core) -> None:
    core.run(f"systemctl stop {HUB} {SOCKET}")
    taker = "import socket, time; s = socket.create_server(('127.0.0.1', 9801)); time.sleep(600)"
    core.run(f'systemd-run -q --collect --unit=linktaker python3 -c "{taker}"')
    try:
        core.machine.wait_until("ss -Hltn 'sport = :9801' | grep -q 9801", 60)
        assert core.run(f"systemctl start {SOCKET}", check=False).returncode != 0
        core.run("auroractl link pub still 1")
    finally:
        core.run(f"systemctl stop linktaker {HUB}; systemctl reset-failed {SOCKET}; systemctl start {SOCKET}")
    assert told(core)["id"] == "user:root"


def test_a_machine_without_ipv6_has_the_other_address(core: Core) -> None:
    core.run(f"systemctl stop {HUB} {SOCKET}; sysctl -q -w net.ipv6.conf.lo.disable_ipv6=1")
    try:
        core.run(f"systemctl start {SOCKET}")
        assert told(core)["id"] == "user:root"
    finally:
        core.run("sysctl -q -w net.ipv6.conf.lo.disable_ipv6=0")
        core.run(f"systemctl stop {HUB} {SOCKET}; systemctl start {SOCKET}")
    assert told(core, address=ADDRESSES[1])["id"] == "user:root"


def test_an_edge_client_takes_part_and_comes_back_after_the_hub(core: Core) -> None:
    core.run("systemd-run -q --collect --unit=linkedge --setenv=AURORA_EDGE_ID=edge-1 aurora-edge")
    asks = """
import json, time
from websockets.sync.client import connect
until = time.monotonic() + 100
with connect("ws://127.0.0.1:9801", compression=None, proxy=None, open_timeout=60) as web:
    web.send('{"type":"hello","id":"boss"}')
    while time.monotonic() < until:
        web.send('{"type":"ping"}')
        try:
            print(web.recv(1))
            break
        except TimeoutError:
            pass
"""
    try:
        for _ in range(2):
            pong = json.loads(core.run("python3 -", input=asks).stdout)
            assert (pong["from"], pong["type"], pong["id"]) == ("user:root", "pong", "edge-1")
            core.run(f"systemctl stop {HUB}")  # a restart would go unnoticed
        core.run("systemctl stop linkedge")
        assert int(core.run("journalctl --sync; journalctl -q -o cat -u linkedge | grep -c 'as edge-1'").stdout) >= 2
    finally:
        core.run("systemctl stop linkedge", check=False)
