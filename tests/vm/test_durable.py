"""What AuroraLink has acknowledged of durable topics is there, whatever became of hub and machine meanwhile."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, tidied
from tests.vm.machine import Machine

HUB = "aurora-link.service"
STATE = "/var/lib/private/aurora-link"
DISK = "/var/lib/private/aurora/alarm/acked"

# Publishes numbers as fast as they are acknowledged, and writes down, on its own disk, which ones were.
ALARM = """
import os
from pathlib import Path

from aurora import sdk
from aurora.errors import AuroraError

place = Path(os.environ["STATE_DIRECTORY"]) / "acked"
number = 1000 + max([0, *map(int, place.read_text().split())] if place.exists() else [0])
with place.open("a") as acked:
    while True:
        try:
            with sdk.link() as link:
                while True:
                    number += 1
                    link.publish("alarm/fire", number)
                    acked.write(f"{number}\\n")
                    acked.flush()
                    os.fsync(acked.fileno())
        except AuroraError as error:
            print(error, flush=True)
"""
TABLE = '[directories]\nstate = true\n[link]\npublish = ["alarm/+"]\ndurable = ["alarm/+"]\n'
PUBLISHER = Module(name="alarm", entry="run.py", program=ALARM, more=TABLE)

# Sets a value, says that the hub has it, and is quiet from then on.
SETTER = """
import time

from aurora import sdk

with sdk.link() as link:
    link.publish("set/heat", 21, retain=True)
print("set", flush=True)
time.sleep(1e6)
"""
QUIET = Module(
    name="setter", entry="run.py", program=SETTER, more='[link]\npublish = ["set/+"]\nretained = ["set/+"]\n'
)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install(PUBLISHER)
        yield core


def acknowledged(core: Core) -> list[int]:
    """What the module has written down."""
    return [int(line) for line in core.run(f"cat {DISK}").stdout.split()]


def wait_for_more(core: Core, count: int = 5) -> None:
    """Until the module was acknowledged so many more."""
    before = core.run(f"wc -l <{DISK} 2>/dev/null || echo 0").stdout.strip()
    core.machine.wait_until(f"[ $(wc -l <{DISK}) -ge $(({before} + {count})) ]", 120)


def read(core: Core, cursor: str) -> list[dict[str, Any]]:
    """All that there is for the cursor."""
    said = core.run(f"auroractl link sub 'alarm/#' --cursor {cursor} --within 20 --json", timeout_sec=300).stdout
    return [json.loads(line) for line in said.splitlines()]


def assert_all_there(promised: list[int], messages: list[dict[str, Any]]) -> None:
    """Each message that was acknowledged came, in order, and under ids of which none stands for two."""
    numbers = [message["data"] for message in messages]
    assert promised
    assert set(promised) <= set(numbers), sorted(set(promised) - set(numbers))[:10]
    assert numbers == sorted(set(numbers))
    assert {(one["from"], one["topic"], one["cursor"]) for one in messages} == {("alarm", "alarm/fire", "reader")}
    ids = [int(message["id"].removeprefix("d")) for message in messages]
    assert ids == sorted(set(ids))


@pytest.mark.deadline(900)
def test_what_was_acknowledged_is_there_after_kills_of_the_hub_and_a_power_cut(core: Core) -> None:
    machine = core.machine
    machine.wait_until(f"[ -s {DISK} ]", 120)
    for _ in range(3):
        core.run(f"systemctl kill --signal=KILL {HUB}")
        wait_for_more(core)
    after_sec = random.SystemRandom().uniform(0.5, 4)
    core.run(f"sleep {after_sec}")
    machine.power_cut()
    core.run("systemctl stop aurora@alarm")
    promised = acknowledged(core)
    before = read(core, "reader")
    assert_all_there(promised, before)

    # What the reader has acknowledged does not come again; what it has not does, also after the next cut.
    core.run("systemctl start aurora@alarm")
    wait_for_more(core)
    machine.power_cut()
    core.run("systemctl stop aurora@alarm")
    again = read(core, "reader")
    assert_all_there([number for number in acknowledged(core) if number not in promised], again)
    assert not {one["id"] for one in before} & {one["id"] for one in again}


def test_a_value_outlives_the_hub_and_another_one_does_not(core: Core) -> None:
    core.install(QUIET)
    core.machine.wait_until("journalctl -q -o cat -u aurora@setter | grep -qx set", 120)
    core.run("auroractl link pub wind 3 --retain")
    core.run(f"systemctl stop {HUB}")
    said = core.run("auroractl link sub '#' --within 5 --json").stdout
    found = {message["topic"]: message for message in map(json.loads, said.splitlines())}
    assert (found["set/heat"]["data"], found["set/heat"]["retained"]) == (21, True)
    assert "wind" not in found


def test_a_full_disk_refuses_and_loses_nothing(core: Core) -> None:
    core.run("systemctl stop aurora@alarm")
    before = json.loads(core.run("auroractl link durable --json").stdout)["logs"]
    core.run(f"systemctl stop {HUB}; mkdir -p /run/systemd/system/{HUB}.d")
    # No file of the hub may grow from here on.
    core.run(f"printf '[Service]\\nLimitFSIZE=1\\n' >/run/systemd/system/{HUB}.d/small.conf; systemctl daemon-reload")
    try:
        core.run("truncate -s 0 /var/lib/private/aurora/alarm/acked; systemctl start aurora@alarm")
        own = "journalctl -q -o cat -u aurora@alarm"
        why = "^cannot open /var/lib/aurora-link/link.db, because disk I/O error"
        core.machine.wait_until(f"{own} | grep -q '{why}'", 120)
        core.run("systemctl stop aurora@alarm")
        assert acknowledged(core) == []
    finally:
        core.run(f"rm -r /run/systemd/system/{HUB}.d; systemctl daemon-reload; systemctl stop {HUB}")
    assert json.loads(core.run("auroractl link durable --json").stdout)["logs"] == before


def test_the_owner_sees_what_is_kept_and_a_purge_takes_it_away(core: Core) -> None:
    said = core.run("auroractl link durable").stdout
    assert "alarm" in said
    assert "reader" in said
    stated = core.run("auroractl doctor alarm --json", check=False).stdout
    assert "durable" in stated
    core.run("auroractl remove --purge alarm setter")
    left = json.loads(core.run("auroractl link durable --json").stdout)
    assert left["logs"] == []
    assert [one["owner"] for one in left["cursors"]] == ["user:root"]
    assert "set/heat" not in core.run("auroractl link sub '#' --within 3 --json").stdout


def test_only_the_hub_reaches_its_disk(core: Core) -> None:
    found = core.run(f"stat -c '%a %F' {STATE} {STATE}/link.db").stdout.splitlines()
    assert found == ["700 directory", "600 regular file"]
    assert core.run(f"setpriv --reuid=nobody ls {STATE}", check=False).returncode != 0
