"""Packages that were made to do harm: refused before anything is written, or, past us through dpkg, not taken in."""

from __future__ import annotations

import gzip
import io
import json
import shlex
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.unit.update import deb
from tests.unit.update.deb import Item
from tests.vm.core import Core, Module, tidied
from tests.vm.machine import Machine

PARCELS = "/var/lib/aurora-test/hostile"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --yes"
MODULES = "./usr/lib/aurora/modules"
PROGRAM = b"#!/bin/sh\ntouch /run/evil-ran\nexec sleep inf\n"


class Parcel(NamedTuple):
    """A package of the module NAME and what is wrong with it."""

    name: str
    more: tuple[Item, ...] = ()
    """Members beside those of a good package."""
    why: str = ""
    """What auroractl says against it."""
    told: str = ""
    """What is told of it when apt has installed it."""
    control: tuple[Item, ...] = ()
    """The same of the control archive."""
    package: str = ""
    """Its name, where that is not the right one."""

    def to_bytes(self) -> bytes:
        """The .deb."""
        home = f"{MODULES}/{self.name}"
        manifest = f'[module]\nname = "{self.name}"\nversion = "1"\nentry = "run.sh"\n'
        folders = (".", "./usr", "./usr/lib", "./usr/lib/aurora", MODULES, home, "./etc", "./etc/aurora")
        data = deb.tar(
            *(deb.folder(name) for name in (*folders, "./etc/aurora/modules")),
            Item(f"{home}/module.toml", manifest.encode()),
            Item(f"{home}/run.sh", PROGRAM, mode=0o755),
            Item(f"./etc/aurora/modules/{self.name}.toml", b"# nothing\n"),
            *self.more,
        )
        package = self.package or f"aurora-module-{self.name}"
        conffile = f"/etc/aurora/modules/{self.name}.toml\n".encode()
        control = deb.tar(
            deb.folder("."),
            Item("./control", deb.CONTROL.replace(b"aurora-module-hello", package.encode())),
            Item("./conffiles", conffile),
            *self.control,
        )
        parts = {"debian-binary": b"2.0\n", "control_tar_gz": gzip.compress(control)}
        return deb.ar(**parts, data_tar_gz=gzip.compress(data))


SCRIPT = b"#!/bin/sh\ntouch /run/evil-script-ran\n"
BOTH = (
    Parcel("evil-link", (Item(f"{MODULES}/evil-link/x", flag=b"2", link=b"/etc/shadow"),), "a symbolic link", "a link"),
    Parcel(
        "evil-hard", (Item(f"{MODULES}/evil-hard/x", flag=b"1", link=b"./etc/hostname"),), "a hard link", "hard link"
    ),
    Parcel("evil-setuid", (Item(f"{MODULES}/evil-setuid/x", b"x", mode=0o4755),), "setuid", "setuid"),
    Parcel("evil-device", (Item(f"{MODULES}/evil-device/x", flag=b"3"),), "a character device", "a device"),
    Parcel(
        "evil-more", (Item("./usr/bin/evil-more", b"x", mode=0o755),), "outside", "its package has '/usr/bin/evil-more'"
    ),
    Parcel(
        "evil-two",
        (deb.folder(f"{MODULES}/evil-too"), Item(f"{MODULES}/evil-too/module.toml", b"x")),
        "another module",
        "evil-too",
    ),
    Parcel("evil-script", (), "no scripts", "its package has a postinst", (Item("./postinst", SCRIPT, mode=0o755),)),
    Parcel("evil-name", (), "it names the package", "no package aurora-module-evil-name", package="evil"),
)
"""Those that dpkg installs as they are."""
ONLY_OURS = (
    Parcel("evil-up", (Item(f"{MODULES}/evil-up/../../../../../../etc/cron.d/evil", b"x"),), "dots between slashes"),
    Parcel("evil-abs", (Item("/etc/cron.d/evil", b"x"),), "absolute"),
    Parcel("evil-size", (Item(f"{MODULES}/evil-size/x", size_bytes=(1 << 33) - 1),), "unpacks to more than"),
    Parcel("evil-many", tuple(Item(f"{MODULES}/evil-many/{n}") for n in range(20_001)), "more than 20000 files"),
    Parcel("evil-term", (Item(f"{MODULES}/evil-term/\x1b[2J", b"x"),), "not plain text"),
)
FINE = Parcel("fine-one")


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With a bystander, and all packages in PARCELS."""
    with tidied(vm) as core:
        core.install(Module(name="bystander"))
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            for parcel in (*BOTH, *ONLY_OURS, FINE):
                data = parcel.to_bytes()
                member = tarfile.TarInfo(f"{parcel.name}.deb")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        core.machine.run(f"rm -rf {PARCELS} && mkdir -p {PARCELS} && tar -xzC {PARCELS}", input=packed.getvalue())
        yield core
        core.run(f"rm -rf {PARCELS} /run/evil-*")


DRIVER = """
import json, subprocess, sys

def changed():
    "What is another than at the mark; folders that temporary ones come and go in count by what is in them."
    places = "/usr /etc /opt /root /home /tmp /var/tmp /var/lib/aurora-core /var/lib/dpkg /var/cache/apt /run/aurora"
    wanted = "-xdev -cnewer /run/evil-mark -not -path /tmp -not -path /var/tmp"
    line = ["find", *places.split(), *wanted.split()]
    return subprocess.run(line, capture_output=True, text=True).stdout.splitlines()

