"""Whatever moment the power goes, or a command is killed, every module is as it was before or as it was to be."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterator

import pytest

from tests.vm.core import START_SEC, Core, Module, folder, tidied
from tests.vm.machine import Machine

KEEPER = Module(name="keeper")
CHURNED = (Module(name="one"), Module(name="two"))
PLACES = "/var/lib/aurora-test/versions"
"""Folders VERSION/NAME, for commands that replace one version by another."""

CHURN = f"""
n=0
while :; do
    n=$((n + 1))
    for name in one two; do
        auroractl install {PLACES}/$((n % 2 + 1)).0/$name
        auroractl disable $name
        auroractl install --no-start {PLACES}/$((1 - n % 2 + 1)).0/$name
        auroractl enable --now $name
        [ $((n % 3)) -ne 0 ] || auroractl remove $name
        echo "$n $name" >/run/churned
    done
done
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With one module that nothing is done to, and two versions of two that much is done to."""
    with tidied(vm) as core:
        for version in ("1.0", "2.0"):
            core.put(*(dataclasses.replace(module, version=version) for module in CHURNED))
            core.run(
                f"""
                mkdir -p {PLACES}/{version}
                for name in one two; do mv {folder("$name")} {PLACES}/{version}/; done
                """
            )
        core.install(KEEPER)
        core.run("sync")
        yield core
        core.run(f"rm -rf {PLACES}")


def assert_whole(core: Core) -> None:
    """Every module that is listed is one of the versions, with all its files; every enabled one runs it."""
    listed = core.listed()  # reads every record, and fails where one is damaged
    assert "keeper" in listed
    core.run("\n".join(f"auroractl plan {name} --json >/dev/null" for name in listed))
    for name, row in listed.items():
        if name != "keeper":
            held = core.run(
                f"for slot in /var/lib/aurora-core/modules/{name}/*; do"
                f" diff -rq $slot {PLACES}/{row['version']}/{name} >&2 && echo same || true; done"
            ).stdout
            assert held, f"{name} has no whole copy of {row['version']}"
    enabled = [name for name, row in listed.items() if row["enabled"]]
    for name in enabled:
        # One whose start a killed command had asked for is on its way up, and nobody has waited for it.
        core.wait_for(name, ActiveState="active")


def assert_clean(core: Core) -> None:
    """`auroractl apply` has nothing to do, and nothing lies about that belongs to no module."""
    first = core.run("auroractl apply", check=False)
    assert first.returncode == 0, first.stderr
    second = core.run("auroractl apply")
    assert second.stderr == "", "the second one finds everything done"
    names = sorted(core.listed())
    left = core.run("ls -A /var/lib/aurora-core/records | sed 's/\\.json$//'; echo; ls -A /var/lib/aurora-core/modules")
    records, _, modules = left.stdout.partition("\n\n")
    assert records.split() == names
    assert modules.split() == names


@pytest.mark.deadline(900)
def test_a_power_cut_amid_changes_leaves_every_module_whole(
    core: Core, cut: int, record_property: Callable[[str, object], None]
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    after_sec = random.Random(seed).uniform(1, 12)
    keeper_says = core.listed()["keeper"]
    core.run(f"rm -f /run/churned; systemd-run --quiet --collect --unit=churn sh -c {shell_word(CHURN)}")
    core.machine.wait_until("test -e /run/churned", 120)
    core.run(f"sleep {after_sec}")
    core.machine.power_cut()

    about = f"seed {seed}, {after_sec:.3f} s after the first round"
    record_property("cut", about)
    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n", about
    assert_whole(core)
    assert core.listed()["keeper"] == keeper_says
    assert_clean(core)
    assert_whole(core)


def shell_word(script: str) -> str:
    return "'" + script.replace("'", "'\\''") + "'"


KILLER = """
import json, random, subprocess, sys, time

seed, rounds = int(sys.argv[1]), int(sys.argv[2])
chance = random.Random(seed)
places = sys.argv[3]
def commands():
    version, name = chance.choice(["1.0", "2.0"]), chance.choice(["one", "two"])
    return chance.choice([
        ["install", f"{places}/{version}/{name}"],
        ["install", "--no-start", f"{places}/{version}/{name}"],
        ["enable", "--now", name],
        ["disable", name],
        ["remove", name],
        ["apply"],
    ])

# How long a command takes here, to strike at any moment of it.
begun = time.monotonic()
subprocess.run(["auroractl", "install", f"{places}/1.0/one"], check=True, capture_output=True)
whole_sec = time.monotonic() - begun
killed = 0
turn = 0
while killed < rounds and turn < 10 * rounds:  # what has nothing to do may end before it is struck
    turn += 1
    command = commands()
    run = subprocess.Popen(["auroractl", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after_sec = chance.uniform(0.1, 1) * whole_sec
    try:
        run.wait(after_sec)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
        killed += 1
    said = subprocess.run(["auroractl", "list", "--json"], capture_output=True, text=True)
    if said.returncode != 0:
        sys.exit(f"seed {seed}, turn {turn}: {command} killed after {after_sec:.3f} s: {said.stderr}")
    for row in json.loads(said.stdout):
        if row["version"] not in ("1.0", "2.0"):
            sys.exit(f"seed {seed}, turn {turn}: {row}")
print(killed)
"""


@pytest.mark.deadline(900)
def test_a_command_that_is_killed_leaves_every_module_whole(core: Core) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    keeper = core.invocations("keeper")
    for part in range(2):
        said = core.run(f"python3 - {seed + part} 5 {PLACES}", input=KILLER, timeout_sec=START_SEC).stdout
        assert int(said) == 5, f"seed {seed + part}: as many commands were killed"
        # What was decided and not done, the next apply does.
        assert_clean(core)
        assert_whole(core)
    assert core.invocations("keeper") == keeper
