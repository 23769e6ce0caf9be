"""The hub without input and output: who is connected, what they send, and what they get for it.

The server tells it the time (`clock`), connections (`connect`, `disconnect`) and lines (`receive`); it asks who has
something to read (`ready`), gives it out (`take`), ends connections that the hub gave up (`ending`), and calls `run`
when `next_msec` is due. Nothing here blocks, and every answer is there when a call returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from aurora.link.acts import Acts
from aurora.link.bounds import Bounds
from aurora.link.envelope import Message, decode
from aurora.link.handover import Connected, State
from aurora.link.peer import Peer
from aurora.link.queue import Budget
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import Action, Gatekeeper, ModuleRules, Rules
from aurora.link.session import NO_ROUTES, Client, Core, Route, Routes
from aurora.link.strict import all_strict, check_json
from aurora.link.system import System
from aurora.link.takeover import taken_up, written
from aurora.link.traffic import Traffic

__all__ = ["Router"]

_DATA = b'"data":'
ENOUGH = 8
"""What is asked for is given out but for so small a part of it, which is not worth cutting a run of messages."""
RUN_BYTES = (56 * 1024, 12 * 1024, 1536)
"""How much is tried at once as messages of one beginning, as subscribers get them: at first half of what one
write takes (`width.WIDE`), less where there are others among them."""


class Router:
    """The hub's state. A call for a client that is gone does nothing."""

    def __init__(self, rules: Rules, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self.gatekeeper = Gatekeeper(rules, self._bounds)
        self._core = Core(self._bounds, self.gatekeeper)
        self._acts = Acts(self._core)
        self._publishing = self._acts.publishing
        self._system = System(self._core, self._publishing)
        self.approvals = self._acts.approvals
        self.keeping = self._acts.keeping
        self._routes: dict[str, Routes] = {}
        self._budgets: dict[str, Budget] = {}
        self._traffic: dict[str, Traffic] = {}
        self._peers: dict[str, Peer] = {}
        """One value for all connections that are alike."""
        self._of_peer: dict[str, int] = {}
        self._number = 0
        self._data_depth_max = self._bounds.depth_max - 1

    # --- for the server -----------------------------------------------------------------------------------

    def clock(self, now_msec: int, wall_msec: int) -> None:
        """What time it is: on a clock that only goes forward, and of the day. Once a turn, before its lines."""
        self._core.clock(now_msec, wall_msec)

    def connect(self, peer: Peer) -> Client:
        """Take a connection in; LinkError when it is not allowed or there are too many."""
        self.gatekeeper.admit(peer)
        count = self._of_peer.get(peer.name, 0)
        if len(self._core.clients) >= self._bounds.clients_max or count >= self._bounds.clients_of_one_max:
            whose = peer.name if count >= self._bounds.clients_of_one_max else "the hub"
            raise LinkError(
                Code.TOO_MANY, "connect", f"{whose} has as many connections as it may", remedy="later again"
            )
        self._number += 1
        return self._take_in(self._number, peer, self._core.now_msec + self._bounds.first_line_max_msec)

    def _take_in(self, number: int, peer: Peer, first_line_due_msec: int | None) -> Client:
        count = self._of_peer.get(peer.name, 0)
        self._of_peer[peer.name] = count + 1
        if not count:
            self._routes[peer.name] = Routes()
            self._traffic[peer.name] = Traffic()
        if peer.name not in self._budgets:
            self._budgets[peer.name] = Budget(self._bounds.queues_of_one_max_bytes, self._core.total)
        if self._peers.get(peer.name) != peer:
            self._peers[peer.name] = peer
        client = Client(number, self._peers[peer.name], self._budgets[peer.name], self._traffic[peer.name])
        self._core.clients[client] = None
        if first_line_due_msec is None:
            client.routes = self._routes[peer.name]
        else:
            client.first_line_timer = self._core.timers.at(first_line_due_msec, lambda: self._too_silent(client))
        self._system.changed(client, 1)
        return client

    def disconnect(self, client: Client) -> None:
        """The connection is gone: publish its will, end its requests and subscriptions, drop what it did not read."""
        if client.ended:
            return
        client.ended = True
        client.routes = NO_ROUTES
        core = self._core
        core.timers.cancel(client.first_line_timer)
        del core.clients[client]
        for kept in (core.ready, core.resumed, core.ending):
            kept.pop(client, None)
        self._acts.older.leave(client)
        for subscription in list(client.subscriptions.values()):
            self._acts.close(subscription)
        for subscription in client.ready:
            subscription.queue.take(subscription.queue.bytes)
        client.ready.clear()
        client.control.clear()
        core.read(client, 0, client.control_bytes)
        self._acts.requests.forget(client)
        self.approvals.forget(client)
        self._acts.leave_will(client)
        count = self._of_peer.pop(client.peer.name) - 1
        if count:
            self._of_peer[client.peer.name] = count
        else:
            del self._routes[client.peer.name], self._traffic[client.peer.name], self._peers[client.peer.name]
            # One that is charged with what still waits for the disk is found again by the peer's next connection.
            self._budgets = {
                name: budget for name, budget in self._budgets.items() if budget.used or name in self._of_peer
            }
        self._system.changed(client, -1)

    def receive(self, client: Client, line: bytes) -> bool:
        """Take a line, or what is one. False when it was not taken, because the client waits for a full queue: the
        same line is to come again when the client is among `resumed`.
        """
        if client.waits:
            return False
        cut = line.find(_DATA) + len(_DATA)
        route = client.routes.get(line[:cut])
        if (
            route is not None
            and route.epoch == self._publishing.epoch
            and line[-1:] == b"}"
            and len(line) <= self._bounds.message_max_bytes
        ):
            # The beginning was read before, up to its data as the last member; the end is the object's.
            data = line[cut:-1]
            try:
                check_json(data, self._data_depth_max)
            except LinkError:
                pass  # said below, of the whole line
            else:
                self._core.received += 1
                client.traffic.received += 1
                self._publishing.deliver(route, data, client)
                return True
        self._receive_slowly(client, line)
        return True

    def receive_next(self, client: Client, text: bytes, at: int, between: bytes) -> int:
        """Take the message that begins at `at`, and those behind it that have the same beginning; where the next one
        begins, or `at` when none was taken (see `receive`). `between` is a byte that stands between messages.
        """
        end = text.find(between, at)
        if end < 0:
            end = len(text)
        cut = text.find(_DATA, at, end) + len(_DATA)
        head = text[at:cut]
        if text.startswith(head, end + 1):
            route = client.routes.get(head)
            if route is not None and route.epoch == self._publishing.epoch and not client.waits:
                size_in = end - at
                size_out = size_in - cut + at + route.added_bytes
                for out in RUN_BYTES:
                    size = out * size_in // size_out
                    stop = len(text) if at + size >= len(text) else text.rfind(between, end, at + size)
                    taken = self._receive_run(client, route, text, at, cut, stop, between)
                    if taken:
                        return taken
        return end + 1 if self.receive(client, text[at:end]) else at

    def ready(self) -> list[Client]:
        """Those who have something to read now and were not named since they last had nothing."""
        found = list(self._core.ready)
        self._core.ready.clear()
        return found

    def take(self, client: Client, max_bytes: int) -> bytes:
        """What the client has to read, about `max_bytes` of it: empty only when there is nothing.

        Answers come first, then its subscriptions in turn.
        """
        lines: list[bytes] = []
        left = max_bytes
        for line in client.control:
            if left <= 0:
                break
            lines.append(line)
            left -= len(line)
        if lines:
            del client.control[: len(lines)]
            self._core.read(client, len(lines), max_bytes - left)
        answers, delivered = len(lines), 0
        while client.ready and left > max_bytes // ENOUGH:
            subscription = next(iter(client.ready))
            queue = subscription.queue
            size, count = queue.bytes, len(queue)
            taken = queue.take(left)
            left -= size - queue.bytes
            delivered += count - len(queue)
            if subscription.waiting:
                self._publishing.pump(subscription)
            lines += taken
            if not queue:
                del client.ready[subscription]
                client.draining -= subscription.closed
            elif not subscription.closed:  # what a closed one holds is older than what came after it
                del client.ready[subscription]
                client.ready[subscription] = None
        if not lines:  # each client is asked until it has nothing
            return b""
        self._core.delivered += delivered
        self._system.wake()
        data = b"".join(lines)
        traffic = client.traffic
        traffic.delivered += answers + delivered
        traffic.delivered_bytes += len(data)
        return data

    def resumed(self) -> list[Client]:
        """Those who waited for a full queue and no longer do."""
        found = [client for client in self._core.resumed if not (client.waits or client.ended)]
        self._core.resumed.clear()
        return found

    def ending(self) -> list[tuple[Client, LinkError]]:
        """Connections to end, once they were given what they have to read; each is named once."""
        found = list(self._core.ending.items())
        self._core.ending.clear()
        return found

    def next_msec(self) -> int | None:
        """When `run` is due next; None when nothing waits for a time."""
        return self._core.timers.next_msec()

    def run(self) -> None:
        """Do what is due by the clock."""
        self._core.timers.run(self._core.now_msec)

    def change(self, rules: Rules) -> None:
        """Other rules: subscriptions that they no longer allow are ended, and their clients are told."""
        self.gatekeeper.change(rules)
        self._publishing.epoch += 1
        for client in list(self._core.clients):
            self._acts.recheck(client)

    def learn(self, module: str, rules: ModuleRules) -> None:
        """What one module may do from now on. Rules of modules that are not connected are forgotten."""
        if self.gatekeeper.rules.modules.get(module, ModuleRules()) == rules:
            return
        kept = {name: known for name, known in self.gatekeeper.rules.modules.items() if name in self._of_peer}
        self.gatekeeper.change(replace(self.gatekeeper.rules, modules={**kept, module: rules}))
        if module in self._of_peer:
            self._publishing.epoch += 1
            for client in [client for client in self._core.clients if client.peer.module == module]:
                self._acts.recheck(client)

    def gate(self, patterns: tuple[str, ...]) -> None:
        """The topics where messages of modules wait for an approval from now on; what waits already goes on to."""
        if patterns != self.gatekeeper.rules.gated:
            self.gatekeeper.change(replace(self.gatekeeper.rules, gated=patterns))
            self._publishing.epoch += 1

    def end(self, client: Client, error: LinkError) -> None:
        """Give a connection up, for a reason that is the server's; it is among `ending` then. A denial is counted."""
        if error.code is Code.DENIED:
            self.gatekeeper.count(client.peer, "connect")
        self._core.end(client, error)

    def runs(self, found: Mapping[str, str]) -> None:
        """The modules that run now, each with which of its runs that is: `$sys/modules/NAME/state`."""
        self._system.runs(found)

    def state(self) -> State:
        """All that the next hub has to know; nothing may wait for the disk (`Writer.waiting`)."""
        return written(self._core, self._acts, self._number)

    def resume(self, state: State) -> list[Client]:
        """Go on where the hub before was, before anything else: its connections, in the order of `state`.

        What is on disk has to be known before; rules are to be known (`change`) before a client sends anything.
        """
        self._number = state.hub.connections

        def take_in(one: Connected) -> Client:
            return self._take_in(one.number, one.peer, one.first_line_due_msec)

        clients = taken_up(self._core, self._acts, state, take_in)
        self._system.resume()
        return clients

    def counts(self) -> dict[str, int]:
        """What `$sys/hub` says."""
        return self._system.counts()

    # --- what clients send --------------------------------------------------------------------------------

    def _receive_run(
        self, client: Client, route: Route, text: bytes, at: int, cut: int, stop: int, between: bytes
    ) -> int:
        """Messages from `at` up to `stop`, when all of them begin like the first one, up to `cut`; 0 when not all do,
        or when one of them is wrong, for which each is to be looked at.
        """
        seam = b"}%b%b" % (between, text[at:cut])
        if text[stop - 1 : stop] != b"}" or stop - at > self._bounds.message_max_bytes:
            return 0
        # What begins otherwise stays within the one before, with `between`: a line break, or no UTF-8.
        run = text[cut : stop - 1].split(seam)
        if not all_strict(run, self._data_depth_max):
            return 0
        taken = self._publishing.deliver_run(route, run, client)
        self._core.received += taken
        client.traffic.received += taken
        if taken == len(run):
            return stop + 1
        return at + sum(map(len, run[:taken])) + taken * len(seam)

    def _receive_slowly(self, client: Client, line: bytes) -> None:
        """All that is not the same beginning again."""
        line = line.strip(b" \t\r\n")  # a message by WebSocket may end with a line break
        if client.ended or client.ending or not line:
            return
        self._core.timers.cancel(client.first_line_timer)
        client.routes = self._routes[client.peer.name]
        self._core.received += 1
        client.traffic.received += 1
        try:
            if client.older is not None and self._acts.older.takes(client, line):
                return
            message = decode(line, self._bounds)
        except LinkError as error:
            self._core.refuse(client, error)
            client.malformed += error.code is not Code.DENIED
            if client.malformed >= self._bounds.malformed_max:
                self._core.end(client, error)
            return
        try:
            self._acts.do(client, message)
        except LinkError as error:
            self._core.refuse(client, error, message_id=message.id, topic=message.topic)
        else:
            if message.type == "pub" and not message.id and not message.retain:
                self._learn(client, line, message)

    def _learn(self, client: Client, line: bytes, message: Message) -> None:
        """Remember the beginning of a plain publish whose data comes last, so that the next is read faster."""
        cut = line.find(_DATA) + len(_DATA)
        if line[cut:-1] != bytes(message.data):
            return  # cheap, and rules out most; what is read again below is the proof
        if self.gatekeeper.decide(client.peer, Action.PUBLISH, message.topic).gated:
            return  # it is asked each time
        if self.gatekeeper.durable(client.peer, message.topic) is not None:
            return  # it is not on its way before it is on disk
        head = line[:cut]
        try:
            again = decode(head + b"null}", self._bounds)
        except LinkError:
            return
        if again.topic == message.topic and bytes(again.data) == b"null":
            self._publishing.remember(client, head, self._publishing.route(client, message.topic))

    def _too_silent(self, client: Client) -> None:
        why = f"it said nothing for {self._bounds.first_line_max_msec} ms"
        self._core.end(client, LinkError(Code.SILENT, "keep the connection", why, remedy="a hello at once"))
