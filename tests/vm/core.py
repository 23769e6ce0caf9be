"""The core that is installed on a test machine, used as its owner would use it, and modules made for a test."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.vm.machine import Completed, Machine

FOLDERS = "/var/lib/aurora-test/modules"
"""Where in the machine the folders of a test's modules are."""

START_SEC = 300
"""What a few commands that start modules may take; on an idle machine a start takes 3 s."""

INSTALL_SEC = 600
"""What another version of the core may take to be installed, and tried."""

VOLATILE = "/etc/systemd/journald.conf.d/volatile.conf"
"""Where a test says that the journal does not outlive a boot, as it did not on Raspberry Pi OS."""

SLEEPER = "#!/bin/sh\necho up\nwhile :; do sleep 1; done\n"
"""The program of a module that is just there."""

FILLER = "/var/filler"
"""What `fill_disk` fills it with; to be removed."""


def fill_disk(left_bytes: int) -> str:
    """Shell that leaves so much room on the machine's disk, for root as well; at most 7 MiB."""
    return f"""
mkdir -p {FILLER}
for spare_mib in 8 16 32 64; do  # what the file system needs for itself is not known before
    fallocate -l $(($(stat -f -c '%f * %S' /var) - (spare_mib << 20))) {FILLER}/most && break
    rm -f {FILLER}/most
done
dd if=/dev/zero of={FILLER}/rest bs=64k status=none 2>/dev/null || true
truncate -s -{left_bytes} {FILLER}/rest
sync
"""


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module's folder, in a few words."""

    name: str
    program: str = SLEEPER
    """The text of the file `entry`."""
    entry: str = "run.sh"
    version: str = "1.0"
    more: str = ""
    """TOML below the [module] table."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files beside the manifest and the program: path -> text. One that replaces module.toml is the manifest."""

    def content(self) -> dict[str, str]:
        """Every file of the folder."""
        manifest = f'[module]\nname = "{self.name}"\nversion = "{self.version}"\nentry = "{self.entry}"\n{self.more}'
        own = {} if "module.json" in self.files else {"module.toml": manifest}
        return {self.entry: self.program, **own, **self.files}


def folder(module: str) -> str:
    """Where `Core.put` puts a module."""
    return f"{FOLDERS}/{module}"


def unit(module: str) -> str:
    """The module's unit."""
    return f"aurora@{module}.service"


