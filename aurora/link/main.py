"""aurora-link.service: the hub, on the sockets that systemd hands over, until nobody is connected any more."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # asyncio reads it where it is there: 4 MB, a fifth of an idle hub, which speaks no TLS.
    sys.modules["ssl"] = None  # type: ignore[assignment]  # None makes its import fail

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from sdnotify import SystemdNotifier

from aurora.errors import AuroraError, InputError
from aurora.link.bounds import Bounds
from aurora.link.fdstore import NAME, close_cleanly, forget, is_there, keep, pack, unpack
from aurora.link.gates import Gates
from aurora.link.handover import decode, encode
from aurora.link.loop import TurnLoop
from aurora.link.loopback import Kernel, goes_on
from aurora.link.refusal import LinkError
from aurora.link.retained import Retained
from aurora.link.router import Router
from aurora.link.rulebook import read_rules
from aurora.link.rules import Rules
from aurora.link.runs import read_runs
from aurora.link.server import Server
from aurora.link.ways import Way, unix_way, websocket_ways
from aurora.link.writer import Writer
from aurora.paths import Paths

__all__ = [
    "IDLE_SEC", "LEAVE", "SOCKET_NAME", "WEBSOCKET_NAME", "Heart", "hand_over", "handed_over", "main", "serve",
    "take_over", "ways_of",
]  # fmt: skip

SOCKET_NAME = "link"
"""FileDescriptorName= in aurora-link.socket."""
WEBSOCKET_NAME = "websocket"
"""The same in aurora-link-websocket.socket: TCP sockets, and one of netlink to ask the kernel who has connected."""
FIRST_FD = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""
IDLE_SEC = 30.0
DATABASE = "link.db"
"""In StateDirectory= of aurora-link.service, once anything is to be kept."""
LEAVE = signal.SIGUSR1
"""RestartKillSignal= in aurora-link.service: the next hub comes at once."""
SETTLE_SEC = 5.0
"""How long the disk has, before a hub is restarted, to take what waits for it."""
PULSE_SEC = 10.0
"""Between two looks at the state, where there is no watchdog."""
_log = logging.getLogger("aurora.link")


def handed_over(environment: MutableMapping[str, str], pid: int) -> dict[str, list[int]]:
    """The file descriptors that systemd hands over, by name (sd_listen_fds(3)); children are not to see them."""
    told = {name: environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")}
    if told["LISTEN_PID"] != str(pid) or not told["LISTEN_FDS"].isdecimal():
        return {}
    handles = range(FIRST_FD, FIRST_FD + int(told["LISTEN_FDS"]))
    for handle in handles:
        os.set_inheritable(handle, False)
    found: dict[str, list[int]] = {}
    for name, handle in zip(told["LISTEN_FDNAMES"].split(":"), handles, strict=False):
        found.setdefault(name, []).append(handle)
    return found


@contextmanager
def ways_of(handles: dict[str, list[int]], paths: Paths, bounds: Bounds) -> Iterator[list[Way]]:
    """The ways to the hub by these file descriptors, which are closed afterwards; InputError without the first one.

    WebSocket only where the kernel can be asked who has connected.
    """
    with ExitStack() as kept:
        sockets = {
            name: [kept.enter_context(socket.socket(fileno=handle)) for handle in handles.get(name, ())]
            for name in (SOCKET_NAME, WEBSOCKET_NAME)
        }
        if not sockets[SOCKET_NAME]:
            why = f"systemd hands over no socket of the name {SOCKET_NAME}"
            raise InputError("start the hub", why, remedy="systemctl start aurora-link.socket, and a client")
        found = [unix_way(one, paths, bounds) for one in sockets[SOCKET_NAME]]
        netlink = [one for one in sockets[WEBSOCKET_NAME] if one.family == socket.AF_NETLINK]
        listeners = [one for one in sockets[WEBSOCKET_NAME] if one.family in (socket.AF_INET, socket.AF_INET6)]
        if netlink:
            found += websocket_ways(listeners, Kernel(netlink[0]), paths, bounds)
        elif listeners:
            _log.warning("no WebSocket: no ListenNetlink= in aurora-link-websocket.socket")
        yield found


class Heart:
    """Tells systemd that the hub is there, and what it does."""

    def __init__(self, server: Server, notifier: SystemdNotifier, watchdog_usec: int, paths: Paths) -> None:
        self._server = server
        self._goes_on = partial(goes_on, paths)
        self._notifier = notifier
        self._pulse_sec = watchdog_usec / 2_000_000 or PULSE_SEC
        self._due_sec = 0.0
        self._timer: asyncio.TimerHandle | None = None
        # One turn may have a lot to do, for many clients: it is alive as long as it gets on with it.
        server.progress = self.beat_if_due

    def beat_if_due(self) -> None:
        """Now, if it is time."""
        if self._server.loop.time() >= self._due_sec:
            self.beat()

    def look(self) -> None:
        """Now, and again and again: end connections that are over. Between turns alone, as it brings things to do."""
        self._server.look_around(self._goes_on)
        self._server.loop.call_later(self._pulse_sec, self.look)

    def beat(self) -> None:
        """Now, and again and again."""
        counts = self._server.router.counts()
        clients, waiting = counts["clients"], counts["queues_bytes"]
        status = (
            f"STATUS={clients} client{'' if clients == 1 else 's'}, {waiting} bytes wait, {counts['denied']} denied"
        )
        self._notifier.notify(f"WATCHDOG=1\n{status}")
        if self._timer is not None:
            self._timer.cancel()
        self._due_sec = self._server.loop.time() + self._pulse_sec
        self._timer = self._server.loop.call_at(self._due_sec, self.beat)


async def serve(
    ways: Sequence[Way],
    paths: Paths,
    environment: MutableMapping[str, str],
    idle_sec: float,
    bounds: Bounds,
    left: socket.socket | None = None,
) -> None:
    """Serve until nobody is connected, SIGTERM, or LEAVE, with `left` by the hub before."""
    notifier = SystemdNotifier()
    router = Router(Rules(), bounds)
    rules, gates, runs = partial(read_rules, paths), Gates(paths, bounds), partial(read_runs, paths)
    server = Server(ways, rules, router, idle_sec=idle_sec, gated=gates, runs=runs)
    writer = await _recall(server, environment.get("STATE_DIRECTORY", ""), bounds)
    for number in (signal.SIGTERM, signal.SIGINT):
        server.loop.add_signal_handler(number, server.stop)
    server.loop.add_signal_handler(LEAVE, server.leave)
    if left is not None:
        take_over(server, left, environment)
    server.start()
    watchdog = environment.get("WATCHDOG_USEC", "")
    notifier.notify("READY=1")
    heart = Heart(server, notifier, int(watchdog) if watchdog.isdecimal() else 0, paths)
    heart.beat()
    heart.look()  # who is there no more is so before anything of its connection is read
    await server.done.wait()
    if server.is_leaving and not await hand_over(server, writer, environment):
        server.stop()
        await server.done.wait()
    notifier.notify("STOPPING=1")
    if writer is not None:
        writer.close()


def take_over(server: Server, left: socket.socket, environment: Mapping[str, str]) -> None:
    """Go on where the hub before was; where that cannot be, its connections are ended."""
    handles: list[socket.socket | None] = []
    try:
        packed, handles = unpack(left)
        with suppress(OSError):  # what is there still is empty now
            forget(environment)
        server.take_over(decode(packed), handles)
    except (OSError, ValueError) as error:
        _log.warning("what the hub before has left is dropped, and its %d connections end: %s", len(handles), error)
        close_cleanly(handles)


async def hand_over(server: Server, writer: Writer | None, environment: Mapping[str, str]) -> bool:
    """Leave all to the next hub; False, with nothing left, when that cannot be.

    No code is read here that was not read before: an upgrade has put that of the next hub in its place.
    """
    try:
        async with asyncio.timeout(SETTLE_SEC):
            await server.quiet()
            while writer is not None and writer.waiting:
                there: asyncio.Future[object] = server.loop.create_future()
                writer.submit(lambda _ledger: None, there.set_result)
                await there
                await server.quiet()  # who no longer waits for a full queue is read from again
        if not is_there(environment):
            raise OSError("systemd keeps no file descriptors for it (FileDescriptorStoreMax=)")
        if not server.is_leaving:
            return False  # it was told to stop meanwhile
        state, handles = server.state()
        with pack(encode(state), handles) as packed:
            keep(packed, environment)
    except (OSError, TimeoutError) as error:
        why = str(error) or "the disk does not answer"
        _log.warning("nothing is left to the next hub, and connections end: %s", why)
        return False
    server.abandon()
    return True


async def _recall(server: Server, folder: str, bounds: Bounds) -> Writer | None:
    """Let the hub keep what is durable in a file in `folder`, and take in the values that are kept there."""
    if not folder:
        return None
    place = Path(folder) / DATABASE
    writer = Writer(place, bounds, lambda act: server.loop.call_soon_threadsafe(server.do, act))
    keeping = server.router.keeping
    keeping.store = writer
    if place.exists():
        keeping.used = True
        there: asyncio.Future[list[Retained] | LinkError] = server.loop.create_future()
        writer.submit(lambda ledger: ledger.retained(), there.set_result)
        values = await there
        keeping.recall([] if isinstance(values, LinkError) else values)
    return writer


def main(argv: Sequence[str]) -> int:
    """Run the hub; argv may have how many seconds it stays without clients."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)  # it tells of each connection
    paths, bounds = Paths(), Bounds()
    idle_sec = float(argv[0]) if argv else IDLE_SEC
    try:
        handles = handed_over(os.environ, os.getpid())
        left = [socket.socket(fileno=handle) for handle in handles.get(NAME, ())]
        with ways_of(handles, paths, bounds) as ways:
            serving = serve(ways, paths, os.environ, idle_sec, bounds, left[0] if left else None)
            asyncio.run(serving, loop_factory=TurnLoop)
    except AuroraError as error:
        sys.stderr.write(f"<3>{error}\n")
        return error.exit_status
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
