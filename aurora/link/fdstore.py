"""systemd's file descriptor store: where a hub that is restarted leaves its state and its connections to the next one.

The store is given one file descriptor, whatever there is: a socket whose other end is closed, and in which messages
lie. The first has a memfd with the state, the others have the connections' sockets (unix(7), SCM_RIGHTS). So systemd
has nothing to do for each of them, and what was read once is in nobody's store any more: no later hub finds it again.
Whoever drops that socket, as systemd does when the service is stopped, drops all that lies in it, and clients see an
end.

sd_notify(3): FDSTORE=1, FDSTOREREMOVE=1. FDPOLL=0, as a socket without another end is one that systemd would let go of.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing

__all__ = ["NAME", "close_cleanly", "forget", "is_there", "keep", "pack", "unpack"]

NAME = "handover"
"""FDNAME= of what is left there."""
AT_ONCE = 128
"""Sockets in one message; the kernel takes 253."""
DRAINED_MAX_BYTES = 1 << 20
"""What is read from a connection and dropped when it cannot be served any more."""
_STATE, _SOCKETS, _MISSING = b"state", b"sockets", b"missing"


def is_there(environment: Mapping[str, str]) -> bool:
    """Whether systemd has a store for this service: FileDescriptorStoreMax= in its unit."""
    return "NOTIFY_SOCKET" in environment and environment.get("FDSTORE", "0") != "0"


def pack(state: Iterable[bytes], handles: Sequence[int]) -> socket.socket:
    """A socket in which the state and duplicates of `handles` lie; OSError when that cannot be."""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with ours, os.fdopen(os.memfd_create("aurora-link-handover"), "wb") as file:
            ours.setblocking(False)
            file.writelines(state)
            file.flush()
            socket.send_fds(ours, [_STATE], [file.fileno()])
            for start in range(0, len(handles), AT_ONCE):
                _send(ours, handles[start : start + AT_ONCE])
    except BaseException:
        theirs.close()
        raise
    return theirs


def _send(ours: socket.socket, handles: Sequence[int]) -> None:
    """All of them, but for those that the kernel does not want to pass on; in their place is a word."""
    try:
        socket.send_fds(ours, [_SOCKETS], handles)
    except BlockingIOError:
        raise
    except OSError:
        if len(handles) == 1:
            ours.send(_MISSING)
            return
        for handle in handles:
            _send(ours, [handle])


def unpack(handle: socket.socket) -> tuple[bytes, list[socket.socket | None]]:
    """The state and the sockets, None for one that is missing; there is nothing when it was unpacked before.

    `handle` is closed. OSError when not all could be taken out; what could be is closed.
    """
    state = b""
    found: list[socket.socket | None] = []
    with handle:
        try:
            handle.setblocking(True)  # its other end is closed: nothing is waited for
            while True:
                word, handles, flags, _ = socket.recv_fds(handle, 16, AT_ONCE)
                for one in handles:
                    os.set_inheritable(one, False)
                if word == _STATE and handles:
                    with os.fdopen(handles[0], "rb") as file:
                        state = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
                else:
                    found += [socket.socket(fileno=one) for one in handles]
                    found += [None] * (word == _MISSING)
                if flags & socket.MSG_CTRUNC:
                    raise OSError("there are more file descriptors than this process may have")
                if not word:
                    return state, found
        except OSError:
            close_cleanly(found)
            raise


def keep(handle: socket.socket, environment: Mapping[str, str]) -> None:
    """Put it into the store; OSError when systemd cannot be told. Where its queue is full, this waits."""
    _notify(environment, f"FDSTORE=1\nFDNAME={NAME}\nFDPOLL=0", [handle.fileno()])


def forget(environment: Mapping[str, str]) -> None:
    """Have nothing of it in the store any more."""
    _notify(environment, f"FDSTOREREMOVE=1\nFDNAME={NAME}", [])


def _notify(environment: Mapping[str, str], state: str, handles: Sequence[int]) -> None:
    place = environment.get("NOTIFY_SOCKET", "")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notify:
        notify.connect("\0" + place[1:] if place.startswith("@") else place)
        socket.send_fds(notify, [state.encode()], handles)


def close_cleanly(handles: Iterable[socket.socket | None]) -> None:
    """End connections of which nothing is known: their clients see an end, and no reset for what they sent last."""
    for handle in handles:
        if handle is None:
            continue
        with handle:
            handle.setblocking(False)
            try:
                handle.shutdown(socket.SHUT_WR)
                for _ in range(DRAINED_MAX_BYTES // 65536):
                    if not handle.recv(65536):
                        break
            except OSError:
                continue  # nothing more is there, or it is gone already
