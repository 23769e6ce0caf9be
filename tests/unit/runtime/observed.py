"""What a Debian 13 machine showed of a module under the policy strict, as evidence to judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aurora.directives import DIRECTIVES, Kind
from aurora.emit.encode import bus_values
from aurora.host.bpf import Attach
from aurora.host.mounts import parse_mounts
from aurora.host.observe import Process
from aurora.plan import Plan
from aurora.runtime.readback import Readback
from tests.unit.examples import plan

MORE = '[limits]\ncpu = "20%"\nmemory_max = "64M"\ntasks = 16\n[directories]\nstate = true\n'

MOUNTS = r"""
108 52 254:0 / / ro,nosuid,relatime shared:110 master:1 - ext4 /dev/vda rw
132 108 0:33 / /tmp rw,nosuid,nodev shared:120 master:18 - tmpfs tmpfs rw,nr_inodes=1048576,inode64
133 108 0:40 / /boot ro,nosuid,nodev shared:122 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
134 108 0:43 / /dev ro,nosuid,noexec shared:123 - tmpfs tmpfs rw,size=4096k,nr_inodes=65536,mode=755,inode64
135 134 0:25 / /dev/pts rw,nosuid,noexec,relatime shared:124 master:10 - devpts devpts rw,gid=5,mode=600,ptmxmode=000
136 134 0:57 / /dev/shm rw,nosuid,nodev shared:125 - tmpfs tmpfs rw,size=65536k,inode64
124 108 0:26 /systemd/inaccessible/reg /etc/gshadow ro,nosuid,nodev,noexec shared:128 - tmpfs tmpfs rw,size=300892k
125 108 0:26 /systemd/inaccessible/reg /etc/shadow ro,nosuid,nodev,noexec shared:129 - tmpfs tmpfs rw,size=300892k
126 108 0:26 /systemd/inaccessible/dir /etc/ssh ro,nosuid,nodev,noexec shared:130 - tmpfs tmpfs rw,size=300892k
127 108 0:46 / /home ro,nosuid,nodev shared:131 - tmpfs tmpfs rw,size=4096k,nr_inodes=1024,mode=755,inode64
137 108 0:26 /systemd/inaccessible/dir /lost+found ro,nosuid,nodev,noexec shared:132 - tmpfs tmpfs rw,size=300892k
139 108 0:47 / /media ro,nosuid,nodev shared:133 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
140 108 0:48 / /mnt ro,nosuid,nodev shared:134 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
141 108 0:49 / /opt ro,nosuid,nodev shared:135 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
142 108 0:50 / /proc rw,nosuid,nodev,noexec,relatime shared:136 - proc proc rw,hidepid=invisible,subset=pid
109 108 0:51 / /root ro,nosuid,nodev shared:137 - tmpfs tmpfs rw,size=4096k,nr_inodes=1024,mode=700,inode64
110 108 0:52 / /run ro,nosuid,nodev shared:138 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
128 110 0:26 /systemd/journal/dev-log /run/systemd/journal/dev-log ro,nosuid,nodev shared:140 - tmpfs tmpfs rw
129 110 0:26 /systemd/notify /run/systemd/notify ro,nosuid,nodev shared:141 - tmpfs tmpfs rw,size=300892k
131 108 0:54 / /srv ro,nosuid,nodev shared:143 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
143 108 0:55 / /sys ro,nosuid,nodev,noexec,relatime shared:144 - sysfs sysfs rw
113 143 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime shared:146 - cgroup2 cgroup2 rw,nsdelegate
144 132 0:58 /tmp /tmp rw,nosuid,nodev shared:121 - tmpfs tmpfs rw,size=300892k,nr_inodes=1048576,mode=700
146 108 0:56 / /var ro,nosuid,nodev shared:155 - tmpfs tmpfs rw,size=150448k,nr_inodes=409600,mode=755,inode64
148 146 254:0 /var/lib/aurora-core/modules/hello/a /var/lib/aurora-core/modules/hello/a ro,nosuid - ext4 /dev/vda rw
150 146 254:0 /var/lib/private/aurora/hello /var/lib/private/aurora/hello rw,nosuid shared:158 - ext4 /dev/vda rw
149 146 0:58 /var-tmp /var/tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=300892k,nr_inodes=1048576,mode=700
""".strip()

FIRST_MOUNTS = """
26 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
25 26 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:2 - proc proc rw
27 26 0:23 / /sys rw,nosuid,nodev,noexec,relatime shared:3 - sysfs sysfs rw
28 26 0:6 / /dev rw,nosuid shared:8 - devtmpfs devtmpfs rw,size=4096k,nr_inodes=186893,mode=755,inode64
32 26 0:26 / /run rw,nosuid,nodev shared:11 - tmpfs tmpfs rw,size=300892k,nr_inodes=819200,mode=755,inode64
33 27 0:27 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:5 - cgroup2 cgroup2 rw,nsdelegate
42 26 0:33 / /tmp rw,nosuid,nodev shared:18 - tmpfs tmpfs rw,nr_inodes=1048576,inode64
""".strip()

STATUS = {
    "Umask": "0077",
    "Uid": "65105\t65105\t65105\t65105",
    "Gid": "65105\t65105\t65105\t65105",
    "Groups": "65105",
    "CapBnd": "0000000000000000",
    "CapAmb": "0000000000000000",
    "NoNewPrivs": "1",
    "Seccomp": "2",
    "Seccomp_filters": "31",
}

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")

GROUPS = {
    "@default": frozenset({"exit", "read"}),
    "@system-service": frozenset({"@network-io", "open", "chroot", "bpf"}),
    "@network-io": frozenset({"connect"}),
    "@privileged": frozenset({"chroot"}),
    "@resources": frozenset({"nice"}),
    "@keyring": frozenset({"keyctl"}),
    "@memlock": frozenset({"mlock"}),
}
"""Groups of system calls, smaller than life."""
ALLOWED = ["connect", "exit", "open", "read"]
"""What the policy strict lets through of them."""


def held_by_systemd(made: Plan) -> dict[str, object]:
    """The properties as systemd gives them back."""
    found: dict[str, object] = {}
    for name, value in made.settings.items():
        kind = DIRECTIVES[name].kind
        if kind is Kind.SYSCALLS:
            found[name] = [True, ALLOWED]
        elif kind is Kind.COMMAND and isinstance(value, tuple):
            found[name] = [[value[0], list(value), ["no-env-expand"], 1, 2, 0, 0, 389, 0, 0]]
        else:
            found[name] = _as_lists(bus_values(kind, value)[0])
    return found


def _as_lists(value: object) -> object:
    return [_as_lists(one) for one in value] if isinstance(value, (list, tuple)) else value


def process(**changed: Any) -> Process:
    """The module's main process."""
    fields: dict[str, Any] = {
        "pid": 389,
        "status": STATUS,
        "label": "aurora.hello (enforce)",
        "mounts": parse_mounts(MOUNTS),
        "namespaces": {kind: f"{kind}:[4026532316]" for kind in KINDS},
        "limits": {"Max core file size": "0 0"},
        "cgroup": "/aurora.slice/aurora-hello.slice/aurora@hello.service",
        "personality": "00000000",
    }
    return Process(**fields | changed)


