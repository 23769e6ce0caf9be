"""A part of a package that xz compressed is one whole stream, within bounds, or an error."""

from __future__ import annotations

import errno
import io
import lzma
import os
import random

import pytest

from aurora.errors import HostError
from aurora.update.ar import HEADER_BYTES, Part
from aurora.update.decompress import Decompressed

CONTENT = random.Random(1).randbytes(300_000)
HUGE_DICTIONARY = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]


def opened(packed: bytes, *, max_bytes: int = 1 << 30, behind: bytes = b"the next part") -> Decompressed:
    file = io.BytesIO(b"." * HEADER_BYTES + packed + behind)
    return Decompressed(file, Part("data.tar.xz", 0, len(packed)), max_bytes=max_bytes, timeout_sec=60)


def whole(stream: Decompressed, size: int = 1 << 16) -> bytes:
    found = b"".join(iter(lambda: stream.read(size), b""))
    stream.finish()
    return found


@pytest.mark.parametrize("size", [512, 1000, 1 << 16, 1 << 20])
def test_it_is_read_in_pieces_of_any_size(size: int) -> None:
    stream = opened(lzma.compress(CONTENT))
    assert len(stream.read(size)) == min(size, len(CONTENT))
    assert whole(opened(lzma.compress(CONTENT)), size) == CONTENT
    assert whole(opened(lzma.compress(b"")), size) == b""


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (lzma.compress(CONTENT)[:-1], "it is cut off"),
        (lzma.compress(CONTENT)[:100_000], "it is cut off"),
        (b"", "it is cut off"),
        (b"no stream at all", "it is damaged"),
        (lzma.compress(CONTENT)[:50_000] + b"\0" + lzma.compress(CONTENT)[50_001:], "it is damaged"),
        (lzma.compress(CONTENT, format=lzma.FORMAT_ALONE), "it is damaged"),
        (lzma.compress(CONTENT) * 2, "something stands behind its end"),
        (lzma.compress(CONTENT) + bytes(4), "something stands behind its end"),
        (lzma.compress(CONTENT, filters=HUGE_DICTIONARY), "it takes more than 134217728 bytes of memory"),
    ],
)
def test_anything_but_one_whole_stream_is_refused(packed: bytes, why: str) -> None:
    with pytest.raises(HostError, match=f"because data.tar.xz: {why}"):
        whole(opened(packed))


def test_what_comes_of_little_is_bounded() -> None:
    bomb = lzma.compress(bytes(10_000_000))
    assert len(bomb) < 10_000
    with pytest.raises(HostError, match="it gave more than 1000000 bytes"):
        whole(opened(bomb, max_bytes=1_000_000))


def test_a_disk_that_cannot_be_read_is_an_error_of_the_package() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    stream = Decompressed(Broken(bytes(100)), Part("data.tar.xz", 0, 9), max_bytes=1, timeout_sec=60)
    with pytest.raises(HostError, match=r"data.tar.xz: it cannot be read: .*Input/output error"):
        stream.read(1)


def test_what_takes_too_long_is_ended() -> None:
    stream = Decompressed(io.BytesIO(bytes(60) + lzma.compress(CONTENT)), Part("data.tar.xz", 0, 9**6),
                          max_bytes=1 << 30, timeout_sec=-1)  # fmt: skip
    with pytest.raises(HostError, match="did not end within"):
        stream.read(1)