class Core:
    """The core on `machine`. Commands that fail raise CommandFailed, which has what they said."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def run(
        self,
        script: str,
        *,
        check: bool = True,
        timeout_sec: float = START_SEC,
        input: str | None = None,  # noqa: A002  as Machine.run names it
    ) -> Completed:
        """Run `script` by sh as root; with `check`, its first command that fails ends it with CommandFailed."""
        return self.machine.run("set -e\n" * check + script, check=check, timeout_sec=timeout_sec, input=input)

    def put(self, *modules: Module) -> None:
        """Make the folders of `modules`, afresh."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for module in modules:
                for path, text in module.content().items():
                    data = text.encode()
                    member = tarfile.TarInfo(f"{module.name}/{path}")
                    member.size = len(data)
                    member.mode = 0o755 if text.startswith("#!") else 0o644
                    tar.addfile(member, io.BytesIO(data))
        names = " ".join(shlex.quote(module.name) for module in modules)
        script = f"mkdir -p {FOLDERS} && cd {FOLDERS} && rm -rf {names} && tar -x"
        self.machine.run(script, input=packed.getvalue())

    def install(self, *modules: Module) -> None:
        """Install `modules` from folders, enable them, and start them side by side."""
        self.install_only(*modules)
        self.run(f"auroractl enable --now {' '.join(module.name for module in modules)}")

    def install_only(self, *modules: Module) -> None:
        """Install `modules` from folders, neither enabled nor started."""
        self.put(*modules)
        self.run("\n".join(f"auroractl install --no-start {folder(module.name)}" for module in modules))

    def show(self, module: str, *properties: str) -> dict[str, str]:
        """Properties of the module's unit, as `systemctl show` prints them."""
        return self.show_all([module], *properties)[module]

    def show_all(self, modules: Sequence[str], *properties: str) -> dict[str, dict[str, str]]:
        """The same of several modules, by name."""
        units = " ".join(shlex.quote(unit(module)) for module in modules)
        said = self.machine.run(f"systemctl show --no-pager -p {','.join(properties)} {units}").stdout
        blocks = said.strip("\n").split("\n\n")
        return {
            module: dict(line.split("=", 1) for line in block.splitlines())
            for module, block in zip(modules, blocks, strict=True)
        }

    def invocations(self, *modules: str) -> dict[str, str]:
        """Which run of each module this is: another ID after every start."""
        found = self.show_all(modules, "InvocationID")
        return {module: values["InvocationID"] for module, values in found.items()}

    def running_services(self) -> dict[str, tuple[str, str]]:
        """The run and the main process of every service of the machine that has one, ours among them."""
        said = self.machine.run("systemctl show --no-pager -p Id,InvocationID,MainPID '*.service'").stdout
        found = {}
        for block in said.strip("\n").split("\n\n"):
            values = dict(line.split("=", 1) for line in block.splitlines())
            if values.get("MainPID", "0") != "0":
                found[values["Id"]] = (values["InvocationID"], values["MainPID"])
        return found

    def wait_for(self, module: str, deadline_sec: float = 120, **properties: str) -> None:
        """Return when the module's unit has these properties."""
        conditions = [
            f'[ "$(systemctl show -P {name} {unit(module)})" = {shlex.quote(value)} ]'
            for name, value in properties.items()
        ]
        self.machine.wait_until(" && ".join(conditions), deadline_sec)

    def said(self, module: str, invocation: str = "") -> list[str]:
        """What the module wrote to the journal, all runs of it or one."""
        matches = f"_SYSTEMD_UNIT={unit(module)}"
        if invocation:
            matches += f" _SYSTEMD_INVOCATION_ID={invocation}"
        # Lines of a process that has just ended may still be on their way.
        return self.machine.run(f"journalctl --sync; journalctl -q -o cat {matches}").stdout.splitlines()

    def events(self, module: str) -> list[dict[str, str]]:
        """What systemd wrote to the journal about the module's unit, with all fields."""
        said = self.machine.run(f"journalctl --sync; journalctl -q -o json _PID=1 UNIT={unit(module)}").stdout
        return [json.loads(line) for line in said.splitlines()]

    def listed(self) -> dict[str, dict[str, Any]]:
        """What `auroractl list` has, by name."""
        return {row["name"]: row for row in json.loads(self.run("auroractl list --json").stdout)}

    def cgroup(self, module: str, *files: str) -> dict[str, str]:
        """Files of the module's cgroup."""
        group = f"/sys/fs/cgroup/aurora.slice/{self.show(module, 'Slice')['Slice']}/{unit(module)}"
        said = self.run("\n".join(f"cat {group}/{file}; echo ///" for file in files)).stdout
        return dict(zip(files, (part.strip() for part in said.split("///")), strict=False))

    def remove_everything(self) -> None:
        """Purge all modules, whichever way they came, and what tests lay beside them."""
        self.run(
            r"""
            rm -rf /etc/systemd/system/aurora@*.service.d /etc/aurora/policies /etc/aurora/core.toml
            systemctl daemon-reload
            packages=$(dpkg-query -W -f '${Package} ' 'aurora-module-*' 2>/dev/null || true)
            [ -z "$packages" ] || DEBIAN_FRONTEND=noninteractive apt-get -qq purge --yes $packages >&2
            names=$(ls /var/lib/aurora-core/records 2>/dev/null | sed 's/\.json$//')
            [ -z "$names" ] || auroractl remove --purge $names
            systemctl stop aurora-link.service  # it would go by itself, amid another test
            journalctl --quiet --rotate --vacuum-size=1  # another test may have a module of the same name
            """
            f"rm -rf {FOLDERS}"
        )


@contextmanager
def tidied(machine: Machine) -> Iterator[Core]:
    """The core on `machine`; when the body ends, however it ends, no module is left there."""
    core = Core(machine)
    try:
        yield core
    finally:
        core.remove_everything()
