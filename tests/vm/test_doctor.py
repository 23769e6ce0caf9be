"""What doctor says is what is: on a healthy machine, where something was loosened, and where parts are missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.vm.core import START_SEC, VOLATILE, Core, Module, folder, tidied, unit
from tests.vm.machine import Machine

EXAMPLES = "/usr/share/aurora/examples"

CAPPED = Module(name="capped", more='[limits]\nmemory_max = "32M"\n')

RICH = Module(
    name="rich",
    more="""
[limits]
cpu_weight = 50
memory_high = "24M"
io_read_max = "10M"
io_write_max = "5M"
[stop]
signal = "SIGINT"
[credentials]
names = ["key"]
[order]
after = ["hello"]
[directories]
state = true
cache = true
logs = true
runtime = true
""",
)

TIMED = Module(
    name="timed",
    program="#!/bin/sh\necho done\n",
    more='kind = "oneshot"\n[schedule]\ncalendar = "daily"\njitter = "10min"\ncatch_up = true\n',
)
"""Waits for its time; nothing of it runs."""

LISTENING = Module(
    name="listening",
    entry="run.py",
    program="""\
import signal, socket, time
last = None
def say_again(*_):
    global last
    last = None
signal.signal(signal.SIGHUP, say_again)
while True:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", 9999))
            now = "taken"
        except OSError as error:
            now = "refused"
    if now != last:
        last = now
        print(now, flush=True)
    time.sleep(0.2)
""",
    more='[sandbox]\ngrants = ["listen:8080"]\n',
)
"""Tries all the time to take a port that it was not given; says when that comes out otherwise, and on HUP."""

DROP_IN = f"/etc/systemd/system/{unit('capped')}.d/override.conf"

# Read from the kernel on a machine that has it all; what is not here, systemd alone can be asked about.
READ_FROM_THE_KERNEL = {
    "MemoryMax": "memory.max",
    "MemorySwapMax": "memory.swap.max",
    "CPUQuota": "cpu.max",
    "TasksMax": "pids.max",
    "AppArmorProfile": "/proc/PID/attr/apparmor/current",
    "User": "/proc/PID/status Uid",
    "NoNewPrivileges": "/proc/PID/status NoNewPrivs",
    "CapabilityBoundingSet": "/proc/PID/status CapBnd",
    "PrivateNetwork": "/proc/PID/ns/net",
    "PrivateUsers": "/proc/PID/ns/user",
    "ProtectSystem": "/proc/PID/mountinfo",
    "TemporaryFileSystem": "/proc/PID/mountinfo",
    "InaccessiblePaths": "/proc/PID/mountinfo",
    "PrivateTmp": "/proc/PID/mountinfo",
    "IPAddressDeny": "bpf(2) on the cgroup: ingress, egress",
    "DevicePolicy": "bpf(2) on the cgroup: device",
}


@dataclass(frozen=True, kw_only=True)
class Said:
    """What one call of doctor said."""

    status: int
    machine: dict[str, dict[str, Any]]
    modules: dict[str, dict[str, Any]]

    def row(self, module: str, name: str) -> dict[str, Any]:
        """The row of one declared thing."""
        found: dict[str, Any]
        (found,) = [row for row in self.modules[module]["rows"] if row["name"] == name]
        return found

    def bad(self) -> list[tuple[str, str, str, str]]:
        """Module, name, verdict and reason of every row that is not as declared."""
        return [
            (module, row["name"], row["verdict"], row["why"])
            for module, one in self.modules.items()
            for row in one["rows"]
            if row["verdict"] not in ("enforced", "not running")
        ]


def doctor(core: Core, *names: str) -> Said:
    done = core.run(f"auroractl doctor --json {' '.join(names)}", check=False)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert document["as_declared"] is (done.returncode == 0)
    return Said(
        status=done.returncode,
        machine={row["name"]: row for row in document["machine"]},
        modules={module["name"]: module for module in document["modules"]},
    )


# A machine that has it all


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With the shipped modules, and one of our own."""
    with tidied(vm) as core:
        core.put(CAPPED, RICH, TIMED, LISTENING)
        core.run(
            f"""
            for name in hello hoststat disk-watch; do auroractl install --no-start {EXAMPLES}/$name; done
            for name in capped rich timed listening; do auroractl install --no-start {folder("$name")}; done
            echo secret | auroractl credential set rich key
            auroractl enable --now hello hoststat disk-watch capped rich timed listening
            """,
            timeout_sec=2 * START_SEC,
        )
        yield core


