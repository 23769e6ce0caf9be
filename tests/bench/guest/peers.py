"""supervisord and podman, each running the same program as the modules, and each as its manual says."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from tests.bench import names
from tests.bench.guest.tools import WORK, Failed, comm, processes, pss_kib, run, stop_units, unit_property, wait_until

COMMAND = ("/bin/sh", "-c", "exec sleep infinity")
_SUPERVISOR_UNIT = "peer-supervisord.service"
_IMAGE = "localhost/bench:1"

_SUPERVISOR_HEAD = """\
[unix_http_server]
file={folder}/supervisor.sock
[supervisord]
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
nodaemon=true
user=root
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{folder}/supervisor.sock
"""
_SUPERVISOR_PROGRAM = """\
[program:p{number:03}]
command=/bin/sh -c "exec sleep infinity"
autostart=false
autorestart=true
startsecs=0
stdout_logfile=NONE
stderr_logfile=NONE
"""


class Supervisord:
    """A supervisord that already runs; timed is `supervisorctl start all`."""

    def __init__(self) -> None:
        self.name = names.SUPERVISORD
        self._folder = WORK / "supervisor"

    def control(self, *words: str) -> str:
        """`supervisorctl`, told where its daemon is."""
        return run(["supervisorctl", "-c", f"{self._folder}/supervisord.conf", *words])

    def arm(self, count: int) -> None:
        stop_units(["supervisor.service"])  # Debian's own would only take memory and time
        self.disarm(count)
        self._folder.mkdir(exist_ok=True)
        text = _SUPERVISOR_HEAD.format(folder=self._folder)
        text += "".join(_SUPERVISOR_PROGRAM.format(number=number) for number in range(1, count + 1))
        (self._folder / "supervisord.conf").write_text(text)
        # --collect: a daemon that is killed at the end leaves no failed unit of this name behind.
        daemon = ["supervisord", "-n", "-c", f"{self._folder}/supervisord.conf"]
        run(["systemd-run", "--quiet", "--collect", f"--unit={_SUPERVISOR_UNIT}", "--service-type=exec", *daemon])
        wait_until((self._folder / "supervisor.sock").exists, "supervisord's socket")

    def start(self, count: int) -> None:
        self.control("start", "all")

    def check(self, count: int) -> None:
        running = self.control("status").count("RUNNING")
        if running != count:
            raise Failed(f"{running} of {count} programs are RUNNING")

    def memory_kib(self, count: int) -> float:
        return pss_kib(int(unit_property(_SUPERVISOR_UNIT, "MainPID")))

    def disarm(self, count: int) -> None:
        stop_units([_SUPERVISOR_UNIT])
        (self._folder / "supervisor.sock").unlink(missing_ok=True)

    def pid(self) -> int:
        """Of its first program."""
        return int(self.control("pid", "p001"))


class Podman:
    """`podman run -d` of a tiny image, one after the other."""

    def __init__(self, *options: str) -> None:
        self.name = names.PODMAN
        self._options = options

    def arm(self, count: int) -> None:
        if not run(["podman", "images", "--quiet", _IMAGE]).strip():
            _import_image()

    def start(self, count: int) -> None:
        for number in range(1, count + 1):
            # No network: the machine has no nftables, and a module has none either.
            options = ["--network=none", *self._options]
            run(["podman", "run", "-d", f"--name=c{number:03}", *options, _IMAGE, *COMMAND])

    def check(self, count: int) -> None:
        running = len(run(["podman", "ps", "--quiet", "--filter=status=running"]).split())
        if running != count:
            raise Failed(f"{running} of {count} containers run")

    def memory_kib(self, count: int) -> float:
        return sum(pss_kib(pid) for pid in processes() if comm(pid) == "conmon")

    def disarm(self, count: int) -> None:
        run(["podman", "rm", "--all", "--force", "--time=0"])

    def pid(self) -> int:
        """Of its first container."""
        return int(json.loads(run(["podman", "inspect", "c001"]))[0]["State"]["Pid"])


def _import_image() -> None:
    """An image of the machine's own shell, its sleep, and the libraries of the two."""
    tree = WORK / "image"
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("usr/bin", "dev", "proc", "sys", "etc", "tmp"):
        (tree / folder).mkdir(parents=True)
    (tree / "bin").symlink_to("usr/bin")
    shutil.copy("/usr/bin/dash", tree / "usr/bin/sh")
    shutil.copy("/usr/bin/sleep", tree / "usr/bin/sleep")
    for library in set(re.findall(r"/\S*\.so\S*", run(["ldd", "/usr/bin/dash", "/usr/bin/sleep"]))):
        target = tree / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(library).resolve(), target)
    run(["tar", "-C", str(tree), "-cf", f"{WORK}/image.tar", "."])
    run(["podman", "import", "--quiet", f"{WORK}/image.tar", _IMAGE])
