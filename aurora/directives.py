"""One row for each unit directive that a plan may hold: its name in a unit file, its name on D-Bus, its kind.

Policies are checked against this table, plans are rendered through it (`emit`), and what is effective is read
back through it (`host`), so that a directive cannot be spelled in three ways. Sources: systemd.exec(5),
systemd.resource-control(5), systemd.service(5), systemd.unit(5), org.freedesktop.systemd1(5); each property was
tried on systemd 257.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

__all__ = ["CAPABILITIES", "DIRECTIVES", "SANDBOX", "Directive", "Kind", "Value"]

type Value = bool | int | str | tuple[str, ...]
"""What a directive is set to: already converted (bytes, microseconds), never text with a unit."""


class Kind(StrEnum):
    """How a value is written; the D-Bus signature follows from it."""

    FLAG = "flag"
    """bool; `b`."""
    SWITCH = "switch"
    """bool, or the one word that says how; `s`."""
    TEXT = "text"
    """One word or sentence; `s`."""
    WORDS = "words"
    """A list of words; `as`."""
    USEC = "usec"
    """Microseconds; `t`."""
    BYTES = "bytes"
    """Bytes; `t`."""
    COUNT = "count"
    """A number; `t`."""
    NUMBER = "number"
    """A number; `u`."""
    MODE = "mode"
    """An octal mode; `u`."""
    SHARE = "share"
    """Microseconds of CPU per second; `t`."""
    SYSCALLS = "syscalls"
    """System calls and @groups to allow, those with ~ in front taken out again; `(bas)`."""
    UNLOGGED = "unlogged"
    """System calls and @groups that are not logged, while all others are; ~ in front: logged after all; `(bas)`."""
    FAMILIES = "families"
    """Address families to allow; `(bas)`."""
    CAPABILITIES = "capabilities"
    """CAP_ names to keep; a mask, `t`."""
    NAMESPACES = "namespaces"
    """Namespace types to allow; a mask, `t`."""
    ADDRESSES = "addresses"
    """IP networks, `any`, or `lan`: the plan puts the networks that the machine is on there; `a(iayu)`."""
    PROFILE = "profile"
    """An AppArmor profile that must be loaded; `(bs)`."""
    BINDS = "binds"
    """Paths to show in the module's view, at their own place; a `-` in front: if there; `a(ssbt)`."""
    GROUPS = "groups"
    """Groups, or `of:/dev/PATH`: the plan puts the group of that device there; `as`."""
    EMPTIED = "emptied"
    """Paths under which the module sees an empty file system of its own, in memory; `a(ss)`.

    It is read-only, or with `:size=SIZE` behind the path can be written to until it holds that much.
    """
    DEVICES = "devices"
    """`/dev/PATH rwm`, or `char-NAME rwm` for all of one kernel driver (/proc/devices); `a(ss)`."""
    SOCKETS = "sockets"
    """Ports that may be bound, TCP and UDP: numbers, or `any`; `a(iiqq)`."""
    ERRNO = "errno"
    """An errno name; `i`."""
    COMMAND = "command"
    """An argument vector, run as it stands: nothing in it is expanded; `a(sasas)`."""
    SIGNAL = "signal"
    """A signal's name; `i`."""
    SIGNALS = "signals"
    """Names of signals to die of which is no failure; `(aiai)`."""
    RATES = "rates"
    """`/PATH BYTES`: bytes per second of the disk that holds the path; `a(st)`."""
    CREDENTIALS = "credentials"
    """`NAME:PATH`: a secret and the file that holds it; `a(ss)`."""
    CALENDAR = "calendar"
    """A calendar event of systemd.time(7); `a(ss)`."""
    ELAPSE = "elapse"
    """Microseconds after which a timer elapses; `a(st)`."""


class Directive(NamedTuple):
    """A row of the table."""

    name: str
    """In a unit file."""
    property: str
    """On D-Bus."""
    kind: Kind
    section: str
    """[Unit], [Service] or [Timer], without the brackets."""
    sandbox: bool
    """Whether a policy may set it."""


def _rows(section: str, *, sandbox: bool, kinds: dict[Kind, str]) -> list[Directive]:
    rows = []
    for kind, names in kinds.items():
        for entry in names.split():
            name, _, bus_name = entry.partition("=")
            rows.append(Directive(name, bus_name or name, kind, section, sandbox))
    return rows


