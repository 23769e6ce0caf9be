from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import cast

import pytest
from sdnotify import SystemdNotifier
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from aurora.link.bounds import Bounds
from aurora.link.main import LEAVE, Heart, handed_over, ways_of
from aurora.link.session import Client
from aurora.paths import Paths

from .served import DEADLINE_SEC, Served, Wire

ROOT = Path(__file__).resolve().parents[3]


def test_sockets_of_another_process_are_not_taken() -> None:
    environment = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "link", "OTHER": "x"}
    assert handed_over(environment, 2) == {}
    assert environment == {"OTHER": "x"}
    assert handed_over({}, 2) == {}
    assert handed_over({"LISTEN_PID": "2", "LISTEN_FDS": "-1"}, 2) == {}


def test_several_sockets_may_have_one_name() -> None:
    names = {"LISTEN_PID": "2", "LISTEN_FDS": "0", "LISTEN_FDNAMES": ""}
    assert handed_over(names, 2) == {}
    with socket.socket() as one, socket.socket() as two:
        # sd_listen_fds(3) has them from 3 on; these stand for them.
        assert (one.family, two.family) == (socket.AF_INET, socket.AF_INET)
        with ways_of({"link": [os.dup(one.fileno())], "websocket": [os.dup(two.fileno())]}, Paths(), Bounds()) as ways:
            assert len(ways) == 1  # no netlink socket: who comes by TCP could not be known


class Systemd:
    """What systemd does for the hub: it holds the sockets, and is told."""

    def __init__(self, folder: Path, idle_sec: str) -> None:
        self._idle_sec = idle_sec
        self.place = str(folder / "link.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.place)
        self.listener.listen()
        self.notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notified.bind(str(folder / "notify"))
        self.notified.settimeout(DEADLINE_SEC)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)
        self.environment = {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "NOTIFY_SOCKET": str(folder / "notify"),
            "WATCHDOG_USEC": "200000", "FDSTORE": "1",
        }  # fmt: skip
        self.hub = self.start()

    def start(self, *more: socket.socket, names: str = "") -> subprocess.Popen[bytes]:
        """Start a hub, with the sockets that it always has and `more` of these names."""
        handles = [one.fileno() for one in (self.listener, self.tcp, self.netlink, *more)]
        code = (
            "import os, sys;"
            "handles = [os.dup(int(one)) for one in sys.argv[1:]];"
            "[os.dup2(one, place) for place, one in enumerate(handles, 3) if one != place];"
            "[os.set_inheritable(place, True) for place in range(3, 3 + len(handles))];"
            "os.environ['LISTEN_PID'] = str(os.getpid());"
            f"os.execv(sys.executable, [sys.executable, '-m', 'aurora.link.main', '{self._idle_sec}'])"
        )
        listening = {"LISTEN_FDS": str(len(handles)), "LISTEN_FDNAMES": f"link:websocket:websocket{names}"}
        command = [sys.executable, "-c", code, *map(str, handles)]
        return subprocess.Popen(command, env=self.environment | listening, pass_fds=handles)

    def restart(self) -> None:
        """As `systemctl restart` does."""
        self.hub.send_signal(LEAVE)
        handles: list[int] = []
        while not handles:
            said, handles, _, _ = socket.recv_fds(self.notified, 4096, 2)
        assert said == b"FDSTORE=1\nFDNAME=handover\nFDPOLL=0"
        self.wait_for("STOPPING=1")
        assert self.hub.wait(DEADLINE_SEC) == 0
        with socket.socket(fileno=handles[0]) as left:
            self.hub = self.start(left, names=":handover")
        self.wait_for("FDSTOREREMOVE=1\nFDNAME=handover")
        self.wait_for("READY=1")

    def wait_for(self, word: str) -> str:
        while word not in (told := self.notified.recv(4096).decode()):
            pass
        return told


def test_the_hub_says_that_it_is_up_and_alive_and_ends_by_itself(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, "0.3")
    systemd.wait_for("READY=1")
    assert "STATUS=0 clients" in systemd.wait_for("WATCHDOG=1")
    systemd.wait_for("STOPPING=1")
    assert systemd.hub.wait(DEADLINE_SEC) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="root is let in")
def test_the_hub_serves_root_and_ends_well_when_it_is_told_to(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, "3600")
    wire = Wire(systemd.place)
    wire.say({"type": "hello", "version": 1})
    hello = wire.read()
    assert hello is not None
    assert (hello["type"], hello["id"]) == ("hello", "user:root")
    assert "STATUS=1 client," in systemd.wait_for("STATUS=1")
    systemd.hub.send_signal(signal.SIGTERM)
    assert wire.rest() == []
    systemd.wait_for("STOPPING=1")
    assert systemd.hub.wait(DEADLINE_SEC) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="root is let in")
