"""Tries to break out of the sandbox it is started in: one JSON line for each attempt, then READY=1.

The same file is run by the tests, for the table; by systemd, as a module; and by root outside any sandbox, where
every attempt must succeed, or its refusal inside would show nothing.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import platform
import select
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

VICTIM = "victim"
"""Another module, with state."""
ATTEMPT_SEC = 10

CALLS = {
    "x86_64": {
        "ptrace": 101, "mount": 165, "umount2": 166, "pivot_root": 155, "unshare": 272, "setns": 308, "bpf": 321,
        "perf_event_open": 298, "userfaultfd": 323, "add_key": 248, "keyctl": 250, "io_uring_setup": 425,
        "personality": 135, "process_vm_readv": 310, "clone": 56, "open_by_handle_at": 304, "fsopen": 430,
        "mlock": 149, "kcmp": 312, "quotactl": 179, "syslog": 103, "clock_settime": 227, "delete_module": 176,
        "swapoff": 168, "ioprio_set": 251, "memfd_secret": 447,
    },
    "aarch64": {
        "ptrace": 117, "mount": 40, "umount2": 39, "pivot_root": 41, "unshare": 97, "setns": 268, "bpf": 280,
        "perf_event_open": 241, "userfaultfd": 282, "add_key": 217, "keyctl": 219, "io_uring_setup": 425,
        "personality": 92, "process_vm_readv": 270, "clone": 220, "open_by_handle_at": 265, "fsopen": 430,
        "mlock": 228, "kcmp": 272, "quotactl": 60, "syslog": 116, "clock_settime": 112, "delete_module": 106,
        "swapoff": 225, "ioprio_set": 30, "memfd_secret": 447,
    },
}  # fmt: skip
"""Numbers of system calls that Python has no function for (asm/unistd.h)."""

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWPID = 0x20000, 0x10000000, 0x40000000, 0x20000000


class Attempt(NamedTuple):
    """One thing to try."""

    name: str
    """Reads after "a module cannot"."""
    go: Callable[[], object]
    """Raises OSError where it is refused; what it returns is reported."""


# --- building blocks


def call(name: str, *arguments: object, done_by: tuple[int, ...] = ()) -> Callable[[], int]:
    """A system call. `done_by` are errors which show that the kernel had let us in: it only disliked what we said."""

    def go() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        number = CALLS[platform.machine()][name]
        words = (ctypes.c_long(word) if isinstance(word, int) else word for word in (number, *arguments))
        result = libc.syscall(*words)
        error = ctypes.get_errno()
        if result < 0 and error not in done_by:
            raise OSError(error, os.strerror(error))
        return int(result)

    return go


def writable_mount(path: str) -> Callable[[], object]:
    """A user other than root may write little there anyway: what counts is how it is mounted."""

    def go() -> object:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return path

    return go


def reading(path: str) -> Callable[[], object]:
    """Some bytes of a file."""

    def go() -> object:
        with open(path, "rb", buffering=0) as file:
            return len(file.read(16))

    return go


def listing(path: str) -> Callable[[], object]:
    """The names in a folder, which must not be empty: an emptied one is as good as none."""

    def go() -> object:
        names = os.listdir(path)
        if not names:
            raise OSError(0, "it is empty")
        return names[:3]

    return go


def opening(path: str, flags: int = os.O_WRONLY) -> Callable[[], object]:
    """A file for writing; nothing is written."""
    return lambda: os.close(os.open(path, flags | os.O_NONBLOCK))


def making(folder: str) -> Callable[[], object]:
    """A new file in a folder, removed at once."""

    def go() -> None:
        path = f"{folder}/made-by-the-probe"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        os.unlink(path)

    return go


def connecting(path: str, kind: int = socket.SOCK_STREAM) -> Callable[[], object]:
    """To a unix socket of somebody else's."""

    def go() -> None:
        with socket.socket(socket.AF_UNIX, kind) as end:
            end.settimeout(ATTEMPT_SEC / 2)
            end.connect(path)

    return go


def using(family: int, kind: int, protocol: int = 0) -> Callable[[], object]:
    """A socket of some family."""
    return lambda: socket.socket(family, kind, protocol).close()


