"""The Autobahn test suite's cases for WebSocket servers, against the hub's framing, connections and server.

The suite is on PyPI and needs Python 2.7, which Debian 11 had last: it runs in a tree of that. It expects what it sends
to come back, so what it talks with is tests/unit/link/echoing.py. This takes minutes and needs PyPI, so it is run when
it is asked for, by `tests/vm/all autobahn`; tests/unit/link/test_conformance.py has cases of the same families that
every run goes through.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from tests.vm import cache, chroot, tree
from tests.vm.errors import RigError
from tests.vm.progress import step
from tests.vm.tools import must

SUITE = "bullseye"
PACKAGES = ("python-pkg-resources", "python2.7")
WHEELS = (
    "Automat==0.8.0",
    "Jinja2==2.11.3",
    "MarkupSafe==1.1.1",
    "PyHamcrest==1.9.0",
    "Twisted==19.10.0",
    "Werkzeug==1.0.1",
    "attrs==20.3.0",
    "cffi==1.15.1",
    "constantly==15.1.0",
    "cryptography==3.3.2",
    "enum34==1.1.10",
    "hyperlink==20.0.1",
    "idna==2.10",
    "incremental==16.10.1",
    "ipaddress==1.0.23",
    "klein==17.10.0",
    "linecache2==1.0.0",
    "pyOpenSSL==19.1.0",
    "pyasn1==0.4.8",
    "pyasn1-modules==0.2.8",
    "pycparser==2.21",
    "service_identity==18.1.0",
    "six==1.16.0",
    "traceback2==1.4.0",
    "typing==3.10.0.0",
    "unittest2==1.1.0",
    "zope.interface==4.6.0",
)
SOURCES = ("autobahn==0.10.9", "autobahntestsuite==25.10.1", "txaio==2.1.0")
"""Of these there is no wheel for Python 2; as plain Python they need only be unpacked."""

DEADLINE_SEC = 900
GOOD = ("OK", "INFORMATIONAL", "NON-STRICT", "UNIMPLEMENTED")
"""NON-STRICT: right, if not at once. In 6.4.3 and 6.4.4 a frame is looked at once all of it has come.
UNIMPLEMENTED: compression (12 and 13), which is never agreed to."""
GOOD_CLOSES = ("OK", "INFORMATIONAL")
BINARY = ("1.2.", "9.2.", "9.4.", "9.6.", "9.8.")
"""Cases whose messages are binary: those of AuroraLink are text, and all else is refused (RFC 6455, section 7.4.1)."""
BINARY_CLOSE = 1003

_START = """
import site, sys
site.addsitedir("/tools/site")
sys.path[:0] = ["/tools/" + name for name in sys.argv.pop(1).split()]
from autobahntestsuite import wstest
wstest.run()
"""


class Verdict(StrEnum):
    """What became of a case."""

    GOOD = "good"
    BINARY = "refused, as it is binary"
    WRONG = "wrong"


def run(source: Path) -> dict[str, Verdict]:
    """The verdict on each case by its number; RigError when the suite does not get to an end."""
    place = _suite()
    descriptor = cache.hold(place)
    try:
        return _run(source, place)
    finally:
        os.close(descriptor)


def _run(source: Path, place: Path) -> dict[str, Verdict]:
    scratch = cache.root() / "scratch"
    report = scratch / "autobahn" / "index.json"
    report.unlink(missing_ok=True)
    with _echo(source) as port, step("autobahn: trying all cases"):
        spec = {"outdir": "/cache/autobahn", "servers": [{"agent": "hub", "url": f"ws://127.0.0.1:{port}"}]}
        (scratch / "autobahn.json").write_text(json.dumps({**spec, "cases": ["*"], "exclude-cases": []}))
        sources = " ".join(sorted(path.name for path in (place / "sources").iterdir()))
        said = ["python2.7", "-c", _START, sources, "-m", "fuzzingclient", "-s", "/cache/autobahn.json"]
        mounts = [chroot.Mount(here=place / "sources", there="/tools")]
        line = chroot.argv(place / "tree", said, mounts, "/cache")
        log = scratch / "autobahn.log"
        with log.open("wb") as file:
            status = subprocess.run(
                line, check=False, stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=DEADLINE_SEC
            ).returncode
    if status or not report.exists():
        raise RigError("run the Autobahn test suite", f"it ended with status {status}", "", log.read_text()[-2000:])
    return {name: verdict(name, found) for name, found in json.loads(report.read_text())["hub"].items()}


def verdict(name: str, found: Mapping[str, object]) -> Verdict:
    """On one case by the suite's own report of it."""
    if found["behavior"] in GOOD and found["behaviorClose"] in GOOD_CLOSES:
        return Verdict.GOOD
    if name.startswith(BINARY) and found["remoteCloseCode"] == BINARY_CLOSE:
        return Verdict.BINARY
    return Verdict.WRONG


def _suite() -> Path:
    """Where `tree` is, and in `sources` all that is to be imported; made when the cache has none."""
    version = "--ignore-requires-python --python-version 2.7 --implementation cp --abi cp27mu --only-binary :all:"
    platforms = "--platform manylinux1_x86_64 --platform manylinux2010_x86_64"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]

    def build(directory: Path) -> None:
        tree.make(directory / "tree", "autobahn", PACKAGES, suite=SUITE)
        sources = directory / "sources"
        with step("autobahn: fetching from PyPI"), tempfile.TemporaryDirectory() as fetched:
            foreign = ["--no-deps", *version.split(), *platforms.split(), "--target", str(sources / "site")]
            must("fetch what Autobahn needs", [*pip, "install", *foreign, *WHEELS])
            plain = ["--no-deps", "--no-binary", ":all:", "--dest", fetched]
            must("fetch the Autobahn test suite", [*pip, "download", *plain, *SOURCES])
            for path in Path(fetched).iterdir():
                with tarfile.open(path) as packed:
                    packed.extractall(sources, filter="data")

    recipe = [SUITE, PACKAGES, WHEELS, SOURCES, cache.source_digest("tree.py")]
    return cache.entry("autobahn", cache.key_of(recipe), build)


@contextmanager
def _echo(source: Path) -> Iterator[int]:
    """The port of what echoes, while it runs."""
    tree_dir = chroot.build_tree(source)
    descriptor = cache.hold(tree_dir.parent)
    command = ["python3", "-m", "tests.unit.link.echoing"]
    line = chroot.argv(tree_dir, command, [chroot.Mount(here=source, there="/src")], "/src")
    echo = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert echo.stdout is not None
        port = echo.stdout.readline()
        if not port:
            raise RigError("run the Autobahn test suite", "what echoes does not start")
        yield int(port)
    finally:
        echo.terminate()
        echo.wait()
        os.close(descriptor)
