"""What the module's own table of mounts shows of each directive about files. Nothing is read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from aurora.directives import Value
from aurora.host.mounts import Mount, mount_of, size_in_memory
from aurora.quantity import format_size, parse_size
from aurora.runtime.readback import Readback
from aurora.runtime.verdict import Seen

__all__ = ["MOUNTED"]

SOURCE = "/proc/PID/mountinfo"
_INACCESSIBLE = "/systemd/inaccessible/"
_API = ("/dev", "/proc", "/sys")
"""ProtectSystem=strict leaves these to directives of their own (systemd.exec(5))."""
_TEMPORARY = ("/tmp", "/var/tmp")  # noqa: S108  # places that are looked at, not used
_SYSTEM = {"full": ("/usr", "/boot", "/etc"), "yes": ("/usr", "/boot"), "true": ("/usr", "/boot")}
_WRITING = ("ReadWritePaths", "BindPaths")

type _Judge = Callable[[Sequence[Mount], Value, Readback], list[str]]
"""The faults that the mounts show, each a clause."""


def _check(judge: _Judge) -> Callable[[Value, Readback], Seen]:
    def check(declared: Value, evidence: Readback) -> Seen:
        mounts = evidence.process.mounts if evidence.process is not None else None
        if mounts is None or _first(evidence) is None:
            return Seen(None, "", SOURCE, "it takes root to read this: sudo")
        faults = judge(mounts, declared, evidence)
        if faults:
            more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
            return Seen(False, "; ".join(faults[:3]) + more, SOURCE, "; ".join(faults[:3]) + more)
        return Seen(True, "as declared", SOURCE)

    return check


def _open(mounts: Sequence[Mount], paths: Sequence[str]) -> list[str]:
    return [f"{path} is writable" for path in paths if (m := mount_of(mounts, path)) is None or m.writable]


def _system(mounts: Sequence[Mount], declared: Value, evidence: Readback) -> list[str]:
    if declared != "strict":
        return _open(mounts, [path for path in _SYSTEM.get(str(declared), ()) if path in evidence.places])
    granted = [
        word.lstrip("-+").partition(":")[0]
        for name in _WRITING
        for word in _words(evidence.plan.settings.get(name, ()))
    ]
    free = (*_API, *_TEMPORARY, *evidence.plan.writable, *granted)
    faults = _open(mounts, ["/"])
    for mount in mounts:
        below = any(mount.point == path or mount.point.startswith(f"{path}/") for path in free)
        if mount.writable and not below and mount.point != "/" and mount_of(mounts, mount.point) == mount:
            faults.append(f"{mount.point} is writable")
    return faults


def _home(mounts: Sequence[Mount], declared: Value, evidence: Readback) -> list[str]:
    faults = []
    for path in ("/home", "/root"):
        mount = mount_of(mounts, path)
        if mount is None or path not in evidence.places:
            continue
        if declared == "tmpfs" and (mount.kind != "tmpfs" or mount.writable):
            faults.append(f"{path} is not empty and read-only")
        elif declared in ("yes", "true") and not _is_hidden(mount):
            faults.append(f"{path} is in view")
        elif declared == "read-only" and mount.writable:
            faults.append(f"{path} is writable")
    return faults


def _is_hidden(mount: Mount) -> bool:
    return _INACCESSIBLE in mount.root


def _tmp(mounts: Sequence[Mount], _declared: Value, evidence: Readback) -> list[str]:
    return [f"{path} is the machine's" for path in _TEMPORARY if not _is_own(mounts, path, evidence)]


def _dev(mounts: Sequence[Mount], _declared: Value, evidence: Readback) -> list[str]:
    return [] if _is_own(mounts, "/dev", evidence) else ["/dev is the machine's"]


def _is_own(mounts: Sequence[Mount], path: str, evidence: Readback) -> bool:
    """Whether the module has a mount of its own there, which shows something else than the machine's."""
    own = mount_of(mounts, path)
    first = mount_of(_first(evidence) or (), path)
    return own is not None and own.point == path and (first is None or first.what != own.what)


def _first(evidence: Readback) -> Sequence[Mount] | None:
    """What process 1 sees; without it nothing can be called the module's own."""
    return evidence.first.mounts if evidence.first is not None else None


def _tunables(mounts: Sequence[Mount], _declared: Value, _evidence: Readback) -> list[str]:
    proc = mount_of(mounts, "/proc")
    # With subset=pid there is no /proc/sys at all.
    hidden = proc is not None and "subset=pid" in proc.super_options
    return _open(mounts, ["/sys"] if hidden else ["/sys", "/proc/sys"])


