"""Which connections have more on their way at once."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from aurora.link.width import NARROW, WIDE, WIDE_MAX, Widths

from .served import DEADLINE_SEC, Served, Wire
from .test_router import pub

SUB = {"type": "sub", "topic": "#", "queue_messages": 16_000, "queue_bytes": 1_000_000}


class Handle:
    def __init__(self) -> None:
        self.sizes: list[int] = []

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_SNDBUF)
        self.sizes.append(value)


def test_so_many_are_wide_at_one_time_and_no_more() -> None:
    widths, handles = Widths(), [Handle() for _ in range(WIDE_MAX + 1)]
    assert [widths.widen(one, one) for one in handles] == [WIDE] * WIDE_MAX + [NARROW]
    assert widths.widen(handles[0], handles[0]) is WIDE
    assert widths.narrow(handles[0], handles[0]) is NARROW
    assert handles[0].sizes == [WIDE.kernel_bytes, NARROW.kernel_bytes]
    assert widths.narrow(handles[1], None) is NARROW, "it is gone"
    assert [widths.widen(one, one) for one in (handles[-1], handles[0])] == [WIDE, WIDE]
    assert len(widths) == WIDE_MAX
    assert widths.narrow(handles[1], handles[1]) is NARROW
    assert len(handles[1].sizes) == 1, "narrow already"


def kernel_bytes(hub: Served) -> set[int]:
    """SO_SNDBUF of all connections, by what was asked for: Linux gives twice as much."""
    handles = [one._transport.get_extra_info("socket") for one in hub.server._connections.values() if one._transport]
    return {handle.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2 for handle in handles}


def flood(writer: Wire) -> None:
    writer.say(*(pub("a", "x" * 1000) for _ in range(400)))


def test_who_has_more_to_read_than_a_write_takes_and_reads_is_wide_until_there_is_no_more(tmp_path: Path) -> None:
    with Served(tmp_path) as hub:
        reader, writer = hub.client(SUB), hub.client()
        assert hub.ask(lambda: kernel_bytes(hub)) == {NARROW.kernel_bytes}
        flood(writer)
        for _ in range(400):
            reader.until(lambda one: one["type"] == "pub")
        assert hub.ask(lambda: kernel_bytes(hub)) == {NARROW.kernel_bytes, WIDE.kernel_bytes}
        hub.ask(lambda: hub.server.look_around(lambda _: True))
        assert hub.ask(lambda: len(hub.server.widths)) == 1, "it was of use since"
        hub.ask(lambda: hub.server.look_around(lambda _: True))
        assert hub.ask(lambda: kernel_bytes(hub)) == {NARROW.kernel_bytes}
        assert hub.ask(lambda: len(hub.server.widths)) == 0


@pytest.mark.parametrize("ends", [True, False])
def test_who_does_not_read_is_not_wide(tmp_path: Path, ends: bool) -> None:
    with Served(tmp_path) as hub:
        reader, writer = hub.client(SUB), hub.client()
        flood(writer)
        hub.ping_of_another()
        assert hub.ask(lambda: len(hub.server.widths)) == 0, "it has read nothing yet"
        reader.socket.settimeout(DEADLINE_SEC)
        while hub.ask(lambda: len(hub.server.widths)) == 0:
            reader.socket.recv(4096)
        flood(writer)
        hub.ping_of_another()
        if ends:
            reader.close()
            hub.wait_for_clients(1)
        else:
            hub.ask(lambda: hub.server.look_around(lambda _: True))
        assert hub.ask(lambda: len(hub.server.widths)) == 0
