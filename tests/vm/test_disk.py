"""What a module may store on disk and in memory is bounded: one that fills all it can harms itself alone."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, folder, tidied, unit
from tests.vm.machine import Machine

MIB = 1 << 20
BUDGET = 20 * MIB
VOLUMES = "/var/lib/aurora-core/volumes"
IMAGE = f"{VOLUMES}/state/aurora/filler.ext4"

# Fills its directories once, says how far it got, and says at every start what it finds of that.
FILLS = """
import errno, hashlib, os, time

for variable in ("STATE_DIRECTORY", "CACHE_DIRECTORY"):
    path = os.path.join(os.environ[variable], "filled")
    if not os.path.exists(path):
        written = 0
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    written += file.write(os.urandom(1 << 16))
            except OSError as error:
                print("refused", variable, errno.errorcode[error.errno], written, flush=True)
with open(os.path.join(os.environ["STATE_DIRECTORY"], "filled"), "rb") as file:
    print("holds", hashlib.sha256(file.read()).hexdigest(), flush=True)
while True:
    time.sleep(1)
"""
FILLER = Module(
    name="filler",
    entry="run.py",
    program=FILLS,
    more='[directories]\nstate = true\ncache = true\n[limits]\nstate_max = "20M"\ncache_max = "8M"\n',
)

# Keeps one file, whole and on disk, and says at every start what is in it.
KEEPS = """
import os, time

place = os.environ["STATE_DIRECTORY"]
path = os.path.join(place, "kept")
if not os.path.exists(path):
    with open(path + ".new", "wb") as file:
        file.write(os.urandom(3_000_000))
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)
    handle = os.open(place, os.O_RDONLY)
    os.fsync(handle)
with open(path, "rb") as file:
    print("keeps", hash_of(file.read()), os.statvfs(place).f_bavail * 4096 >> 20, flush=True)
while True:
    time.sleep(1)
"""
KEEPER = Module(
    name="disk-keeper",
    entry="run.py",
    program="from hashlib import sha256\n\n\ndef hash_of(data):\n    return sha256(data).hexdigest()\n\n" + KEEPS,
    more="[directories]\nstate = true\n",
)
OWNERS = "/etc/aurora/modules/disk-keeper.toml"
PLACE = "/var/lib/private/aurora/disk-keeper"

FLOODS = """
import errno, os, time

for place in ("/tmp", "/var/tmp", "/dev/shm", os.environ["RUNTIME_DIRECTORY"]):
    written = 0
    with open(os.path.join(place, "flood"), "wb", buffering=0) as file:
        try:
            while True:
                written += file.write(bytes(1 << 20))
        except OSError as error:
            print(place, errno.errorcode[error.errno], written, flush=True)
print("flooded", flush=True)
while True:
    time.sleep(1)
"""
FLOODER = Module(name="flooder", entry="run.py", program=FLOODS, more="[directories]\nruntime = true\n")
BYSTANDER = Module(name="bystander", more='[directories]\nstate = true\n[limits]\nstate_max = "4M"\n')

FREE = "df -B1 --output=avail / /dev/shm /run /tmp | tail -n +2"


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install_only(FILLER, KEEPER, FLOODER, BYSTANDER)
        yield core
        core.run(f"rm -f {OWNERS}")


def free_bytes(core: Core) -> list[int]:
    """Of the machine's disk, /dev/shm, /run and /tmp."""
    return [int(word) for word in core.run(f"sync; {FREE}").stdout.split()]


def last_word(core: Core, module: str, first: str) -> list[str]:
    """The last line that the module began with that word in the run it is in."""
    begin = f"journalctl -q -o cat _SYSTEMD_UNIT={unit(module)}"
    core.machine.wait_until(
        f"{begin} _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID {unit(module)}) | grep '^{first} '", 120
    )
    said = core.said(module, core.invocations(module)[module])
    return next(line for line in reversed(said) if line.startswith(f"{first} ")).split()


