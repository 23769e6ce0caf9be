"""The modules that are shipped do what they say, and an older module and a stranger's server run as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm import debiandir
from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

EXAMPLES = "/usr/share/aurora/examples"
BROKER_PORT = 18830

OLDER = Module(
    name="older",
    entry="run.py",
    program='import os, time\nprint("older runs as", os.environ["AURORA_MODULE"])\nwhile True:\n    time.sleep(60)\n',
    files={
        "module.json": json.dumps(
            {"name": "older", "version": "0.9.1", "entry": "run.py", "description": "from before there was TOML"}
        )
    },
)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.put(OLDER)
        core.run(
            f"""
            for name in hello hoststat disk-watch; do auroractl install --no-start {EXAMPLES}/$name; done
            auroractl install --no-start {folder("older")}
            auroractl enable --now hello hoststat disk-watch older
            """
        )
        yield core


def test_the_examples_score_what_their_table_says(core: Core) -> None:
    rows = [line.split("|") for line in (debiandir.CHECKOUT / "modules/README.md").read_text().splitlines()]
    told = {
        row[1].partition("[")[2].partition("]")[0]: row[4].strip() for row in rows if len(row) == 6 and "[" in row[1]
    }
    # One in C is shipped as its source: what it is built to does not count for its score.
    core.run(f"mkdir -p {folder('')} && cp -r {EXAMPLES}/link-c {folder('link-c')}")
    core.run(f"install -m 755 /bin/true {folder('link-c')}/relay")
    found = {}
    for name in told:
        place = folder(name) if name == "link-c" else f"{EXAMPLES}/{name}"
        found[name] = json.loads(core.run(f"auroractl check {place} --json").stdout)["exposure"]["score"]
    assert found == told
    assert set(told) == set(core.run(f"cd {EXAMPLES} && ls -d */ | tr -d /").stdout.split())


def test_hello_says_hello_on_its_beat(core: Core) -> None:
    core.machine.wait_until("journalctl -q -o cat -u aurora@hello | grep -q 'hello number 2'", 60)
    assert core.said("hello")[:2] == ["hello number 1 from hello", "hello number 2 from hello"]
    status = core.run("systemctl status --no-pager aurora@hello").stdout
    assert 'Status: "said hello' in status
    core.run("systemctl stop aurora@hello")
    assert core.said("hello")[-1] == "hello says goodbye"


@pytest.fixture(scope="module")
def figures(core: Core) -> tuple[dict[str, Any], dict[str, Any]]:
    """A line of hoststat, and what the host itself says just after."""
    core.machine.wait_until("journalctl -q -o cat -u aurora@hoststat _COMM=python3 | grep -q '^{.*}$'", 90)
    lines = [line for line in core.said("hoststat") if line.startswith("{")]
    own = core.run(
        """python3 - <<'END'