def reaching(address: tuple[str, int]) -> Callable[[], object]:
    """A TCP connection."""
    return lambda: socket.create_connection(address, timeout=ATTEMPT_SEC / 2).close()


def sending(address: tuple[str, int]) -> Callable[[], object]:
    """A UDP packet."""

    def go() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
            end.sendto(b"out", address)

    return go


def victim_pid() -> int:
    return int(os.environ["VICTIM_PID"])


def holding_victim() -> None:
    handle = os.pidfd_open(victim_pid())
    try:
        signal.pidfd_send_signal(handle, 0)
    finally:
        os.close(handle)


def attaching(pid: Callable[[], int]) -> Callable[[], object]:
    """As a debugger does, and letting go again."""

    def go() -> None:
        call("ptrace", 0x4206, pid(), 0, 0)()  # PTRACE_SEIZE: does not stop it

    return go


def memory_of(pid: Callable[[], int]) -> Callable[[], object]:
    """process_vm_readv of nothing at all: whether we may is decided first."""

    def go() -> int:
        place = (ctypes.c_ulong * 2)(0x1000, 16)
        into = ctypes.create_string_buffer(16)
        local = (ctypes.c_ulong * 2)(ctypes.addressof(into), 16)
        return call(
            "process_vm_readv",
            pid(),
            ctypes.byref(local),
            1,
            ctypes.byref(place),
            1,
            0,
            done_by=(14,),  # EFAULT
        )()

    return go


@contextmanager
def own_file() -> Iterator[str]:
    handle, path = tempfile.mkstemp(dir=os.environ.get("STATE_DIRECTORY"))
    os.close(handle)
    try:
        yield path
    finally:
        os.unlink(path)


def setuid() -> None:
    with own_file() as path:
        os.chmod(path, 0o4755)


def giving_away() -> None:
    with own_file() as path:
        os.chown(path, 12345, 12345)


def device_node() -> None:
    with own_file() as path:
        os.mknod(f"{path}.dev", stat.S_IFCHR | 0o600, os.makedev(1, 1))
        os.unlink(f"{path}.dev")


def code_page() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def namespaced_child() -> None:
    pid = call("clone", CLONE_NEWUSER | signal.SIGCHLD, 0, 0, 0, 0)()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def foreign_processes() -> object:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    foreign = [pid for pid in pids if pid not in (os.getpid(), os.getppid())]
    if not foreign:
        raise OSError(0, "no other process is in view")
    return foreign[:5]


def terminal_input() -> None:
    """TIOCSTI through a terminal that is not ours."""
    handle = os.open("/dev/tty1", os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.ioctl(handle, 0x5401, bytearray(60))  # TCGETS
    finally:
        os.close(handle)


def own_limit(file: str) -> Callable[[], object]:
    """The file of our own cgroup that holds a limit."""

    def go() -> None:
        group = Path("/proc/self/cgroup").read_text().strip().rpartition(":")[2]
        opening(f"/sys/fs/cgroup{group}/{file}")()

    return go


def clock_set_to_now() -> None:
    now = (ctypes.c_long * 2)(*divmod(time.time_ns(), 1_000_000_000))
    call("clock_settime", 0, ctypes.byref(now))()


def mounting() -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("STATE_DIRECTORY")) as place:
        path = ctypes.c_char_p(place.encode())
        call("mount", ctypes.c_char_p(b"none"), path, ctypes.c_char_p(b"tmpfs"), 0, 0)()
        call("umount2", path, 2)()


def ring() -> int:
    return call("io_uring_setup", 4, ctypes.create_string_buffer(120))()


def bpf_map() -> int:
    wanted = (ctypes.c_uint32 * 32)(2, 4, 4, 1)  # BPF_MAP_TYPE_ARRAY, sizes of key and value, entries
    return call("bpf", 0, ctypes.byref(wanted), 128)()


def counting_events() -> int:
    wanted = ctypes.create_string_buffer(128)
    ctypes.memmove(wanted, (ctypes.c_uint32 * 2)(1, 128), 8)  # PERF_TYPE_SOFTWARE, its size
    return call("perf_event_open", wanted, -1, 0, -1, 0)()


def namespace_of_init() -> int:
    with open("/proc/1/ns/net", "rb") as file:
        return call("setns", file.fileno(), CLONE_NEWNET)()


