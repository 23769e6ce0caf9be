"""The modules that are updated, and the same payload as an ordinary package."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import NamedTuple

from tests.bench.guest.tools import run
from tests.bench.update.cases import ONE, Size

WORK = Path("/var/tmp/bench-update")
"""On the disk that is counted."""
BEATS = Path("/run/bench-update")
"""In memory: where modules beat."""
PEER = "bench-peer"
_PEER_UNIT = Path(f"/usr/lib/systemd/system/{PEER}.service")

PROGRAM = f"""\
import os, socket, struct, time
beat = os.open("{BEATS}/beat", os.O_RDWR)
now = time.monotonic()
last = os.pread(beat, 8, 0)
if len(last) == 8:
    gaps = os.open("{BEATS}/gaps", os.O_WRONLY | os.O_APPEND)
    os.write(gaps, f"{{now - struct.unpack('d', last)[0]}}\\n".encode())
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
    speaker.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
while True:
    os.pwrite(beat, struct.pack("d", time.monotonic()), 0)
    time.sleep(0.001)
"""
"""The first thing it does is to look for how long nobody has beaten."""

_MANIFEST = """\
[module]
name = "{name}"
version = "{version}"
entry = "run.py"
[start]
readiness = "notify"
timeout = "5min"
[restart]
delay = "100ms"
steps = 0
give_up_after = 1000
[sandbox]
grants = ["write:{beats}"]
[update]
window = "0s"
"""
_CONTROL = """\
Package: {peer}
Version: {version}
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: the payload of a module, as an ordinary package
"""
_UNIT = """\
[Unit]
StartLimitIntervalSec=0
[Service]
Type=notify
ExecStart=/usr/bin/python3 /usr/lib/{peer}/run.py
"""


class Payload(NamedTuple):
    """One version of a module in all its forms."""

    folder: Path
    ordinary: Path
    """The same files, in a package that restarts its own service; not compressed, so that it is as fast as can be."""
    size_bytes: int
    """The sum of the lengths of its files."""


def name_of(size: Size) -> str:
    """The module of a size."""
    return f"bench{size.files}"


def make(size: Size, version: str, change: str) -> Payload:
    """One version. Where one file is changed, all others are the same in each version."""
    place = WORK / f"{size.files}-{change.split()[0]}-{version}"
    folder = place / name_of(size)
    shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "run.py").write_text(PROGRAM)
    manifest = _MANIFEST.format(name=name_of(size), version=version, beats=BEATS)
    (folder / "module.toml").write_text(manifest)
    for number in range(size.files):
        seed = f"{size.files} {number}" if change == ONE and number else f"{size.files} {number} {version}"
        file = folder / f"data{number % 10}" / f"{number:04}"
        file.parent.mkdir(exist_ok=True)
        # Digits of chance: they compress to half, as programs do.
        file.write_text(random.Random(seed).randbytes(size.size_bytes // size.files // 2).hex())
    size_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return Payload(folder, _ordinary(place, folder, version), size_bytes)


def pack(one: Payload) -> Path:
    """Its module's package, as `auroractl pack` makes it."""
    place = one.folder.parent
    run(["auroractl", "pack", str(one.folder), "--output", str(place)])
    (package,) = place.glob("aurora-module-*.deb")
    return package


def _ordinary(place: Path, folder: Path, version: str) -> Path:
    root = place / "ordinary"
    shutil.copytree(folder, root / "usr/lib" / PEER)
    unit = root / str(_PEER_UNIT).lstrip("/")
    unit.parent.mkdir(parents=True)
    unit.write_text(_UNIT.format(peer=PEER))
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(_CONTROL.format(peer=PEER, version=version))
    script = root / "DEBIAN/postinst"
    script.write_text(f"#!/bin/sh\nset -e\nsystemctl daemon-reload\nsystemctl restart {PEER}\n")
    script.chmod(0o755)
    run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(root), str(place / "ordinary.deb")])
    shutil.rmtree(root)
    return place / "ordinary.deb"


def arm_beats() -> None:
    """Files that any user may write, so that each run can tell how long nobody ran."""
    BEATS.mkdir(exist_ok=True)
    BEATS.chmod(0o755)
    for name in ("beat", "gaps"):
        (BEATS / name).write_text("")
        (BEATS / name).chmod(0o666)


def gaps() -> list[float]:
    """How long nobody beat, for each start since `arm_beats`, in seconds."""
    return [float(line) for line in (BEATS / "gaps").read_text().split()]
