"""The audit listener on a socket pair: what the kernel would send is written into its other end."""

from __future__ import annotations

import errno
import os
import socket
import struct
import subprocess
from collections.abc import Iterator

import pytest

from aurora.errors import HostError
from aurora.host import audit
from aurora.host.audit import AuditListener, audit_state


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 0, 0) + payload


class Kernel:
    """Sends records, and says how many were lost."""

    def __init__(self) -> None:
        self.lost = 0
        self.answer_kind = 1000
        self.group, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)

    def open(self, groups: int) -> socket.socket:
        if groups:
            return self._ours
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        status = struct.pack("=10I", 0, 0, 1, 0, 7, 64, self.lost, 0, 0, 0)
        far.send(message(self.answer_kind, status))
        self._far = far  # closed with the next answer: the question is written to it
        return near


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    kernel = Kernel()
    monkeypatch.setattr(audit, "_open", kernel.open)
    monkeypatch.setattr(audit, "_SO_RCVBUFFORCE", socket.SO_RCVBUF)  # anybody may
    yield kernel
    kernel.group.close()


def test_the_kernels_figures_are_read(kernel: Kernel) -> None:
    kernel.lost = 5
    assert audit_state() == audit.AuditState(lost=5, rate_limit=7, backlog_limit=64)


def test_an_error_for_an_answer_is_an_error(kernel: Kernel) -> None:
    kernel.answer_kind = 2
    with pytest.raises(HostError, match="gave an error"):
        audit_state()


def test_records_are_heard_until_the_process_is_gone(kernel: Kernel) -> None:
    heard: list[tuple[int, str]] = []
    with AuditListener() as listener, subprocess.Popen(["sleep", "60"]) as process:

        def take(kind: int, text: str) -> None:
            heard.append((kind, text))
            process.kill()

        kernel.group.send(message(1400, b"one"))
        assert listener.hear(take, pid=process.pid, deadline_sec=30)
    assert heard == [(1400, "one")]


def test_until_the_deadline_where_it_does_not_go(kernel: Kernel) -> None:
    with AuditListener() as listener:
        kernel.group.send(message(1326, b"\xff"))
        heard: list[tuple[int, str]] = []
        assert not listener.hear(lambda kind, text: heard.append((kind, text)), pid=os.getpid(), deadline_sec=0.1)
    assert heard == [(1326, "\ufffd")]


def test_what_a_process_did_that_is_gone_already_is_heard(kernel: Kernel) -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    with AuditListener() as listener:
        kernel.group.send(message(1400, b"late"))
        heard: list[str] = []
        assert listener.hear(lambda _kind, text: heard.append(text), pid=process.pid, deadline_sec=30)
    assert heard == ["late"]


def test_what_was_lost_since_is_counted_and_what_before_is_not(kernel: Kernel) -> None:
    kernel.lost = 5
    with AuditListener() as listener:
        assert listener.lost == 0
        kernel.lost = 8
        assert listener.lost == 3


def test_an_overrun_of_the_buffer_counts_as_lost(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    class Overrun:
        def __init__(self, real: socket.socket) -> None:
            self._real = real

        def recv(self, _size: int) -> bytes:
            self._real.recv(1 << 16)
            raise OSError(errno.ENOBUFS, "No buffer space available")

        def fileno(self) -> int:
            return self._real.fileno()

        def close(self) -> None:
            self._real.close()

    with AuditListener() as listener:
        monkeypatch.setattr(listener, "_socket", Overrun(listener._socket))
        kernel.group.send(message(1400, b"x"))
        listener.hear(lambda _kind, _text: None, pid=None, deadline_sec=0.1)
        assert listener.lost == 1