@pytest.fixture(scope="module")
def healthy(core: Core) -> Said:
    return doctor(core)


def test_on_a_healthy_machine_everything_declared_is_enforced(healthy: Said) -> None:
    assert healthy.bad() == []
    assert healthy.status == 0
    assert healthy.modules.keys() == {"hello", "hoststat", "disk-watch", "capped", "rich", "timed", "listening"}
    for name, module in healthy.modules.items():
        assert len(module["rows"]) > 50
        verdicts = {row["verdict"] for row in module["rows"]}
        assert verdicts == ({"enforced", "not running"} if name == "timed" else {"enforced"})


def test_a_module_that_waits_for_its_time_has_its_schedule_held_by_systemd(healthy: Said) -> None:
    for name in ("OnCalendar", "RandomizedDelaySec", "Persistent"):
        row = healthy.row("timed", name)
        assert (row["verdict"], row["source"]) == ("enforced", "systemd holds it")
    assert healthy.row("timed", "TasksMax")["verdict"] == "not running"


def test_what_little_is_declared_beyond_the_shipped_modules_is_read_back_too(healthy: Said) -> None:
    sources = {
        "CPUWeight": ("50", "cpu.weight"),
        "MemoryHigh": ("24M", "memory.high"),
        "IOReadBandwidthMax": (str(10 * 2**20), "io.max"),
        "IOWriteBandwidthMax": (str(5 * 2**20), "io.max"),
        "KillSignal": ("SIGINT", "systemd holds it"),
        "After": ("aurora@hello.service run-aurora\\x2dmodules-rich.mount", "systemd holds it"),
        "LoadCredential": ("as declared", "/proc/PID/mountinfo"),
        "RuntimeDirectory": ("as declared", "/proc/PID/mountinfo"),
    }
    assert {
        name: (healthy.row("rich", name)["effective"], healthy.row("rich", name)["source"]) for name in sources
    } == sources


def test_what_the_kernel_can_be_asked_is_read_from_the_kernel(healthy: Said) -> None:
    assert {name: healthy.row("hello", name)["source"] for name in READ_FROM_THE_KERNEL} == READ_FROM_THE_KERNEL
    assert healthy.row("hello", "Restart")["source"] == "systemd holds it"
    for name in ("SocketBindAllow", "SocketBindDeny"):
        assert healthy.row("listening", name)["source"] == "bpf(2) on the cgroup or its slice: bind4, bind6"


def test_a_healthy_machine_can_enforce_all_that_modules_rely_on(healthy: Said) -> None:
    for name in ("cgroup v2", "memory controller", "io controller", "cpu controller", "pids controller", "apparmor",
                 "hub confined", "seccomp", "user namespaces", "ip filter", "device filter", "swap accounting",
                 "persistent journal", "systemd"):  # fmt: skip
        assert healthy.machine[name]["able"] is True, healthy.machine[name]
        assert healthy.machine[name]["found"]
    synchronised = healthy.machine["clock"]
    assert synchronised["able"] is False, "this machine has no network to ask the time"
    assert "not synchronised" in synchronised["found"]


def test_the_table_names_every_row_of_a_module_that_is_asked_for(core: Core, healthy: Said) -> None:
    shown = core.run("auroractl doctor hello").stdout
    rows = healthy.modules["hello"]["rows"]
    assert f"hello: all {len(rows)} are enforced" in shown
    assert {row["name"] for row in rows} <= {line.partition(" ")[0] for line in shown.splitlines()}


def test_without_root_doctor_says_what_it_could_not_read(core: Core) -> None:
    done = core.run("su nobody -s /bin/sh -c 'auroractl doctor hello'", check=False)
    assert done.returncode == 1
    assert "PrivateNetwork" in done.stdout
    assert "not read" in done.stdout
    assert "sudo" in done.stderr
    assert "not enforced" not in done.stdout


def test_after_a_daemon_reload_the_same_holds(core: Core, healthy: Said) -> None:
    core.run("systemctl daemon-reload")
    names = sorted(healthy.modules.keys())
    again = doctor(core, *names)
    assert again.bad() == []
    assert again.status == 0
    for name in names:
        assert again.modules[name]["rows"] == healthy.modules[name]["rows"]


