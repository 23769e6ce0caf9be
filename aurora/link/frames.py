"""What the hub sends by WebSocket: lines -> text frames (RFC 6455, section 5.2), for all that read the same once."""

from __future__ import annotations

__all__ = ["text_frames"]

_FRAMED_MAX = 16
"""A turn brings about so many pieces for a subscriber, of 25 KB each, and the next one reads the same."""
_FRAMED_MAX_BYTES = 32 * 1024
"""Of larger ones, which are few lines, nothing is kept."""
_framed: dict[int, tuple[bytes, bytes]] = {}
"""Lines that were put into frames, by their identity: they are kept, so that nothing else has it. The oldest goes."""


def text_frames(lines: bytes) -> bytes:
    """A frame for each line, without its end. The same object is put into frames once, however many read it."""
    known = _framed.get(id(lines))
    if known is not None:
        return known[1]
    pieces = lines.split(b"\n")
    pieces.pop()
    sizes = list(map(len, pieces))
    if len(set(sizes)) == 1:
        head = _head(sizes[0])
        frames = head + head.join(pieces)
    else:
        heads = {size: _head(size) for size in set(sizes)}
        parts = [b""] * (2 * len(pieces))
        parts[::2] = map(heads.__getitem__, sizes)
        parts[1::2] = pieces
        frames = b"".join(parts)
    if len(lines) <= _FRAMED_MAX_BYTES:
        if len(_framed) >= _FRAMED_MAX:
            del _framed[next(iter(_framed))]
        _framed[id(lines)] = (lines, frames)
    return frames


def _head(size: int) -> bytes:
    if size < 126:
        return b"\x81%c" % size
    return b"\x81\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x81\x7f" + size.to_bytes(8)
