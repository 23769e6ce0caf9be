"""The shipped modules that talk on AuroraLink do so, boxed: one reacts to another, languages to each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm import cache, chroot
from tests.vm.core import FOLDERS, Core, folder, tidied
from tests.vm.errors import RigError
from tests.vm.machine import Machine

EXAMPLES = "/usr/share/aurora/examples"
HUB = "aurora-link.service"
RELAYS = ("link-shell", "link-c", "link-python", "link-asyncio")
"""In the order of their numbers' way; link-js would be next, but Node would double the machine's disk."""
TELLS = """
import json, sys, time
from aurora.link.client import connect

number, heard, until = int(sys.argv[1]), [], time.monotonic() + 120
with connect() as link:
    link.subscribe("relay/+")
    while not (heard and heard[-1][1] == "relay/js") and time.monotonic() < until:
        heard.clear()  # whoever was not there yet has missed the number
        link.publish("relay/shell", number)
        for message in link.messages(within_sec=10):
            heard.append([message["from"], message["topic"], message["data"]])
            if message["topic"] == "relay/js":
                break
print(json.dumps(heard))
"""
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq --yes"


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        yield core


# load-alert reacts to hoststat


@pytest.fixture(scope="module")
def watched(core: Core) -> Iterator[Core]:
    """hoststat and load-alert, with values of their owner's: a busy machine is one after three seconds."""
    core.run(
        f"""
        mkdir -p /etc/aurora/modules
        printf '[environment]\\nINTERVAL_SEC = "1"\\n' >/etc/aurora/modules/hoststat.toml
        printf '[environment]\\nWATCH = "cpu_percent=95"\\nHOLD_SEC = "3"\\nCALM = "20"\\n' \
            >/etc/aurora/modules/load-alert.toml
        for name in hoststat load-alert; do auroractl install --no-start {EXAMPLES}/$name; done
        auroractl enable --now hoststat load-alert
        """
    )
    yield core
    core.run("rm /etc/aurora/modules/hoststat.toml /etc/aurora/modules/load-alert.toml")


def messages(said: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.splitlines()]


def test_the_last_reading_is_there_for_whoever_comes_later(watched: Core) -> None:
    watched.machine.wait_until("journalctl -q -o cat -u aurora@hoststat | grep -q '^{'", 120)
    (first,) = messages(watched.run("auroractl link sub hoststat/figures --count 1 --within 30 --json").stdout)
    assert (first["from"], first["retained"]) == ("hoststat", True)
    assert first["data"]["cpu_count"] >= 1


def test_a_busy_machine_is_told_and_so_is_its_end_each_once(watched: Core) -> None:
    said = watched.run(
        """
        auroractl link sub 'alarm/#' --cursor test --count 1 --within 200 --json >/run/alarm &
        alarm=$!
        busy=
        for one in $(seq $(nproc)); do
            sh -c 'while :; do :; done' & busy="$busy $!"
        done
        wait $alarm || true
        kill $busy
        cat /run/alarm
        auroractl link sub 'alarm/#' --cursor test --count 1 --within 200 --json
        rm /run/alarm
        """,
        timeout_sec=450,
    ).stdout
    begun, ended = messages(said)
    topic = "alarm/load-alert/cpu_percent"
    assert (begun["from"], begun["topic"], begun["data"]["state"]) == ("load-alert", topic, "alarm")
    assert begun["data"]["value"] >= 95
    assert (ended["from"], ended["topic"], ended["data"]["state"]) == ("load-alert", topic, "over")
    assert ended["data"]["value"] < 75
    journal = [line for line in watched.said("load-alert") if "cpu_percent" in line]
    assert [line.split(":")[0] for line in journal[:2]] == [
        "cpu_percent has been too high",
        "cpu_percent is calm again",
    ]


def test_another_hub_has_new_readings_by_themselves(watched: Core) -> None:
    before = watched.invocations("hoststat", "load-alert")
    began_sec = float(watched.run(f"systemctl kill --signal=KILL {HUB}; date +%s").stdout)
    read = "auroractl link sub hoststat/figures --within 5 --json || true"
    watched.machine.wait_until(
        f"{read} | python3 -c 'import json, sys; sys.exit(not any("
        f'json.loads(line)["data"]["time_unix_sec"] > {began_sec + 1} for line in sys.stdin))\'',
        120,
    )
    assert watched.invocations("hoststat", "load-alert") == before


# Five languages, of which four are here


@pytest.fixture(scope="module")
def relays(core: Core) -> Iterator[Core]:
    program = cache.root() / "scratch" / "relay"
    if chroot.run(["cc", "-O2", "-o", "/cache/relay", "modules/link-c/relay.c"]) != 0:
        raise RigError("build link-c", "the compiler failed; its words are above")
    core.run(f"{APT} install socat", timeout_sec=300)
    core.run(f"mkdir -p {FOLDERS} && for name in {' '.join(RELAYS)}; do cp -r {EXAMPLES}/$name {FOLDERS}; done")
    core.machine.run(f"cat >{folder('link-c')}/relay && chmod 755 {folder('link-c')}/relay", input=program.read_bytes())
    core.run("\n".join(f"auroractl install --no-start {folder(name)}" for name in RELAYS))
    core.run(f"auroractl enable --now {' '.join(RELAYS)}")
    yield core
    core.run(f"auroractl remove --purge {' '.join(RELAYS)}; {APT} purge socat", timeout_sec=300)


def relayed(core: Core, number: int) -> list[tuple[str, str, int]]:
    """What root hears of a number that it tells the first of them."""
    return [(*step,) for step in json.loads(core.run(f"python3 - {number}", input=TELLS, timeout_sec=150).stdout)]


def test_a_number_goes_from_language_to_language(relays: Core) -> None:
    for number in (1, 41):
        assert relayed(relays, number) == [
            ("user:root", "relay/shell", number),
            ("link-shell", "relay/c", number + 1),
            ("link-c", "relay/python", number + 2),
            ("link-python", "relay/asyncio", number + 3),
            ("link-asyncio", "relay/js", number + 4),
        ]


def test_one_language_answers_another_and_people(relays: Core) -> None:
    assert int(relays.run("auroractl link req relay/python/count null").stdout) >= 2
    relays.machine.wait_until("journalctl -q -o cat -u aurora@link-asyncio | grep -q 'link-python has heard [0-9]'", 60)


def test_they_run_boxed(relays: Core) -> None:
    for name in RELAYS:
        pid = relays.show(name, "MainPID")["MainPID"]
        assert relays.run(f"cat /proc/{pid}/attr/apparmor/current").stdout.strip() == f"aurora.{name} (enforce)"


def test_they_are_there_again_after_the_hub(relays: Core) -> None:
    before = relays.invocations(*RELAYS)
    relays.run(f"systemctl kill --signal=KILL {HUB}")
    assert relayed(relays, 7)[-1] == ("link-asyncio", "relay/js", 11)
    assert relays.invocations(*RELAYS) == before
