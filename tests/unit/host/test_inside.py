from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from aurora.errors import HostError, NotFound
from aurora.host import inside
from aurora.host.inside import Person, View, hold, open_process, read_environment, view_of

PLAIN = View(environment={"PATH": "/usr/bin:/bin", "GREETING": "hello"})
STATUS = """\
Name:\tpython3
Umask:\t0077
Uid:\t63797\t63797\t63797\t63797
Gid:\t63798\t63798\t63798\t63798
Groups:\t20 63797
CapBnd:\t00000000000000c0
NoNewPrivs:\t1
"""


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    """A command takes the terminal's signals over for good."""
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def run(*argv: str, view: View = PLAIN) -> int:
    held = hold(argv, view)
    this = open_process(os.getpid())
    try:
        assert held.run(beside=this)
        return held.status()
    finally:
        os.close(this)
        held.drop()


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill $$", 143)])
def test_the_status_is_that_of_the_command(script: str, status: int) -> None:
    assert run("sh", "-c", script) == status


def test_the_command_has_the_environment_and_the_words_that_it_was_given(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("sh", "-c", f'echo "$GREETING|$#|$1|$HOME" >{out}', "sh", "--json two  words", "") == 0
    assert out.read_text() == "hello|2|--json two  words|\n"


def test_when_memory_runs_out_the_command_is_the_first_to_go(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("sh", "-c", f"cat /proc/self/oom_score_adj >{out}") == 0
    assert out.read_text() == "1000\n"


def test_the_command_starts_in_the_folder_of_its_view(tmp_path: Path) -> None:
    view = View(environment=PLAIN.environment, folder=str(tmp_path))
    assert run("sh", "-c", "pwd -P >here", view=view) == 0
    assert (tmp_path / "here").read_text() == f"{tmp_path}\n"


def test_signals_that_python_ignores_are_not_ignored_by_the_command(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run("sh", "-c", f"grep SigIgn /proc/self/status >{out}") == 0
    ignored = int(out.read_text().split()[1], 16)
    assert not ignored >> (signal.SIGPIPE - 1) & 1


def test_a_command_that_is_not_there_is_not_found() -> None:
    for word in ("no-such-program", "/no/such/program"):
        with pytest.raises(NotFound, match=word):
            run(word)


def test_what_is_no_program_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    with pytest.raises(HostError, match="Permission denied"):
        run(str(tmp_path / "plain"))


def test_a_folder_that_is_not_there_is_told_before_anything_runs() -> None:
    with pytest.raises(NotFound, match="be what the module is"):
        hold(["true"], View(environment={}, folder="/nonexistent"))


def test_one_that_is_dropped_never_runs(tmp_path: Path) -> None:
    held = hold(["touch", str(tmp_path / "ran")], PLAIN)
    held.drop()
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(held.pid, 0)


def test_the_wait_ends_when_the_process_beside_ends() -> None:
    with subprocess.Popen(["sleep", "0.2"]) as other:
        beside = open_process(other.pid)
        held = hold(["sleep", "1000"], PLAIN)
        assert not held.run(beside=beside)
        os.kill(held.pid, signal.SIGKILL)
        assert held.status() == 137
        held.drop()
        os.close(beside)


def test_a_kill_is_handed_on_to_the_command(tmp_path: Path) -> None:
    # The command tells its parent, which is this process, to end; and is told so itself.
    script = f"trap 'echo told >{tmp_path}/out; exit 5' TERM; kill $PPID; while :; do sleep 0.05; done"
    assert run("sh", "-c", script) == 5
    assert (tmp_path / "out").read_text() == "told\n"


def test_a_process_is_read_for_what_it_is() -> None:
    assert inside._person(STATUS) == Person(63797, 63798, (20, 63797), 0o077, 0xC0, True)
    view = view_of(os.getpid(), process=-1, as_its_user=True, folder="/", profile=None, environment={})
    assert (view.namespaces, view.user_namespace) == (0, False)
    assert view.person is not None
    assert view.person.uid == os.getuid()


def test_a_process_that_is_gone_cannot_be_looked_at() -> None:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    with pytest.raises(HostError):
        open_process(pid)
    with pytest.raises(HostError):
        view_of(pid, process=-1, as_its_user=True, folder="/", profile=None, environment={})
    with pytest.raises(HostError):
        read_environment(pid)


def test_an_environment_is_read_as_it_stands() -> None:
    given = {"A": "1=2", "B": "", "C": "two\nlines"}
    script = ["/bin/sh", "-c", "echo up; read line"]
    with subprocess.Popen(script, env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        assert read_environment(running.pid) == given
        running.communicate()