def _control_groups(mounts: Sequence[Mount], _declared: Value, _evidence: Readback) -> list[str]:
    return _open(mounts, ["/sys/fs/cgroup"])


def _proc(option: str) -> _Judge:
    def judge(mounts: Sequence[Mount], declared: Value, _evidence: Readback) -> list[str]:
        mount = mount_of(mounts, "/proc")
        if declared in ("default", "all") or (mount is not None and f"{option}={declared}" in mount.super_options):
            return []
        return [f"/proc is not mounted with {option}={declared}"]

    return judge


def _emptied(mounts: Sequence[Mount], declared: Value, _evidence: Readback) -> list[str]:
    faults = []
    for word in _words(declared):
        path, _, size = word.partition(":")
        mount = mount_of(mounts, path)
        if mount is None or mount.point != path or mount.kind != "tmpfs":
            faults.append(f"{path} is not empty")
        elif size and (bound := size_in_memory(mount)) != parse_size(size.removeprefix("size=")):
            faults.append(f"{path} holds {'any amount' if bound is None else format_size(bound)}")
        elif not size and mount.writable:
            faults.append(f"{path} is writable")
    return faults


def _inaccessible(mounts: Sequence[Mount], declared: Value, evidence: Readback) -> list[str]:
    faults = []
    for word in _words(declared):
        path = evidence.places.get(word.lstrip("-+"))
        mount = mount_of(mounts, path) if path is not None else None
        if mount is not None and not _is_hidden(mount) and not _is_emptied(mount, path or "", evidence):
            faults.append(f"{path} is in view")
    return faults


def _is_emptied(mount: Mount, path: str, evidence: Readback) -> bool:
    """Whether it lies in a tree that is replaced by an empty one."""
    emptied = _words(evidence.plan.settings.get("TemporaryFileSystem", ()))
    return mount.kind == "tmpfs" and not mount.writable and mount.point in emptied and mount.point != path


def _shown(mounts: Sequence[Mount], declared: Value, evidence: Readback) -> list[str]:
    faults = []
    for word in _words(declared):
        path = word.lstrip("-+")
        if path not in evidence.places and word.startswith("-"):
            continue  # it was not there to be shown
        mount = mount_of(mounts, path)
        if mount is None or mount.point != path:
            faults.append(f"{path} is not in view")
        elif mount.root.endswith("//deleted"):  # proc_pid_mountinfo(5); a socket that was made anew, for one
            faults.append(f"{path} is one that is no more; auroractl restart {evidence.plan.module}")
        elif mount.writable:
            faults.append(f"{path} is writable")
    return faults


def _own_directory(parent: str) -> _Judge:
    def judge(mounts: Sequence[Mount], declared: Value, _evidence: Readback) -> list[str]:
        faults = []
        for name in _words(declared):
            # A dynamic user's are below private/, but for what is gone with the unit (systemd.exec(5)).
            found = [mount_of(mounts, f"{parent}/{place}{name}") for place in ("private/", "")]
            if not any(mount is not None and mount.writable for mount in found):
                faults.append(f"{parent}/{name} is not writable")
        return faults

    return judge


def _credentials(mounts: Sequence[Mount], _declared: Value, evidence: Readback) -> list[str]:
    return _shown(mounts, (f"/run/credentials/{evidence.plan.unit}",), evidence)


def _words(value: Value) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


MOUNTED: Mapping[str, Callable[[Value, Readback], Seen]] = {
    name: _check(judge)
    for name, judge in {
        "ProtectSystem": _system,
        "ProtectHome": _home,
        "PrivateTmp": _tmp,
        "PrivateDevices": _dev,
        "ProtectKernelTunables": _tunables,
        "ProtectControlGroups": _control_groups,
        "ProtectProc": _proc("hidepid"),
        "ProcSubset": _proc("subset"),
        "TemporaryFileSystem": _emptied,
        "InaccessiblePaths": _inaccessible,
        "BindReadOnlyPaths": _shown,
        "LoadCredential": _credentials,
        "LoadCredentialEncrypted": _credentials,
        "StateDirectory": _own_directory("/var/lib"),
        "CacheDirectory": _own_directory("/var/cache"),
        "LogsDirectory": _own_directory("/var/log"),
        "RuntimeDirectory": _own_directory("/run"),
    }.items()
}
"""Directive -> its check."""
