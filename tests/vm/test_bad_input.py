"""What is wrong with a module is said, all of it, with its place and a way out; and nothing is changed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.vm.core import START_SEC, Core, Module, tidied
from tests.vm.machine import Machine

CASES = "/var/lib/aurora-test/cases"
GOOD = '[module]\nname = "fine"\nversion = "1"\nentry = "run.sh"\n'


class Told(NamedTuple):
    """One problem that must be named."""

    line: int | None
    """None where the file as a whole is at fault."""
    key: str
    """Empty where no key is."""
    why: str
    """A part of the reason."""


class Case(NamedTuple):
    """A bad manifest."""

    name: str
    manifest: str | bytes
    told: tuple[Told, ...]
    file: str = "module.toml"


def named(name: str) -> str:
    return GOOD.replace('"fine"', json.dumps(name))


def entered(entry: str) -> str:
    return GOOD.replace('"run.sh"', json.dumps(entry))


def bad_name(case: str, name: str) -> Case:
    return Case(case, named(name), (Told(2, "module.name", "is not a module's name"),))


MANIFESTS = (
    Case("a text for a number", GOOD + "[limits]\ntasks = 'many'\n", (Told(6, "limits.tasks", "not an integer"),)),
    Case("a number for a text", GOOD + "[limits]\nmemory_max = 64\n", (Told(6, "limits.memory_max", "not a text"),)),
    Case("a value for a table", "limits = 3\n" + GOOD, (Told(1, "limits", "not a table"),)),
    Case("an unknown key", GOOD + "[limits]\n\nmemory = '64M'\n", (Told(7, "limits.memory", "no such key"),)),
    Case("an unknown table", GOOD + "[limit]\ncpu = '5%'\n", (Told(5, "limit", "no such table"),)),
    Case("a size without sense", GOOD + "[limits]\nmemory_max = '64Q'\n", (Told(6, "limits.memory_max", "64Q"),)),
    Case("a key twice", GOOD + 'name = "again"\n', (Told(5, "", "overwrite"),)),
    Case("a missing key", '[module]\nname = "fine"\nversion = "1"\n', (Told(1, "module.entry", "missing"),)),
    Case("a program above the folder", entered("../../bin/sh"), (Told(4, "module.entry", "climbs out"),)),
    Case("a program above the folder by a detour", entered("a/../../run.sh"), (Told(4, "module.entry", "climbs out"),)),
    Case("a program that is not there", entered("other.sh"), (Told(None, "module.entry", "has no file 'other.sh'"),)),
    bad_name("a name that is a path", "../../etc/passwd"),
    bad_name("a name with a slash", "a/b"),
    bad_name("a name with a space", "a b"),
    bad_name("a name with a line break", "a\n[Service]"),
    bad_name("a name with a specifier", "a%n"),
    bad_name("a name with an escape", "a\\x2db"),
    bad_name("a name with an instance", "a@b"),
    bad_name("a name with a suffix", "a.service"),
    bad_name("a name with capitals", "Fine"),
    bad_name("a name that looks like an option", "--now"),
    bad_name("a name of another alphabet", "mоdule"),  # noqa: RUF001  # that is what it is about
    bad_name("a name without end", "a" * 49),
    bad_name("a name of nothing", ""),
    Case("a NUL byte", b'[module]\nname = "fi\x00ne"\n', (Told(2, "", "NUL byte"),)),
    Case("a NUL in a text", GOOD.replace('"run.sh"', r'"run\u0000.sh"'), (Told(4, "module.entry", "U+0000"),)),
    Case("bytes that are not UTF-8", b'[module]\n\nname = "caf\xe9"\n', (Told(3, "", "not UTF-8"),)),
    Case("ten megabytes", GOOD + "#" * (10 << 20), (Told(None, "", "larger than 64K"),)),
    Case("no TOML at all", "name: fine\n", (Told(1, "", "not TOML"),)),
    Case("a grant that does not exist", GOOD + "[sandbox]\ngrants = ['root']\n", (Told(None, "", "root"),)),
    Case("a policy that does not exist", GOOD + "[sandbox]\npolicy = 'none'\n", (Told(None, "", "none"),)),
    Case("an older manifest with a key too many", '{\n"name": "fine", "version": "1", "entry": "run.sh",\n"a": {}}',
         (Told(3, "a", "no such key"),), "module.json"),
    Case(
        "everything at once",
        '[module]\nname = "No"\nversion = "one"\nentry = "../x"\n[limits]\ncpu = 5\nmemory_max = "1T1"\nram = 3\n'
        "[watchdog]\ntimeout = '9y'\n",
        (
            Told(2, "module.name", "not a module's name"),
            Told(3, "module.version", "not a version"),
            Told(4, "module.entry", "climbs out"),
            Told(6, "limits.cpu", "not a text"),
            Told(7, "limits.memory_max", ""),
            Told(8, "limits.ram", "no such key"),
            Told(10, "watchdog.timeout", ""),
        ),
    ),
)  # fmt: skip

FOLDERS = {
    "a link out of the folder": ("ln -s /etc/shadow shadow", "it is a link", "shadow"),
    "a link in place of the manifest": (
        "mv module.toml /tmp/m && ln -s /tmp/m module.toml",
        "it is a link",
        "module.toml",
    ),
    "a program with setuid": ("chmod 4755 run.sh", "setuid", "run.sh"),
    "a pipe": ("mkfifo pipe", "a pipe", "pipe"),
    "a device": ("mknod null c 1 3", "a device", "null"),
    "a file name that breaks a line": ("touch \"$(printf 'a\\nb')\"", "not plain text", "a\\nb"),
    "two manifests": ("echo {} >module.json", "both module.toml and module.json", ""),
}
"""What is done to a good module's folder; the reason; the file that is named."""

