"""A command of the owner's, put where a running module is: its namespaces, its user, its AppArmor profile.

A child is forked, made ready, and held just before it becomes the command. So what can go wrong has gone wrong
before anything else is changed, and the caller can put the child into a scope while it has used next to nothing.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import NamedTuple, NoReturn

from aurora.errors import HostError, NotFound

__all__ = ["Held", "Person", "View", "hold", "open_process", "read_environment", "view_of"]

ENVIRONMENT_MAX_BYTES = 256 << 10
"""What is read of a process's environment; the rest is left out."""
REPORT_MAX_BYTES = 4096

_NAMESPACES = {
    "mnt": os.CLONE_NEWNS,
    "net": os.CLONE_NEWNET,
    "ipc": os.CLONE_NEWIPC,
    "uts": os.CLONE_NEWUTS,
    "cgroup": os.CLONE_NEWCGROUP,
    "user": os.CLONE_NEWUSER,
}
# linux/prctl.h
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_CAPABILITY_BITS = 64
_READY, _GO = b"\1", b"\1"


class Person(NamedTuple):
    """Who a process is, from /proc/PID/status."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int
    capabilities: int
    """The bounding set, a mask."""
    no_new_privileges: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """What the command sees, and as whom."""

    process: int = -1
    """A pidfd of the process whose namespaces it enters."""
    namespaces: int = 0
    """CLONE_NEW… flags of those that differ from ours, but for the user namespace."""
    user_namespace: bool = False
    """Whether that of the process differs from ours and is entered as well."""
    person: Person | None = None
    """Whom it becomes; None: it stays root."""
    profile: str | None = None
    folder: str | None = None
    """Its working directory, as it sees it; None: ours."""
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A child that waits to become its command."""

    pid: int
    report: int
    """What says how far it came."""
    go: int
    """What lets it go on; it ends when this is closed first."""

    def run(self, *, beside: int) -> bool:
        """Let it become the command, and wait for its end or that of the process behind the pidfd `beside`.

        Returns whether the command ended first. The terminal's Ctrl-C reaches the command, not this process; SIGTERM
        and SIGHUP are handed on. They stay so, for what is left to do afterwards is to clean up. NotFound or HostError
        when the command cannot be executed.
        """
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._hand_on)
        os.write(self.go, _GO)
        _raise_reported(_read_report(self.report))  # ends when the child's end is closed, by execve
        command = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(command, select.POLLIN)
            poll.register(beside, select.POLLIN)
            return command in dict(poll.poll())
        finally:
            os.close(command)

    def status(self) -> int:
        """Wait for its end: its exit status, 128 + N for a signal N."""
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return status if status >= 0 else 128 - status

    def drop(self) -> None:
        """End it where it has not become the command; nothing where it has ended."""
        os.close(self.go)
        os.close(self.report)
        try:
            os.waitpid(self.pid, 0)  # it ends by itself when nobody can tell it to go on
        except ChildProcessError:
            return

    def _hand_on(self, number: int, _frame: FrameType | None) -> None:
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


def open_process(pid: int) -> int:
    """A pidfd: it goes on to mean that process when the number is another's. HostError when it is gone."""
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        raise HostError("look at the module's process", str(error), where=f"process {pid}") from error


def view_of(
    pid: int, *, process: int, as_its_user: bool, folder: str, profile: str | None, environment: Mapping[str, str]
) -> View:
    """The view of a running process, `process` being its pidfd; HostError when it is gone."""
    try:
        theirs = {kind: os.stat(f"/proc/{pid}/ns/{kind}").st_ino for kind in _NAMESPACES}  # noqa: PTH116  # not a path
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123  # likewise
            person = _person(file.read())
        ours = {kind: os.stat(f"/proc/self/ns/{kind}").st_ino for kind in _NAMESPACES}  # noqa: PTH116  # likewise
    except OSError as error:
        raise HostError("look at the module's process", str(error), where=f"process {pid}") from error
    differ = {kind for kind in _NAMESPACES if theirs[kind] != ours[kind]}
    return View(
        process=process,
        namespaces=sum(_NAMESPACES[kind] for kind in differ - {"user"}),
        user_namespace=as_its_user and "user" in differ,
        person=person if as_its_user else None,
        profile=profile,
        folder=folder,
        environment=environment,
    )


def _person(status: str) -> Person:
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Person(
        uid=int(fields["Uid"].split()[0]),
        gid=int(fields["Gid"].split()[0]),
        groups=tuple(int(word) for word in fields["Groups"].split()),
        umask=int(fields["Umask"], 8),
        capabilities=int(fields["CapBnd"], 16),
        no_new_privileges=fields["NoNewPrivs"].strip() == "1",
    )


