"""Building the Debian packages of a source tree, in the build tree, once per content."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.vm import cache, chroot, debiandir
from tests.vm.errors import RigError, tail
from tests.vm.progress import step


@dataclass(frozen=True, kw_only=True)
class Packages:
    """The built packages of one state of a source tree."""

    key: str
    """Names the source's content and the tree that it was built in."""
    directory: Path
    """Where the .deb files and build.log are."""

    @property
    def debs(self) -> list[Path]:
        """The packages to install: all that the source builds, but debug symbols."""
        return [path for path in sorted(self.directory.glob("*.deb")) if "-dbgsym_" not in path.name]


def packages(source: Path = debiandir.CHECKOUT) -> Packages:
    """The packages of `source` as it is now; built when not in the cache. RigError has the log's end."""
    if not (source / "debian" / "control").is_file():
        raise RigError("build the package", f"{source}/debian/control does not exist", "--no-deb for a bare Debian")
    tree_dir = chroot.build_tree(source)
    files = debiandir.source_files(source)
    key = cache.key_of([_digest(source, files), tree_dir.parent.name, cache.source_digest("package.py")])

    def build(directory: Path) -> None:
        staged = directory / "build" / "source"
        _stage(source, files, staged)
        _build(tree_dir, directory)

    return Packages(key=key, directory=cache.entry("deb", key, build))


def _mode(path: Path) -> int:
    """The mode that git would give: a checkout's umask must not be visible in a package."""
    return 0o755 if path.stat().st_mode & 0o100 else 0o644


def _digest(source: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for name in files:
        path = source / name
        if path.is_symlink():
            digest.update(f"{name}\0link\0{path.readlink()}\0".encode())
        else:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{name}\0{_mode(path):o}\0{content}\0".encode())
    return digest.hexdigest()


def _stage(source: Path, files: list[Path], target: Path) -> None:
    target.mkdir(parents=True)
    for name in files:
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, copy, follow_symlinks=False)
        if not copy.is_symlink():
            copy.chmod(_mode(source / name))


def _build(tree_dir: Path, directory: Path) -> None:
    """Fill `directory` with the packages of its build/source; on failure the log outlives it."""
    work = directory / "build"
    # The tests run by themselves, on the checkout: running them again in each build would tell nothing new.
    variables = {
        "DEB_BUILD_OPTIONS": f"nocheck parallel={os.cpu_count() or 1}",
        "DEB_BUILD_PROFILES": "nocheck",
    }
    line = chroot.argv(
        tree_dir,
        ["dpkg-buildpackage", "-b", "-us", "-uc"],
        [chroot.Mount(here=work, there="/build", writable=True)],
        "/build/source",
        variables,
    )
    with step("package: building"):
        done = subprocess.run(
            line,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    if done.returncode != 0:
        log = cache.root() / "package-build.log"
        log.write_text(done.stdout)
        raise RigError(
            "build the package",
            f"dpkg-buildpackage ended with status {done.returncode}",
            f"reading {log}, whose end is below",
            tail(done.stdout),
        )
    (directory / "build.log").write_text(done.stdout)
    for result in [*work.glob("*.deb"), *work.glob("*.changes"), *work.glob("*.buildinfo")]:
        result.rename(directory / result.name)
    cache.remove_tree(work)
