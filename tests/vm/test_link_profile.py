"""AuroraLink's own AppArmor profile: the hub runs under it and misses nothing, and nothing else gets through it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import INSTALL_SEC, Core, Module, tidied
from tests.vm.machine import Machine
from tests.vm.package import packages

HUB = "aurora-link.service"
OWNER = "/etc/aurora/core.toml"
KERNEL = "/sys/kernel/security/apparmor"
LABEL = f"cat /proc/$(systemctl show -P MainPID {HUB})/attr/apparmor/current"
DENIALS = (
    "journalctl --sync; journalctl -q -k -o cat | grep 'apparmor=\"DENIED\"' | grep 'profile=\"aurora-link\"' || true"
)

# Takes part in all that the hub has for a module, each by what only the hub's own files make possible.
ALL_ROUND = """
from aurora import sdk

with sdk.link() as link:
    link.serve("round/ask")
    link.publish("round/kept", 1, retain=True)
    link.publish("round/logged", 2)
    link.publish("round/gated", 3)
    sdk.ready()
    for _ in sdk.heartbeat(0.1):
        for request in link.messages(within_sec=1.0):
            link.reply(request, request["from"])
"""
MORE = """
[start]
readiness = "notify"
[link]
publish = ["round/#"]
serve = ["round/ask"]
durable = ["round/logged"]
retained = ["round/kept"]
"""
ROUND = Module(name="round", entry="run.py", program=ALL_ROUND, more=MORE)

BY_WEB = """
import sys
from websockets.sync.client import connect

with connect(sys.argv[1], compression=None, proxy=None, open_timeout=60, origin="https://panel.example") as web:
    web.send('{"type":"ping","id":"web"}')
    print(web.recv(60))
"""

# What is tried under the profile, by root with all that root has: each gives its own name when it succeeds.
TRIES = """
import json, os, socket, subprocess

state = "/var/lib/private/aurora-link"

def read(path):
    open(path, "rb").read(1)

def write(path):
    open(path, "wb").write(b"x")

tries = {
    "who connected": lambda: read("/proc/1/cgroup"),
    "what users there are": lambda: read("/etc/passwd"),
    "its state": lambda: (write(f"{state}/link.db-shm"), os.remove(f"{state}/link.db-shm")),
    "its way out": lambda: socket.socket(socket.AF_INET),
    "/etc/shadow": lambda: read("/etc/shadow"),
    "another's environment": lambda: read("/proc/1/environ"),
    "another's memory": lambda: read("/proc/1/maps"),
    "the core's records": lambda: os.listdir("/var/lib/aurora-core"),
    "the machine's keys": lambda: os.listdir("/etc/ssh"),
    "the journal": lambda: os.listdir("/var/log/journal"),
    "home": lambda: os.listdir("/root"),
    "a shell": lambda: subprocess.run(["/bin/sh", "-c", "true"]),
    "itself": lambda: subprocess.run(["/usr/bin/python3", "-c", ""]),
    "its state's neighbour": lambda: write("/var/lib/private/other"),
    "its state's other files": lambda: write(f"{state}/other"),
    "a module's rules": lambda: write("/run/aurora/link/other.json"),
    "the owner's settings": lambda: write("/etc/aurora/core.toml"),
    "a unit": lambda: write("/etc/systemd/system/other.service"),
    "a file in /tmp": lambda: write("/tmp/other"),
    "a control group": lambda: os.mkdir("/sys/fs/cgroup/other"),
    "the machine's name": lambda: socket.sethostname("other"),
    "another user": lambda: os.setuid(1),
    "init": lambda: os.kill(1, 0),
    "packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "datagrams": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
}
found = {}
for name, attempt in tries.items():
    try:
        attempt()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""
ITS_OWN = {"who connected", "what users there are", "its state", "its way out"}


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        yield core


def confined(core: Core) -> dict[str, Any]:
    """What doctor says of it."""
    machine = json.loads(core.run("auroractl doctor --json", check=False).stdout)["machine"]
    found: dict[str, Any] = next(row for row in machine if row["name"] == "hub confined")
    return found


