"""What the kernel shows of each directive: limits, privileges, namespaces and programs. Nothing is read here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aurora.directives import Kind, Value
from aurora.emit.encode import bus_values
from aurora.host.bpf import Attach
from aurora.quantity import INFINITY, format_share, format_size
from aurora.runtime.readback import Readback
from aurora.runtime.verdict import Seen

__all__ = ["HELD_AROUND", "KERNEL", "Check"]

type Check = Callable[[Value, Readback], Seen]
"""From the declared value and the evidence to what the kernel shows."""

_QUOTA_MIN_USEC = 1000  # the kernel takes no smaller one, and systemd gives it this instead
_SECOND_USEC = 1_000_000
_NEEDS_ROOT = "it takes root to read this: sudo"


def _not_read(source: str) -> Seen:
    return Seen(None, "", source, _NEEDS_ROOT)


# Limits


def _file(evidence: Readback, name: str) -> str | Seen:
    text = evidence.cgroup.get(name)
    if text is None:
        return Seen(False, "no limit", name, f"the kernel gives the module's cgroup no {name}")
    return text


def _memory(name: str) -> Check:
    def check(declared: Value, evidence: Readback) -> Seen:
        text = _file(evidence, name)
        if isinstance(text, Seen):
            return text
        size_bytes = int(declared)  # type: ignore[arg-type]  # a directive of this kind holds a number
        expected = "max" if size_bytes >= INFINITY else str(size_bytes // evidence.page_bytes * evidence.page_bytes)
        shown = format_size(int(text)) if text.isdecimal() else "infinity"
        return Seen(text == expected, shown, name, f"{name} is {text}")

    return check


def _cpu_max(declared: Value, evidence: Readback) -> Seen:
    text = _file(evidence, "cpu.max")
    if isinstance(text, Seen):
        return text
    quota, _, period = text.partition(" ")
    if not (quota.isdecimal() and period.isdecimal()):
        return Seen(False, "infinity", "cpu.max", f"cpu.max is {text}")
    expected = max(int(declared) * int(period) // _SECOND_USEC, _QUOTA_MIN_USEC)  # type: ignore[arg-type]  # a number
    shown = format_share(int(quota) * _SECOND_USEC // int(period))
    return Seen(abs(int(quota) - expected) <= 1, shown, "cpu.max", f"cpu.max is {text}")


def _number(name: str) -> Check:
    def check(declared: Value, evidence: Readback) -> Seen:
        text = _file(evidence, name)
        if isinstance(text, Seen):
            return text
        expected = "max" if declared == INFINITY else str(declared)
        return Seen(text == expected, "infinity" if text == "max" else text, name, f"{name} is {text}")

    return check


def _io_weight(declared: Value, evidence: Readback) -> Seen:
    text = _file(evidence, "io.weight")
    if isinstance(text, Seen):
        return text
    weight = text.splitlines()[0].removeprefix("default ").strip() if text else ""
    if weight != str(declared):
        return Seen(False, weight, "io.weight", f"io.weight is {weight}")
    if not evidence.weights_work:
        return Seen(False, weight, "io.weight", "no disk's scheduler looks at weights (neither bfq nor io.cost is on)")
    return Seen(True, weight, "io.weight")


def _io_max(word: str) -> Check:
    """`254:0 rbps=1048576 wbps=max riops=max wiops=max`, a line for each disk that is limited."""

    def check(declared: Value, evidence: Readback) -> Seen:
        text = _file(evidence, "io.max")
        if isinstance(text, Seen):
            return text
        wanted = {entry.rpartition(" ")[2] for entry in (declared if isinstance(declared, tuple) else ())}
        found = {
            value
            for line in text.splitlines()
            for name, _, value in (field.partition("=") for field in line.split()[1:])
            if name == word and value != "max"
        }
        shown = " ".join(sorted(found)) or "infinity"
        return Seen(found == wanted, shown, "io.max", f"{word} of io.max is {shown}")

    return check


# Privileges


def _status(name: str, good: Callable[[str, Value, Readback], bool], *, why: str = "") -> Check:
    source = f"/proc/PID/status {name}"

    def check(declared: Value, evidence: Readback) -> Seen:
        status = evidence.process.status if evidence.process is not None else None
        if status is None or name not in status:
            return _not_read(source)
        text = " ".join(status[name].split())
        return Seen(good(text, declared, evidence), text, source, why or f"{name} is {text}")

    return check


def _bounding(text: str, declared: Value, _evidence: Readback) -> bool:
    # ProtectClock= and the like take more away: fewer is as good.
    return int(text, 16) & ~_mask(declared) == 0


def _without(*names: str) -> Check:
    """A directive that takes capabilities away, beside the system calls that it refuses."""
    return _status("CapBnd", lambda text, _declared, _evidence: int(text, 16) & _mask(names) == 0)


def _ambient(text: str, declared: Value, _evidence: Readback) -> bool:
    return int(text, 16) == _mask(declared)


def _mask(declared: Value) -> int:
    (mask,) = bus_values(Kind.CAPABILITIES, declared)
    return int(mask)  # type: ignore[call-overload, no-any-return]  # of this kind it is a number


def _own_user(text: str, declared: Value, evidence: Readback) -> bool:
    numbers = set(text.split())
    wanted = evidence.users.get(str(declared))
    return len(numbers) == 1 and "0" not in numbers and (wanted is None or numbers == {str(wanted)})


def _groups(text: str, declared: Value, evidence: Readback) -> bool:
    words = declared if isinstance(declared, tuple) else ()
    status = evidence.process.status if evidence.process is not None else None
    own = set((status or {}).get("Gid", "").split())
    wanted = {str(evidence.users[word]) for word in words if word in evidence.users}
    return len(wanted) == len(words) and wanted <= set(text.split()) <= wanted | own


def _dynamic(text: str, _declared: Value, _evidence: Readback) -> bool:
    return all(61184 <= int(number) <= 65519 for number in text.split())  # systemd's range (UIDS-GIDS.md)


_FILTERED = (
    "SystemCallFilter",
    "SystemCallArchitectures",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LockPersonality",
    "MemoryDenyWriteExecute",
)
"""Each is a seccomp filter of its own. What a filter of another process holds, the kernel does not say."""


def _seccomp(_declared: Value, evidence: Readback) -> Seen:
    source = "/proc/PID/status Seccomp, what it filters systemd holds"
    status = evidence.process.status if evidence.process is not None else None
    if status is None or "Seccomp" not in status:
        return _not_read(source)
    on, count = status["Seccomp"] == "2", status.get("Seccomp_filters", "")
    least = sum(1 for name in _FILTERED if evidence.plan.settings.get(name) not in (None, False, ()))
    enough = not count.isdecimal() or int(count) >= least
    shown = f"{count or 'some'} filters" if on else "no filter"
    return Seen(on and enough, shown, source, f"the process has {shown}, and the plan declares at least {least}", False)


def _label(declared: Value, evidence: Readback) -> Seen:
    source = "/proc/PID/attr/apparmor/current"
    label = evidence.process.label if evidence.process is not None else None
    if label is None:
        return Seen(False, "none", source, "the process has no AppArmor label")
    if label != f"{declared} (enforce)":
        return Seen(False, label, source, f"the process runs under {label}")
    if evidence.profile_differs:
        return Seen(False, label, source, "the profile in the kernel is not the one that was made of the plan")
    return Seen(True, label, source)


def _core_size(declared: Value, evidence: Readback) -> Seen:
    source = "/proc/PID/limits"
    limits = evidence.process.limits if evidence.process is not None else None
    if limits is None:
        return _not_read(source)
    text = limits.get("Max core file size", "")
    word = "unlimited" if declared == INFINITY else str(declared)
    return Seen(text.split() == [word, word], text, source, f"its core file size is {text}")


def _slice(declared: Value, evidence: Readback) -> Seen:
    source = "/proc/PID/cgroup"
    group = evidence.process.cgroup if evidence.process is not None else None
    if group is None:
        return _not_read(source)
    return Seen(f"/{declared}/{evidence.plan.unit}" in group, group, source, f"it runs in {group}")


# Namespaces and programs


def _apart(kind: str) -> Check:
    source = f"/proc/PID/ns/{kind}"

    def check(declared: Value, evidence: Readback) -> Seen:
        own = evidence.process.namespaces if evidence.process is not None else None
        first = evidence.first.namespaces if evidence.first is not None else None
        if own is None or first is None:
            return _not_read(source)
        apart = own[kind] != first[kind]
        shown = f"its own {own[kind]}" if apart else "the machine's"
        return Seen(apart or not declared, shown, source, f"it shares the machine's {kind} namespace")

    return check


HELD_AROUND = frozenset({Attach.BIND4, Attach.BIND6})
"""Kinds of programs that hold a module from the cgroup around its own."""


def _programs(*kinds: Attach) -> Check:
    where = "the cgroup or its slice" if HELD_AROUND.issuperset(kinds) else "the cgroup"
    source = f"bpf(2) on {where}: {', '.join(kind.name.lower() for kind in kinds)}"

    def check(declared: Value, evidence: Readback) -> Seen:
        counts = [evidence.programs.get(kind) for kind in kinds]
        found = [count for count in counts if count is not None]
        if len(found) != len(kinds):
            return Seen(None, "", source, "bpf(2) could not be asked; it takes root: sudo")
        shown = " and ".join(f"{count} program{'s' if count != 1 else ''}" for count in found)
        return Seen(all(found) or declared in ((), "auto"), shown, source, "the cgroup has no such program", False)

    return check


KERNEL: Mapping[str, Check] = {
    "MemoryMax": _memory("memory.max"),
    "MemoryHigh": _memory("memory.high"),
    "MemorySwapMax": _memory("memory.swap.max"),
    "CPUQuota": _cpu_max,
    "CPUWeight": _number("cpu.weight"),
    "IOWeight": _io_weight,
    "IOReadBandwidthMax": _io_max("rbps"),
    "IOWriteBandwidthMax": _io_max("wbps"),
    "TasksMax": _number("pids.max"),
    "NoNewPrivileges": _status("NoNewPrivs", lambda text, declared, _: text == "1" or not declared),
    "CapabilityBoundingSet": _status("CapBnd", _bounding),
    "ProtectClock": _without("CAP_SYS_TIME", "CAP_WAKE_ALARM"),
    "ProtectKernelLogs": _without("CAP_SYSLOG"),
    "ProtectKernelModules": _without("CAP_SYS_MODULE"),
    "AmbientCapabilities": _status("CapAmb", _ambient),
    "User": _status("Uid", _own_user),
    "DynamicUser": _status("Uid", _dynamic),
    "SupplementaryGroups": _status("Groups", _groups),
    "UMask": _status("Umask", lambda text, declared, _: int(text, 8) == declared),
    "AppArmorProfile": _label,
    "LimitCORE": _core_size,
    "Slice": _slice,
    "PrivateNetwork": _apart("net"),
    "PrivateIPC": _apart("ipc"),
    "PrivateUsers": _apart("user"),
    "PrivateMounts": _apart("mnt"),
    "ProtectHostname": _apart("uts"),
    "PrivatePIDs": _apart("pid"),
    "IPAddressDeny": _programs(Attach.INGRESS, Attach.EGRESS),
    "IPAddressAllow": _programs(Attach.INGRESS, Attach.EGRESS),
    "SocketBindAllow": _programs(Attach.BIND4, Attach.BIND6),
    "SocketBindDeny": _programs(Attach.BIND4, Attach.BIND6),
    "DevicePolicy": _programs(Attach.DEVICE),
    "DeviceAllow": _programs(Attach.DEVICE),
    **dict.fromkeys(_FILTERED, _seccomp),
}
"""Directive -> its check. One that stands in neither table cannot be read back from the kernel."""
