"""A module as a Debian package: payload and one configuration file, no maintainer scripts. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from aurora.errors import InputError, Problem
from aurora.manifest import Manifest
from aurora.names import package_name

__all__ = ["MODULES_FOLDER", "OWNER_FOLDER", "Content", "package_content"]

MODULES_FOLDER = "usr/lib/aurora/modules"
OWNER_FOLDER = "etc/aurora/modules"
_ARCH = re.compile(r"[a-z0-9][a-z0-9-]{1,30}", re.ASCII)


class Content(NamedTuple):
    """What goes into the package beside the module's own files."""

    package: str
    file_name: str
    """name_version_arch.deb"""
    folder: str
    """Where the module's files go, relative to the root."""
    control: str
    """DEBIAN/control (deb-control(5))."""
    conffile: str
    """Path of the configuration file, relative to the root; DEBIAN/conffiles names it."""
    conffile_text: str


def package_content(manifest: Manifest, *, arch: str) -> Content:
    """The package for a module; InputError when the architecture is not one dpkg could know."""
    if not _ARCH.fullmatch(arch):
        problem = Problem("pack the module", f"{arch!r} is not an architecture", "--arch", "all, amd64 or arm64")
        raise InputError.of([problem])
    package = package_name(manifest.name)
    summary = manifest.description or f"AuroraOS module {manifest.name}"
    control = "\n".join(
        (
            f"Package: {package}",
            f"Version: {manifest.version}",
            f"Architecture: {arch}",
            "Section: misc",
            "Priority: optional",
            f"Depends: {', '.join(('aurora-core', *map(package_name, manifest.order.requires)))}",
            "Maintainer: the maker of this module <root@localhost>",
            f"Description: {summary}",
            f" The AuroraOS module {manifest.name}; auroractl status {manifest.name} shows how it runs.",
        )
    )
    note = (
        f"# Owner's settings for the module {manifest.name}: keys of its manifest, which they replace, such as\n"
        '# [limits]\n# memory_max = "128M"\n'
        "# systemctl reload aurora-core applies them. dpkg keeps this file until the package is purged, and the\n"
        "# module's state is kept as long as this file is.\n"
    )
    return Content(
        package=package,
        file_name=f"{package}_{manifest.version}_{arch}.deb",
        folder=f"{MODULES_FOLDER}/{manifest.name}",
        control=control + "\n",
        conffile=f"{OWNER_FOLDER}/{manifest.name}.toml",
        conffile_text=note,
    )