def handle_of_root() -> int:
    """A file by its handle gets round every path rule: inode 2 is the root of ext4."""
    handle = (ctypes.c_uint32 * 4)(8, 1, 2, 0)  # 8 bytes of FILEID_INO32_GEN: inode 2, generation 0
    with open("/usr/bin/true", "rb") as mount:
        return call("open_by_handle_at", mount.fileno(), ctypes.byref(handle), os.O_RDONLY)()


# --- the tables

CONFINED: tuple[Attempt, ...] = (
    # Secrets and other programs' data
    Attempt("read /etc/shadow", reading("/etc/shadow")),
    Attempt("read /etc/gshadow", reading("/etc/gshadow")),
    Attempt("read the host's ssh key", reading("/etc/ssh/ssh_host_ed25519_key")),
    Attempt("look into /home", listing("/home")),
    Attempt("read a user's file", reading("/home/tester/.profile")),
    Attempt("look into /root", listing("/root")),
    Attempt("read root's ssh keys", reading("/root/.ssh/authorized_keys")),
    Attempt("read another module's state", reading(f"/var/lib/aurora/{VICTIM}/secret")),
    Attempt("read another module's state where it really is", reading(f"/var/lib/private/aurora/{VICTIM}/secret")),
    Attempt("write another module's state", making(f"/var/lib/private/aurora/{VICTIM}")),
    Attempt("read another module's program", reading(f"/var/lib/aurora-core/modules/{VICTIM}/a/run.sh")),
    Attempt("list the modules there are", listing("/var/lib/aurora-core/modules/victim")),
    Attempt("read what is installed and enabled", listing("/var/lib/aurora-core/records")),
    Attempt("read the package database", reading("/var/lib/dpkg/status")),
    Attempt("read the journal", listing("/var/log/journal")),
    Attempt("look into /boot", listing("/boot")),
    Attempt("look into /mnt", listing("/mnt")),
    # Files it may not change
    Attempt("make a file in /usr/bin", making("/usr/bin")),
    Attempt("make a file in /etc", making("/etc")),
    Attempt("make a file in /var/lib", making("/var/lib")),
    Attempt("make a file in /run", making("/run")),
    Attempt("make a unit", making("/run/systemd/system")),
    Attempt("make a file in the module's own folder", lambda: making(os.environ["OWN_FOLDER"])()),
    Attempt("write the module's own program", lambda: opening(f"{os.environ['OWN_FOLDER']}/run.py")()),
    Attempt("make a file setuid", setuid),
    Attempt("give a file away", giving_away),
    # Services of the system
    Attempt("connect to the system bus", connecting("/run/dbus/system_bus_socket")),
    Attempt("connect to systemd's private socket", connecting("/run/systemd/private")),
    Attempt("connect to systemd's user database", connecting("/run/systemd/userdb/io.systemd.DynamicUser")),
    Attempt("connect to the journal's control socket", connecting("/run/systemd/journal/io.systemd.journal")),
    Attempt("connect to udev's control socket", connecting("/run/udev/control", socket.SOCK_SEQPACKET)),
    # Network
    Attempt("use IPv4", using(socket.AF_INET, socket.SOCK_STREAM)),
    Attempt("use IPv4 datagrams", using(socket.AF_INET, socket.SOCK_DGRAM)),
    Attempt("use IPv6", using(socket.AF_INET6, socket.SOCK_STREAM)),
    Attempt("use raw IPv4", using(socket.AF_INET, socket.SOCK_RAW, 1)),
    Attempt("have a writable /sys", writable_mount("/sys")),
    Attempt("use packet sockets", using(getattr(socket, "AF_PACKET", 17), socket.SOCK_RAW)),
    Attempt("use netlink", using(getattr(socket, "AF_NETLINK", 16), socket.SOCK_RAW, 0)),
    Attempt("listen to kernel events", using(getattr(socket, "AF_NETLINK", 16), socket.SOCK_RAW, 15)),
    Attempt("reach the host's ssh by loopback", reaching(("127.0.0.1", 22))),
    Attempt("reach the host's ssh by its address", reaching(("10.0.2.15", 22))),
    Attempt("send a packet to another machine", sending(("10.0.2.2", 9))),
    # Devices
    Attempt("read the disk", reading("/dev/vda")),
    Attempt("open memory", opening("/dev/mem", os.O_RDONLY)),
    Attempt("write the kernel's log", opening("/dev/kmsg")),
    Attempt("use a terminal of the machine", terminal_input),
    Attempt("open fuse", opening("/dev/fuse", os.O_RDWR)),
    Attempt("make a device node", device_node),
    # The kernel's figures and knobs
    Attempt("write sysrq", opening("/proc/sysrq-trigger")),
    Attempt("change the name that programs crash to", opening("/proc/sys/kernel/core_pattern")),
    Attempt("write below /sys/kernel", opening("/sys/kernel/mm/transparent_hugepage/enabled")),
    Attempt("write below /sys/class", opening("/sys/class/net/lo/mtu")),
    Attempt("write below /sys/module", opening("/sys/module/printk/parameters/time")),
    Attempt("raise its own memory limit", own_limit("memory.max")),
    Attempt("leave its own cgroup", opening("/sys/fs/cgroup/cgroup.procs")),
    Attempt("read kernel memory", opening("/proc/kcore", os.O_RDONLY)),
    Attempt("read the kernel's log", call("syslog", 3, ctypes.create_string_buffer(64), 64)),
    Attempt("see what the machine runs on", reading("/proc/cpuinfo")),
    Attempt("look into debugfs", listing("/sys/kernel/debug")),
    # Other processes
    Attempt("see other processes", foreign_processes),
    Attempt("read the environment of init", reading("/proc/1/environ")),
    Attempt("read the command line of init", reading("/proc/1/cmdline")),
    Attempt("read another module's command line", lambda: reading(f"/proc/{victim_pid()}/cmdline")()),
    Attempt("read another module's environment", lambda: reading(f"/proc/{victim_pid()}/environ")()),
    Attempt("signal init", lambda: os.kill(1, 0)),
    Attempt("signal another module", lambda: os.kill(victim_pid(), 0)),
    Attempt("take hold of another module", holding_victim),
    Attempt("debug init", attaching(lambda: 1)),
    Attempt("debug another module", attaching(victim_pid)),
    Attempt("read another module's memory", memory_of(victim_pid)),
    # System calls
    Attempt("unshare a user namespace", call("unshare", CLONE_NEWUSER)),
    Attempt("unshare a mount namespace", call("unshare", CLONE_NEWNS)),
    Attempt("unshare a network namespace", call("unshare", CLONE_NEWNET)),
    Attempt("unshare a process namespace", call("unshare", CLONE_NEWPID)),
    Attempt("start a child in a user namespace", namespaced_child),
    Attempt("join the network namespace of init", namespace_of_init),
    Attempt("mount", mounting),
    Attempt("use the new mount calls", call("fsopen", ctypes.c_char_p(b"tmpfs"), 0)),
    Attempt("change its root", lambda: os.chroot("/usr")),
    Attempt("open a file by its handle", handle_of_root),
    Attempt("add a key", call("add_key", b"user", b"probe", b"x", 1, -3)),
    Attempt("ask for a keyring", call("keyctl", 0, -3, 1)),
    Attempt("use bpf", bpf_map),
    Attempt("set up an io_uring", ring),
    Attempt("count events of the kernel", counting_events),
    Attempt("handle page faults of its own", call("userfaultfd", 0)),
    Attempt("compare kernel pointers with a module", lambda: call("kcmp", os.getpid(), victim_pid(), 1, 0, 0)()),
    Attempt("change its personality", call("personality", 0x0040000)),
    Attempt("have a page that is writable and executable", code_page),
    Attempt("lock memory", lambda: call("mlock", ctypes.create_string_buffer(4096), 4096)()),
    Attempt("run at real-time priority", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
    Attempt("raise its priority", lambda: os.nice(-1)),
    Attempt("set the clock", clock_set_to_now),
    Attempt("set the machine's name", lambda: socket.sethostname(socket.gethostname())),
    Attempt("unload a kernel module", call("delete_module", b"no-such-module", 0, done_by=(2,))),  # ENOENT
    Attempt("switch off a swap", call("swapoff", b"/no-such-swap", done_by=(2,))),
    Attempt("become root", lambda: os.setuid(0)),
    Attempt("become another user", lambda: os.setuid(12345)),
)  # fmt: skip
"""What the policy "strict" refuses."""


def state_of_its_own() -> None:
    path = Path(os.environ["STATE_DIRECTORY"], "note")
    path.write_text("kept")
    assert path.read_text() == "kept"


def temporary_file() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100_000)