DRIVER = """
import hashlib, json, os, stat, subprocess, sys

def picture():
    "All that an install could change: every file with its content and times, and what systemd holds."
    digest = hashlib.sha256()
    for root in ("/var/lib/aurora-core", "/var/lib/private", "/var/cache/aurora-core", "/etc/aurora", "/etc/systemd",
                 "/run/aurora", "/run/systemd/transient"):
        for folder, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(files) + folders:
                path = os.path.join(folder, name)
                about = os.lstat(path)
                digest.update(f"{path} {about.st_mode} {about.st_ino} {about.st_size} {about.st_mtime_ns}".encode())
                if stat.S_ISREG(about.st_mode):
                    digest.update(open(path, "rb").read())
    for command in (["systemctl", "list-units", "--all", "--no-pager", "aurora*"],):
        digest.update(subprocess.run(command, capture_output=True, check=True).stdout)
    digest.update(open("/sys/kernel/security/apparmor/profiles", "rb").read())
    return digest.hexdigest()

os.chdir(sys.argv[1])
before = picture()
results = []
for case in sorted(os.listdir("."), key=int):
    done = subprocess.run(["auroractl", "install", case], capture_output=True)
    after = picture()
    results.append([done.returncode, done.stdout.decode(), done.stderr.decode(), after == before])
print(json.dumps(results))
"""


class Result(NamedTuple):
    """What became of an install."""

    status: int
    stdout: str
    stderr: str
    unchanged: bool


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    """With one module that runs, so that there is something that could be changed."""
    with tidied(vm) as core:
        core.install(Module(name="bystander"))
        yield core
        core.run(f"rm -rf {CASES}")


@pytest.fixture(scope="module")
def results(core: Core) -> dict[str, Result]:
    """Every case, tried one after another."""
    prepare = [f"rm -rf {CASES}; mkdir {CASES}"]
    for number, case in enumerate(MANIFESTS):
        raw = case.manifest.encode() if isinstance(case.manifest, str) else case.manifest
        prepare.append(f"mkdir {CASES}/{number}; printf '#!/bin/sh\\n' >{CASES}/{number}/run.sh")
        place = f"{CASES}/{number}/{case.file}"
        if len(raw) > 1 << 16:
            prepare.append(
                f"{{ printf %s '{GOOD}'; head -c {len(raw) - len(GOOD)} /dev/zero | tr '\\0' '#'; }} >{place}"
            )
        else:
            prepare.append(f"echo {base64.b64encode(raw).decode()} | base64 -d >{place}")
    for number, (change, _, _) in enumerate(FOLDERS.values(), len(MANIFESTS)):
        prepare.append(f"mkdir {CASES}/{number}; cd {CASES}/{number}; printf %s '{GOOD}' >module.toml")
        prepare.append(f"printf '#!/bin/sh\\n' >run.sh; {change}")
    core.run("sh -se", input="\n".join(prepare))
    said = core.run(f"python3 - {CASES}", input=DRIVER, timeout_sec=2 * START_SEC).stdout
    names = [*(case.name for case in MANIFESTS), *FOLDERS]
    return {name: Result(*row) for name, row in zip(names, json.loads(said), strict=True)}


def lines_of(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("auroractl: ")]


@pytest.mark.deadline(900)
@pytest.mark.parametrize("case", MANIFESTS, ids=lambda case: case.name)
def test_a_bad_manifest_is_refused(results: dict[str, Result], case: Case) -> None:
    result = results[case.name]
    assert result.status == 65, result.stderr
    assert result.stdout == ""
    assert result.unchanged, "not a byte, unit or profile is another than before"
    told = lines_of(result)
    assert len(told) == len(case.told), result.stderr
    for line, wanted in zip(told, case.told, strict=True):
        assert wanted.why in line
        assert f"{case.file}" in line or wanted.line is None
        if wanted.line is not None:
            assert f"{case.file}, line {wanted.line}" in line
        if wanted.key:
            assert f"key {wanted.key};" in line
        assert "; try " in line, "it says what to do"


@pytest.mark.parametrize("case", FOLDERS)
def test_a_bad_folder_is_refused(results: dict[str, Result], case: str) -> None:
    result = results[case]
    _, why, file = FOLDERS[case]
    assert result.status == 65, result.stderr
    assert result.unchanged
    (line,) = lines_of(result)
    assert why in line
    assert file in line


def test_a_folder_that_is_not_there_is_told_apart_from_a_bad_one(core: Core) -> None:
    done = core.run("auroractl install /nowhere/at-all", check=False)
    assert done.returncode == 66
    assert "/nowhere/at-all" in done.stderr


def test_somebody_without_rights_changes_nothing(core: Core) -> None:
    for command in (
        "install /usr/share/aurora/examples/hello",
        "remove bystander",
        "stop bystander",
        "disable bystander",
    ):
        done = core.run(f"su tester -c 'auroractl {command}'", check=False)
        assert done.returncode == 77, f"{command}: {done.stderr}"
        assert "sudo" in done.stderr
    assert core.run("systemctl is-active aurora@bystander").stdout == "active\n"


def test_a_package_that_is_none_is_refused(core: Core) -> None:
    done = core.run(
        "echo nonsense >/tmp/x.deb; auroractl install /tmp/x.deb; s=$?; rm /tmp/x.deb; exit $s", check=False
    )
    assert done.returncode == 65
    assert "/tmp/x.deb" in done.stderr
