"""What is expensive to make, kept between runs: entries named by the hash of what they are made from.

    $XDG_CACHE_HOME/aurora-core/
      store/KIND-KEY/    one finished entry; made under the name KIND-KEY.part, then renamed
      locks/KIND-K       held while somebody builds an entry whose key begins with K: a second run waits for it
      run/NAME/          a kept machine
      key                the ssh key of the test machines

An entry is locked (shared) by whoever uses it, QEMU included; pruning removes the least recently used ones
that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.vm.progress import step
from tests.vm.tools import must

BOUNDS: Mapping[str, int] = {"image": 5, "buildtree": 4, "deb": 8, "layer": 5, "tools": 3, "state": 4, "autobahn": 1}
"""Kind -> how many entries of it are kept."""

_IDENTITY = "identity"
"""The file inside an entry that tells it from one made again by the same recipe."""

IN_USE = ".in-use"
"""The file inside an entry on which users hold a shared lock."""


def root() -> Path:
    """The cache directory; made when it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "aurora-core"
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def key_of(recipe: object) -> str:
    """Equal recipes (anything that JSON can say) give equal keys, on every machine."""
    text = json.dumps(recipe, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def source_digest(*modules: str) -> str:
    """The hash of rig modules (file names in this directory): a changed recipe is another recipe."""
    digest = hashlib.sha256()
    for name in modules:
        digest.update((Path(__file__).parent / name).read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold the lock `name` during the body; while another run has it, wait and say so."""
    directory = root() / "locks"
    directory.mkdir(exist_ok=True)
    with (directory / name).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"{name}: waiting for another run"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def entry(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The directory of entry KIND-KEY, built now if it is not there.

    `build` fills an empty directory; if it raises, nothing is kept and the error goes on to the caller.
    """
    store = root() / "store"
    store.mkdir(exist_ok=True)
    finished = store / f"{kind}-{key}"
    if not finished.is_dir():
        with locked(_lock_of(finished)):
            if not finished.is_dir():
                _build(finished, build)
                with locked(f"{kind}-prune"):
                    _prune(kind, keep=finished)
    os.utime(finished)
    return finished


def identity(path: Path) -> str:
    """What tells entry `path` from one that was made again by the same recipe, and differs in some bytes."""
    return (path / _IDENTITY).read_text()


def hold(path: Path) -> int:
    """An open descriptor that keeps entry `path` from being pruned until all who inherited it have ended."""
    descriptor = os.open(path / IN_USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def remove_tree(path: Path) -> None:
    """Delete a directory with everything in it, but nothing that is mounted there."""
    must(f"delete {path}", ["rm", "-rf", "--one-file-system", str(path)])


def _lock_of(finished: Path) -> str:
    """KIND-K of the entry KIND-KEY: most entries can be built side by side, and there are few locks."""
    kind, _, key = finished.name.partition("-")
    return f"{kind}-{key[0]}"


def _build(finished: Path, build: Callable[[Path], None]) -> None:
    for left in finished.parent.glob(f"{_lock_of(finished)}*.part"):
        remove_tree(left)  # by a run that was killed: we hold the lock, so nobody is in it
    part = finished.with_name(f"{finished.name}.part")
    part.mkdir()
    try:
        build(part)
        (part / _IDENTITY).write_text(uuid.uuid4().hex)
        part.rename(finished)
    finally:
        if part.exists():
            remove_tree(part)


def _prune(kind: str, keep: Path) -> None:
    """Remove the least recently used entries over the bound of `kind`; those in use and `keep` stay."""
    entries = [path for path in keep.parent.glob(f"{kind}-*") if path.suffix != ".part"]
    entries.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in entries[BOUNDS[kind] :]:
        if path != keep and is_free(path):
            remove_tree(path)


def is_free(path: Path) -> bool:
    """Whether nobody holds entry `path`."""
    try:
        with (path / IN_USE).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