def test_a_client_does_not_notice_that_the_hub_is_another_process(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, "3600")
    wire = Wire(systemd.place)
    wire.say({"type": "sub", "topic": "a", "id": "sub"})
    assert wire.read() == {"type": "ack", "id": "sub"}
    for number in range(3):
        wire.say(b'{"topic":"a",')
        systemd.restart()
        wire.say(b'"data":%d}\n' % number)
        said = wire.read()
        assert said is not None
        assert (said["data"], said["from"]) == (number, "user:root")
    systemd.hub.send_signal(signal.SIGTERM)
    assert wire.rest() == []
    assert systemd.hub.wait(DEADLINE_SEC) == 0


def test_the_hub_is_alive_for_systemd_while_one_turn_takes_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(tmp_path) as hub:
        wire = hub.client()
        router = hub.server.router
        receive = router.receive
        received: list[bytes] = []
        told: list[int] = []

        def slowly(client: Client, line: bytes) -> bool:
            received.append(line)
            sleep(0.001)
            return receive(client, line)

        class Notifier:
            def notify(self, state: str) -> None:
                assert "WATCHDOG=1" in state
                told.append(len(received))

        heart = hub.ask(lambda: Heart(hub.server, cast("SystemdNotifier", Notifier()), 20_000, Paths()))
        monkeypatch.setattr(router, "receive", slowly)
        hub.ask(heart.beat)
        wire.say(
            *[f'{{"topic":"{number}","data":1}}\n'.encode() for number in range(500)], {"type": "ping", "id": "last"}
        )
        wire.until(lambda one: one.get("id") == "last")
        assert len([count for count in told if 0 < count < 500]) >= 5


def test_the_hub_looks_around_between_turns_alone_and_however_much_there_is_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(tmp_path) as hub:
        receive = hub.server.router.receive
        within: list[bool] = []
        looked: list[bool] = []
        told: list[bool] = []

        def slowly(client: Client, line: bytes) -> bool:
            sleep(0.001)
            return receive(client, line)

        class Notifier:
            def notify(self, state: str) -> None:
                assert "WATCHDOG=1" in state
                told.append(bool(within))

        def progress() -> None:
            within.append(True)
            heart.beat_if_due()
            within.pop()

        with connect(f"ws://127.0.0.1:{hub.port}", compression=None, proxy=None) as web:
            heart = hub.ask(lambda: Heart(hub.server, cast("SystemdNotifier", Notifier()), 20_000, Paths()))
            monkeypatch.setattr(hub.server, "progress", progress)
            monkeypatch.setattr(hub.server.router, "receive", slowly)
            monkeypatch.setattr(hub.server, "look_around", lambda _: looked.append(bool(within)))
            hub.ask(heart.beat)
            hub.ask(heart.look)
            for _ in range(20):
                for number in range(20):
                    web.send(f'{{"topic":"a","data":{number}}}')
                web.send('{"type":"ping","id":"last"}')
                assert "pong" in str(web.recv(DEADLINE_SEC))
        assert True in told, "some beats come while a turn has much to do"
        assert len(looked) >= 5
        assert True not in looked


def test_who_comes_by_websocket_is_known_by_the_kernel_or_refused(tmp_path: Path) -> None:
    systemd = Systemd(tmp_path, "3600")
    systemd.wait_for("READY=1")
    # This process is in a control group that the tree in which this runs does not show: refused, though it is root.
    shown = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    place = f"ws://127.0.0.1:{systemd.tcp.getsockname()[1]}"
    if shown and os.getuid() == 0:
        with connect(place, compression=None, proxy=None) as web:
            web.send('{"type":"hello","version":1}')
            assert '"user:root"' in str(web.recv(DEADLINE_SEC))
    else:
        with pytest.raises(InvalidStatus) as refused:
            connect(place, compression=None, proxy=None)
        assert refused.value.response.status_code == 403
        assert b"it is not known who does: its control group is not there" in (refused.value.response.body or b"")
    systemd.hub.send_signal(signal.SIGTERM)
    assert systemd.hub.wait(DEADLINE_SEC) == 0


def test_without_a_socket_it_says_what_to_start() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "aurora.link.main"], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == os.EX_DATAERR
    assert "systemctl start aurora-link.socket" in done.stderr