results = {}
for name in sys.argv[1:]:
    subprocess.run(["touch", "/run/evil-mark"], check=True)
    done = [subprocess.run(["auroractl", verb, name + ".deb"], capture_output=True) for verb in ("check", "install")]
    results[name] = [[one.returncode, one.stdout.decode(), one.stderr.decode()] for one in done] + [changed()]
print(json.dumps(results))
"""


@pytest.mark.deadline(900)
def test_a_hostile_package_is_refused_and_nothing_is_written(core: Core) -> None:
    parcels = (*BOTH, *ONLY_OURS)
    names = " ".join(parcel.name for parcel in parcels)
    said = core.run(f"cd {PARCELS}; python3 - {names}", input=DRIVER, timeout_sec=800).stdout
    for parcel, (checked, installed, changed) in zip(parcels, json.loads(said).values(), strict=True):
        assert changed == [], parcel.name
        for status, stdout, stderr in (checked, installed):
            assert status == 65, f"{parcel.name}: {stderr}"
            assert stdout == ""
            assert parcel.why in stderr
            assert f"{parcel.name}.deb" in stderr
            assert "\x1b" not in stderr
    assert core.run("ls /run/evil-ran /run/evil-script-ran /usr/bin/evil-more 2>/dev/null || true").stdout == ""


@pytest.mark.deadline(900)
def test_apt_refuses_them_all_at_once_and_installs_none(core: Core) -> None:
    named = [parcel for parcel in BOTH if not parcel.package]
    files = " ".join(shlex.quote(f"{PARCELS}/{parcel.name}.deb") for parcel in (*named, FINE))
    done = core.run(f"{APT} install {files} 2>&1", check=False)
    assert done.returncode == 100
    for parcel in named:
        lines = [line for line in done.stdout.splitlines() if f"/{parcel.name}.deb" in line]
        assert any(parcel.why in line for line in lines), f"{parcel.name}: {done.stdout}"
    assert core.run("dpkg-query -W -f '${Package} ' 'aurora-module-*' 2>/dev/null || true").stdout == ""
    assert core.run(f"ls -d {MODULES[1:]}/* 2>/dev/null || true").stdout == ""


@pytest.mark.deadline(900)
def test_what_dpkg_has_installed_past_us_is_told_and_does_not_run(core: Core) -> None:
    bystander = core.invocations("bystander")
    files = " ".join(shlex.quote(f"{PARCELS}/{parcel.name}.deb") for parcel in (*BOTH, FINE))
    said = core.run(f"dpkg -i {files} 2>&1").stdout
    core.wait_for("fine-one", ActiveState="active")
    for parcel in BOTH:
        own = (f"package of {parcel.name},", f"/{parcel.name}/")
        lines = [line for line in said.splitlines() if any(name in line for name in own)]
        assert any(parcel.told in line for line in lines), f"{parcel.name}: {said}"
    assert set(core.listed()) == {"bystander", "fine-one"}
    assert core.run("systemctl list-units --all --plain --no-legend 'aurora@evil*' 'aurora-evil*'").stdout == ""
    assert core.run("ls /var/lib/aurora-core/modules").stdout.split() == ["bystander", "fine-one"]
    assert "evil" not in core.run("cat /sys/kernel/security/apparmor/profiles").stdout
    assert core.invocations("bystander") == bystander
    packages = " ".join(parcel.package or f"aurora-module-{parcel.name}" for parcel in (*BOTH, FINE))
    core.run(f"{APT} purge {packages} >&2; rm -rf {MODULES[1:]}/evil-*")
    core.wait_for("fine-one", LoadState="not-found")
    assert core.invocations("bystander") == bystander


CLEAR = r"\033[2J\033]0;owned\007\033c"


def test_what_a_module_prints_commands_no_terminal(core: Core) -> None:
    talker = f"#!/bin/sh\nprintf 'before{CLEAR}after\\n'\nprintf '{CLEAR}\\n' >&2\nexec sleep inf\n"
    core.install(Module(name="talker", program=talker))
    core.run("journalctl --sync")
    for command in ("auroractl logs talker", "auroractl status talker", "auroractl status", "auroractl list"):
        on_a_terminal = core.run(f"script -qec '{command}' /dev/null </dev/null").stdout
        for shown in (core.run(command).stdout, on_a_terminal):
            assert "talker" in shown
            for harm in ("\x1b[2J", "\x1b]0", "\x07", "\x1bc"):
                assert harm not in shown, command

    failing = 'readiness = "notify"\ntimeout = "20s"\n[restart]\npolicy = "no"\n'
    core.put(Module(name="shouter", program=talker.replace("exec sleep inf", "exit 3"), more=f"[start]\n{failing}"))
    done = core.run("auroractl install /var/lib/aurora-test/modules/shouter", check=False)
    assert done.returncode == 70
    assert "before" in done.stderr, "the lines it printed are shown"
    assert "\x1b" not in done.stderr
    assert "\x07" not in done.stderr