import json, os, shutil, time
memory = dict(line.split(":") for line in open("/proc/meminfo"))
traffic = {line.split(":")[0].strip(): line.split(":")[1].split() for line in list(open("/proc/net/dev"))[2:]}
print(json.dumps({
    "time": time.time(),
    "uptime": float(open("/proc/uptime").read().split()[0]),
    "cpus": os.cpu_count(),
    "load": os.getloadavg(),
    "memory": int(memory["MemTotal"].split()[0]) * 1024,
    "available": int(memory["MemAvailable"].split()[0]) * 1024,
    "disk": shutil.disk_usage("/"),
    "received": {name: int(fields[0]) for name, fields in traffic.items()},
}))
END"""
    ).stdout
    return json.loads(lines[-1]), json.loads(own)


def test_hoststat_tells_the_processors_and_their_load(figures: tuple[dict[str, Any], dict[str, Any]]) -> None:
    said, host = figures
    assert said["cpu_count"] == host["cpus"]
    assert 0 <= said["cpu_percent"] <= 100
    assert said["load_15min"] == pytest.approx(host["load"][2], abs=0.5)
    assert host["uptime"] - 60 < said["uptime_sec"] <= host["uptime"]
    assert host["time"] - 60 < said["time_unix_sec"] <= host["time"]


def test_hoststat_tells_the_memory(figures: tuple[dict[str, Any], dict[str, Any]]) -> None:
    said, host = figures
    assert said["memory_total_bytes"] == host["memory"]
    assert said["memory_available_bytes"] == pytest.approx(host["available"], rel=0.2)
    assert 0 < said["memory_used_bytes"] < host["memory"]


def test_hoststat_tells_the_disks(figures: tuple[dict[str, Any], dict[str, Any]]) -> None:
    said, host = figures
    root = said["disks"][0]
    assert root["mount"] == "/"
    assert root["total_bytes"] == host["disk"][0]
    assert root["used_bytes"] == pytest.approx(host["disk"][1], rel=0.05)
    assert said["disk_read_bytes"] > 1 << 20


def test_hoststat_tells_the_traffic_of_the_host_not_of_its_own_sandbox(
    figures: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    said, host = figures
    told = {row["interface"]: row["received_bytes"] for row in said["network"]}
    assert told.keys() == host["received"].keys()
    (ethernet,) = told.keys() - {"lo"}
    assert 0 < told[ethernet] <= host["received"][ethernet]


def test_hoststat_makes_nothing_up(figures: tuple[dict[str, Any], dict[str, Any]]) -> None:
    said, _ = figures
    assert said["temperatures_celsius"] is None, "this machine has no sensors"


def test_a_shell_module_runs_watched(core: Core) -> None:
    core.machine.wait_until("journalctl -q -o cat -u aurora@disk-watch | grep -q ' % used'", 60)
    shown = core.show("disk-watch", "ActiveState", "NRestarts", "StatusText", "WatchdogUSec")
    assert shown["ActiveState"] == "active"
    assert shown["NRestarts"] == "0"
    assert shown["WatchdogUSec"] == "1min"
    used = core.run("df -P / | awk 'NR==2 {print $5}'").stdout.strip().rstrip("%")
    assert f"/ {used} % used" in shown["StatusText"]


def test_a_folder_with_the_older_manifest_runs_unchanged_under_the_default_policy(core: Core) -> None:
    assert core.said("older") == ["older runs as older"]
    shown = core.show("older", "ActiveState", "Description", "PrivateNetwork", "ProtectSystem", "DynamicUser")
    assert shown == {
        "ActiveState": "active",
        "Description": "from before there was TOML",
        "PrivateNetwork": "yes",
        "ProtectSystem": "strict",
        "DynamicUser": "yes",
    }
    assert core.listed()["older"]["version"] == "0.9.1"


@pytest.fixture(scope="module")
def broker(core: Core) -> Iterator[Core]:
    """Debian's own mosquitto, installed by apt, and the module that wraps it."""
    packages = "mosquitto mosquitto-clients"
    core.run(f"DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes {packages} && systemctl stop mosquitto.service")
    core.run(f"auroractl install {EXAMPLES}/broker")
    yield core
    core.run("auroractl remove --purge broker")
    core.run(f"DEBIAN_FRONTEND=noninteractive apt-get -qq purge --yes --autoremove {packages}")


def test_a_message_goes_round_through_an_unmodified_server(broker: Core) -> None:
    said = broker.run(
        f"""
        mosquitto_sub -h 127.0.0.1 -p {BROKER_PORT} -t 'house/#' -C 1 -W 60 -v >/run/heard &
        for i in $(seq 100); do
            [ -s /run/heard ] && break
            mosquitto_pub -h 127.0.0.1 -p {BROKER_PORT} -t house/door -m open
        done
        wait
        cat /run/heard; rm /run/heard
        """,
        timeout_sec=120,
    ).stdout
    assert said == "house/door open\n"
    pid = broker.show("broker", "MainPID")["MainPID"]
    assert broker.run(f"readlink /proc/{pid}/exe").stdout == "/usr/sbin/mosquitto\n"
    changed = broker.run("dpkg --verify mosquitto").stdout.splitlines()
    assert not [line for line in changed if "/usr/share/doc/" not in line], "this machine has no documents"
    profile = broker.run(f"cat /proc/{pid}/attr/apparmor/current").stdout.strip()
    assert profile == "aurora.broker (enforce)"


def test_the_server_keeps_its_state_over_a_restart(broker: Core) -> None:
    said = broker.run(
        f"""
        mosquitto_pub -h 127.0.0.1 -p {BROKER_PORT} -t house/lamp -m on -r
        systemctl restart aurora@broker
        mosquitto_sub -h 127.0.0.1 -p {BROKER_PORT} -t house/lamp -C 1 -W 60
        """
    ).stdout
    assert said == "on\n"


def test_the_server_is_not_reached_from_outside(broker: Core) -> None:
    publish = f"mosquitto_pub -p {BROKER_PORT} -t house/door -m x"
    assert broker.run(f"{publish} -h 127.0.0.1", check=False).returncode == 0
    assert broker.run(f"timeout 20 {publish} -h 10.0.2.15", check=False).returncode != 0