def outcomes(core: Core, count: int) -> list[str]:
    """What the present run of `listening` has said, once that are `count` lines or more."""
    (run,) = core.invocations("listening").values()
    lines = f"journalctl -q -o cat _SYSTEMD_UNIT={unit('listening')} _SYSTEMD_INVOCATION_ID={run}"
    core.machine.wait_until(f"[ $({lines} | wc -l) -ge {count} ]", 60)
    return core.run(lines).stdout.split()


def test_a_module_stays_held_to_its_ports(core: Core) -> None:
    """By what holds its slice: systemd 257 lets the unit itself go, and has it again at the next start."""
    core.run("auroractl restart listening")
    assert outcomes(core, 1) == ["refused"]
    core.run(f"systemctl daemon-reload && systemctl kill --kill-whom=main --signal=HUP {unit('listening')}")
    assert outcomes(core, 2) == ["refused", "refused"]
    assert doctor(core, "listening").bad() == []


def test_a_module_is_held_to_the_ports_that_its_owner_gives_it(core: Core) -> None:
    drop_in = f"/etc/systemd/system/{unit('listening')}.d/override.conf"
    core.run(f"""
        mkdir -p {drop_in.rpartition("/")[0]}
        printf '[Service]\\nSocketBindAllow=\\nSocketBindAllow=ipv4:tcp:9990-9999\\n' > {drop_in}
        systemctl daemon-reload && systemctl restart {unit("listening")}
    """)
    assert outcomes(core, 1) == ["taken"]
    core.run(f"rm -r {drop_in.rpartition('/')[0]}; systemctl daemon-reload && systemctl restart {unit('listening')}")
    assert outcomes(core, 1) == ["refused"]
    assert doctor(core, "listening").bad() == []


def test_a_module_that_is_stopped_is_judged_by_what_its_next_start_gets(core: Core) -> None:
    core.run("systemctl stop aurora@disk-watch")
    said = doctor(core, "disk-watch")
    core.run("systemctl start aurora@disk-watch")
    assert said.status == 0
    assert said.modules["disk-watch"]["state"] == "inactive"
    verdicts = {(row["name"] == "files", row["verdict"]) for row in said.modules["disk-watch"]["rows"]}
    assert verdicts == {(False, "not running"), (True, "enforced")}, "its files are there, whether it runs or not"


# Loosened by hand


@pytest.fixture
def loosened(core: Core) -> Iterator[Core]:
    """Whatever the test loosens is tight again afterwards."""
    yield core
    core.run(
        f"rm -rf {DROP_IN.rpartition('/')[0]} && systemctl daemon-reload && auroractl restart capped",
        timeout_sec=2 * START_SEC,
    )
    assert doctor(core, "capped").bad() == []


@pytest.mark.deadline(600)
def test_a_drop_in_that_loosens_is_named(loosened: Core) -> None:
    text = "[Service]\nMemoryMax=512M\nReadWritePaths=/etc\nRestrictNamespaces=no\n"
    loosened.run(f"mkdir -p {DROP_IN.rpartition('/')[0]} && cat >{DROP_IN} && systemctl daemon-reload", input=text)
    said = doctor(loosened, "capped")
    assert said.status == 1
    assert {name: verdict for _, name, verdict, _ in said.bad()} == dict.fromkeys(
        ("MemoryMax", "ReadWritePaths", "RestrictNamespaces"), "overridden"
    )
    memory = said.row("capped", "MemoryMax")
    # What runs is still tight; only the next start would not be.
    assert (memory["declared"], memory["effective"], memory["drop_in"]) == ("32M", "32M", DROP_IN)
    assert "with 512M from the next start on" in memory["why"]

    loosened.run("systemctl restart aurora@capped")
    after = doctor(loosened, "capped")
    assert after.row("capped", "MemoryMax")["effective"] == "512M"
    assert {name for _, name, verdict, _ in after.bad() if verdict == "overridden"} >= {"MemoryMax", "ReadWritePaths"}
    system = after.row("capped", "ProtectSystem")
    assert system["verdict"] == "not enforced"
    assert "/etc is writable" in system["why"]

    # Taken away again, systemd holds what was declared, and the process does not.
    loosened.run(f"rm {DROP_IN} && systemctl daemon-reload")
    assert doctor(loosened, "capped").row("capped", "ProtectSystem")["verdict"] == "not enforced"