def evidence(made: Plan | None = None, **changed: Any) -> Readback:
    """All of it for a plan with limits and a state directory, everything as declared."""
    made = made if made is not None else plan(MORE)
    healthy = Readback(
        plan=made,
        active="active",
        process=process(),
        first=process(
            pid=1,
            label="unconfined",
            mounts=parse_mounts(FIRST_MOUNTS),
            namespaces={kind: f"{kind}:[4026531835]" for kind in KINDS},
        ),
        group="/aurora.slice/aurora-hello.slice/aurora@hello.service",
        cgroup={
            "memory.max": "67108864",
            "memory.high": "max",
            "memory.swap.max": "0",
            "cpu.max": "20000 100000",
            "cpu.weight": "100",
            "pids.max": "16",
        },
        programs=dict.fromkeys(Attach, 1),
        held=held_by_systemd(made),
        drop_ins={},
        users={"au-hello": 65105},
        places={
            path: path
            for path in ("/home", "/root", "/usr", "/boot", "/etc", "/lost+found", "/etc/shadow", "/etc/gshadow",
                         "/etc/ssh", "/run/systemd/notify", "/run/systemd/journal/dev-log")
        },
        profile_differs=False,
        weights_work=False,
        timer_held={},
        timer_drop_ins={},
        timer_active=False,
        calendar=None,
        volume_states={volume.unit: "active" for volume in made.volumes},
        loops={},
        link_held=made.link,
        stale=False,
        page_bytes=4096,
    )  # fmt: skip
    return replace(healthy, **changed)
