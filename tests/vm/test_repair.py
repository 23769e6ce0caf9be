"""Slots damaged as a dying card damages them: found, mended from what holds the bytes, and told where nothing does."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

STATE = "/var/lib/aurora-core/modules"
CARD = Module(
    name="card",
    program="#!/bin/sh\ncat data/words\nexec sleep infinity\n",
    more='[update]\nwindow = "0s"\n',
    files={"data/words": "as staged\n", "data/more": "x" * 300_000},
)
NEIGHBOUR = Module(name="neighbour")
OUTSIDE = "/var/lib/aurora-test/outside"

LISTED = "find {folders} -printf '%p %i %m %s %T@ %C@ %l\\n' | sort"
"""What tells whether a file was touched."""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a module at its second version, whose slots differ in the manifest alone, and one beside it."""
    with tidied(vm) as core:
        core.install(CARD, NEIGHBOUR)
        core.put(dataclasses.replace(CARD, version="2.0"))
        core.run(f"auroractl update apply {folder('card')}; sync; mkdir -p {OUTSIDE}; echo keep >{OUTSIDE}/words")
        yield core
        core.run(f"rm -rf {OUTSIDE}")


@pytest.fixture
def slot(core: Core) -> str:
    """The active slot, whole and running."""
    core.run(f"auroractl update repair --from {folder('card')} card 2>/dev/null; auroractl restart card")
    path = core.run("systemctl show -P WorkingDirectory aurora@card").stdout.strip()
    assert path == f"{STATE}/card/b"
    return path


def verified(core: Core) -> tuple[int, list[dict[str, Any]]]:
    """What `auroractl update verify card` says."""
    done = core.run("auroractl update verify card --json", check=False)
    return done.returncode, json.loads(done.stdout)


def files_row(core: Core) -> dict[str, Any]:
    """Doctor's row about the module's files."""
    said = json.loads(core.run("auroractl doctor card --json", check=False).stdout)
    (row,) = [row for row in said["modules"][0]["rows"] if row["name"] == "files"]
    found: dict[str, Any] = row
    return found


WAYS = {
    "other bytes": ("sed -i s/as/AS/ data/words", {"data/words"}),
    "cut off": ("head -c 7 data/more >/run/cut; mv /run/cut data/more", {"data/more"}),
    "missing": ("rm run.sh", {"run.sh"}),
    "extra": ("echo x >data/stray; mkdir stray; echo x >stray/in", {"data/stray", "stray"}),
    "mode": ("cp run.sh /run/mode; chmod 4777 /run/mode; mv /run/mode run.sh", {"run.sh"}),
    "a link out": (f"rm data/words; ln -s {OUTSIDE}/words data/words", {"data/words"}),
    "a folder swapped for a link out": (f"rm -r data; ln -s {OUTSIDE} data", {"data", "data/words", "data/more"}),
    "several": ("rm run.sh; chmod 700 data; rm data/words; : >data/words", {"run.sh", "data", "data/words"}),
}
"""What did not change is one file in both slots, so each of these puts another in its place."""


@pytest.mark.deadline(200)
@pytest.mark.parametrize("way", WAYS)
def test_damage_is_found_and_mended_and_nothing_else_is_touched(core: Core, slot: str, way: str) -> None:
    script, damaged = WAYS[way]
    listed = LISTED.format(folders=f"{STATE}/card/a {STATE}/neighbour {OUTSIDE} /var/lib/aurora-core/records")
    core.run(f"cd {slot}; {script}; sync; echo 3 >/proc/sys/vm/drop_caches")
    status, (active, before) = verified(core)
    assert (status, before["damaged"]) == (1, [])
    assert {one["path"] for one in active["damaged"]} == damaged
    assert files_row(core)["verdict"] == "not enforced"
    untouched = core.run(listed).stdout
    done = core.run("auroractl update repair card")
    assert "auroractl restart card" in done.stderr
    assert core.run(listed).stdout == untouched
    assert verified(core) == (0, [{**active, "damaged": []}, before])
    assert files_row(core)["verdict"] == "enforced"
    core.run("auroractl restart card")
    assert core.said("card")[-1] == "as staged"


@pytest.mark.deadline(300)
def test_what_nothing_holds_is_said_everywhere_and_is_not_started(core: Core, slot: str) -> None:
    # One file in both slots, or two where one of them was mended.
    both = f"{STATE}/card/a/run.sh {slot}/run.sh"
    core.run(f"echo '#!/bin/sh' | tee {both} >/dev/null; systemctl stop aurora@card")
    done = core.run("auroractl update repair card", check=False)
    assert done.returncode == 71
    assert "run.sh: it has another length" in done.stderr
    assert "try auroractl update repair card --from FILE.deb, or auroractl install FILE.deb" in done.stderr
    done = core.run("auroractl start card", check=False)
    assert done.returncode == 71
    assert "its files are damaged: run.sh" in done.stderr
    (status,) = [one for one in json.loads(core.run("auroractl status --json", check=False).stdout)
                 if one["name"] == "card"]  # fmt: skip
    assert status["damaged"].startswith("run.sh: ")
    done = core.run(f"auroractl update repair card --from {folder('card')}")
    assert f"run.sh was damaged, and is mended: {folder('card')}" in done.stderr
    assert "slot a: run.sh was damaged, and is mended: slot b" in done.stderr
    core.run("auroractl start card")
    core.wait_for("card", ActiveState="active")


@pytest.mark.deadline(400)
def test_a_boot_mends_before_it_starts(core: Core, slot: str) -> None:
    core.run(f"cd {slot}; rm run.sh; sync")
    core.machine.power_cut()
    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n"
    core.wait_for("card", ActiveState="active")
    journal = core.run("journalctl -b -q -o cat -u aurora-core").stdout
    assert "card, slot b: run.sh was damaged, and is mended: slot a" in journal
    assert verified(core)[0] == 0


@pytest.mark.deadline(200)
def test_why_names_the_damage_as_the_cause(core: Core, slot: str) -> None:
    core.run(f"cd {slot}; truncate -s 0 run.sh; systemctl restart aurora@card", check=False)
    core.machine.wait_until("auroractl why card --json | grep -q damaged", 60)
    said = json.loads(core.run("auroractl why card --json", check=False).stdout)
    assert said["cause"] == "damaged"
    assert "run.sh" in said["sentence"]
    assert said["remedy"].startswith("auroractl update repair card")
