"""What the hub knows of one connection, and what all its parts share."""

from __future__ import annotations

from collections import Counter, deque

from aurora.link.bounds import Bounds
from aurora.link.envelope import Will, opening, say, stamp
from aurora.link.peer import Peer
from aurora.link.queue import AtBound, Budget, LatestQueue, Queue, Total
from aurora.link.refusal import Code, LinkError
from aurora.link.rules import Gatekeeper
from aurora.link.timers import Timers
from aurora.link.traffic import Traffic

__all__ = [
    "NO_ROUTES",
    "Client",
    "Core",
    "Cursor",
    "Group",
    "Pending",
    "Route",
    "Routes",
    "Subscription",
    "Waiting",
    "key_of",
]

QUEUE_DEFAULT_MESSAGES = 1024
QUEUE_DEFAULT_BYTES = 256 * 1024
STAMP_BYTES = len(stamp(1_700_000_000_000))
ENVELOPE_BYTES = 4096
"""More than what the hub adds to a message."""


class Routes(dict["bytes | str", "Route"]):
    """Where a peer's messages go, by topic and by the beginning of a line."""

    __slots__ = ("subscribers",)

    def __init__(self) -> None:
        super().__init__()
        self.subscribers = 0
        """Where all of them lead, those that were replaced among them."""


NO_ROUTES = Routes()
"""Of a connection that cannot publish yet, or no longer; it stays empty."""


class Client:
    """One connection. Its parts belong to the hub's files; others read them at most."""

    __slots__ = (
        "budget", "control", "control_bytes", "draining", "ended", "ending", "first_line_timer",
        "malformed", "name", "number", "older",
        "peer", "ready", "requests", "routes", "serving", "subscriptions", "traffic", "waiting_bytes", "waits", "will",
    )  # fmt: skip

    def __init__(self, number: int, peer: Peer, budget: Budget, traffic: Traffic) -> None:
        self.number = number
        self.peer = peer
        self.budget = budget
        """Of its peer: what all that waits for the peer's connections is charged to."""
        self.traffic = traffic
        """Of its peer; the connection counts the bytes that are read, the router all else."""
        self.name = ""
        """What it calls itself in hello; for people alone."""
        self.routes = NO_ROUTES
        """Shared by all connections of the peer; of this one from its first line to its end."""
        self.subscriptions: dict[tuple[str, str, str], Subscription] = {}
        """By their keys."""
        self.ready: dict[Subscription, None] = {}
        """Those with something to read, in the order of their turns."""
        self.draining = 0
        """Subscriptions that ended and still have something to read."""
        self.control: list[bytes] = []
        """Answers that wait to be read."""
        self.control_bytes = 0
        self.older: Subscription | None = None
        """Where it gets the broadcasts of older clients, while it is one."""
        self.will: Will | None = None
        self.waits = 0
        """Full queues that it waits for; nothing more is taken from it until there are none."""
        self.waiting_bytes = 0
        """What the message has with which it waits for them; charged to the budget."""
        self.requests: dict[str, Pending] = {}
        """Its own that wait, by its own id."""
        self.serving: dict[str, Pending] = {}
        """Those that it has to answer, by the hub's id."""
        self.malformed = 0
        self.first_line_timer = 0
        self.ending = False
        """The hub has given it up: nothing is taken from it any more."""
        self.ended = False


class Waiting:
    """A message that waits for room in a full queue."""

    __slots__ = ("line", "publisher", "timer", "topic")

    def __init__(self, line: bytes, topic: str, publisher: Client) -> None:
        self.line = line
        self.topic = topic
        self.publisher = publisher
        self.timer = 0


class Subscription:
    """A pattern of one client, with the queue that it fills."""

    __slots__ = ("_core", "client", "closed", "cursor", "group", "key", "pattern", "queue", "serve", "waiting")

    def __init__(
        self, core: Core, client: Client, pattern: str, *, group: str = "", serve: bool = False, cursor: str = "",
        at_bound: AtBound = AtBound.DROP_OLDEST, max_messages: int = 0, max_bytes: int = 0,
    ) -> None:  # fmt: skip
        self._core = core
        self.client = client
        self.pattern = pattern
        self.group = group
        self.serve = serve
        self.cursor = Cursor(cursor, self) if cursor else None
        """What it reads durable messages by; then it gets nothing else."""
        self.key = key_of(pattern, group=group, serve=serve, cursor=cursor)
        self.closed = False
        self.waiting: list[Waiting] = []
        """What waits for room, while the queue takes nothing else."""
        messages, size = max_messages or QUEUE_DEFAULT_MESSAGES, max_bytes or QUEUE_DEFAULT_BYTES
        if self.cursor is not None:
            self.cursor.window_bytes = size
            size += core.bounds.message_max_bytes + ENVELOPE_BYTES  # one more, of any size, is sent below the window
        if at_bound is AtBound.LATEST:
            self.queue: Queue = LatestQueue(
                max_messages=messages, max_bytes=size, budget=client.budget, wake=self.wake
            )  # fmt: skip
        else:
            self.queue = Queue(
                at_bound=at_bound, max_messages=messages, max_bytes=size, budget=client.budget, wake=self.wake
            )

    def wake(self) -> None:
        """There is something to read."""
        self.client.ready[self] = None
        self._core.ready[self.client] = None


