"""`auroractl run DIR`: a module in the terminal, with all that it will be held to when it is installed."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

TALKER = Module(
    name="talker",
    program="#!/bin/sh\necho out; echo err >&2; cat; cat /proc/self/attr/apparmor/current\n"
    "cat /etc/shadow || echo refused\necho x >$STATE_DIRECTORY/x\nexit 7\n",
    more="[directories]\nstate = true\n",
)
ENDLESS = Module(
    name="endless",
    entry="run.py",
    program="""
import os, sys, time

print("tty" if all(os.isatty(n) for n in (0, 1, 2)) else "no tty", flush=True)
print("beating", flush=True)
time.sleep(3600)
""",
)
GLUTTON = Module(
    name="glutton",
    entry="run.py",
    program="import os\neaten = []\nwhile True:\n    eaten.append(bytearray(os.urandom(1 << 20)))\n",
    more='[limits]\nmemory_max = "32M"\n',
)
BINDER = Module(
    name="binder",
    entry="run.py",
    program="""
import socket, sys
print("up", flush=True)
for line in sys.stdin:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", int(line)))
            print("taken", flush=True)
        except PermissionError:
            print("refused", flush=True)
""",
    more='[sandbox]\ngrants = ["listen:8080"]\n',
)
SILENT = Module(name="silent", program="#!/bin/sh\nexit 4\n", more='[start]\nreadiness = "notify"\ntimeout = "20s"\n')

BOTH_HOLD = """
import sys
from aurora.host.bpf import Attach, count_programs
sys.exit(count_programs("/sys/fs/cgroup/aurora.slice/aurora-run-binder.service", Attach.BIND6) != 2)
"""

IN_A_TERMINAL = """
import json, os, pty, signal, sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp("auroractl", ["auroractl", "run", sys.argv[1]])
signal.alarm(120)
said = b""
# The whole line: what is typed is echoed where the program has got to.
while b"beating\\r\\n" not in said:
    said += os.read(terminal, 4096)
os.write(terminal, b"\\x03")
try:
    while more := os.read(terminal, 4096):
        said += more
except OSError:  # the other end is gone
    pass
print(json.dumps([said.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]))
"""


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.put(TALKER, ENDLESS, GLUTTON, BINDER, SILENT)
        yield core


@pytest.fixture(autouse=True)
def nothing_is_left(core: Core) -> Iterator[None]:
    """The same units, profiles and files after each test here as before it."""
    picture = """
        # The slice that all modules share stays, once there was one; and the hub comes and goes with its clients.
        systemctl list-units --all --no-legend --plain --no-pager 'aurora*' |
            grep -Ev '^aurora(-core.service|.slice|-link[^ ]*) '
        grep '^aurora' /sys/kernel/security/apparmor/profiles || true
        places="/var/lib/aurora-core /var/*/private /var/lib/aurora* /run/aurora* /run/systemd/transient"
        # Of the folders that all such runs share only what is in them counts, and no lock there.
        find $places -mindepth 1 -not -name '*lock' -not -name foreground -not -name aurora-run |
            grep -v '/aurora-link' | sort || true
        auroractl list --json
    """
    before = core.run(picture).stdout
    yield
    assert core.run(picture).stdout == before


def test_output_arrives_and_the_exit_status_passes(core: Core) -> None:
    done = core.run(f"auroractl run {folder('talker')}", check=False, input="from the terminal\n")
    assert done.returncode == 7
    assert done.stdout.splitlines() == ["out", "from the terminal", "aurora-run.talker (enforce)", "refused"]
    assert done.stderr.splitlines()[0] == "err"
    assert "/etc/shadow" in done.stderr


def test_ctrl_c_in_a_terminal_ends_it(core: Core) -> None:
    said, status = json.loads(core.run(f"python3 - {folder('endless')}", input=IN_A_TERMINAL).stdout)
    assert said.splitlines()[:2] == ["tty", "beating"], "it has the terminal itself"
    assert status == 130
    assert core.run("ps -eo args | grep -c '[f]oreground/endless' || true").stdout == "0\n"


def test_an_interrupt_from_elsewhere_ends_it(core: Core) -> None:
    done = core.run(
        f"""
        # A shell's background job would not hear SIGINT.
        python3 - <<'END'
import signal, subprocess, sys
run = subprocess.Popen(["auroractl", "run", "{folder("endless")}"], stdout=subprocess.PIPE)
signal.alarm(120)
while run.stdout.readline() != b"beating\\n":
    pass
run.send_signal(signal.SIGINT)
sys.exit(run.wait())
END
        """,
        check=False,
    )
    assert done.returncode == 130, done.stderr


def test_the_memory_limit_holds(core: Core) -> None:
    assert core.run(f"auroractl run {folder('glutton')}", check=False).returncode == 137


def test_it_is_held_to_its_ports_also_after_a_daemon_reload(core: Core) -> None:
    done = core.run(
        f"""
        mkfifo /run/to /run/from
        auroractl run {folder("binder")} </run/to >/run/from &
        exec 3>/run/to 4</run/from
        read said <&4
        for port in 8080 9999; do echo $port >&3; read said <&4; echo $said; done
        # Once the program runs, what outlasts systemd's own hold is put beside it.
        for i in $(seq 100); do python3 -c '{BOTH_HOLD}' && break; done
        systemctl daemon-reload
        for port in 8080 9999; do echo $port >&3; read said <&4; echo $said; done
        exec 3>&-
        wait
        rm /run/to /run/from
        """
    )
    assert done.stdout.split() == ["taken", "refused"] * 2


def test_a_module_that_does_not_come_up_says_why(core: Core) -> None:
    done = core.run(f"auroractl run {folder('silent')}", check=False)
    assert done.returncode == 70
    assert "its program ended with status 4" in done.stderr


def test_it_runs_beside_the_installed_module_of_that_name(core: Core) -> None:
    core.put(Module(name="talker"))
    core.run(f"auroractl install {folder('talker')}")
    installed = core.invocations("talker")
    core.put(TALKER)
    assert core.run(f"auroractl run {folder('talker')}", check=False).returncode == 7
    assert core.invocations("talker") == installed
    assert core.show("talker", "ActiveState")["ActiveState"] == "active"
    core.run("auroractl remove --purge talker")
