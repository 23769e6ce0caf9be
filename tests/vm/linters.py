"""The development tools from PyPI, as pyproject.toml pins them: for this machine, and for the build tree."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.vm import cache, chroot, hostpackages
from tests.vm.errors import RigError
from tests.vm.progress import step
from tests.vm.tools import must


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Where they are, in the cache."""

    python: Path
    """This machine's Python with the tools: for pytest, which drives the virtual machines."""
    for_tree: Path
    """Modules for the build tree's Python, which has the project's own dependencies: for the linters."""


def tools(source: Path, tree_dir: Path) -> Tools:
    """The tools that `source` asks for; fetched by pip when the cache has none."""
    wanted = requirements(source)
    version = (tree_dir / "usr/bin/python3").readlink().name.removeprefix("python")

    def build(directory: Path) -> None:
        if importlib.util.find_spec("ensurepip") is None:  # Debian has it in a package of its own
            hostpackages.ensure_packages(["python3-venv"])
        with step("tools: fetching from PyPI"):
            venv.create(directory / "venv", with_pip=True, symlinks=True)
            pip = [str(directory / "venv/bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            must("fetch the development tools", [*pip, *wanted])
            foreign = ["--target", str(directory / "tree"), "--python-version", version, "--only-binary", ":all:"]
            must("fetch the development tools", [*pip, *foreign, *wanted])

    here = [sys.version, sys.prefix]
    directory = cache.entry("tools", cache.key_of([wanted, version, here]), build)
    return Tools(python=directory / "venv/bin/python", for_tree=directory / "tree")


def mount(found: Tools) -> chroot.Mount:
    """Shows the tools in the build tree."""
    return chroot.Mount(here=found.for_tree, there="/tools")


def requirements(source: Path) -> list[str]:
    """The dependency group `dev` of pyproject.toml."""
    path = source / "pyproject.toml"
    try:
        found: list[str] = tomllib.loads(path.read_text())["dependency-groups"]["dev"]
    except (FileNotFoundError, KeyError) as error:
        raise RigError("fetch the development tools", f"{path} has no dependency group `dev`") from error
    return sorted(found)