class Cursor:
    """A cursor that is subscribed: how far it has come in what is kept on disk."""

    __slots__ = ("acked", "after", "asking", "behind", "name", "saved", "saving", "sent", "subscription",
                 "timer", "window_bytes")  # fmt: skip

    def __init__(self, name: str, subscription: Subscription) -> None:
        self.name = name
        self.subscription = subscription
        self.acked = 0
        self.saved = 0
        """So much of it is on disk."""
        self.saving = False
        self.after = 0
        """Up to here it was sent what there is."""
        self.sent: deque[tuple[int, int]] = deque()
        """Number and size of what it has not acknowledged."""
        self.window_bytes = 0
        """It is sent more while that is less."""
        self.asking = True
        """The disk is asked for it, first of all whether there is such a cursor."""
        self.behind = True
        """There may be more for it."""
        self.timer = 0


def key_of(pattern: str, *, group: str, serve: bool, cursor: str) -> tuple[str, str, str]:
    """By which a connection has a subscription once."""
    return (pattern, group, "serve" if serve else f"cursor {cursor}" if cursor else "")


class Group:
    """Those who share the messages of a pattern: one of them gets each."""

    __slots__ = ("members", "pattern", "turn")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.members: list[Subscription] = []
        self.turn = 0

    def choose(self, size: int) -> Subscription:
        """Whose turn it is; who has no room is passed over while another has. There has to be a member."""
        count = len(self.members)
        self.turn = (self.turn + 1) % count
        for step in range(count):
            member = self.members[(self.turn + step) % count]
            if member.queue.has_room(size):
                self.turn = (self.turn + step) % count
                return member
        return self.members[self.turn]


class Route:
    """Where a publisher's messages of one topic go, as long as nothing changes."""

    __slots__ = ("added_bytes", "begun", "budgets", "epoch", "groups", "plain", "queues", "topic")

    def __init__(self, epoch: int, topic: str, sender: str, found: tuple[Subscription | Group, ...]) -> None:
        self.epoch = epoch
        self.topic = topic
        self.begun = opening("pub", sender, topic=topic)
        self.added_bytes = len(self.begun) + STAMP_BYTES
        """What stands before data in a delivery, about."""
        plain: dict[Client, Subscription] = {}
        for one in found:
            if isinstance(one, Subscription):
                plain.setdefault(one.client, one)  # overlapping patterns give a message once, by the oldest of them
        self.plain = tuple((one.queue.put, one) for one in plain.values())
        self.groups = tuple(one for one in found if isinstance(one, Group))
        queues = tuple(one.queue for one in plain.values())
        one_by_one = self.groups or any(isinstance(queue, LatestQueue) for queue in queues)
        self.queues = None if one_by_one else queues
        """Where several messages can be put at once; None where each needs a look of its own."""
        self.budgets = Counter(queue.budget for queue in queues)
        """What these queues are charged to, and how many of them."""


class Pending:
    """A request that waits for its answer."""

    __slots__ = ("client", "client_id", "hub_id", "server", "timer", "topic")

    def __init__(self, client: Client, client_id: str, server: Client, hub_id: str, topic: str) -> None:
        self.client = client
        self.client_id = client_id
        self.server = server
        self.hub_id = hub_id
        self.topic = topic
        self.timer = 0


class Core:
    """What all parts of the hub share: bounds, clock, timers, rules, and who has something to read."""

    def __init__(self, bounds: Bounds, gatekeeper: Gatekeeper) -> None:
        self.bounds = bounds
        self.gatekeeper = gatekeeper
        self.total = Total(bounds.queues_max_bytes)
        self.timers = Timers()
        self.now_msec = 0
        """A clock that only goes forward, for deadlines."""
        self.wall_msec = 0
        """The time of day, for `ts`."""
        self.stamped = stamp(0)
        """The same as deliveries carry it; made once a turn."""
        self.clients: dict[Client, None] = {}
        self.ready: dict[Client, None] = {}
        """Clients that have something to read, since the server last asked."""
        self.resumed: dict[Client, None] = {}
        """Clients that waited for a full queue and no longer do."""
        self.ending: dict[Client, LinkError] = {}
        """Connections to end, and why; what the client has to read is written before, when it reads at all."""
        self.received = 0
        """Messages taken from clients."""
        self.delivered = 0
        """Lines given out."""
        self.dropped = 0
        """Messages for which a queue had no room; those that it drops itself are counted by `total`."""

    def clock(self, now_msec: int, wall_msec: int) -> None:
        """What time it is."""
        self.now_msec = now_msec
        if wall_msec != self.wall_msec:
            self.wall_msec = wall_msec
            self.stamped = stamp(wall_msec)

    def answer(self, client: Client, line: bytes) -> None:
        """Something for `client` alone; it ends the connection when answers pile up unread."""
        if client.ended:
            return
        fits = client.control_bytes + len(line) <= self.bounds.control_max_bytes
        if not (fits and client.budget.has_room(len(line))):
            self.end(client, LinkError(Code.SLOW, "answer", "the connection does not read its answers"))
            return
        self._say(client, line)

    def refuse(self, client: Client, error: LinkError, *, message_id: str = "", topic: str = "") -> None:
        """Tell `client` what it cannot have."""
        self.answer(client, say("error", code=str(error.code), text=str(error), id=message_id, topic=topic))

    def end(self, client: Client, error: LinkError) -> None:
        """Have its connection ended, after telling it why."""
        if not client.ended and not client.ending:
            client.ending = True
            client.routes = NO_ROUTES
            self.ending[client] = error
            self._say(client, say("error", code=str(error.code), text=str(error)))

    def read(self, client: Client, lines: int, size: int) -> None:
        """So much of its answers was read, or is dropped with it."""
        client.control_bytes -= size
        client.budget.give_back(size)
        self.delivered += lines

    def _say(self, client: Client, line: bytes) -> None:
        client.control.append(line)
        client.control_bytes += len(line)
        client.budget.used += len(line)
        self.ready[client] = None
