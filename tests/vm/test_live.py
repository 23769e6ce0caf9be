"""A command beside a module counts against its limits; what modules use is seen while it happens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.vm.core import Core, Module, tidied, unit
from tests.vm.machine import Machine

SLICE = "/sys/fs/cgroup/aurora.slice/aurora-alpha.slice"
MEMORY_BYTES = 48 << 20
TASKS = 12

ALPHA = Module(
    name="alpha",
    entry="run.py",
    program="""
import os, time

held = bytearray(os.urandom(16 << 20))
while True:
    time.sleep(1)
""",
    more=f"""
[environment]
OWN = "from the manifest"
[limits]
cpu = "50%"
memory_max = "{MEMORY_BYTES >> 20}M"
tasks = {TASKS}
[directories]
state = true
""",
)
BUSY = Module(name="busy", program="#!/bin/sh\nwhile :; do :; done\n", more='[limits]\ncpu = "20%"\n')
BUSY_PERCENT = 20

EAT = """
import os
eaten = []
while True:
    eaten.append(bytearray(os.urandom(1 << 20)))
"""

FORK = """
import os, time
children = []
while True:
    try:
        pid = os.fork()
    except OSError:
        break
    if pid == 0:
        time.sleep(600)
    children.append(pid)
with open(sys.argv[1]) as file:
    print(file.read(), flush=True)
""".replace("import os, time", "import os, sys, time")

# Runs a command on a terminal of its own: waits for texts, answers each, and tells all that was written, the exit
# status, and whether the terminal is set as before.
AT_A_TERMINAL = """
import fcntl, json, os, pty, select, struct, sys, termios, time

argv, steps = json.loads(sys.argv[1])
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, 80, 0, 0))
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.login_tty(slave)
    os.environ["TERM"] = "xterm"
    os.execvp(argv[0], argv)
written = b""

def read(until, deadline):
    global written
    seen = len(written)
    while until is None or until.encode() not in written[seen:]:
        if time.monotonic() > deadline:
            print(json.dumps({"late": until, "written": written.decode(errors="replace")}))
            os.kill(pid, 9)
            sys.exit(1)
        if select.select([master], [], [], 0.2)[0]:
            written += os.read(master, 65536)
        elif until is None and os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return

for until, answer in steps:
    read(until, time.monotonic() + 120)
    if answer.startswith("resize"):
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, int(answer.split()[1]), 0, 0))
    else:
        os.write(master, answer.encode())
read(None, time.monotonic() + 120)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({
    "written": written.decode(errors="replace"),
    "status": status,
    "as_before": termios.tcgetattr(slave) == before,
}))
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install(ALPHA, BUSY)
        yield core