_ROWS = [
    *_rows(
        "Unit",
        sandbox=False,
        kinds={
            Kind.TEXT: "Description CollectMode",
            Kind.WORDS: "Wants Requires BindsTo After Conflicts Documentation OnSuccess OnFailure",
            Kind.USEC: "StartLimitIntervalSec=StartLimitIntervalUSec",
            Kind.NUMBER: "StartLimitBurst",
        },
    ),
    *_rows(
        "Service",
        sandbox=False,
        kinds={
            Kind.TEXT: "Type NotifyAccess Restart OOMPolicy KillMode WorkingDirectory Slice User SyslogIdentifier",
            Kind.COMMAND: "ExecStart=ExecStartEx",
            Kind.USEC: "TimeoutStartSec=TimeoutStartUSec TimeoutStopSec=TimeoutStopUSec WatchdogSec=WatchdogUSec"
            " RuntimeMaxSec=RuntimeMaxUSec RestartSec=RestartUSec RestartMaxDelaySec=RestartMaxDelayUSec",
            Kind.NUMBER: "RestartSteps",
            Kind.SHARE: "CPUQuota=CPUQuotaPerSecUSec",
            Kind.BYTES: "MemoryMax MemoryHigh MemorySwapMax",
            Kind.COUNT: "TasksMax CPUWeight IOWeight",
            Kind.RATES: "IOReadBandwidthMax IOWriteBandwidthMax",
            Kind.SIGNAL: "KillSignal",
            Kind.SIGNALS: "SuccessExitStatus",
            Kind.CREDENTIALS: "LoadCredential LoadCredentialEncrypted",
            Kind.FLAG: "RemainAfterExit DynamicUser CPUAccounting MemoryAccounting TasksAccounting",
            Kind.WORDS: "ReadWritePaths Environment StateDirectory CacheDirectory LogsDirectory RuntimeDirectory",
            Kind.MODE: "StateDirectoryMode CacheDirectoryMode LogsDirectoryMode RuntimeDirectoryMode",
            Kind.PROFILE: "AppArmorProfile",
            Kind.UNLOGGED: "SystemCallLog",
        },
    ),
    *_rows(
        "Timer",
        sandbox=False,
        kinds={
            Kind.CALENDAR: "OnCalendar=TimersCalendar",
            Kind.ELAPSE: "OnActiveSec=TimersMonotonic OnUnitActiveSec=TimersMonotonic",
            Kind.USEC: "RandomizedDelaySec=RandomizedDelayUSec AccuracySec=AccuracyUSec",
            Kind.FLAG: "Persistent",
        },
    ),
    *_rows(
        "Service",
        sandbox=True,
        kinds={
            Kind.TEXT: "ProtectSystem ProtectHome ProtectProc ProcSubset KeyringMode DevicePolicy",
            Kind.SWITCH: "PrivateTmp=PrivateTmpEx",
            Kind.FLAG: "PrivateDevices PrivateNetwork PrivateUsers PrivateIPC PrivateMounts RemoveIPC"
            " ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectClock"
            " ProtectHostname NoNewPrivileges LockPersonality MemoryDenyWriteExecute RestrictRealtime"
            " RestrictSUIDSGID",
            Kind.MODE: "UMask",
            Kind.BYTES: "LimitCORE",
            Kind.NAMESPACES: "RestrictNamespaces",
            Kind.FAMILIES: "RestrictAddressFamilies",
            Kind.CAPABILITIES: "CapabilityBoundingSet AmbientCapabilities",
            Kind.WORDS: "SystemCallArchitectures InaccessiblePaths ReadWritePaths",
            Kind.GROUPS: "SupplementaryGroups",
            Kind.SYSCALLS: "SystemCallFilter",
            Kind.ERRNO: "SystemCallErrorNumber",
            Kind.ADDRESSES: "IPAddressDeny IPAddressAllow",
            Kind.EMPTIED: "TemporaryFileSystem",
            Kind.BINDS: "BindReadOnlyPaths BindPaths",
            Kind.SOCKETS: "SocketBindAllow SocketBindDeny",
            Kind.DEVICES: "DeviceAllow",
        },
    ),
]

DIRECTIVES: dict[str, Directive] = {row.name: row for row in _ROWS}
"""All rows by the name that unit files use."""

SANDBOX: frozenset[str] = frozenset(row.name for row in _ROWS if row.sandbox)
"""The directives that a policy may set."""

_CAPABILITIES = """
CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK
CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN
CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE
CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND
CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE
"""
CAPABILITIES: tuple[str, ...] = tuple(_CAPABILITIES.split())
"""All that there are, in the order of their bits (include/uapi/linux/capability.h)."""