def child_process() -> None:
    if os.spawnv(os.P_WAIT, "/usr/bin/true", ["true"]) != 0:
        raise OSError(0, "it did not run")


def talking_to_itself() -> None:
    path = f"{os.environ['STATE_DIRECTORY']}/socket"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
    os.unlink(path)


def large_imports() -> None:
    import asyncio
    import multiprocessing
    import sqlite3
    import ssl
    import threading

    ssl.create_default_context()
    sqlite3.connect(f"{os.environ['STATE_DIRECTORY']}/db").execute("create table if not exists t (x)")
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


ALLOWED: tuple[Attempt, ...] = (
    Attempt("read its own program", lambda: reading(f"{os.environ['OWN_FOLDER']}/run.py")()),
    Attempt("keep state", state_of_its_own),
    Attempt("make a temporary file", temporary_file),
    Attempt("run a program of the system", child_process),
    Attempt("use a unix socket of its own", talking_to_itself),
    Attempt("read random bytes", reading("/dev/urandom")),
    Attempt("read its own status", reading("/proc/self/status")),
    Attempt("use Python's library with threads, TLS and a database", large_imports),
    Attempt("know the time zone and the users", lambda: (time.localtime(), os.path.expanduser("~root"))),
    Attempt("wait for several things at once", lambda: select.epoll().close()),
)
"""What every module may do."""