def at_a_terminal(core: Core, argv: list[str], *steps: tuple[str, str]) -> dict[str, Any]:
    """What became of a command on a terminal of 80 columns and 12 lines, where each text seen gets its answer."""
    order = json.dumps([argv, steps]).replace("'", "'\\''")
    done = core.run(f"python3 - '{order}'", input=AT_A_TERMINAL, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def assert_nothing_is_left(core: Core) -> None:
    said = core.run(
        f"systemctl list-units --all --plain --no-legend 'aurora-exec*'; cat {SLICE}/memory.max {SLICE}/pids.max;"
        f" ls {SLICE} | grep scope || true; ls /run/aurora/exec"
    ).stdout
    assert said.split() == ["max", "max"]


# exec


def test_a_command_sees_what_the_module_sees_as_the_module(core: Core) -> None:
    script = """
    echo one >$STATE_DIRECTORY/note; cat $STATE_DIRECTORY/note; pwd; echo "$OWN$NOTIFY_SOCKET"
    cat /proc/self/attr/apparmor/current; grep NoNewPrivs /proc/self/status
    id -u; ls /home /run/dbus; cat /etc/shadow; exit 7
    """
    done = core.run(f"auroractl exec alpha -- sh -c '{script}'", check=False)
    assert done.returncode == 7
    user = core.run(f"stat -c %u /proc/{core.show('alpha', 'MainPID')['MainPID']}").stdout.strip()
    assert done.stdout.splitlines() == [
        "one",
        core.show("alpha", "WorkingDirectory")["WorkingDirectory"],
        "from the manifest",
        "aurora.alpha (enforce)",
        "NoNewPrivs:\t1",
        user,
    ]
    assert "/etc/shadow: Permission denied" in done.stderr
    assert_nothing_is_left(core)


def test_words_and_files_of_the_caller_reach_the_command_as_they_are(core: Core) -> None:
    said = core.run(
        """
        cd /root
        echo 'from a file of root' >in
        auroractl exec alpha -- sh -c 'cat; printf "%s|" "$@"; echo to stderr >&2' sh --json -- '' 'a  b' <in >out 2>err
        cat out err
        echo "from a pipe" | auroractl exec alpha -- cat | cat
        auroractl exec alpha -- sh -c 'kill -9 $$' || echo $?
        auroractl exec alpha -- no-such-program --json || echo $?
        rm in out err
        """
    )
    assert said.stdout == "from a file of root\n--json|--||a  b|to stderr\nfrom a pipe\n137\n66\n"
    assert "there is no such program" in said.stderr


def test_the_owner_can_look_as_root_and_from_outside(core: Core) -> None:
    group = 'cat /proc/self/cgroup | grep -o "aurora-alpha.slice/aurora-exec-alpha.*scope" | wc -l'
    script = f"id -u; ls /run/dbus 2>&1 | wc -l; cat /proc/self/attr/apparmor/current; {group}"
    inside = core.run(f"auroractl exec --root alpha -- sh -c '{script}'").stdout.split()
    outside = core.run(f"cd /root; auroractl exec --outside alpha -- sh -c 'pwd; {script}'").stdout.split()
    assert inside[0] == "0"
    assert inside[2:] == ["unconfined", "1"]
    assert outside[:2] == ["/root", "0"]
    assert int(outside[2]) >= 1, "the machine's own /run is in view"
    assert outside[3:] == ["unconfined", "1"]


def test_a_command_that_eats_memory_ends_at_the_modules_limit_and_nothing_else_does(core: Core) -> None:
    others, run = core.running_services(), core.invocations("alpha")
    peak = f"auroractl exec alpha -- python3 -c '{EAT}'; echo $?; cat {SLICE}/memory.peak"
    status, used = core.run(peak, check=False).stdout.split()
    assert status == "137"
    # Together with what the module holds: a hog beside it has only the rest.
    assert int(used) <= MEMORY_BYTES + (1 << 20)
    assert core.invocations("alpha") == run
    assert core.show("alpha", "Result", "NRestarts", "ActiveState") == {
        "Result": "success", "NRestarts": "0", "ActiveState": "active"
    }  # fmt: skip
    assert core.running_services() == others
    own = core.cgroup("alpha", "memory.events")["memory.events"].split()
    assert own[own.index("oom_kill") + 1] == "0"
    assert_nothing_is_left(core)


def test_tasks_of_a_command_are_counted_with_the_modules(core: Core) -> None:
    said = core.run(f"auroractl exec --outside alpha -- python3 -c '{FORK}' {SLICE}/pids.current").stdout
    assert int(said) == TASKS
    assert_nothing_is_left(core)  # its children went with it


def test_a_drop_in_that_raises_a_limit_raises_it_for_both(core: Core) -> None:
    drop_in = f"/run/systemd/system/{unit('alpha')}.d"
    try:
        core.run(
            f"mkdir -p {drop_in}; printf '[Service]\\nMemoryMax=96M\\n' >{drop_in}/more.conf;"
            " systemctl daemon-reload; systemctl restart aurora@alpha"
        )
        assert core.cgroup("alpha", "memory.max")["memory.max"] == str(96 << 20)
        held = core.run(f"auroractl exec --outside alpha -- cat {SLICE}/memory.max").stdout
        assert int(held) == 96 << 20
    finally:
        core.run(f"rm -r {drop_in}; systemctl daemon-reload; systemctl restart aurora@alpha")


def test_at_a_terminal_ctrl_c_is_the_commands(core: Core) -> None:
    shell = ["auroractl", "exec", "alpha", "--", "sh", "-c"]
    slept = at_a_terminal(core, [*shell, "test -t 0 && test -t 1 && echo ready; exec sleep 1000"], ("ready", "\x03"))
    assert slept["status"] == 130
    trap = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.2; done"
    caught = at_a_terminal(core, [*shell, trap], ("ready", "\x03"))
    assert "caught" in caught["written"]
    assert caught["status"] == 9
    assert "Traceback" not in slept["written"] + caught["written"]
    assert slept["as_before"]
    assert_nothing_is_left(core)


def test_a_command_ends_with_the_module_also_one_that_will_not(core: Core) -> None:
    done = core.run(
        """
        mkfifo /root/up
        auroractl exec alpha -- sh -c 'trap "" TERM HUP; echo up; while :; do sleep 1; done' >/root/up &
        command=$!
        read line </root/up
        systemctl restart aurora@alpha
        wait $command || echo $?
        rm /root/up
        """
    )
    assert done.stdout == "137\n"
    assert "alpha has ended, and the command with it" in done.stderr
    assert core.show("alpha", "ActiveState", "Result") == {"ActiveState": "active", "Result": "success"}
    assert_nothing_is_left(core)


def test_a_module_that_does_not_run_takes_no_command(core: Core) -> None:
    done = core.run("auroractl stop alpha; auroractl exec alpha -- true", check=False)
    assert done.returncode == 69
    assert "the module does not run" in done.stderr
    assert "auroractl start alpha" in done.stderr
    core.run("auroractl start alpha")


# top


def test_the_busy_module_comes_first_with_its_share(core: Core) -> None:
    rows = json.loads(core.run("auroractl top --once --json --sort cpu --delay 10").stdout)
    assert [row["name"] for row in rows] == ["busy", "alpha"]
    assert rows[0]["cpu_percent"] == pytest.approx(BUSY_PERCENT, abs=4)
    assert rows[0]["cpu_max_percent"] == BUSY_PERCENT
    assert rows[0]["pressure"]["cpu"] > 10, "it waits most of the time"
    assert rows[1]["memory_bytes"] > 16 << 20
    assert rows[1]["memory_max_bytes"] == MEMORY_BYTES
    assert (rows[1]["tasks"], rows[1]["tasks_max"]) == (1, TASKS)


def test_without_a_terminal_there_is_one_table(core: Core) -> None:
    said = core.run("auroractl top --sort memory --delay 1").stdout
    assert "\x1b" not in said
    assert [line.split()[0] for line in said.splitlines()] == ["MODULE", "alpha", "busy"]


def test_at_a_terminal_it_is_live_and_gives_the_terminal_back(core: Core) -> None:
    seen = at_a_terminal(
        core,
        ["auroractl", "top", "--delay", "1"],
        ("by cpu", "p"),
        ("by pressure", "m"),
        ("by memory", "resize 60"),
        ("by memory", "q"),
    )
    written = seen["written"]
    assert seen["status"] == 0
    assert seen["as_before"]
    assert written.startswith("\x1b[?1049h")
    assert written.endswith("\x1b[?1049l")
    by_pressure = written.partition("by pressure")[2]
    assert by_pressure.index("busy") < by_pressure.index("alpha"), "it waits for its share all the time"
    narrow = written.rpartition("\x1b[H")[2].partition("\x1b[J")[0].replace("\r", "").splitlines()
    for code in ("\x1b[K", "\x1b[1m", "\x1b[0m"):
        narrow = [line.replace(code, "") for line in narrow]
    assert max(map(len, narrow)) <= 60
    assert [line.split()[0] for line in narrow[2:4]] == ["alpha", "busy"]


@pytest.mark.parametrize(("signal", "status"), [("\x03", 130), ("TERM", 130)])
def test_whatever_ends_it_the_terminal_is_given_back(core: Core, signal: str, status: int) -> None:
    if signal == "TERM":
        argv = ["sh", "-c", "(sleep 8; kill -TERM $$) & exec auroractl top --delay 1"]
        seen = at_a_terminal(core, argv, ("by cpu", "n"), ("by name", "c"))
    else:
        seen = at_a_terminal(core, ["auroractl", "top"], ("by cpu", signal))
    assert seen["status"] == status
    assert seen["as_before"]
    assert seen["written"].endswith("\x1b[?1049l")
    assert "Traceback" not in seen["written"]


def test_a_manager_that_begins_anew_does_not_end_it(core: Core) -> None:
    argv = ["sh", "-c", "(sleep 6; systemctl daemon-reexec; auroractl stop alpha) & exec auroractl top --delay 1"]
    seen = at_a_terminal(core, argv, ("2 up", ""), ("1 up", "q"))
    assert seen["status"] == 0
    core.run("auroractl start alpha")


# status


def test_a_status_is_no_wider_than_its_terminal(core: Core) -> None:
    for argv in (["auroractl", "status"], ["auroractl", "status", "alpha"], ["auroractl", "list"]):
        seen = at_a_terminal(core, argv)
        lines = seen["written"].replace("\r", "").splitlines()
        for code in ("\x1b[1m", "\x1b[0m", "\x1b[32m", "\x1b[2m"):
            lines = [line.replace(code, "") for line in lines]
        assert any("alpha" in line for line in lines)
        assert max(map(len, lines)) <= 80
