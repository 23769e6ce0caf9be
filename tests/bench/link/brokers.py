"""Hub and peers as processes, with one configuration for each."""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.link import cases

DEADLINE_SEC = 60.0
_HUB = str(Path(__file__).with_name("hub.py"))

_MOSQUITTO = """\
user root
persistence false
allow_anonymous true
log_dest none
sys_interval 0
set_tcp_nodelay true
max_queued_messages 0
max_connections -1
listener 0 {place}
listener {port} 127.0.0.1
protocol websockets
"""
_NATS = """\
listen: "127.0.0.1:{tcp}"
ping_interval: "10m"
max_pending: 268435456
max_connections: 65536
websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}
"""
_REDIS = """\
port 0
unixsocket {place}
save ""
appendonly no
daemonize no
maxclients 20000
client-output-buffer-limit pubsub 0 0 0
logfile /dev/null
"""


def _python(folder: Path) -> list[str]:
    return [sys.executable, "-I", "-X", f"pycache_prefix={folder / 'pyc'}"]


def compile_hub(folder: Path) -> None:
    """Once, for all hubs that will run in folders below: as a package's files are, which makes them smaller."""
    read = "import runpy, sys; runpy.run_path(sys.argv[1]); import aurora.link.origins, aurora.link.websocket"
    subprocess.run([*_python(folder), "-c", read, _HUB], check=True)


def files_max() -> int:
    """How many files a process may have here, from now on; only a privileged one could have more."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


class Broker(NamedTuple):
    """One that runs."""

    name: str
    pid: int
    place: str
    """Of its unix socket, where it has one."""
    port: int
    """For WebSocket."""
    tcp: int

    def words(self, way: str) -> list[str]:
        """What the generator is told of it: protocol, kind, address."""
        kind = cases.WAYS[way, self.name]
        address = {"unix": self.place, "tcp": str(self.tcp), "websocket": str(self.port)}[kind]
        return [cases.PROTOCOLS[self.name], kind, address]


@contextmanager
def running(name: str, folder: Path, cpu: int | None, *, connections: int = 0) -> Iterator[Broker]:
    """A broker that takes connections; `connections` raises the hub's bound on them."""
    folder.mkdir()
    place, port, tcp = str(folder / "s"), _free_port(), _free_port()
    settings = folder / "conf"
    text = {cases.MOSQUITTO: _MOSQUITTO, cases.NATS: _NATS, cases.REDIS: _REDIS}.get(name, "")
    settings.write_text(text.format(place=place, port=port, tcp=tcp))
    command = {
        cases.SUBJECT: [*_python(folder.parent), _HUB, place, str(port), str(connections)],
        cases.MOSQUITTO: ["/usr/sbin/mosquitto", "-c", str(settings)],
        cases.NATS: ["/usr/sbin/nats-server", "-c", str(settings), "-l", "/dev/null"],
        cases.REDIS: ["/usr/bin/redis-server", str(settings)],
    }[name]
    pinned = [] if cpu is None else ["taskset", "--cpu-list", str(cpu)]
    process = subprocess.Popen([*pinned, *command], stdin=subprocess.DEVNULL, cwd=folder)
    broker = Broker(name, process.pid, place, port, tcp)
    try:
        _wait(process, broker)
        yield broker
    finally:
        process.terminate()
        process.wait(DEADLINE_SEC)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _wait(process: subprocess.Popen[bytes], broker: Broker) -> None:
    """Until it takes a connection by each of its ways.

    The hub has all of them at once, and is not asked by WebSocket: it is larger once somebody has come by that.
    """
    until = time.monotonic() + DEADLINE_SEC
    for way in (cases.UNIX, cases.WEBSOCKET):
        if (way, broker.name) not in cases.WAYS or (way, broker.name) == (cases.WEBSOCKET, cases.SUBJECT):
            continue
        _, kind, address = broker.words(way)
        while not _answers(kind, address):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{broker.name} does not take connections by {kind}; it ended: {process.poll()}")
            time.sleep(0.05)


def _answers(kind: str, address: str) -> bool:
    family, where = (socket.AF_UNIX, address) if kind == "unix" else (socket.AF_INET, ("127.0.0.1", int(address)))
    with socket.socket(family) as one:
        return one.connect_ex(where) == 0


def pss_kib(pid: int) -> float:
    """Its proportional set size; pages of Python's own files count whole, as the benchmark shares them."""
    total, pythons = 0.0, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            pythons = "python" in line.rpartition(" ")[2]
        elif line.startswith("Rss:" if pythons else "Pss:"):
            total += int(line.split()[1])
    return total


def version(name: str) -> str:
    """What Debian calls its package."""
    package = "python3" if name == cases.SUBJECT else name
    asked = ["dpkg-query", "--show", "--showformat=${Package} ${Version}", package]
    return subprocess.run(asked, check=False, capture_output=True, text=True).stdout
