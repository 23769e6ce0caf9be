"""A machine in a temporary folder: the real code of `runtime` and `host`, systemd in memory, no AppArmor parser."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from aurora.errors import HostError
from aurora.host.fake import FakeSystemd, Program
from aurora.host.process import Completed
from aurora.manifest import read_manifest
from aurora.names import module_of_unit, slice_name, unit_name
from aurora.paths import Paths
from aurora.runtime.folders import folder_digest
from aurora.runtime.inventory import inventory_of, remember_inventory
from aurora.runtime.records import read_records, require
from aurora.runtime.updates import read_known
from tests.unit.examples import POLICIES

FACTS = {
    "sys/fs/cgroup/cgroup.controllers": "cpu memory pids",
    "sys/module/apparmor/parameters/enabled": "Y",
    "proc/sys/kernel/seccomp/actions_avail": "errno",
    "proc/sys/kernel/unprivileged_bpf_disabled": "2",
    "sys/kernel/security/apparmor/profiles": "",
    "sys/module/loop/uevent": "",
}

GOOD = "goes on"
BAD = "ends with an error"
SILENT = "never says that it is ready"
ENDS_WELL = "ends well"
_PROGRAMS = {GOOD: Program(), BAD: Program(status=1), SILENT: Program(ready=False), ENDS_WELL: Program(status=0)}


def what_the_file_says(unit: str, argv: Sequence[str]) -> Program:
    """A program does what its text says; one that is not there cannot be executed."""
    del unit
    file = Path(argv[-1])
    return _PROGRAMS[file.read_text()] if file.is_file() else Program(setup_status=203)


class Rig:
    """One machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths(folder / "root")
        self.systemd = FakeSystemd(what_the_file_says)
        self.refused_profile = ""
        """The parser refuses a profile that holds this."""
        for name, text in FACTS.items():
            self.write(name, text)
        shutil.copytree(POLICIES, self.paths.policies)

    def write(self, place: str, text: str) -> None:
        """A file of the machine."""
        file = self.paths.root / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def parser(self, argv: Sequence[str], **_more: object) -> Completed:
        """Stands for apparmor_parser(8)."""
        for text in (Path(word).read_text() for word in argv[1:] if not word.startswith("-")):
            if self.refused_profile and self.refused_profile in text:
                raise HostError("run apparmor_parser", "AppArmor parser error: syntax error")
        return Completed(0, "", "")

    def reboot(self) -> None:
        """What is in memory is lost."""
        self.systemd = FakeSystemd(what_the_file_says)
        if self.paths.runtime.exists():
            shutil.rmtree(self.paths.runtime)

    def module(
        self, *, name: str = "hello", version: str = "1", program: str = GOOD, more: str = "", at: Path | None = None
    ) -> Path:
        """A module's folder."""
        folder = self.folder / f"{name}-{version}" if at is None else at
        (folder / "data").mkdir(parents=True, exist_ok=True)
        manifest = f'[module]\nname = "{name}"\nversion = "{version}"\nentry = "run.py"\n'
        (folder / "module.toml").write_text(f'{manifest}[start]\nreadiness = "notify"\n{more}')
        (folder / "run.py").write_text(program)
        (folder / "data/values").write_text(version)
        return folder

    def rewrite(self, text: str, *, name: str = "hello", path: str = "run.py") -> None:
        """Have a module's active slot hold another text, as if that was what had been staged."""
        record = require(self.paths, name)
        (Path(record.folder(self.paths)) / path).write_text(text)
        inventory = inventory_of(Path(record.folder(self.paths)))
        remember_inventory(self.paths, name, record.slot, inventory)
        (self.paths.records / name).write_bytes(record._replace(source_digest=inventory.digest).to_bytes())

    def package(self, *, name: str = "hello", version: str = "1", program: str = GOOD) -> None:
        """What dpkg lays down for a module package."""
        self.module(name=name, version=version, program=program, at=self.paths.package_modules / name)
        self.write(f"etc/aurora/modules/{name}.toml", "")
        below = (f"/{path.relative_to(self.paths.root)}" for path in (self.paths.package_modules / name).rglob("*"))
        paths = ("/.", "/usr", "/usr/lib/aurora/modules", f"/etc/aurora/modules/{name}.toml", *below)
        self.write(f"var/lib/dpkg/info/aurora-module-{name}.list", "".join(f"{path}\n" for path in paths))

    def unpackage(self, *, name: str = "hello", purge: bool) -> None:
        """What dpkg takes away."""
        shutil.rmtree(self.paths.package_modules / name, ignore_errors=True)
        if purge:
            (self.paths.owner_modules / f"{name}.toml").unlink(missing_ok=True)
            (self.paths.dpkg_info / f"aurora-module-{name}.list").unlink(missing_ok=True)

    def set_memory(self, mib: int, *, name: str = "hello") -> None:
        """What the kernel says that a module holds, whichever version of it runs."""
        group = f"sys/fs/cgroup/aurora.slice/{slice_name(name)}/{unit_name(name)}"
        self.write(f"{group}/memory.stat", f"anon {mib << 20}\nfile {99 << 20}\nshmem 0\n")

    def make_state(self, *, name: str = "hello") -> None:
        """The directories that systemd made for a module while it ran."""
        for kind in ("lib", "cache", "log"):
            place = self.paths.root / "var" / kind
            (place / f"private/aurora/{name}").mkdir(parents=True)
            (place / f"private/aurora/{name}/file").write_text("x")
            (place / "aurora").mkdir()
            (place / f"aurora/{name}").symlink_to(f"../private/aurora/{name}")

    def state(self, *, name: str = "hello") -> int:
        """How many of these are there."""
        return sum(place.is_symlink() or place.exists() for place in self.paths.module_state(name))

    # What can be seen of it

    @property
    def installed(self) -> dict[str, tuple[str, bool]]:
        """Version, and whether it starts at boot, of each module that is installed."""
        return {one.name: (one.version, one.enabled) for one in read_records(self.paths) if one.installed}

    @property
    def running(self) -> dict[str, str]:
        """The version of each module that is up, read from the folder it was started from."""
        found = {}
        for row in self.systemd.list_units(["aurora@*.service"]):
            module = module_of_unit(row.name)
            if module is not None and row.active == "active":
                folder = Path(self.systemd.argv(row.name)[-1]).parent
                found[module] = read_manifest((folder / "module.toml").read_bytes(), file="module.toml").version
        return found

    def is_bad(self, name: str) -> bool:
        """Whether the version that counts is one that does not come up."""
        records = {one.name: one for one in read_records(self.paths)}
        return (Path(records[name].folder(self.paths)) / "run.py").read_text() == BAD

    def pid(self, name: str = "hello") -> object:
        """The main process of a module."""
        return self.systemd.get(unit_name(name), "Service", "MainPID", "u")

    def damage(self) -> list[str]:
        """Modules that count or run and whose folder is not whole."""
        found = [
            f"{one.name}: what counts"
            for one in read_records(self.paths)
            if one.installed and folder_digest(Path(one.folder(self.paths))) != one.source_digest
        ]
        for row in self.systemd.list_units(["aurora@*.service"]):
            folder = Path(self.systemd.argv(row.name)[-1]).parent
            if row.active == "active" and not {"data", "module.toml", "run.py"} <= set(_names(folder)):
                found.append(f"{row.name}: what runs")
        return found

    def leftovers(self) -> list[str]:
        """Files of ours that belong to nothing that is installed or runs."""
        records = {one.name: one for one in read_records(self.paths)}
        units = [row.name for row in self.systemd.list_units(["aurora@*.service"])]
        loaded = [module_of_unit(unit) for unit in units]
        kept = {self.paths.records / name for name in records}
        kept |= {Path(self.systemd.argv(unit)[-1]).parent for unit in units}
        kept |= {Path(one.folder(self.paths)) for one in records.values() if one.installed}
        previous = {name: read_known(self.paths, name).previous for name in records}
        kept |= {self.paths.modules / name / one.slot for name, one in previous.items() if one is not None}
        kept |= {slot.with_name(f"{slot.name}.list") for slot in kept if slot.parent.parent == self.paths.modules}
        kept |= {self.paths.applied / f"{name}.json" for name in loaded}
        kept |= {self.paths.profiles / f"aurora.{name}" for name in loaded}
        paths = self.paths
        ours = (paths.records, paths.applied, paths.profiles, Path(paths.damaged_text))
        found = [path for folder in ours for path in _in(folder)]
        found += [path for folder in (paths.updates, paths.known_versions) for path in folder.glob(".*")]
        for module in _in(self.paths.modules):
            slots = _in(module)
            found += slots or [module]
        return sorted(str(path.relative_to(self.paths.root)) for path in found if path not in kept)


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _names(folder: Path) -> list[str]:
    return [path.name for path in _in(folder)]