def test_a_module_that_fills_its_budget_is_refused_more_and_goes_on(core: Core) -> None:
    before = free_bytes(core)
    core.run("auroractl start filler bystander")
    core.machine.wait_until(f"journalctl -q -o cat -u {unit('filler')} | grep '^holds '", 120)

    told = [line.split()[1:] for line in core.said("filler") if line.startswith("refused")]
    refused = {variable: (error, int(written)) for variable, error, written in told}
    for variable, budget in (("STATE_DIRECTORY", BUDGET), ("CACHE_DIRECTORY", 8 * MIB)):
        error, written = refused[variable]
        assert error == "ENOSPC"
        assert 0.98 * budget <= written <= 1.05 * budget, variable
    assert core.show("filler", "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}
    # The machine's disk has lost what was stored, and little more for all three volumes.
    assert before[0] - free_bytes(core)[0] < 1.1 * (BUDGET + 8 * MIB) + 4 * MIB
    core.run("test $(stat -fc %T /var/lib/private/aurora/bystander) = ext2/ext3")

    state, cache = json.loads(core.run("auroractl status --json filler").stdout)["disk"]
    assert (state["directory"], state["max_bytes"], cache["max_bytes"]) == ("state", BUDGET, 8 * MIB)
    assert 0.98 * BUDGET <= state["used_bytes"] <= 1.05 * BUDGET
    shown = core.run("auroractl status filler; auroractl status").stdout
    assert "state disk: 20" in shown
    assert "of 20M, 8" in shown


def test_what_is_stored_is_there_again_after_whatever_systemctl_does(core: Core) -> None:
    held = last_word(core, "filler", "holds")
    core.run(
        f"systemctl daemon-reload; systemctl restart {unit('filler')}; systemctl stop {unit('filler')};"
        f" systemctl daemon-reexec; systemctl start {unit('filler')}"
    )
    assert last_word(core, "filler", "holds") == held
    core.run("auroractl restart filler")
    assert last_word(core, "filler", "holds") == held


def test_a_module_does_not_run_without_its_volume(core: Core) -> None:
    core.run("systemctl stop var-lib-private-aurora-filler.mount")
    assert core.show("filler", "ActiveState")["ActiveState"] == "inactive"
    done = core.run(
        f"""
        mv {IMAGE} {IMAGE}.away
        systemctl start {unit("filler")} || echo no
        systemctl is-active {unit("filler")} || true
        mv {IMAGE}.away {IMAGE}
        """
    )
    assert done.stdout.split() == ["no", "inactive"]
    core.run(f"systemctl start {unit('filler')}")
    assert last_word(core, "filler", "holds")


def test_a_budget_can_be_raised_and_not_be_cut_below_what_is_stored(core: Core) -> None:
    held = last_word(core, "filler", "holds")
    for version, budget in (("2.0", "30M"), ("3.0", "10M")):
        more = FILLER.more.replace("20M", budget)
        core.put(dataclasses.replace(FILLER, version=version, more=more))
        done = core.run(f"auroractl install {folder('filler')}", check=False)
        assert last_word(core, "filler", "holds") == held
        (state, _) = json.loads(core.run("auroractl status --json filler").stdout)["disk"]
        assert state["max_bytes"] == 30 * MIB
        if budget == "10M":
            assert done.returncode == 70
            assert "more than limits.state_max, 10M" in done.stderr
        else:
            assert done.returncode == 0
            core.run("head -c 9M /dev/urandom >/var/lib/private/aurora/filler/more")
    assert core.listed()["filler"]["version"] == "2.0"


def owners_budget(core: Core, size: str) -> None:
    """Give disk-keeper that budget, or none, by its owner's file; the service makes the machine equal to that."""
    write = f"printf '[limits]\\nstate_max = \"{size}\"\\n' >{OWNERS}" if size else f"rm {OWNERS}"
    core.run(f"{write}; sync; systemctl reload aurora-core; ! journalctl -q -u aurora-core -p err -S -1min | grep .")


def test_a_directory_gets_a_budget_and_loses_it_with_all_that_is_in_it(core: Core) -> None:
    core.run("auroractl enable --now disk-keeper")
    kept = last_word(core, "disk-keeper", "keeps")[1]
    assert core.run(f"mountpoint -q {PLACE} || echo plain").stdout == "plain\n"

    owners_budget(core, "12M")
    said = last_word(core, "disk-keeper", "keeps")
    assert said[1] == kept
    assert int(said[2]) <= 12, "the module sees its own volume, not the disk"
    assert core.run(f"mountpoint {PLACE}; ls -A {PLACE}").stdout.split()[-1] == "kept"

    owners_budget(core, "")
    assert last_word(core, "disk-keeper", "keeps")[1] == kept
    assert core.run(f"mountpoint -q {PLACE} || ls -A {PLACE}").stdout == "kept\n"
    assert core.run(f"find {VOLUMES} -name '*keeper*'").stdout == ""
    owners_budget(core, "12M")


@pytest.mark.deadline(900)
def test_what_is_stored_outlives_a_power_cut_and_a_reboot(core: Core) -> None:
    kept = last_word(core, "disk-keeper", "keeps")[1]
    core.run(f"auroractl enable filler bystander; rm {PLACE}/kept; auroractl restart disk-keeper")
    renewed = last_word(core, "disk-keeper", "keeps")[1]
    assert renewed != kept
    core.machine.power_cut()
    assert last_word(core, "disk-keeper", "keeps")[1] == renewed
    assert core.run(f"mountpoint -q {PLACE} && losetup -nO BACK-FILE | sort").stdout.split() == [
        f"{VOLUMES}/cache/aurora/filler.ext4",
        f"{VOLUMES}/state/aurora/bystander.ext4",
        f"{VOLUMES}/state/aurora/disk-keeper.ext4",
        IMAGE,
    ]
    core.machine.reboot()
    assert last_word(core, "disk-keeper", "keeps")[1] == renewed
    assert core.run("systemctl is-system-running --wait || true").stdout == "running\n"


def test_a_removed_module_keeps_its_volume_and_a_purged_one_leaves_nothing(core: Core) -> None:
    held = last_word(core, "filler", "holds")
    core.run("auroractl restart bystander")  # its own view of the file system has a copy of every mount
    core.run("auroractl remove filler")
    assert core.run(f"ls {IMAGE}; losetup -nO BACK-FILE | grep -c filler || true").stdout.split() == [IMAGE, "0"]
    core.put(dataclasses.replace(FILLER, more=FILLER.more.replace("20M", "30M")))
    core.run(f"auroractl install {folder('filler')}")
    assert last_word(core, "filler", "holds") == held

    core.run("auroractl remove --purge filler")
    places = f"{VOLUMES} /var/lib/aurora /var/cache/aurora /var/log/aurora /var/*/private/aurora"
    assert core.run(f"find {places} -name '*filler*' 2>/dev/null || true").stdout == ""
    assert core.run("grep -c filler /proc/self/mountinfo || true").stdout == "0\n"
    assert core.run("losetup -nO BACK-FILE | grep -c filler || true").stdout == "0\n"
    assert core.run("systemctl list-units --all --no-legend '*filler*'").stdout == ""
    assert core.show("bystander", "ActiveState") == {"ActiveState": "active"}


def test_a_flood_of_what_is_in_memory_fills_nothing_of_the_machines(core: Core) -> None:
    before = free_bytes(core)
    core.run("auroractl start flooder")
    core.machine.wait_until(f"journalctl -q -o cat -u {unit('flooder')} | grep '^flooded'", 240)
    flooded = {line.split()[0]: line.split()[1:] for line in core.said("flooder") if line.startswith("/")}
    assert {error for error, _ in flooded.values()} == {"ENOSPC"}
    written = {place: int(text) for place, (_, text) in flooded.items()}
    memory = int(core.run("sed -n 's/MemTotal: *//p' /proc/meminfo | cut -d' ' -f1").stdout) << 10
    assert written["/tmp"] + written["/var/tmp"] <= 0.11 * memory
    assert written["/dev/shm"] <= 64 * MIB
    assert written["/run/aurora-modules/flooder"] <= 16 * MIB
    for there, now in zip(before, free_bytes(core), strict=True):
        assert there - now < 4 * MIB
    # What it wrote counts as its own memory, so that memory_max holds it as well.
    stat = dict(line.split() for line in core.cgroup("flooder", "memory.stat")["memory.stat"].splitlines())
    assert int(stat["shmem"]) >= 0.9 * sum(written.values())
    core.run("auroractl stop flooder; ! ls /run/aurora-modules/flooder/flood 2>/dev/null; ! ls /dev/shm/flood")