def read_environment(pid: int) -> dict[str, str]:
    """The environment that a process was started with, at most ENVIRONMENT_MAX_BYTES of it; HostError when gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123  # not a path
            data = file.read(ENVIRONMENT_MAX_BYTES)
    except OSError as error:
        raise HostError("read the module's environment", str(error), where=f"process {pid}") from error
    return dict(os.fsdecode(word).split("=", 1) for word in data.split(b"\0")[:-1] if b"=" in word[1:])


def hold(argv: Sequence[str], view: View) -> Held:
    """Fork a child that is all that `view` says and waits; HostError when it cannot become that."""
    report, report_end = os.pipe()
    go_end, go = os.pipe()
    library = ctypes.CDLL(None, use_errno=True)  # the child must not have to load anything
    pid = os.fork()
    if pid == 0:
        os.close(go)
        os.close(report)
        _child(argv, view, library, report_end, go_end)
    os.close(report_end)
    os.close(go_end)
    held = Held(pid=pid, report=report, go=go)
    first = os.read(report, 1)
    if first != _READY:
        problem = first + _read_report(report)
        held.drop()
        _raise_reported(problem or b"-1 prepare it\0it ended")
    return held


def _read_report(report: int) -> bytes:
    found = b""
    while len(found) < REPORT_MAX_BYTES and (part := os.read(report, REPORT_MAX_BYTES)):
        found += part
    return found


def _raise_reported(problem: bytes) -> None:
    if not problem:
        return
    number, _, rest = problem.decode(errors="replace").partition(" ")
    what, _, why = rest.partition("\0")
    kind = NotFound if number == str(_NOT_THERE) else HostError
    raise kind(what, why)


_NOT_THERE = 2  # ENOENT


def _child(argv: Sequence[str], view: View, library: ctypes.CDLL, report: int, go: int) -> NoReturn:
    """In the forked child: become the command or say why not. Nothing of the parent's may go on here."""
    doing = "prepare it"
    try:
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and a command would inherit that
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        doing = "be what the module is"
        _become(view, library)
        os.write(report, _READY)
        if os.read(go, 1) == _GO:
            doing = f"run {argv[0]}"
            _execute(list(argv), view.environment)
    except OSError as error:
        os.write(report, f"{error.errno} {doing}\0{error.strerror}".encode(errors="replace")[:REPORT_MAX_BYTES])
    except BaseException as error:
        os.write(report, f"-1 {doing}\0{type(error).__name__}: {error}".encode(errors="replace")[:REPORT_MAX_BYTES])
    finally:
        os._exit(127)


def _become(view: View, library: ctypes.CDLL) -> None:
    # When the module's limit is met, the kernel ends this first, not the module.
    _write("/proc/self/oom_score_adj", "1000")
    profile = None
    if view.profile is not None:
        profile = os.open("/proc/self/attr/apparmor/current", os.O_WRONLY | os.O_CLOEXEC)
    person = view.person
    if person is not None:  # before the user namespace, which may refuse setgroups
        os.setgroups(person.groups)
        os.setresgid(person.gid, person.gid, person.gid)
    if view.namespaces:
        os.setns(view.process, view.namespaces)
    if view.user_namespace:
        os.setns(view.process, os.CLONE_NEWUSER)
    if person is not None:
        _lose_privileges(person, library)
    if view.folder is not None:
        os.chdir(view.folder)
    # What is left when this command is killed outright: nothing. After setresuid, which would forget it.
    library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if profile is not None:
        # At once and not at execve, where the kernel would close what the profile does not let it open anew: the
        # terminal, and files that the owner's shell has opened for the command.
        os.write(profile, f"changeprofile {view.profile}".encode())


def _lose_privileges(person: Person, library: ctypes.CDLL) -> None:
    for bit in range(_CAPABILITY_BITS):
        if not person.capabilities >> bit & 1:
            library.prctl(_PR_CAPBSET_DROP, bit, 0, 0, 0)  # refused where the kernel has no such bit
    if person.no_new_privileges and library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs cannot be set")
    os.setresuid(person.uid, person.uid, person.uid)
    os.umask(person.umask)


def _write(path: str, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


def _execute(argv: list[str], environment: Mapping[str, str]) -> None:
    """execve(2), along PATH as execvp(3) goes; OSError when there is none to execute."""
    program = argv[0]
    if "/" in program:
        os.execve(program, argv, environment)  # noqa: S606  # no shell is wanted
    refused: OSError | None = None
    for folder in environment.get("PATH", "/usr/bin:/bin").split(":"):
        try:
            os.execve(f"{folder or '.'}/{program}", argv, environment)  # noqa: S606  # no shell is wanted
        except PermissionError as error:
            refused = error
        except (FileNotFoundError, NotADirectoryError):
            continue
    raise refused or FileNotFoundError(_NOT_THERE, "there is no such program on its PATH")
