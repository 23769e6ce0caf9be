"""A running test machine, and what a test can do to it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.vm import accel, cache, qemu, ssh, tpm
from tests.vm.disk import chain
from tests.vm.errors import CommandFailed, EmulationBroke, RigError, tail
from tests.vm.image import Image
from tests.vm.progress import say, step
from tests.vm.qmp import Monitor

BOOT_SEC = 300
"""A boot takes 20 s in emulation on an idle machine; a crowded one may need many times that."""

BOOTS_MAX = 3
"""Emulation can break a kernel in its first seconds: with QEMU 7.2 one came back from an interrupt with nonsense in its
flags, and panicked. Such a boot is begun again; what is wrong with a disk is wrong each time.
"""

RESUME_SEC = 90
"""A resume takes 4 s."""

SHARE = "/mnt/share"


@dataclass(frozen=True, kw_only=True)
class Completed:
    """What a command in the machine gave back."""

    stdout: str
    stderr: str
    returncode: int


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What another run needs to find a machine; process.json in the machine's directory."""

    process: qemu.Process
    port: int
    sockets: Path

    @classmethod
    def read(cls, directory: Path) -> _Found | None:
        try:
            raw = json.loads((directory / "process.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return cls(
            process=qemu.Process(pid=raw["pid"], started_ticks=raw["started_ticks"]),
            port=raw["port"],
            sockets=Path(raw["sockets"]),
        )

    def write(self, directory: Path) -> None:
        raw = {**asdict(self.process), "port": self.port, "sockets": str(self.sockets)}
        (directory / "process.json").write_text(json.dumps(raw))


PROCESSORS_MAX = 2


class Machine:
    """A virtual machine with a disk of its own, reached as root.

    `directory` has its disk (disk.qcow2, made by the caller), its console's log, QEMU's messages, and what its TPM
    keeps, where it has one. The machine dies with this program unless `kept`. One thread at a time may reboot, cut or
    stop it; commands may run beside each other.
    """

    def __init__(self, image: Image, directory: Path, *, kept: bool = False, found: _Found | None = None) -> None:
        self.image = image
        self.directory = directory
        self.kept = kept
        self.process = found.process if found else None
        self._boot_begins = 0
        self.processors = min(os.cpu_count() or 1, PROCESSORS_MAX)
        """From the next boot on; one that is resumed has as many as when it was saved."""
        # Not in `directory`: the path of a socket may have no more than 107 bytes.
        self.sockets = found.sockets if found else Path(tempfile.mkdtemp(prefix="aurora-vm-"))
        self.line = ssh.Line(found.port if found else ssh.free_port(), self.sockets)

    @classmethod
    def attach(cls, image: Image, directory: Path) -> Machine | None:
        """The kept machine in `directory`, on or off, or None when there is none."""
        found = _Found.read(directory)
        return cls(image, directory, kept=True, found=found) if found else None

    @property
    def disk(self) -> Path:
        """What it keeps when the power goes."""
        return self.directory / "disk.qcow2"

    @property
    def monitor(self) -> Path:
        """The socket of QEMU's monitor."""
        return self.sockets / "monitor"

    @property
    def console(self) -> Path:
        """All that was written to the console, of all boots."""
        return self.directory / qemu.CONSOLE

    # -- power ------------------------------------------------------------

    def boot(self, why: str = "booting") -> None:
        """Switch it on and return when systemd has finished starting, or RigError with the console's end."""
        with step(f"vm: {why}"):
            self._come_up()

    def resume(self, memory: Path) -> None:
        """Switch it on where a machine with the same disk stood when `memory` was saved."""
        with step("vm: resuming"):
            self._power_on(memory)
            self._wait_up(time.monotonic() + RESUME_SEC)
            self.run(f"date --set=@{time.time():.3f}")

    def save(self, memory: Path) -> None:
        """Write to `memory` what it is doing, for a machine with the same disk to go on; this one is off then."""
        self.line.close()  # a connection that nobody is at the end of would linger in the copies
        with Monitor(self.monitor) as monitor:
            monitor.save(memory)
            monitor.ask("quit")
        self._wait_off("save")

    def reboot(self, command: str = "systemctl reboot") -> None:
        """Run `command`, which makes the machine reboot, and return when it is up again."""
        with step("vm: rebooting"):
            self._send(command)
            self._wait_off("reboot")
            self._come_up()

    def cut(self) -> None:
        """Take the power away, now. What that loses: see qemu.argv."""
        if self.process is not None:
            self.process.kill()
        self.line.close()

    def power_cut(self, *, again_when: str = "", again_after_sec: float = 0) -> None:
        """Take the power away, switch on again with the same disk, and return when it is up.

        It is taken away once more where one of these is given: as soon as a shell condition holds while systemd is
        still starting, or that long after it was switched on.
        """
        self.cut()
        if again_after_sec:
            self._power_on()
            time.sleep(again_after_sec)
            self.cut()
        if again_when:
            self._power_on()
            self.line.connect(time.monotonic() + BOOT_SEC, self._must_live)
            self.wait_until(again_when, BOOT_SEC)
            self.cut()
        self.boot("booting after the power cut")

    def power_off(self) -> None:
        """Let systemd switch it off; all it wrote is on its disk afterwards."""
        with step("vm: switching off"):
            self._send("systemctl poweroff")
            self._wait_off("switch off")

    def close(self) -> None:
        """End it without ceremony and forget its sockets; its directory stays."""
        self.cut()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def reconnect(self) -> None:
        """Make sure that the shared connection stands; RigError if the machine does not answer."""
        if not self.line.connected():
            self._wait_up(time.monotonic() + BOOT_SEC)

    def alive(self) -> bool:
        """Whether it is switched on."""
        return self.process is not None and self.process.alive()

    # -- work ------------------------------------------------------------

    def run(
        self,
        cmd: str,
        *,
        check: bool = True,
        timeout_sec: float = 120,
        input: str | bytes | None = None,  # noqa: A002  as subprocess.run names it
    ) -> Completed:
        """Run `cmd` by sh as root and wait for its end, which `timeout_sec` bounds, also inside the machine.

        CommandFailed if it takes longer, or if it ends with another status than zero and `check` is on.
        """
        given = input.encode() if isinstance(input, str) else input
        # The machine ends it itself; we only give up on a machine that doesn't.
        bounded = f"exec timeout -k 5 {timeout_sec:.3f} sh -c {shlex.quote(cmd)}"
        feed = subprocess.DEVNULL if given is None else None
        started = time.monotonic()
        try:
            done = subprocess.run(
                self.line.remote(bounded),
                check=False,
                input=given,
                stdin=feed,
                capture_output=True,
                timeout=timeout_sec + 60,
            )
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(
                f"run `{cmd}`",
                f"the machine did not answer within {timeout_sec + 60:.0f} s",
                "",
                self.console_end(),
            ) from error
        result = Completed(
            stdout=done.stdout.decode(errors="replace"),
            stderr=done.stderr.decode(errors="replace"),
            returncode=done.returncode,
        )
        evidence = tail(f"{result.stdout}\n{result.stderr}")
        if result.returncode in (124, 137) and time.monotonic() - started >= timeout_sec:
            raise CommandFailed(f"run `{cmd}`", f"it did not end within {timeout_sec:g} s", "", evidence)
        self.check_line(cmd, result.returncode)
        if check and result.returncode != 0:
            raise CommandFailed(f"run `{cmd}`", f"it ended with status {result.returncode}", "", evidence)
        return result

    def check_line(self, cmd: str, status: int) -> None:
        """CommandFailed if `status`, with which `cmd` seemed to end, only means that the machine went away.

        EmulationBroke if it went because its kernel panicked in emulation.
        """
        if status == 255 and not self.line.connected():
            gone = self.process is None or self.process.wait(60)  # a shutdown takes the connection first
            why = "the machine went off meanwhile" if gone else "the connection was lost"
            kind = EmulationBroke if gone and self._emulation_broke() else CommandFailed
            raise kind(f"see the end of `{cmd}`", why, "", self.console_end())

    def stream(self, command: str) -> subprocess.Popen[bytes]:
        """Start `command` by sh as root with our own stdin (if there is one), stdout and stderr."""
        return subprocess.Popen(self.line.remote(command), stdin=ssh.given_stdin())

    def shell(self) -> int:
        """An interactive shell on our terminal; returns its status."""
        return subprocess.run(self.line.argv("-o", "ControlMaster=no", "-t"), check=False).returncode

    def push(self, local: Path, remote: str) -> None:
        """Copy a file, or a directory's content, to the path `remote`; its parents are made, root owns it."""
        target = shlex.quote(remote)
        if local.is_dir():
            self._extract(
                ["tar", "-C", str(local), "--owner=0", "--group=0", "-c", "."],
                f"mkdir -p {target} && tar -C {target} -x",
            )
        else:
            parent = shlex.quote(str(Path(remote).parent))
            mode = f"{local.stat().st_mode & 0o7777:o}"
            self.run(f"mkdir -p {parent} && cat > {target} && chmod {mode} {target}", input=local.read_bytes())

    def pull(self, remote: str) -> bytes:
        """The content of the file `remote`."""
        done = subprocess.run(self.line.remote(f"cat {shlex.quote(remote)}"), capture_output=True, check=False)
        if done.returncode != 0:
            raise CommandFailed(f"read {remote}", done.stderr.decode(errors="replace").strip())
        return done.stdout

    def share(self, local: Path) -> None:
        """Make /mnt/share there a fresh copy of the directory `local`."""
        if not local.is_dir():
            raise RigError(f"share {local}", "it is not a directory", "the directory that it is in")
        with step(f"vm: copying {local}"):
            self.run(f"rm -rf {SHARE} && mkdir -p {SHARE}")
            self.push(local, SHARE)

    def wait_until(self, condition: str, deadline_sec: float = 30) -> None:
        """Return when the shell `condition` holds; CommandFailed with its last words after `deadline_sec`.

        The machine itself tries it again and again: this costs one command of ours.
        """
        quoted = shlex.quote(condition)
        loop = (
            f"end=$(($(date +%s) + {deadline_sec:.0f}))\n"
            f"until said=$(timeout -k 1 {deadline_sec:.3f} sh -c {quoted} 2>&1); do\n"
            f'  if [ "$(date +%s)" -gt "$end" ]; then echo "$said"; exit 1; fi\n'
            "  sleep 0.1\ndone"
        )
        done = self.run(loop, check=False, timeout_sec=2 * deadline_sec + 10)
        if done.returncode != 0:
            raise CommandFailed(
                f"see `{condition}` hold",
                f"it still did not after {deadline_sec:g} s",
                "",
                tail(done.stdout + done.stderr),
            )

    def install(self, debs: Sequence[Path]) -> None:
        """Install these packages by apt, which finds what they depend on in the machine's own repository."""
        directory = "/var/lib/aurora-test/deb"
        self.run(f"rm -rf {directory} && mkdir -p {directory}")
        for deb in debs:
            self.push(deb, f"{directory}/{deb.name}")
        command = (
            f"cd {directory} && DEBIAN_FRONTEND=noninteractive apt-get install --yes --reinstall "
            "--allow-downgrades -o Dpkg::Options::=--force-confold -o Dpkg::Use-Pty=0 ./*.deb"
        )
        with step("vm: installing " + " ".join(deb.name for deb in debs)):
            done = self.run(command, check=False, timeout_sec=1200)
        if done.returncode != 0:
            journal = self.run("journalctl -q --no-pager -b -p notice -n 25", check=False).stdout
            raise RigError(
                "install the package in the machine",
                f"apt-get ended with status {done.returncode}",
                "--no-deb for a machine without it",
                f"{tail(done.stdout + done.stderr)}\njournal:\n{journal}",
            )

    # -- below ------------------------------------------------------------

    def _come_up(self) -> None:
        for left in reversed(range(BOOTS_MAX)):
            self._power_on()
            try:
                self._wait_up(time.monotonic() + BOOT_SEC)
            except RigError:
                if left == 0 or not self._emulation_broke():
                    raise
                say("vm: the emulated kernel panicked while it booted; booting again")
            else:
                return

    def _emulation_broke(self) -> bool:
        """Whether the present boot ended in a panic of an emulated kernel, which no program of ours can cause."""
        emulated = accel.accelerator(self.image.kernel, self.image.initrd) == "tcg"
        return emulated and not self.alive() and b"Kernel panic" in self._console_of_boot()

    def _console_of_boot(self) -> bytes:
        return self.console.read_bytes()[self._boot_begins :] if self.console.exists() else b""

    def _power_on(self, memory: Path | None = None) -> None:
        self._boot_begins = self.console.stat().st_size if self.console.exists() else 0
        self.sockets.mkdir(exist_ok=True, mode=0o700)  # gone if the machine outlived a cleaning of /tmp
        image = self.image
        hardware = qemu.Hardware(
            accel=accel.accelerator(image.kernel, image.initrd),
            kernel=image.kernel,
            initrd=image.initrd,
            cmdline=image.flavour.cmdline,
            memory_mib=image.flavour.memory_mib,
            processors=self.processors,
            disk=self.disk,
            port=self.line.port,
            console=self.console,
            monitor=self.monitor,
            memory=memory,
        )
        with ExitStack() as ours:
            held = [cache.hold(entry) for entry in {image.directory, *chain(self.disk)}]
            for descriptor in held:
                ours.callback(os.close, descriptor)
            if image.flavour.tpm:
                held.append(ours.enter_context(tpm.beside(self.directory, outlive_us=self.kept)))
                hardware = replace(hardware, tpm=held[-1])
            self.process = qemu.start(qemu.argv(hardware), self.directory / "qemu.log", held, outlive_us=self.kept)
        _Found(process=self.process, port=self.line.port, sockets=self.sockets).write(self.directory)

    def _wait_up(self, deadline: float) -> None:
        try:
            self.line.connect(deadline, self._must_live)
        except RigError as error:
            raise RigError(error.what, error.why, "", f"{error.evidence}\nconsole:\n{self.console_end()}") from error
        left_sec = max(10, deadline - time.monotonic())
        state = self.run("systemctl is-system-running --wait", check=False, timeout_sec=left_sec).stdout.strip()
        if state == "degraded":
            failed = self.run("systemctl --failed --plain --no-legend --no-pager | cut -d' ' -f1").stdout.split()
            say(f"vm: booted, but failed: {', '.join(failed)}")

    def _must_live(self) -> None:
        if not self.alive():
            log = (self.directory / "qemu.log").read_text(errors="replace")
            raise RigError("boot the machine", "it went off", "", tail(log))

    def _wait_off(self, what: str) -> None:
        if self.process is not None and not self.process.wait(BOOT_SEC):
            raise RigError(f"{what} the machine", f"it still runs after {BOOT_SEC} s", "", self.console_end())
        self.line.close()

    def _send(self, command: str) -> None:
        """Run what may end the connection before it can answer."""
        line = self.line.remote(command)
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(line, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=20)

    def _extract(self, packing: list[str], unpacking: str) -> None:
        with subprocess.Popen(packing, stdout=subprocess.PIPE) as packer:
            done = subprocess.run(
                self.line.remote(unpacking), check=False, stdin=packer.stdout, capture_output=True, text=True
            )
        if done.returncode != 0 or packer.returncode != 0:
            raise CommandFailed(f"copy by `{' '.join(packing)}`", "it did not arrive whole", "", done.stderr)

    def console_end(self) -> str:
        """The last lines that the present boot, or the last one, wrote to the console."""
        return tail(self._console_of_boot().decode(errors="replace"), 25)


@contextmanager
def closing(machine: Machine) -> Iterator[Machine]:
    """The machine, switched off when the body ends, however it ends."""
    try:
        yield machine
    finally:
        machine.close()


def end_in(directory: Path) -> None:
    """End the machine that runs in `directory`, if one does; its files stay."""
    found = _Found.read(directory)
    if found is not None:
        found.process.kill()
        shutil.rmtree(found.sockets, ignore_errors=True)
