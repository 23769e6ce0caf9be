"""Byte code beside the files of a program, durable; what was compiled elsewhere of the same text is taken over."""

from __future__ import annotations

import importlib.util
import marshal
import os
import py_compile
from contextlib import suppress
from pathlib import Path
from types import CodeType

from aurora.errors import HostError
from aurora.host.files import folder_entries, sync_folder
from aurora.host.staging import SYNC_TOGETHER_MAX, sync_together

__all__ = ["compile_folder"]

BY_HASH = py_compile.PycInvalidationMode.UNCHECKED_HASH
"""Python does not look at the source when it imports it."""
HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little")
"""How a .pyc file of that kind begins; 8 bytes of the source's hash follow (PEP 552)."""
HEADER_BY_TIME = importlib.util.MAGIC_NUMBER + bytes(4)
"""How one begins that is found by its source's time and size, which follow in 4 bytes each."""
MAX_BYTES = 8 << 20


def compile_folder(code: Path, elsewhere: Path) -> None:
    """Byte code beside each file of Python below `code`, made durable: nobody who runs it may write there.

    The folder `elsewhere`, of which `code` is a copy, may have been compiled by this Python already: in emulation, and
    on a small machine, the compiler takes most of the time that it takes to stage a program. HostError where a file is
    no program; OSError where the disk does not take it.
    """
    written: list[int] = []
    try:
        folders = _compile_all(code, elsewhere, written)
        sync_together(written)
    finally:
        for handle in written:
            os.close(handle)
    for folder in sorted(folders):
        sync_folder(folder)


def _compile_all(code: Path, elsewhere: Path, written: list[int]) -> set[Path]:
    """The folders of what was compiled; handles of files that are not durable yet are left in `written`."""
    folders = set()
    for entry in folder_entries(code):
        if not entry.path.endswith(".py"):
            continue
        source = code / entry.path
        made = Path(importlib.util.cache_from_source(source))
        made.parent.mkdir(exist_ok=True)
        text = source.read_bytes()
        if (body := _compiled(elsewhere / entry.path, text)) is not None:
            made.write_bytes(HEADER + importlib.util.source_hash(text) + body)
        else:
            _compile(source, made)
        written.append(os.open(made, os.O_RDONLY | os.O_CLOEXEC))
        # One by one, each would have the file system write its journal: more than the files.
        if len(written) >= SYNC_TOGETHER_MAX:
            sync_together(written)
        folders.add(made.parent)
    return folders


def _compile(source: Path, made: Path) -> None:
    try:
        py_compile.compile(str(source), str(made), doraise=True, invalidation_mode=BY_HASH)
    except py_compile.PyCompileError as error:
        raise HostError("stage the core", f"it is no program of this Python: {error.msg}") from error


def _compiled(source: Path, text: bytes) -> bytes | None:
    """The byte code of `text` that stands beside `source`, without its header; None where none that is sound does."""
    with suppress(OSError, ValueError, EOFError, TypeError):
        with open(importlib.util.cache_from_source(source), "rb") as file:  # noqa: PTH123  # it says a str
            header, body = file.read(16), file.read(MAX_BYTES + 1)
        info = source.stat()
        of = b"".join((int(one) & 0xFFFFFFFF).to_bytes(4, "little") for one in (info.st_mtime, info.st_size))
        fits = header == HEADER_BY_TIME + of and len(body) <= MAX_BYTES and source.read_bytes() == text
        # dpkg's compiler does not make it durable: after a power cut there may be nothing in it.
        if fits and isinstance(marshal.loads(body), CodeType):  # noqa: S302  # root's own, as Python would import it
            return body
    return None
