"""Writes packages that dpkg-deb would never make: tar headers and ar members, byte by byte."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import NamedTuple

MODULE = "./usr/lib/aurora/modules/hello"
OWNER = "./etc/aurora/modules/hello.toml"
CONTROL = b"Package: aurora-module-hello\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x>\nDescription: x\n"
MANIFEST = b'[module]\nname = "hello"\nversion = "1"\nentry = "run.py"\n'


class Item(NamedTuple):
    """One member of an archive, as its header shall say."""

    name: bytes | str
    content: bytes = b""
    flag: bytes = b"0"
    mode: int = 0o644
    size_bytes: int | None = None
    """What the header says, where that is not the truth."""
    link: bytes = b""

    def to_bytes(self) -> bytes:
        name = self.name.encode() if isinstance(self.name, str) else self.name
        head = b""
        if len(name) > 100:
            head = Item(b"././@LongLink", name + b"\0", b"L").to_bytes()
        size = len(self.content) if self.size_bytes is None else self.size_bytes
        fields = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name[:100].ljust(100, b"\0"), self.mode, 0, 0, size, 0)
        rest = self.flag + self.link.ljust(100, b"\0") + b"ustar  \0" + bytes(247)
        total = sum(fields) + sum(b" " * 8) + sum(rest)
        block = fields + b"%06o\0 " % total + rest
        return head + block + self.content + bytes(-len(self.content) % 512)


def folder(name: str, mode: int = 0o755) -> Item:
    return Item(f"{name}/", flag=b"5", mode=mode)


GOOD = (
    folder("."),
    *(folder(name) for name in ("./usr", "./usr/lib", "./usr/lib/aurora", "./usr/lib/aurora/modules", MODULE)),
    Item(f"{MODULE}/module.toml", MANIFEST),
    Item(f"{MODULE}/run.py", b"pass\n", mode=0o755),
    *(folder(name) for name in ("./etc", "./etc/aurora", "./etc/aurora/modules")),
    Item(OWNER, b"# nothing\n"),
)
GOOD_CONTROL = (folder("."), Item("./control", CONTROL), Item("./conffiles", OWNER[1:].encode() + b"\n"))


def tar(*items: Item, end: bytes = bytes(1024)) -> bytes:
    return b"".join(item.to_bytes() for item in items) + end


def ar(**members: bytes) -> bytes:
    """Names have _ for a point."""
    found = b"!<arch>\n"
    for name, content in members.items():
        head = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name.replace("_", ".").encode(), 0, 0, 0, b"100644", len(content))
        found += head + content + b"\n" * (len(content) % 2)
    return found


def write_deb(place: Path, data: bytes, control: bytes = tar(*GOOD_CONTROL)) -> Path:
    """A package of two archives, as they stand."""
    file = place / "hostile.deb"
    members = {"debian-binary": b"2.0\n", "control_tar_gz": gzip.compress(control), "data_tar": data}
    file.write_bytes(ar(**members))
    return file
