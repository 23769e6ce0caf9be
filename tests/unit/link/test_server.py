from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from array import array
from contextlib import suppress
from fcntl import ioctl
from pathlib import Path
from select import select
from termios import FIONREAD
from typing import Any

import pytest

from aurora.link.bounds import Bounds
from aurora.link.identity import Identified
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import ModuleRules

from .served import DEADLINE_SEC, Served, Wire, descriptors
from .talking import OPERATOR, ROOT, STRANGER, module

SUB = {"type": "sub", "topic": "#"}


def published(messages: list[dict[str, Any]]) -> list[Any]:
    return [one["data"] for one in messages if one["type"] == "pub"]


def is_data(value: object) -> Any:
    return lambda one: one["type"] == "pub" and one["data"] == value


def test_what_one_client_publishes_another_reads_in_order_and_from_whom(tmp_path: Path) -> None:
    with Served(tmp_path, module("weather"), ROOT) as hub:
        weather = hub.client({"type": "hello", "version": 1})
        reader = hub.client(SUB)
        weather.say(*({"topic": "site/temp", "data": number} for number in range(1000)))
        found = reader.until(is_data(999))
        assert published(found) == list(range(1000))
        assert {one["from"] for one in found if one["type"] == "pub"} == {"weather"}


def test_lines_may_come_in_pieces_of_any_size(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        reader = hub.client(SUB)
        writer = hub.client()
        text = b'{"topic":"a","data":"' + b"x" * 5000 + b'"}\n{"topic":"a","data":2}\n'
        for size in (1, 7, 4096, len(text)):
            for start in range(0, len(text), size):
                writer.say(text[start : start + size])
            assert published(reader.until(is_data(2))) == ["x" * 5000, 2]


def test_a_shell_that_sends_and_closes_its_end_gets_its_answers_first(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        wire = Wire(hub.place)
        wire.say({"type": "ping", "id": "1"}, b'{"type":"ping","id":"2"}')
        wire.socket.shutdown(socket.SHUT_WR)
        assert [one["id"] for one in wire.rest()] == ["1", "2"]


def test_who_is_refused_is_told_why_and_costs_nothing_afterwards(tmp_path: Path) -> None:
    with Served(tmp_path, STRANGER) as hub:
        before = descriptors()
        for _ in range(50):
            (told,) = Wire(hub.place).rest()
            assert told["type"] == "error"
            assert told["code"] == "denied"
            assert "neither a module nor a member of the group aurora" in told["text"]
        assert hub.ask(lambda: len(hub.server)) == 0
        assert hub.ask(hub.server.router.counts)["denied"] == 50
        assert descriptors() <= before + 1


def test_what_cannot_be_identified_is_refused(tmp_path: Path) -> None:
    def nobody(_handle: socket.socket) -> Identified:
        raise LinkError(Code.DENIED, "connect", "the process that connected has ended")

    with Served(tmp_path, identify=nobody) as hub:
        (told,) = Wire(hub.place).rest()
        assert (told["code"], "has ended" in told["text"]) == ("denied", True)


def test_a_module_may_what_its_rules_say_when_it_connects(tmp_path: Path) -> None:
    with Served(tmp_path, module("weather"), weather=ModuleRules(publish=("site/+/temp",))) as hub:
        wire = hub.client({"type": "hello", "version": 1})
        wire.say({"topic": "site/a/temp", "data": 1, "id": "yes"}, {"topic": "lamp", "data": 1, "id": "no"})
        yes, no = (wire.read(), wire.read())
        assert yes == {"type": "ack", "id": "yes"}
        assert no is not None
        assert (no["code"], no["id"]) == ("denied", "no")
        assert "the manifest of weather" in no["text"]


def test_who_says_nothing_is_ended_and_told(tmp_path: Path) -> None:
    with Served(tmp_path, bounds=Bounds(first_line_max_msec=50)) as hub:
        assert [one["code"] for one in Wire(hub.place).rest()] == ["silent"]


def test_a_line_without_an_end_ends_the_connection_and_no_other(tmp_path: Path) -> None:
    with Served(tmp_path, bounds=Bounds(message_max_bytes=10_000)) as hub:
        other = hub.client()
        wire = hub.client()
        with suppress(OSError):  # it is ended meanwhile
            wire.say(b"x" * 1_000_000)
        assert [one["code"] for one in wire.rest()] == ["too-large"]
        other.say({"type": "ping", "id": "still"})
        other.until(lambda one: one.get("id") == "still")


def test_beginnings_of_lines_are_charged_to_their_peer_and_given_back(tmp_path: Path) -> None:
    bounds = Bounds(queues_of_one_max_bytes=200_000)
    with Served(tmp_path, OPERATOR, OPERATOR, OPERATOR, ROOT, bounds=bounds) as hub:
        wires = [hub.client() for _ in range(3)]
        other = hub.client()
        for wire in wires:
            with suppress(OSError):
                wire.say({"type": "ping", "id": "seen"}, b'{"topic":"a","data":"' + b"x" * 90_000)
        assert [one["code"] for one in wires[2].rest() if one["type"] == "error"] == ["too-large"]
        other.say({"type": "ping", "id": "still"})
        other.until(lambda one: one.get("id") == "still")
        for wire in wires:
            wire.close()
        hub.wait_for_clients(1)
        assert hub.ask(hub.server.router.counts)["queues_bytes"] == 0


def test_a_reader_that_does_not_read_holds_up_nobody_and_keeps_what_its_bound_says(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        slow = hub.client(SUB)
        fast = hub.client({**SUB, "queue_messages": 16_000, "queue_bytes": 1_000_000})
        writer = hub.client()
        text = "x" * 2000
        for number in range(1000):
            writer.say({"topic": "a", "data": [number, text]})
            fast.until(is_data([number, text]))
        counts = hub.ask(hub.server.router.counts)
        assert counts["dropped"] > 0
        assert counts["queues_bytes"] <= 256 * 1024 + 2 * 64 * 1024
        writer.say({"topic": "a", "data": "last"})
        found = published(slow.until(is_data("last")))
        numbers = [one[0] for one in found[:-1]]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == 999


def test_a_publisher_waits_for_a_reader_that_blocks_it_and_nothing_is_lost(tmp_path: Path) -> None:
    with Served(tmp_path, bounds=Bounds(block_max_msec=60_000)) as hub:
        reader = hub.client({**SUB, "bound": "block", "queue_messages": 10})
        writer = hub.client()
        writer.socket.setblocking(False)
        lines = b"".join(b'{"topic":"a","data":[%d,"%s"]}\n' % (number, b"x" * 500) for number in range(5000))
        sent = 0
        found = 0
        while sent < len(lines):
            try:
                sent += writer.socket.send(lines[sent : sent + 65536])
            except BlockingIOError:
                message = reader.read()
                assert message is not None
                assert message["data"][0] == found
                found += 1
        writer.socket.shutdown(socket.SHUT_WR)
        while found < 5000:
            message = reader.read()
            assert message is not None
            assert message["data"][0] == found
            found += 1
        assert hub.ask(hub.server.router.counts)["dropped"] == 0


def test_a_will_is_published_when_its_connection_breaks(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        reader = hub.client(SUB)
        hub.client({"type": "hello", "version": 1, "will": {"topic": "gone", "data": "me"}}).close()
        assert published(reader.until(is_data("me")))


def test_it_ends_when_nobody_was_connected_for_a_while_and_not_before(tmp_path: Path) -> None:
    with Served(tmp_path, idle_sec=0.2) as hub:
        wire = hub.client()
        other = hub.client()
        other.close()
        wire.say({"type": "ping", "id": "there"})
        wire.until(lambda one: one.get("id") == "there")
        wire.close()
        hub.wait_until_it_ends()


def test_who_connects_while_it_ends_waits_in_the_socket_for_the_next(tmp_path: Path) -> None:
    with Served(tmp_path, idle_sec=0.01) as hub:
        hub.wait_until_it_ends()
        late = Wire(hub.place)  # the listening socket is systemd's, and goes on
        late.say({"type": "ping", "id": "1"})


def test_when_it_is_stopped_clients_read_what_there_was_for_them(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        reader = hub.client(SUB)
        writer = hub.client()
        writer.say({"topic": "a", "data": 1, "id": "1"})
        writer.until(lambda one: one.get("id") == "1")
        hub.server.loop.call_soon_threadsafe(hub.server.stop)
        assert published(reader.rest()) == [1]
        assert writer.rest() == []
        hub.wait_until_it_ends()


def test_a_connection_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    def pinned(handle: socket.socket) -> Identified:
        return Identified(ROOT, os.pidfd_open(int.from_bytes(handle.getsockopt(1, 17, 12)[:4], sys.byteorder)))

    # Its parent, this test, still holds the client's end when the process has ended.
    code = "import socket, sys; socket.socket(fileno=int(sys.argv[2])).connect(sys.argv[1])"
    with Served(tmp_path, identify=pinned) as hub, socket.socket(socket.AF_UNIX) as ours:
        ours.settimeout(DEADLINE_SEC)
        child = subprocess.Popen(
            [sys.executable, "-c", code + "; input()", hub.place, str(ours.fileno())],
            pass_fds=[ours.fileno()], stdin=subprocess.PIPE,
        )  # fmt: skip
        assert child.stdin is not None
        hub.wait_for_clients(1)
        ours.sendall(b'{"type":"ping","id":"1"}\n')
        assert b'"pong"' in ours.recv(4096)
        child.stdin.close()
        child.wait(DEADLINE_SEC)
        assert ours.recv(4096) == b""


def test_many_clients_come_and_go_and_nothing_is_left_of_them(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        hub.client().close()
        before = descriptors()
        for _ in range(5):
            wires = [hub.client() for _ in range(40)]
            for wire in wires:
                wire.close()
        hub.wait_for_clients(0)
        assert descriptors() <= before + 2


@pytest.mark.parametrize("bytes_each", [128])
def test_memory_does_not_grow_with_messages(tmp_path: Path, bytes_each: int) -> None:
    with Served(tmp_path) as hub:
        reader = hub.client(SUB)
        writer = hub.client()
        lines = b"".join(b'{"topic":"a","data":"%s"}\n' % (b"x" * bytes_each) for _ in range(200))

        def some() -> None:
            for _ in range(50):
                writer.say(lines, {"topic": "a", "data": "end"})
                reader.until(is_data("end"))

        some()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(3):
            some()
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096


def test_what_a_publisher_has_sent_while_it_waits_is_charged_to_its_peer_and_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aurora.link.share.SHARE_SEC", 3600.0)  # else little is read of the last ones
    bounds = Bounds(queues_of_one_max_bytes=200_000, block_max_msec=60_000)
    with Served(tmp_path, ROOT, ROOT, OPERATOR, bounds=bounds) as hub:
        slow = hub.client({**SUB, "bound": "block", "queue_messages": 1})
        filler = hub.client()
        filler.say(*[{"topic": "a", "data": "x" * 30_000}] * 10)  # more than the kernel takes for it
        hub.wait_for(lambda: any(client.waits for client in hub.clients()), True)
        writers = [hub.client() for _ in range(20)]
        connections = hub.server._connections.values
        for wire in writers:
            # The first line waits for the queue; what was read with it waits for the first: some 30 KB, or more.
            with suppress(OSError):
                wire.say(b'{"topic":"a","data":1}\n' + b"{}\n" * 40_000)
        hub.wait_for(lambda: all(one._intake.held or one.client.peer == ROOT for one in connections()), True)
        kept = hub.ask(lambda: [len(one._intake.held) for one in connections() if one.client.peer == OPERATOR])
        assert 0 < sum(kept) <= 200_000
        ended = [wire for wire in writers if select([wire.socket], [], [], 0)[0]]
        assert len(ended) == len(writers) - len(kept) > 0
        assert [one["code"] for one in ended[0].rest() if one["type"] == "error"] == ["too-large"]
        for wire in (*writers, filler, slow):
            wire.close()
        hub.wait_for_clients(0)
        assert hub.ask(hub.server.router.counts)["queues_bytes"] == 0


def test_the_kernel_keeps_little_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        slow = hub.client({**SUB, "queue_bytes": 1_000_000})
        writer = hub.client()
        for _ in range(20):
            writer.say({"topic": "a", "data": "x" * 50_000, "id": "1"})
            writer.until(lambda one: one.get("id") == "1")
        waiting = array("i", [0])
        ioctl(slow.socket, FIONREAD, waiting)
        assert 0 < waiting[0] <= 100_000, "by itself Linux keeps 208 KiB"


def test_a_line_without_an_end_that_waits_for_a_full_queue_is_taken_after_it(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        slow = hub.client({**SUB, "bound": "block", "queue_messages": 1})
        writer = hub.client()
        text = b"x" * 60_000
        writer.say(*(b'{"topic":"a","data":[%d,"%s"]}\n' % (n, text) for n in range(4)), b'{"topic":"a","data":"end"}')
        writer.socket.shutdown(socket.SHUT_WR)
        found = published(slow.until(is_data("end")))
        assert [one[0] for one in found[:-1]] == [0, 1, 2, 3]
        assert writer.rest() == []
