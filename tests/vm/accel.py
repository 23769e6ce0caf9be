"""Choosing QEMU's accelerator by trying it: a /dev/kvm that exists may still not run a Debian kernel."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

from tests.vm import cache, initrd
from tests.vm.progress import step

PROBE_SEC = 12
"""A processor that runs the guest itself reaches the initrd in 2 s."""


def accelerator(kernel: Path, initrd_path: Path) -> str:
    """ "kvm" when it has shown on this boot of this machine that it reaches the initrd, else "tcg"."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    version = subprocess.run(["qemu-system-x86_64", "--version"], check=False, capture_output=True, text=True).stdout
    circumstances = [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), version]
    with cache.locked("accelerator"):
        memory = cache.root() / "accelerator.json"
        known = json.loads(memory.read_text()) if memory.exists() else {}
        if known.get("circumstances") != circumstances:
            with step("vm: trying KVM"):
                verdict = "kvm" if _reaches_initrd(kernel, initrd_path) else "tcg"
            known = {"circumstances": circumstances, "accelerator": verdict}
            memory.write_text(json.dumps(known))
    return str(known["accelerator"])


def _reaches_initrd(kernel: Path, initrd_path: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="aurora-probe-") as scratch:
        console = Path(scratch) / "console"
        console.touch()
        command = [
            "qemu-system-x86_64",
            "-no-user-config",
            "-nodefaults",
            "-display",
            "none",
            "-machine",
            "q35",
            "-accel",
            "kvm",
            "-cpu",
            "host",
            "-m",
            "512",
            "-serial",
            f"file:{console}",
            "-kernel",
            str(kernel),
            "-initrd",
            str(initrd_path),
            "-append",
            f"console=ttyS0 quiet panic=-1 {initrd.PROBE}",
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            deadline = time.monotonic() + PROBE_SEC
            while process.poll() is None and time.monotonic() < deadline:
                if initrd.MARKER.encode() in console.read_bytes():
                    return True
                time.sleep(0.2)  # a console has no other way to tell
            return initrd.MARKER.encode() in console.read_bytes()
        finally:
            process.kill()
            process.wait()
