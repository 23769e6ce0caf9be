"""Whatever moment the power goes amid updates, good and bad, one whole version is active, and the next one works."""

from __future__ import annotations

import dataclasses
import random
import shlex
from collections.abc import Callable, Iterator

import pytest

from tests.vm.core import FILLER, Core, Module, fill_disk, folder, tidied
from tests.vm.machine import Machine
from tests.vm.trials import CORE, TRY, known, lay_down, put_back, version_of

PLACES = "/var/lib/aurora-test/updates"
"""Folders VERSION/NAME, for commands that replace one version by another."""
BAD = "3.0"
VERSIONS = ("1.0", "2.0", BAD)
UPDATE_SEC = 240

PAIR = (
    Module(
        name="left",
        program="""#!/bin/sh
cd $STATE_DIRECTORY
# The whole file or none, whenever the power goes.
until { cat seen 2>/dev/null; echo VERSION; } | tail -n 20 >seen.new && sync seen.new; do sleep 1; done
mv seen.new seen; sync .
exec sleep infinity
""",
        more='[update]\nwindow = "2s"\nsnapshot = true\ncheck = "check.sh"\n[directories]\nstate = true\n',
        files={"check.sh": "#!/bin/sh\ntest VERSION != 3.0\n", "data/ballast": "VERSION" * 40_000},
    ),
    Module(name="right", more='[update]\nwindow = "2s"\n', files={"data/ballast": "VERSION" * 40_000}),
)
CHURN = f"""
first=FIRST
while :; do
    for version in OTHER 3.0 NOW 3.0; do
        [ $version = 3.0 ] || [ $first = good ] || {{ first=good; continue; }}
        auroractl update apply {PLACES}/$version/left {PLACES}/$version/right || true
    done
done
"""
CHURN_SEC = 18
"""In which one update ends, also a bad one."""

CORE_CHURN = f"""
n=$(date +%s)
first=FIRST
while :; do
    if [ $first = good ]; then
{lay_down("$n")}
{TRY}
    fi
    first=good
{lay_down("$n.bad", ("errors.py", "import nonesuch"))}
{TRY} || true
    n=$((n + 1))
done
"""
CORE_CHURN_SEC = 45
BOOT_FROM_SEC, BOOT_TO_SEC = 4, 28
"""From mounting the disk to well after recovery, where machines are emulated."""
WHOLE = """
import sys
sys.path.insert(0, "/var/lib/aurora-core/core/active")
from pathlib import Path
from aurora.runtime import core
slot = Path("/var/lib/aurora-core/core/active").resolve()
sys.exit(core._digest([(name, slot / name) for name in core.PARTS]) != (slot / "digest").read_text().strip())
"""


