"""What the machine says about what it can enforce: files and a few answers, read and not judged."""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from aurora.errors import HostError
from aurora.host.bpf import Attach, count_programs
from aurora.host.process import run
from aurora.names import LINK_PROFILE, LINK_SERVICE
from aurora.paths import Paths

__all__ = ["ANSWERS", "Survey", "read_survey"]

ANSWERS = (
    "sys/fs/cgroup/cgroup.controllers",
    "sys/module/apparmor/parameters/enabled",
    "sys/kernel/security/lockdown",
    "sys/kernel/security/lsm",
    "sys/fs/cgroup/init.scope/memory.swap.max",
    "sys/fs/cgroup/io.cost.qos",
    "sys/class/watchdog/watchdog0/state",
    "proc/cmdline",
    "proc/sys/kernel/seccomp/actions_avail",
    "proc/sys/kernel/unprivileged_bpf_disabled",
    "proc/sys/kernel/panic",
    "proc/sys/user/max_user_namespaces",
    "proc/device-tree/model",
    "etc/machine-id",
)
"""Files whose content is an answer."""

_JOURNAL_FOLDERS = ("etc", "run", "usr/local/lib", "usr/lib")
"""Where journald's settings are, those that win first (systemd's man page journald.conf(5))."""
FILE_MAX_CHARS = 4096
_ADJTIMEX_BYTES = 512
_STATUS_WORD = 5  # of struct timex: five longs stand before it
_STA_UNSYNC = 0x40


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What was read."""

    files: Mapping[str, str]
    """Path without the first slash -> content; those that are not there are not here."""
    schedulers: Mapping[str, str]
    """Disk -> its scheduler."""
    journal_storage: tuple[str, str]
    """What Storage= says, and the file that says it; `auto` and empty where none does."""
    journal_on_disk: bool
    """Whether journald writes below /var/log/journal now."""
    synchronised: bool | None
    """Whether the kernel's clock is; None when it did not say."""
    now_sec: int
    built_sec: int
    """When the core's own files were made: before then it cannot be."""
    programs: Mapping[Attach, int | None]
    """How many BPF programs hold the root of the cgroups; None where bpf(2) could not be asked."""
    systemd: str
    """Its version, as it prints it; empty when it could not be asked."""
    has_parser: bool
    """Whether apparmor_parser(8) is installed."""
    link_profile: str | None
    """The mode in which the kernel holds the hub's profile; empty when it does not hold it, None when it was not read:
    only root may."""
    link_label: str
    """What the hub that runs is confined by, as the kernel names it; empty when none runs."""


def read_survey(paths: Paths) -> Survey:
    """The machine, now. Never raises: what cannot be read is not there."""
    root = paths.root
    texts = {name: text for name in ANSWERS if (text := _read(root / name)) is not None}
    group = str(root / "sys/fs/cgroup")
    return Survey(
        files=texts,
        schedulers=_schedulers(root),
        journal_storage=_storage(root),
        journal_on_disk=_on_disk(root, texts.get("etc/machine-id", "").strip()),
        synchronised=_synchronised(),
        now_sec=int(time.time()),
        built_sec=int(Path(__file__).stat().st_mtime),
        programs={attach: count_programs(group, attach) for attach in Attach},
        systemd=_version(),
        has_parser=(root / "usr/sbin/apparmor_parser").exists(),
        link_profile=_mode(root, LINK_PROFILE),
        link_label=_label(root, f"system.slice/{LINK_SERVICE}"),
    )


def _mode(root: Path, profile: str) -> str | None:
    """`enforce`, `complain`, …: the word in brackets behind the profile's name."""
    try:
        lines = (root / "sys/kernel/security/apparmor/profiles").read_text(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.rpartition(" (")[2].rstrip(")") for line in lines if line.rpartition(" (")[0] == profile), "")


def _label(root: Path, group: str) -> str:
    """Of the first process of a control group."""
    pid = (_read(root / "sys/fs/cgroup" / group / "cgroup.procs") or "").partition("\n")[0]
    return (_read(root / "proc" / pid / "attr/apparmor/current") or "").strip() if pid else ""


def _schedulers(root: Path) -> dict[str, str]:
    """`none [mq-deadline] bfq`: the one in brackets."""
    found = {}
    for file in sorted((root / "sys/block").glob("*/queue/scheduler")):
        match = re.search(r"\[([a-z-]+)\]", _read(file) or "")
        if match is not None:
            found[file.parts[-3]] = match[1]
    return found


def _storage(root: Path) -> tuple[str, str]:
    """The last word of journald.conf and its drop-ins, which are read in the order of their names."""
    drop_ins: dict[str, Path] = {}
    for folder in reversed(_JOURNAL_FOLDERS):
        drop_ins.update({file.name: file for file in (root / folder / "systemd/journald.conf.d").glob("*.conf")})
    main = next((file for f in _JOURNAL_FOLDERS if (file := root / f / "systemd/journald.conf").exists()), None)
    found = ("auto", "")
    for file in ([main] if main else []) + [drop_ins[name] for name in sorted(drop_ins)]:
        for line in (_read(file) or "").splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and name.strip() == "Storage":
                found = (value.strip() or "auto", f"/{file.relative_to(root)}")
    return found


def _on_disk(root: Path, machine: str) -> bool:
    """While journald keeps its files in memory, one of them is below /run."""
    in_memory = (root / "run/log/journal" / machine / "system.journal").exists()
    return bool(machine) and (root / "var/log/journal" / machine / "system.journal").exists() and not in_memory


def _synchronised() -> bool | None:
    """From adjtimex(2), which anyone may ask."""
    buffer = ctypes.create_string_buffer(_ADJTIMEX_BYTES)
    if ctypes.CDLL(None).adjtimex(buffer) < 0:
        return None
    at = _STATUS_WORD * ctypes.sizeof(ctypes.c_long)
    return not int.from_bytes(buffer.raw[at : at + 4], "little") & _STA_UNSYNC


def _version() -> str:
    try:
        return run(["systemctl", "--version"], timeout_sec=20).stdout.partition("\n")[0].strip()
    except HostError:
        return ""


def _read(file: Path) -> str | None:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(FILE_MAX_CHARS)
    except OSError:
        return None
