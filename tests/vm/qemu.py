"""The QEMU process of a machine, and what runs beside it: how it is started, known again, and ended."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.vm.errors import RigError

CONSOLE = "serial.log"
"""The file in a machine's directory that has all that was written to its console."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """What a machine is made of."""

    accel: str
    """QEMU's accelerator: kvm or tcg."""
    kernel: Path
    initrd: Path
    cmdline: str
    """Added to what every machine needs."""
    memory_mib: int
    processors: int
    disk: Path
    """qcow2, written to."""
    port: int
    """The port of our loopback that leads to the machine's ssh."""
    console: Path
    """What the machine writes there is appended."""
    monitor: Path
    """A socket, made by QEMU."""
    memory: Path | None = None
    """What a machine with the same disk was doing when it was saved, to go on with."""
    tpm: int | None = None
    """The descriptor, to be inherited, of a socket that leads to its TPM; see tpm.py."""


def argv(hardware: Hardware) -> list[str]:
    """The QEMU command. The machine can be reached at one loopback port and can itself reach nobody.

    The process ends when the machine switches off or reboots: starting another one is 2 to 3 times as fast as QEMU's
    own reset in emulation, and looks the same from inside.

    What a SIGKILL of this process takes away, as a power cut would: all that the guest had not yet given to
    its disk (its page cache, its unwritten journal), and of what it gave but did not flush, what QEMU still
    held: newly allocated clusters of the qcow2 file, whose tables are written at a flush. What the guest
    flushed (fsync) stays: with cache=unsafe QEMU hands it to this machine's kernel, which outlives QEMU, and
    only does not wait for that kernel's own disk. It is milder than a real cut in one way: an unflushed write
    to an old cluster always survives, whole and in order, where a disk with a volatile cache may lose or
    reorder it.
    """
    cmdline = f"root=/dev/vda rw console=ttyS0 quiet panic=-1 {hardware.cmdline}".strip()
    accelerator = {
        "kvm": ["-accel", "kvm", "-cpu", "host"],
        # Page tables of four levels: a fifth costs every walk a step, and is only for more memory than this.
        "tcg": ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"],
    }[hardware.accel]
    tpm = [
        *("-chardev", f"socket,id=tpm,fd={hardware.tpm}"),
        *("-tpmdev", "emulator,id=tpm,chardev=tpm"),
        *("-device", "tpm-crb,tpmdev=tpm"),
    ]
    incoming = ["-incoming", f"exec:cat {shlex.quote(str(hardware.memory))}"] if hardware.memory else []
    return [
        "qemu-system-x86_64",
        "-no-user-config",
        "-no-reboot",
        "-nodefaults",
        "-display",
        "none",
        "-machine",
        "q35,sata=off,smbus=off",  # nothing is behind them, and looking takes time
        *accelerator,
        "-m",
        str(hardware.memory_mib),
        "-smp",
        str(hardware.processors),
        "-chardev",
        f"file,id=console,path={hardware.console},append=on",
        "-serial",
        "chardev:console",
        "-drive",
        f"file={hardware.disk},if=virtio,format=qcow2,cache=unsafe,discard=unmap",
        "-netdev",
        f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{hardware.port}-:22",
        "-device",
        "virtio-net-pci,netdev=net,romfile=",
        "-device",
        "virtio-rng-pci",
        "-qmp",
        f"unix:{hardware.monitor},server=on,wait=off",
        "-kernel",
        str(hardware.kernel),
        "-initrd",
        str(hardware.initrd),
        "-append",
        cmdline,
        *(tpm if hardware.tpm is not None else []),
        *incoming,
    ]


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process, told from a later one of the same number by when it started."""

    pid: int
    started_ticks: int
    """Since the boot of this machine, as /proc/PID/stat has it."""

    def alive(self) -> bool:
        """Whether any thread of it runs; one that has died and was not yet reaped does not."""
        return not self.wait(0)

    def wait(self, timeout_sec: float) -> bool:
        """Whether it ended within that time: all of its threads, so that what it held is free (pidfd_open(2)).

        Its state in /proc is that of its first thread, which can be a zombie while others still hold its files.
        """
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            fields = _stat(self.pid)
            if fields is None or int(fields[19]) != self.started_ticks:
                return True  # the number is another process's by now
            return bool(select.select([descriptor], [], [], timeout_sec)[0])
        finally:
            os.close(descriptor)

    def kill(self) -> None:
        """End it at once, with no chance to write anything; it is gone afterwards."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            if not self.wait(30):
                raise RigError("stop QEMU", f"process {self.pid} survives SIGKILL for 30 s")


def start(command: list[str], log: Path, held: list[int], *, outlive_us: bool) -> Process:
    """Start QEMU, or what runs beside it, with its messages going to `log` and the descriptors `held` inherited.

    Unless `outlive_us`, the kernel kills it when we end, however we end.
    """
    program = command[0]
    if not outlive_us:
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=held,
            start_new_session=True,
        )
    fields = _stat(child.pid)
    if fields is None:
        raise RigError(f"start {program}", "it ended at once", "", log.read_text(errors="replace"))
    _CHILDREN.append(child)
    return Process(pid=child.pid, started_ticks=int(fields[19]))


_CHILDREN: list[subprocess.Popen[bytes]] = []
"""Referenced until we end, so that subprocess does not warn of those that shall outlive us."""


def _stat(pid: int) -> list[str] | None:
    """/proc/PID/stat from the state on (field 3 is index 0), or None when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