def of(module: Module, version: str) -> Module:
    """That version of it."""
    files = {name: text.replace("VERSION", version) for name, text in module.files.items()}
    return dataclasses.replace(module, version=version, program=module.program.replace("VERSION", version), files=files)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With three versions of two modules that are updated together; of the last one a check fails."""
    with tidied(vm) as core:
        for version in VERSIONS:
            core.put(*(of(module, version) for module in PAIR))
            core.run(
                f"""
                mkdir -p {PLACES}/{version}
                for name in left right; do mv {folder("$name")} {PLACES}/{version}/; done
                """
            )
        core.run(f"auroractl install {PLACES}/1.0/left; auroractl install {PLACES}/1.0/right; sync")
        yield core
        core.run(put_back(), timeout_sec=UPDATE_SEC)
        core.run(f"rm -rf {PLACES} {FILLER}")


def cut_amid(core: Core, churn: str, seed: int, most_sec: float) -> str:
    """Cut the power at a moment of `churn`, and twice of three times once more amid the boot; which moments.

    The seed chooses them, and whether a good or a bad version comes first.
    """
    chance = random.Random(seed)
    first, after_sec = chance.choice(["good", "bad"]), chance.uniform(0, most_sec)
    again_sec = chance.uniform(BOOT_FROM_SEC, BOOT_TO_SEC) if chance.random() < 2 / 3 else 0
    churn = churn.replace("FIRST", first)
    core.run(f"systemd-run --quiet --collect --unit=churn sh -c {shlex.quote(churn)}; sleep {after_sec}")
    core.machine.power_cut(again_after_sec=again_sec)
    again = f", and {again_sec:.3f} s after it was switched on again" if again_sec else ""
    return f"seed {seed}, {after_sec:.3f} s after the first began, a {first} one{again}"


def other(version: str) -> str:
    """Of the two that are good."""
    return "2.0" if version == "1.0" else "1.0"


@pytest.mark.deadline(900)
@pytest.mark.parametrize("room", ["room enough", "hardly any room"])
@pytest.mark.many_cuts
def test_a_cut_amid_updates_leaves_all_old_or_all_new(
    core: Core, cut: int, room: str, record_property: Callable[[str, object], None]
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    if room != "room enough":
        core.run(fill_disk(1_000_000))
    before = core.listed()["left"]["version"]
    churn = CHURN.replace("OTHER", other(before)).replace("NOW", before)
    about = cut_amid(core, churn, seed, CHURN_SEC)
    record_property("cut", about)
    core.run(f"rm -rf {FILLER}")

    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n", about
    for module in PAIR:
        core.wait_for(module.name, ActiveState="active")
    version = together(core, about)
    record_property("outcome", version)
    boot = core.run("journalctl --boot --quiet --output=cat --unit=aurora-core").stdout
    assert core.run("auroractl apply").stderr == "", f"{about}; at the boot it said: {boot}"
    assert core.run("auroractl update verify left right", check=False).returncode == 0, about
    words = " ".join(("--json", *(f"{PLACES}/{other(version)}/{module.name}" for module in PAIR)))
    done = core.run(f"auroractl update apply {words}", check=False, timeout_sec=UPDATE_SEC)
    assert done.returncode == 0, f"the next update works, {about}: {done.stdout}{done.stderr}"
    assert together(core, about) == other(version)


def together(core: Core, about: str) -> str:
    """The version that both of the pair are installed in and run, each whole, and by which the state was left."""
    listed = core.listed()
    versions: set[str] = {listed[module.name]["version"] for module in PAIR}
    assert versions in ({"1.0"}, {"2.0"}), about
    (version,) = versions
    core.run(
        "\n".join(
            f"diff -r $(systemctl show -P WorkingDirectory aurora@{module.name}) {PLACES}/{version}/{module.name}"
            for module in PAIR
        )
    )
    core.machine.wait_until(f'test "$(tail -n 1 /var/lib/private/aurora/left/seen)" = {version}', 60)
    seen = core.run("cat /var/lib/private/aurora/left/seen").stdout.split()
    assert set(seen) <= {"1.0", "2.0"}, f"what a version that did not stay has stored is gone, {about}: {seen}"
    return version


@pytest.mark.deadline(1200)
@pytest.mark.many_cuts
def test_a_cut_amid_trials_of_the_core_leaves_one_that_works(
    core: Core, cut: int, record_property: Callable[[str, object], None]
) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    about = cut_amid(core, CORE_CHURN, seed, CORE_CHURN_SEC)
    record_property("cut", about)

    core.run("systemctl is-system-running --wait || true", timeout_sec=UPDATE_SEC)
    core.machine.wait_until(f"test ! -e {CORE}/trial.json", 400)
    # Where the version was a bad one, it is taken back now.
    core.machine.wait_until('test "$(systemctl is-system-running)" = running', 120)
    for module in PAIR:
        core.wait_for(module.name, ActiveState="active")
    now = known(core)
    record_property("outcome", f"{now['active']} in {now['slot']}")
    assert now["trying"] is None, about
    core.run(f"python3 -c {shlex.quote(WHOLE)}")
    core.run(f"! grep -r nonesuch {CORE}/active/aurora/errors.py; auroractl apply; auroractl list")
    core.run(lay_down(f"next{seed}") + TRY, timeout_sec=UPDATE_SEC)
    after = known(core)
    assert (after["active"], after["package"]) == (version_of(f"next{seed}"), None), f"the next one works, {about}"