@pytest.mark.deadline(600)
def test_all_that_the_hub_does_it_does_under_its_profile(core: Core) -> None:
    core.run(f'printf \'[link]\\napprove = ["round/gated"]\\norigins = ["https://panel.example"]\\n\' >{OWNER}')
    core.run(f"systemctl stop {HUB}; rm -rf /var/lib/private/aurora-link")
    before = core.run(DENIALS).stdout
    core.install(ROUND)
    assert core.run(LABEL).stdout == "aurora-link (enforce)\n"
    core.machine.wait_until("auroractl link approvals | grep -q 'a1 .*round/gated'", 60)
    core.run("auroractl link approve a1")
    assert json.loads(core.run("auroractl link req round/ask 1").stdout) == "user:root"
    # A member of the group is known by the user database, and what is on disk is there in the next run.
    core.run("groupadd aurora; useradd -G aurora anna")
    try:
        assert json.loads(core.run("runuser -u anna -- auroractl link req round/ask 1").stdout) == "user:anna"
        core.run(f"systemctl stop aurora@round; systemctl restart {HUB}")
        kept = core.run("auroractl link sub round/kept --count 1 --within 60").stdout
        logged = core.run("auroractl link sub 'round/#' --cursor reader --count 1 --within 60 --json").stdout
        assert (kept, json.loads(logged)["data"]) == ("round  round/kept  1\n", 2)
        for address in ("ws://127.0.0.1:9801", "ws://[::1]:9801"):
            assert '"id":"web"' in core.run(f"python3 - '{address}'", input=BY_WEB).stdout
        assert core.run(LABEL).stdout == "aurora-link (enforce)\n"
        core.machine.wait_until(f'[ "$(systemctl show -P ActiveState {HUB})" = inactive ]', 120)
        assert core.run(f"systemctl show -P Result,NRestarts {HUB}").stdout.split() == ["success", "0"]
        denied = core.run(DENIALS).stdout
        assert denied == before, denied
    finally:
        core.run(f"userdel anna; groupdel aurora; rm {OWNER}; auroractl remove --purge round")


def test_nothing_else_gets_through_the_profile_even_by_root(core: Core) -> None:
    # Without its capabilities root needs the folder to be its own; systemd gives it back to the hub.
    state = "/var/lib/private/aurora-link"
    core.run(f"auroractl link pub first 1; systemctl stop {HUB}; rm -rf {state}; mkdir -m 700 {state}")
    unit = "systemd-run -q --pipe --wait --collect -p AppArmorProfile=aurora-link"
    held = json.loads(core.run(f"{unit} python3 -I -", input=TRIES).stdout)
    assert {name for name, outcome in held.items() if outcome == "done"} == ITS_OWN, held
    assert {outcome for name, outcome in held.items() if name not in ITS_OWN} == {"PermissionError"}, held
    assert 'name="/etc/shadow"' in core.run(DENIALS).stdout


@pytest.mark.deadline(900)
def test_with_apparmor_and_without_its_profile_the_hub_does_not_start_and_an_upgrade_brings_it_back(
    core: Core, request: pytest.FixtureRequest
) -> None:
    core.run("auroractl link pub first 1")
    row = confined(core)
    assert (row["able"], row["remedy"]) == (True, "")
    core.run(f"systemctl stop {HUB}; printf aurora-link >{KERNEL}/.remove")
    assert core.run("timeout 20 auroractl link pub first 1", check=False).returncode != 0
    core.machine.wait_until(f'[ "$(systemctl show -P ExecMainStatus {HUB})" = 231 ]', 60)
    row = confined(core)
    assert row["able"] is False
    assert "apparmor_parser --replace /etc/apparmor.d/aurora-link" in row["remedy"]
    (deb,) = packages(request.config.getoption("--source").resolve()).debs
    core.machine.push(deb, f"/var/lib/aurora-test/{deb.name}")
    core.run(
        f"apt-get -qq install --yes --reinstall /var/lib/aurora-test/{deb.name} >/dev/null 2>&1",
        timeout_sec=INSTALL_SEC,
    )
    core.run(f"systemctl restart {HUB}; auroractl link pub first 1")
    assert core.run(LABEL).stdout == "aurora-link (enforce)\n"
    assert confined(core)["able"] is True
