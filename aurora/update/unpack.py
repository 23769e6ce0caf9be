"""A .deb that anybody may have made -> its module's folder, or every reason against it.

No tar(1) unpacks it: both archives are decompressed as streams, judged whole (`members`), and only then is the module
written, by us, one plain file after the other.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from aurora.errors import HostError, InputError, NotFound, Problem
from aurora.host.files import FOLDER_MAX_BYTES, FOLDER_MAX_ENTRIES
from aurora.host.stream import Output, output_of
from aurora.update.ar import BrokenDeb, Part, parts_of
from aurora.update.decompress import Decompressed
from aurora.update.members import CONTROL_MAX_BYTES, CONTROL_NAMES, Contents, control_problems
from aurora.update.tar import BrokenTar, Kind, Member, members_of

__all__ = ["PACKAGE_MAX_BYTES", "check_outside", "held", "streamed", "unpacked"]

DATA_MAX_BYTES = FOLDER_MAX_BYTES + FOLDER_MAX_ENTRIES * 4096
"""The decompressed data archive: its content, and for each member header, long name and padding."""
PACKAGE_MAX_BYTES = DATA_MAX_BYTES + CONTROL_MAX_BYTES
"""The .deb itself: one that is longer cannot hold what is allowed."""
KEPT_MAX_BYTES = 32 << 20
"""A data archive with no more is kept in memory while it is judged, and not decompressed again to be written."""
TIMEOUT_SEC = 300.0
"""For each of the archives."""
type _Found = Iterator[tuple[Member, Iterator[bytes]]]


@contextmanager
def held(deb: Path, *, shown: str | None = None) -> Iterator[Path]:
    """A copy of a .deb that nobody else can change between check and use; NotFound when there is no such file.

    It can be read by all, as apt reads with a user of its own. `shown` is the name that errors give the file.
    """
    where = shown if shown is not None else str(deb)
    check_outside(deb, where)
    with tempfile.TemporaryDirectory(prefix="aurora-deb-") as scratch:
        copy = Path(scratch, "module.deb")
        try:
            with deb.open("rb") as source, copy.open("xb") as target:
                shutil.copyfileobj(source, target)
            copy.chmod(0o644)
            Path(scratch).chmod(0o755)
        except OSError as error:
            raise HostError("read the package", str(error), where=where) from error
        yield copy


@contextmanager
def unpacked(deb: Path, *, shown: str | None = None) -> Iterator[Path]:
    """The folder of the one module in a .deb, unpacked to a temporary place while the body runs.

    NotFound when there is no such file; InputError with all that is wrong when it is not a package with exactly one
    module and nothing else: nothing has been written then. `shown` is the name that errors give the file.
    """
    where = shown if shown is not None else str(deb)
    check_outside(deb, where)
    data, module, kept = _judge(deb, where)
    with tempfile.TemporaryDirectory(prefix="aurora-deb-") as scratch:
        folder = Path(scratch, module)
        folder.mkdir()

        def write(found: _Found) -> None:
            made = {""}
            for member, content in found:
                if next(data, None) != member:
                    raise BrokenTar("it changed while it was read")
                _write(str(folder), made, member, content)

        if kept.whole:
            write(members_of(kept.read))
        else:
            streamed(deb, "--fsys-tarfile", DATA_MAX_BYTES, where, write)
        if next(data, None) is not None:
            raise InputError.of([Problem("read the package", "it changed while it was read", where)])
        yield folder


def check_outside(deb: Path, where: str) -> None:
    """NotFound when there is no such file; InputError when it is longer than a package can be, or is none."""
    if not deb.is_file():
        raise NotFound("read the package", "there is no such file", where=where)
    try:
        with deb.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if size_bytes > PACKAGE_MAX_BYTES:
                raise BrokenDeb(f"it has more than {PACKAGE_MAX_BYTES} bytes")
            version = _parts(file)[0]
            if os.pread(file.fileno(), version.size_bytes, version.content) != b"2.0\n":
                raise BrokenDeb("it is of another format than 2.0 of deb(5)")
    except OSError as error:
        raise HostError("read the package", str(error), where=where) from error
    except BrokenDeb as error:
        raise InputError(
            "read the package", str(error), where=where, remedy="auroractl pack DIR, which makes one"
        ) from error


class _Kept:
    """What was read of an archive, in memory, while that is not more than KEPT_MAX_BYTES."""

    def __init__(self) -> None:
        self.whole = True
        self._data = bytearray()
        self._at = 0

    def beside(self, read: Callable[[int], bytes]) -> Callable[[int], bytes]:
        """The same as `read`, and keep what it gives."""

        def both(size: int) -> bytes:
            chunk = read(size)
            self.whole = self.whole and len(self._data) + len(chunk) <= KEPT_MAX_BYTES
            if self.whole:
                self._data += chunk
            else:
                self._data.clear()
            return chunk

        return both

    def read(self, size: int) -> bytes:
        """The next `size` bytes of what was kept, fewer only at its end."""
        chunk = bytes(memoryview(self._data)[self._at : self._at + size])
        self._at += len(chunk)
        return chunk


def _judge(deb: Path, where: str) -> tuple[Iterator[Member], str, _Kept]:
    """The members of the data archive, the module they are, and the archive; InputError with all that is against it."""
    members: list[Member] = []
    contents = Contents(where)
    files: dict[str, bytes] = {}
    others: list[str] = []
    kept = _Kept()

    def control(found: _Found) -> None:
        for member, content in found:
            name = member.name.decode(errors="replace").removeprefix("./")
            if member.kind is Kind.FILE and name in CONTROL_NAMES and name not in files and not member.mode & 0o7000:
                files[name] = b"".join(content)
            elif not (member.kind is Kind.FOLDER and name in ("", ".")):
                others.append(name)

    def data(found: _Found) -> None:
        for member, _ in found:
            contents.add(member)
            if contents.full:
                return
            members.append(member)

    streamed(deb, "--ctrl-tarfile", CONTROL_MAX_BYTES, where, control)
    streamed(deb, "--fsys-tarfile", DATA_MAX_BYTES, where, data, is_full=lambda: contents.full, kept=kept)
    module = contents.end()
    if problems := [*contents.problems, *control_problems(files, others, module, where)]:
        raise InputError.of(problems)
    return iter(members), module, kept


def streamed(
    deb: Path,
    action: str,
    max_bytes: int,
    where: str,
    take: Callable[[_Found], None],
    *,
    is_full: Callable[[], bool] = lambda: False,
    kept: _Kept | None = None,
) -> None:
    """Give the members of one archive to `take`; InputError when it, or what decompresses it, ends badly."""
    try:
        with _archive(deb, action, max_bytes) as output:
            try:
                take(members_of(output.read if kept is None else kept.beside(output.read)))
            except BrokenTar as error:
                if str(error) == "it ends in the middle":
                    output.finish()  # what decompresses it may know why
                raise
            if not is_full():
                output.finish()
    except HostError as error:
        raise InputError.of([Problem("read the package", error.problems[0].why, where)]) from error
    except (BrokenTar, BrokenDeb) as error:
        raise InputError.of([Problem("read the package", f"its archive is broken: {error}", where)]) from error


@contextmanager
def _archive(deb: Path, action: str, max_bytes: int) -> Iterator[Output | Decompressed]:
    """One archive, decompressed: by ourselves where it is as Debian makes it."""
    number = {"--ctrl-tarfile": 1, "--fsys-tarfile": 2}[action]
    with ExitStack() as opened:
        try:
            file = opened.enter_context(deb.open("rb"))
            part = _parts(file)[number]
        except OSError as error:
            raise HostError("read the package", str(error), where=str(deb)) from error
        if part.name.endswith(".xz"):
            yield Decompressed(file, part, max_bytes=max_bytes, timeout_sec=TIMEOUT_SEC)
            return
    # One thread: the memory that decompressing takes does not depend on how many CPUs there are.
    variables = {"DPKG_DEB_THREADS_MAX": "1", "LC_ALL": "C"}
    argv = ["dpkg-deb", action, str(deb.absolute())]
    with output_of(argv, max_bytes=max_bytes, timeout_sec=TIMEOUT_SEC, variables=variables) as output:
        yield output


def _parts(file: BinaryIO) -> tuple[Part, ...]:
    return parts_of(lambda place, count: os.pread(file.fileno(), count, place), os.fstat(file.fileno()).st_size)


def _write(folder: str, made: set[str], member: Member, content: Iterator[bytes]) -> None:
    """Write one member, which `members` has let through, if it belongs into the module's folder.

    `made` are the folders that are there already, relative to `folder`; those that are made are added.
    """
    parts = tuple(part for part in member.name.decode().split("/") if part not in ("", "."))
    below = Contents.path_in_module(parts)
    if not below:
        return
    parent = "/".join(below if member.kind is Kind.FOLDER else below[:-1])
    if parent not in made:
        Path(folder, parent).mkdir(parents=True, exist_ok=True)
        made.add(parent)
    if member.kind is Kind.FOLDER:
        return
    mode = 0o755 if member.mode & stat.S_IXUSR else 0o644
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(f"{folder}/{'/'.join(below)}", flags, mode), "wb") as file:
        for chunk in content:
            file.write(chunk)