def test_a_cgroup_file_that_is_loosened_by_hand_is_noticed(loosened: Core) -> None:
    loosened.run(f"echo max >/sys/fs/cgroup/aurora.slice/aurora-capped.slice/{unit('capped')}/memory.max")
    said = doctor(loosened, "capped")
    assert said.status == 1
    ((_, name, verdict, why),) = said.bad()
    assert (name, verdict) == ("MemoryMax", "not enforced")
    assert "memory.max is max" in why
    assert "systemd holds 32M" in why


def test_a_profile_that_is_replaced_by_hand_is_noticed(loosened: Core) -> None:
    profile = "/run/aurora/apparmor/aurora.capped"
    loosened.run(f"sed 's/flags=(/flags=(complain,/' {profile} | apparmor_parser --replace")
    said = doctor(loosened, "capped")
    ((_, name, verdict, why),) = said.bad()
    assert (said.status, name, verdict) == (1, "AppArmorProfile", "not enforced")
    assert "aurora.capped (complain)" in why

    # One that enforces, but something else, has the same label.
    loosened.run(f"sed 's/^}}/  \\/etc\\/** rw,\\n}}/' {profile} | apparmor_parser --replace")
    ((_, name, verdict, why),) = doctor(loosened, "capped").bad()
    assert (name, verdict) == ("AppArmorProfile", "not enforced")
    assert "not the one" in why
    loosened.run(f"apparmor_parser --replace {profile}")


# Machines that lack something


@pytest.mark.deadline(1800)
def test_without_memory_controller_and_apparmor_doctor_tells_the_truth(other_vm: Callable[[str], Machine]) -> None:
    core = Core(other_vm("without"))
    core.put(CAPPED)
    accepted: list[str] = []
    # The module is not started for the one nor for the other, until its owner accepts both.
    for feature in ("memory", "apparmor"):
        refused = core.run(f"auroractl install {folder('capped')}", check=False)
        assert refused.returncode == 69
        assert f"it relies on {feature}" in refused.stderr
        accepted.append(feature)
        core.run(f"mkdir -p /etc/aurora && echo 'accept_unenforced = {json.dumps(accepted)}' >/etc/aurora/core.toml")
    core.run(f"auroractl install {folder('capped')}")
    for command in ("auroractl status", "auroractl status capped"):
        told = core.run(command).stdout.partition("not enforced: ")[2]
        assert "memory" in told
        assert "apparmor" in told

    said = doctor(core)
    assert said.status == 1
    assert core.run("auroractl doctor", check=False).returncode == 1
    memory, apparmor = said.machine["memory controller"], said.machine["apparmor"]
    assert (memory["able"], memory["accepted"], apparmor["able"], apparmor["accepted"]) == (False, True, False, True)
    assert "cgroup_disable=memory" in memory["found"]
    assert "/boot/firmware/cmdline.txt: add cgroup_enable=memory" in memory["remedy"]
    assert "apparmor=0" in apparmor["found"]
    assert "/boot/firmware/cmdline.txt: add apparmor=1 security=apparmor" in apparmor["remedy"]
    # The hub runs all the same, without its profile, and the same row says so.
    core.run("auroractl link pub first 1")
    assert "and the hub" in apparmor["means"]
    assert "hub confined" not in said.machine
    assert said.machine["swap accounting"]["able"] is False
    assert said.machine["cpu controller"]["able"] is True
    assert {name: why for _, name, _, why in said.bad()} == {
        "MemoryMax": "this machine lacks memory, which its owner accepts",
        "MemorySwapMax": "this machine lacks memory, which its owner accepts",
        "AppArmorProfile": "this machine lacks apparmor, which its owner accepts",
    }


def test_with_a_volatile_journal_doctor_tells_the_truth(core: Core) -> None:
    core.run(f"mkdir -p {VOLATILE.rpartition('/')[0]} && printf '[Journal]\\nStorage=volatile\\n' >{VOLATILE}")
    core.run("systemctl restart systemd-journald")
    said = doctor(core, "capped")
    journal = said.machine["persistent journal"]
    assert journal["able"] is False
    assert f"Storage=volatile in {VOLATILE}" in journal["found"]
    assert (said.status, said.bad()) == (0, []), "no module declares a journal"

    # What it says to change is what changes it.
    file, _, rest = journal["remedy"].partition(": ")
    setting, _, command = rest.partition(", then ")
    core.run(f"echo '{setting}' | tr ' ' '\\n' >{file}\n{command}")
    assert doctor(core, "capped").machine["persistent journal"]["able"] is True
    core.run(f"rm -f {VOLATILE} {file} && systemctl restart systemd-journald")
