"""A part of a package that xz has compressed -> its bytes, read in this process: starting another one takes longer than
most modules take to unpack.

Stricter than xz(1) and dpkg-deb(1): the part is one stream and nothing else, so that nobody who reads it finds more.
"""

from __future__ import annotations

import lzma
import time
from typing import BinaryIO

from aurora.errors import HostError
from aurora.update.ar import Part

__all__ = ["Decompressed"]

CHUNK_BYTES = 1 << 16
MEMORY_MAX_BYTES = 128 << 20
"""What decompressing may allocate; xz -9 needs 65 MiB."""
_NO_MEMORY = "Memory usage limit"
"""How liblzma's words begin for an archive that wants more."""


class Decompressed:
    """What a part holds. Every method raises HostError at the bounds, in bytes and in time, and where it is damaged."""

    def __init__(self, file: BinaryIO, part: Part, *, max_bytes: int, timeout_sec: float) -> None:
        file.seek(part.content)
        self._file = file
        self._name = part.name
        self._packed_bytes = part.size_bytes
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY_MAX_BYTES)
        self._left_bytes = max_bytes
        self._max_bytes = max_bytes
        self._timeout_sec = timeout_sec
        self._deadline = time.monotonic() + timeout_sec

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer only where it ends."""
        found = self._next(size)
        if len(found) == size or not found:
            return found
        more = bytearray(found)
        while len(more) < size and (chunk := self._next(size - len(more))):
            more += chunk
        return bytes(more)

    def _next(self, size: int) -> bytes:
        while not self._stream.eof:
            if time.monotonic() > self._deadline:
                raise self._broken(f"it did not end within {self._timeout_sec:g} s")
            packed = self._packed() if self._stream.needs_input else b""
            try:
                chunk = self._stream.decompress(packed, max_length=size)
            except (lzma.LZMAError, MemoryError) as error:
                if isinstance(error, MemoryError) or str(error).startswith(_NO_MEMORY):
                    raise self._broken(f"it takes more than {MEMORY_MAX_BYTES} bytes of memory to unpack") from error
                raise self._broken(f"it is damaged: {error}") from error
            self._left_bytes -= len(chunk)
            if self._left_bytes < 0:
                raise self._broken(f"it gave more than {self._max_bytes} bytes")
            if chunk:
                return chunk
        return b""

    def _packed(self) -> bytes:
        try:
            packed = self._file.read(min(self._packed_bytes, CHUNK_BYTES))
        except OSError as error:
            raise self._broken(f"it cannot be read: {error}") from error
        if not packed:
            raise self._broken("it is cut off")
        self._packed_bytes -= len(packed)
        return packed

    def finish(self) -> None:
        """Once all has been read: that nothing stands behind it."""
        if not self._stream.eof or self._stream.unused_data or self._packed_bytes:
            raise self._broken("something stands behind its end")

    def _broken(self, why: str) -> HostError:
        return HostError(f"decompress {self._name}", f"{self._name}: {why}")
