"""Reading the few things that the rig needs to know from a source tree's debian/ directory."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
"""The source tree that this rig belongs to, and tests when it is not told another one."""

FALLBACK_DEPENDS = (
    "adduser",
    "apparmor",
    "dbus",
    "python3",
    "python3-cryptography",
    "python3-msgspec",
    "python3-psutil",
    "python3-pyroute2",
    "python3-pystemd",
    "python3-sdnotify",
    "python3-tomli-w",
    "python3-typer",
    "python3-websockets",
)
"""Carried by the images whatever debian/control says: dh_python3 adds dependencies it does not show."""

NOT_SHIPPED = ("tests/", ".ci/", ".git", "Makefile")
"""What no package has in it: files whose path starts so neither enter a build nor cause one."""


def source_files(source: Path) -> list[Path]:
    """The files of `source`, relative to it and sorted: tracked ones and new ones that git does not ignore.

    A directory that is no git checkout gives all its files. What NOT_SHIPPED names is left out.
    """
    command = [
        "git",
        "-c",
        "safe.directory=*",
        "-C",
        str(source),
        "ls-files",
        "-z",
        "-co",
        "--exclude-standard",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode == 0:
        names: Iterable[str] = filter(None, done.stdout.split("\0"))
    else:
        names = (str(path.relative_to(source)) for path in source.rglob("*"))
    kept = {Path(name) for name in names if not name.startswith(NOT_SHIPPED)}
    return sorted(path for path in kept if _is_file(source / path))


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()  # a file deleted but not committed is still listed by git


def paragraphs(text: str) -> list[dict[str, str]]:
    """The paragraphs of a control file, field names in lower case, continuation lines joined by spaces."""
    found: list[dict[str, str]] = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        fields: dict[str, str] = {}
        name = ""
        for line in lines:
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.lower()
                fields[name] = value.strip()
        if fields:
            found.append(fields)
    return found


def package_names(relation: str) -> list[str]:
    """The packages in a Depends-like field: of alternatives the first, without versions and substitutions."""
    names = []
    for item in relation.split(","):
        first = item.split("|", 1)[0]
        plain = re.sub(r"\([^)]*\)|\[[^]]*\]|<[^>]*>|:\w+", " ", first).strip()
        if plain and "$" not in first:
            names.append(plain)
    return names


def control_relations(source: Path, fields: Iterable[str]) -> list[str]:
    """The packages named by `fields` (lower case) in debian/control, but not the source's own packages."""
    path = source / "debian" / "control"
    if not path.is_file():
        return []
    found = paragraphs(path.read_text())
    own = {paragraph.get("package", "") for paragraph in found}
    return sorted(
        {name for paragraph in found for field in fields for name in package_names(paragraph.get(field, ""))} - own
    )


def runtime_packages(source: Path) -> list[str]:
    """What an image must carry so that apt can install the packages of `source` there without a network."""
    declared = control_relations(source, ("pre-depends", "depends", "recommends"))
    return sorted({*FALLBACK_DEPENDS, *declared})


def build_packages(source: Path) -> list[str]:
    """What the build tree needs to build the packages of `source`, and to test all that they can work with."""
    return control_relations(source, ("build-depends", "build-depends-indep", "build-depends-arch", "suggests"))


def apt_options() -> list[str]:
    """This machine's apt settings that any apt on it needs to reach the archive: proxies, clock tolerance."""
    done = subprocess.run(
        ["apt-config", "dump"], check=False, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    wanted = re.compile(
        r'^Acquire::(?:(?:https?|ftp)::(?:Proxy|Timeout).*|Check-Valid-Until|Check-Date|Retries) ".+";$'
    )
    return [line.rstrip(";") for line in done.stdout.splitlines() if wanted.match(line)]


def as_recipe(values: Mapping[str, str]) -> list[list[str]]:
    """A mapping as sorted pairs, for cache keys."""
    return [[name, values[name]] for name in sorted(values)]
