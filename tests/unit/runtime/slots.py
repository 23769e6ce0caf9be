"""A machine whose core has slots, and the programs of debian/ that are outside of them."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType

from aurora.plan.core import SLOTS
from aurora.runtime.slots import active_slot, slot_version
from tests.unit.runtime.rig import Rig

DEBIAN = Path(__file__).parents[3] / "debian"


def outside(name: str) -> ModuleType:
    """A program of debian/, imported."""
    loader = importlib.machinery.SourceFileLoader(f"debian_{name.partition('.')[0]}", str(DEBIAN / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


rollback = outside("rollback")


def packaged(rig: Rig, version: str) -> None:
    """What dpkg lays down of a version of the core, and its postinst writes."""
    code = "usr/lib/python3/dist-packages/aurora"
    rig.write(f"{code}/__init__.py", f"__version__ = {version!r}\n")
    rig.write(f"{code}/cli/main.py", f"said = {version!r}\n")
    rig.write("usr/share/aurora/policies/grants.toml", (rig.paths.policies / "grants.toml").read_text())
    rig.write("usr/share/aurora/template/module.toml", "")
    rig.write("var/lib/aurora-core/core/wanted", f"{version}\n")
    if not rig.paths.boot_id.exists():
        boots(rig, "first")


def boots(rig: Rig, boot: str) -> None:
    """The machine is in this boot now."""
    rig.write("proc/sys/kernel/random/boot_id", f"{boot}\n")


def rolls_back(rig: Rig, how: str = "--failed") -> int:
    """What systemd runs of debian/rollback."""
    status: int = rollback.main([how], root=rig.paths.prefix)
    return status


def whole(rig: Rig) -> str:
    """The version that is active, which is whole; empty: dpkg's own copy is."""
    slot = active_slot(rig.paths)
    if not slot:
        return ""
    folder = rig.paths.core / slot
    assert slot in SLOTS
    said = (folder / "aurora/cli/main.py").read_text()
    assert said == f"said = {slot_version(rig.paths, slot)!r}\n"
    assert (folder / "aurora/__init__.py").read_text() == said.replace("said", "__version__")
    assert {entry.name for entry in folder.iterdir()} == {"aurora", "policies", "template", "version", "digest"}
    assert len(list((folder / "aurora/cli/__pycache__").iterdir())) == 1
    return slot_version(rig.paths, slot)
