from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aurora import sdk
from aurora.errors import NotFound

CHECKOUT = Path(__file__).resolve().parents[2]
DEADLINE_SEC = 30.0
FOREVER_SEC = 100_000.0


class Listener:
    """What systemd would have heard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(DEADLINE_SEC)
        self._socket.bind(str(path))

    def next(self) -> str:
        return self._socket.recv(4096).decode()

    def all(self) -> list[str]:
        """Everything that has been said and not yet been heard."""
        self._socket.setblocking(False)
        heard = []
        try:
            while True:
                heard.append(self.next())
        except BlockingIOError:
            return heard
        finally:
            self._socket.settimeout(DEADLINE_SEC)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("WATCHDOG_") or name.endswith("_DIRECTORY") or name == "NOTIFY_SOCKET":
            monkeypatch.delenv(name)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    listener = Listener(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(listener.path))
    yield listener
    listener.close()


@pytest.fixture
def python(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Runs a piece of Python in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(code: str) -> subprocess.Popen[str]:
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=pipe, stderr=pipe, text=True)
        )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# --- what is said to systemd


def test_ready_says_ready(systemd: Listener) -> None:
    sdk.ready()
    assert systemd.all() == ["READY=1"]


def test_ready_can_carry_a_status(systemd: Listener) -> None:
    sdk.ready("listening")
    assert systemd.all() == ["READY=1\nSTATUS=listening"]


def test_each_notification_is_what_sd_notify_names(systemd: Listener) -> None:
    sdk.status("halfway")
    sdk.alive()
    sdk.stopping()
    assert systemd.all() == ["STATUS=halfway", "WATCHDOG=1", "STOPPING=1"]


def test_an_empty_status_clears_it(systemd: Listener) -> None:
    sdk.status("")
    assert systemd.all() == ["STATUS="]


def test_a_status_cannot_smuggle_in_another_assignment(systemd: Listener) -> None:
    sdk.status("working\nSTOPPING=1\r\nMAINPID=1")
    assert systemd.all() == ["STATUS=working STOPPING=1 MAINPID=1"]


@pytest.mark.parametrize("text", ["grün", "日本", "π ≈ 3", "lone \udce9 surrogate"])
def test_any_text_arrives_as_utf_8(systemd: Listener, text: str) -> None:
    sdk.ready(text)
    assert systemd.all() == [f"READY=1\nSTATUS={text.encode('utf-8', 'replace').decode()}"]


def test_outside_systemd_every_notification_does_nothing() -> None:
    sdk.ready("up")
    sdk.status("halfway")
    sdk.alive()
    sdk.stopping()


def test_a_listener_that_is_gone_is_no_error(systemd: Listener) -> None:
    systemd.close()
    systemd.path.unlink()
    sdk.ready()


# --- the watchdog's interval


def test_without_a_watchdog_there_is_no_interval() -> None:
    assert sdk.watchdog_interval_sec() is None


def test_the_interval_is_half_of_the_watchdogs_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    assert sdk.watchdog_interval_sec() == 1.5


def test_the_process_that_is_watched_gets_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert sdk.watchdog_interval_sec() == 1.5


def test_another_process_gets_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    assert sdk.watchdog_interval_sec() is None


@pytest.mark.parametrize("timeout", ["", "0", "-5", "soon", "1e6", "٣"])
def test_a_timeout_that_is_no_positive_number_is_none(monkeypatch: pytest.MonkeyPatch, timeout: str) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", timeout)
    assert sdk.watchdog_interval_sec() is None


# --- the beat


def test_the_first_turn_comes_at_once() -> None:
    beats = sdk.heartbeat(FOREVER_SEC)
    next(beats)


def test_every_turn_feeds_the_watchdog_first(systemd: Listener) -> None:
    beats = sdk.heartbeat(0.001)
    next(beats)
    assert systemd.all() == ["WATCHDOG=1"]
    next(beats)
    assert set(systemd.all()) == {"WATCHDOG=1"}


class Clock:
    """Time that passes only while the module waits, or works as long as a test says."""

    def __init__(self) -> None:
        self.now_sec = 1000.0

    def monotonic(self) -> float:
        return self.now_sec

    def wait(self, timeout_sec: float) -> None:
        self.now_sec += timeout_sec


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sdk, "time", clock)
    monkeypatch.setattr(sdk._StopSignal, "wait", lambda _self, timeout_sec: clock.wait(timeout_sec))
    return clock


def starts(clock: Clock, work_sec: list[float]) -> list[float]:
    """When each turn starts, given how long the work of each takes, at an interval of 10 seconds."""
    found = []
    beats = sdk.heartbeat(10)
    for duration_sec in work_sec:
        next(beats)
        found.append(clock.now_sec - 1000)
        clock.now_sec += duration_sec
    return found


def test_turns_start_an_interval_apart_however_long_the_work_takes(clock: Clock) -> None:
    assert starts(clock, [0, 3, 9, 0]) == [0, 10, 20, 30]


def test_a_turn_that_overruns_delays_the_next_and_no_other(clock: Clock) -> None:
    assert starts(clock, [14, 0, 0]) == [0, 14, 20]


def test_turns_that_were_missed_are_not_made_up_for_by_a_bunch(clock: Clock) -> None:
    assert starts(clock, [35, 0, 0, 0]) == [0, 35, 45, 55]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_a_turn_ends_the_loop_after_it(systemd: Listener, number: signal.Signals) -> None:
    finished = []
    for _ in sdk.heartbeat(FOREVER_SEC):
        os.kill(os.getpid(), number)
        finished.append("the turn")
    assert finished == ["the turn"]
    assert systemd.all()[-1] == "STOPPING=1"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_wait_ends_it_at_once(
    systemd: Listener, python: Callable[[str], subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = python(
        "from aurora import sdk\n"
        f"for _ in sdk.heartbeat({FOREVER_SEC}):\n"
        "    sdk.status('worked')\n"
        "print('tidied up')\n"
    )
    assert systemd.next() == "WATCHDOG=1"
    assert systemd.next() == "STATUS=worked"
    process.send_signal(number)
    output, errors = process.communicate(timeout=DEADLINE_SEC)
    assert (process.returncode, output, errors) == (0, "tidied up\n", "")
    assert systemd.all()[-1] == "STOPPING=1"


def test_another_signal_does_not_end_the_wait_or_bring_a_turn_forward(
    systemd: Listener, python: Callable[[str], subprocess.Popen[str]]
) -> None:
    process = python(
        "import signal\n"
        "from aurora import sdk\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sdk.status('noted'))\n"
        f"for _ in sdk.heartbeat({FOREVER_SEC}):\n"
        "    sdk.status('worked')\n"
    )
    assert [systemd.next(), systemd.next()] == ["WATCHDOG=1", "STATUS=worked"]
    process.send_signal(signal.SIGUSR1)
    assert "STATUS=noted" in (systemd.next(), systemd.next())
    assert process.poll() is None
    process.terminate()
    process.wait(DEADLINE_SEC)
    assert "STATUS=worked" not in systemd.all()


def test_the_watchdog_is_fed_while_a_long_interval_is_waited_for(
    systemd: Listener, python: Callable[[str], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    python(f"from aurora import sdk\nfor _ in sdk.heartbeat({FOREVER_SEC}): sdk.status('worked')\n")
    heard = [systemd.next() for _ in range(6)]
    assert heard == ["WATCHDOG=1", "STATUS=worked", *["WATCHDOG=1"] * 4]


def test_a_turn_that_hangs_does_not_feed_the_watchdog(systemd: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    next(sdk.heartbeat())
    systemd.all()
    threading.Event().wait(0.1)
    assert systemd.all() == []


def test_the_interval_is_the_watchdogs_unless_given(systemd: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    beats = sdk.heartbeat()
    next(beats)
    started = time.monotonic()
    next(beats)
    assert 0.09 <= time.monotonic() - started < DEADLINE_SEC


def test_the_handlers_that_stood_before_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    wakeup_before = signal.set_wakeup_fd(-1)
    for _ in sdk.heartbeat(FOREVER_SEC):
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] != before
        break
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert signal.set_wakeup_fd(wakeup_before) == wakeup_before == -1


def test_no_descriptor_is_left_open() -> None:
    gc.collect()  # what other tests have left
    before = open_descriptors()
    for _ in sdk.heartbeat(FOREVER_SEC):
        break
    assert open_descriptors() == before


def test_a_program_that_the_module_starts_still_hears_sigterm() -> None:
    for _ in sdk.heartbeat(FOREVER_SEC):
        with subprocess.Popen(["sleep", "1000"]) as child:
            child.terminate()
            assert child.wait(DEADLINE_SEC) == -signal.SIGTERM
        break


@pytest.mark.parametrize("interval_sec", [0, -1, float("nan")])
def test_an_interval_that_is_not_above_0_is_refused_at_the_call(interval_sec: float) -> None:
    with pytest.raises(ValueError, match="above 0 seconds"):
        sdk.heartbeat(interval_sec)


def test_in_another_thread_it_is_refused_and_leaves_nothing_open() -> None:
    before = open_descriptors()
    caught: list[BaseException] = []

    def beat() -> None:
        try:
            next(sdk.heartbeat())
        except ValueError as error:
            caught.append(error)

    thread = threading.Thread(target=beat)
    thread.start()
    thread.join(DEADLINE_SEC)
    assert "main thread" in str(caught[0])
    assert open_descriptors() == before


# --- own directories

DIRECTORIES = [
    (sdk.state_directory, "state", "STATE_DIRECTORY"),
    (sdk.cache_directory, "cache", "CACHE_DIRECTORY"),
    (sdk.logs_directory, "logs", "LOGS_DIRECTORY"),
    (sdk.runtime_directory, "runtime", "RUNTIME_DIRECTORY"),
]


@pytest.mark.parametrize(("directory", "_key", "variable"), DIRECTORIES)
def test_a_declared_directory_is_where_systemd_says(
    directory: Callable[[], Path], _key: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/var/lib/aurora/hello")
    assert directory() == Path("/var/lib/aurora/hello")


@pytest.mark.parametrize(("directory", "key", "variable"), DIRECTORIES)
def test_one_that_is_not_declared_is_refused_with_the_remedy(
    directory: Callable[[], Path], key: str, variable: str
) -> None:
    with pytest.raises(NotFound) as caught:
        directory()
    (problem,) = caught.value.problems
    assert key in problem.what
    assert f"${variable} is not set" in problem.why
    assert "module.toml" in problem.where
    assert f"{key} = true" in problem.remedy


# --- log


def test_each_level_becomes_its_priority_in_the_journal(python: Callable[[str], subprocess.Popen[str]]) -> None:
    process = python(
        "from aurora.sdk import log\n"
        "log.setLevel('DEBUG')\n"
        "log.debug('a'); log.info('b %d', 2); log.warning('c'); log.error('d'); log.critical('e')\n"
    )
    output, errors = process.communicate(timeout=DEADLINE_SEC)
    assert output == ""
    assert errors.splitlines() == ["<7>a", "<6>b 2", "<4>c", "<3>d", "<2>e"]


def test_every_line_of_a_traceback_has_the_priority(python: Callable[[str], subprocess.Popen[str]]) -> None:
    code = "from aurora.sdk import log\ntry: 1/0\nexcept ZeroDivisionError: log.exception('two\\nlines')\n"
    _, errors = python(code).communicate(timeout=DEADLINE_SEC)
    lines = errors.splitlines()
    assert lines[:3] == ["<3>two", "<3>lines", "<3>Traceback (most recent call last):"]
    assert lines[-1] == "<3>ZeroDivisionError: division by zero"
    assert all(line.startswith("<3>") for line in lines)


def test_debug_is_quiet_until_asked_for(python: Callable[[str], subprocess.Popen[str]]) -> None:
    _, errors = python("from aurora.sdk import log\nlog.debug('a')\n").communicate(timeout=DEADLINE_SEC)
    assert errors == ""


def test_on_a_terminal_there_is_no_prefix(python: Callable[[str], subprocess.Popen[str]]) -> None:
    code = "import sys\nsys.stderr.isatty = lambda: True\nfrom aurora.sdk import log\nlog.warning('a')\n"
    _, errors = python(code).communicate(timeout=DEADLINE_SEC)
    assert errors == "a\n"


def test_a_module_without_a_stderr_can_still_log(python: Callable[[str], subprocess.Popen[str]]) -> None:
    process = python("import sys\nsys.stderr = None\nfrom aurora.sdk import log\nlog.warning('a')\nprint('fine')\n")
    output, _ = process.communicate(timeout=DEADLINE_SEC)
    assert output == "fine\n"


def test_the_log_does_not_reach_the_root_logger(caplog: pytest.LogCaptureFixture) -> None:
    sdk.log.warning("a")
    assert isinstance(sdk.log, logging.Logger)
    assert caplog.records == []


# --- what is public, and its cost


def test_what_is_public_is_documented() -> None:
    for name in sdk.__all__:
        value = getattr(sdk, name)
        assert name == "log" or value.__doc__


@pytest.mark.parametrize("heavy", ["asyncio", "dataclasses", "inspect", "json", "subprocess", "typer", "pystemd"])
def test_importing_it_does_not_import(heavy: str, python: Callable[[str], subprocess.Popen[str]]) -> None:
    process = python(f"import sys\nfrom aurora import sdk\nprint({heavy!r} in sys.modules)\n")
    output, _ = process.communicate(timeout=DEADLINE_SEC)
    assert output == "False\n"