def echoing() -> object:
    """A server on loopback, and a client of it."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        end, _ = server.accept()
        end.sendall(b"echo")
        end.close()
        return client.recv(4).decode()


LOOPBACK_ALLOWED: tuple[Attempt, ...] = (
    Attempt("serve on loopback", echoing),
    Attempt("reach the host's ssh by loopback", reaching(("127.0.0.1", 22))),
    Attempt("use IPv6 loopback", lambda: socket.create_server(("::1", 0), family=socket.AF_INET6).close()),
)
"""What the grant network.loopback opens."""

LOOPBACK_CONFINED: tuple[Attempt, ...] = (
    Attempt("reach the host's ssh by its address", reaching(("10.0.2.15", 22))),
    Attempt("send a packet to another machine", sending(("10.0.2.2", 9))),
    Attempt("use packet sockets", using(getattr(socket, "AF_PACKET", 17), socket.SOCK_RAW)),
    Attempt("use netlink", using(getattr(socket, "AF_NETLINK", 16), socket.SOCK_RAW, 0)),
    Attempt("use raw IPv4", using(socket.AF_INET, socket.SOCK_RAW, 1)),
    Attempt("have a writable /sys", writable_mount("/sys")),
)
"""What it does not."""

TABLES = {
    "confined": CONFINED,
    "allowed": ALLOWED,
    "loopback-allowed": LOOPBACK_ALLOWED,
    "loopback-confined": LOOPBACK_CONFINED,
}


# --- running them


def outcome_of(attempt: Attempt) -> tuple[str, str]:
    """What becomes of it in a process of its own, so that none changes what the next one finds."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.alarm(ATTEMPT_SEC)
        try:
            said = f"done {attempt.go()!r}"
        except OSError as error:
            said = f"refused {error!r}"
        except BaseException as error:
            said = f"broken {error!r}"
        os.write(write, said.encode()[:4000])
        os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status == -signal.SIGALRM:
        return "refused", f"no answer in {ATTEMPT_SEC} s"
    if not said:
        return "broken", f"ended with {status}"
    kind, _, detail = said.partition(" ")
    return kind, detail


def main() -> None:
    os.environ.setdefault("OWN_FOLDER", str(Path(__file__).resolve().parent))
    for name in sys.argv[1:]:
        for attempt in TABLES[name]:
            kind, detail = outcome_of(attempt)
            line = {"table": name, "attempt": attempt.name, "outcome": kind, "detail": detail}
            print(json.dumps(line), flush=True)
    if "NOTIFY_SOCKET" in os.environ:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.connect(os.environ["NOTIFY_SOCKET"])
            systemd.send(b"READY=1")
        signal.pause()


if __name__ == "__main__":
    main()
