"""From a publisher to the queues of those who subscribed: routes, queue groups, full queues, kept values."""

from __future__ import annotations

from aurora.link.envelope import deliver, opening
from aurora.link.queue import AtBound, Run
from aurora.link.refusal import Code, LinkError
from aurora.link.retained import HUB, Retained, RetainedStore
from aurora.link.session import NO_ROUTES, Client, Core, Group, Route, Subscription, Waiting
from aurora.link.topics import Index

__all__ = ["Publishing"]


class Publishing:
    """Subscriptions and what is delivered to them.

    Order: a publisher's messages of one topic reach each subscriber in the order in which they came.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.index: Index[Subscription | Group] = Index(
            core.bounds.matches_cached_max, core.bounds.matches_cached_max_subscribers
        )
        self.retained = RetainedStore(core.bounds)
        self.epoch = 0
        """Routes of another epoch are void."""
        self._groups: dict[tuple[str, str], Group] = {}

    # --- subscriptions ------------------------------------------------------------------------------------

    def add(self, subscription: Subscription) -> None:
        """Deliver to it from now on, and what is kept at once (but not to one of a group)."""
        self.enter(subscription)
        if subscription.group:
            return
        for kept in self.retained.match(subscription.pattern):
            begun = opening("pub", kept.sender, topic=kept.topic, more='"retained":true,')
            line = deliver(begun, b'%d,"data":' % kept.wall_msec, kept.data)
            self.put(subscription, line, kept.topic, None)

    def enter(self, subscription: Subscription) -> None:
        """Deliver to it from now on."""
        self.epoch += 1
        if subscription.group:
            key = (subscription.pattern, subscription.group)
            group = self._groups.setdefault(key, Group(subscription.pattern))
            group.members.append(subscription)
            self.index.add(subscription.pattern, group)
        else:
            self.index.add(subscription.pattern, subscription)

    def remove(self, subscription: Subscription) -> None:
        """Deliver nothing more to it; what its queue holds may still be read."""
        self.epoch += 1
        group = self._groups.get((subscription.pattern, subscription.group)) if subscription.group else None
        if group is None:
            self.index.remove(subscription.pattern, subscription)
        else:
            group.members.remove(subscription)
            if not group.members:
                del self._groups[subscription.pattern, subscription.group]
                self.index.remove(subscription.pattern, group)

    # --- messages -----------------------------------------------------------------------------------------

    def route(self, client: Client, topic: str) -> Route:
        """Where messages of an allowed and checked topic go; remembered for the client's peer."""
        found = client.routes.get(topic)
        if found is None or found.epoch != self.epoch:
            found = Route(self.epoch, topic, client.peer.name, self.index.match(topic))
            self.remember(client, topic, found)
        return found

    def remember(self, client: Client, key: bytes | str, route: Route) -> None:
        """Find it under `key` the next time."""
        routes, bounds = client.routes, self._core.bounds
        if routes is NO_ROUTES:
            return
        routes.subscribers += len(route.plain)
        if len(routes) >= bounds.routes_of_one_max or routes.subscribers > bounds.routes_of_one_max_subscribers:
            routes.clear()
            routes.subscribers = len(route.plain)
        routes[key] = route

    def deliver(self, route: Route, data: bytes, publisher: Client | None) -> None:
        """Put a message into the queues of all that the route names."""
        line = b"".join((route.begun, self._core.stamped, data, b"}\n"))
        topic = route.topic
        for put, subscription in route.plain:
            if not put(line, topic):
                self._overflow(subscription, line, topic, publisher)
        for group in route.groups:
            self.put(group.choose(len(line)), line, topic, publisher)

    def deliver_run(self, route: Route, run: list[bytes], publisher: Client) -> int:
        """The same of two messages or more in their order; how many, as the publisher may have to wait after one, or be
        ended for it.
        """
        before = route.begun + self._core.stamped
        text = (b"}\n" + before).join((before + run[0], *run[1:-1], run[-1] + b"}\n"))
        size, count = len(text), len(run)
        queues = route.queues
        if (
            queues is None
            or not all(queue.fits(size, count) for queue in queues)
            or not all(budget.has_room(size * share) for budget, share in route.budgets.items())
        ):
            for number, data in enumerate(run, 1):
                self.deliver(route, data, publisher)
                if publisher.waits or publisher.ending:
                    return number
            return count
        several = Run(text, count)
        for queue in queues:
            queue.put_run(several)
        return count

    def publish(self, sender: str, topic: str, data: bytes, *, retain: bool = False) -> None:
        """For the hub itself, and for those who are gone: no queue is waited for. LinkError as of `keep`."""
        if retain:
            self.keep(sender, topic, data)
        self.deliver(Route(self.epoch, topic, sender, self.index.match(topic)), data, None)

    def keep(self, sender: str, topic: str, data: bytes) -> None:
        """Keep the value for later subscribers; null removes it. LinkError at a bound."""
        if data.strip() == b"null":
            self.retained.remove(topic)
            return
        wall = self._core.wall_msec
        self.retained.keep(Retained(topic=topic, data=data, sender=sender, wall_msec=wall))

    def tell(self, topic: str, data: bytes, *, retain: bool = True) -> None:
        """Something of the hub's own, below $sys."""
        self.publish(HUB, topic, data, retain=retain)

    # --- full queues --------------------------------------------------------------------------------------

    def put(self, subscription: Subscription, line: bytes, topic: str, publisher: Client | None) -> None:
        """One message into one queue, with what was declared for when it is full."""
        if not subscription.queue.put(line, topic):
            self._overflow(subscription, line, topic, publisher)

    def _overflow(self, subscription: Subscription, line: bytes, topic: str, publisher: Client | None) -> None:
        queue = subscription.queue
        core = self._core
        may_wait = queue.at_bound is AtBound.BLOCK and len(line) <= queue.max_bytes
        if may_wait and publisher is not None and self._begins_to_wait(publisher, len(line)):
            self.wait(subscription, Waiting(line, topic, publisher), core.now_msec + core.bounds.block_max_msec)
            return
        self._count_dropped(subscription)
        if queue.at_bound is AtBound.DISCONNECT:
            why = f"its queue for {subscription.pattern!r} is full"
            core.end(subscription.client, LinkError(Code.SLOW, "keep the connection", why, remedy="to read faster"))

    def _count_dropped(self, subscription: Subscription) -> None:
        subscription.queue.dropped += 1
        subscription.client.budget.dropped += 1
        self._core.dropped += 1

    def wait(self, subscription: Subscription, waiting: Waiting, due_msec: int) -> None:
        """Have a message wait for room, behind those that do already; its publisher is charged with it."""
        subscription.waiting.append(waiting)
        subscription.queue.hold(held=True)
        waiting.timer = self._core.timers.at(due_msec, lambda: self._give_up(subscription, waiting))

    @staticmethod
    def _begins_to_wait(publisher: Client, size: int) -> bool:
        """Charge its message, once for all queues that it waits for; False when there is no room for that."""
        if not publisher.waits:
            if not publisher.budget.has_room(size):
                return False
            publisher.budget.used += size
            publisher.waiting_bytes = size
        publisher.waits += 1
        return True

    def pump(self, subscription: Subscription) -> None:
        """Let in what waits, as far as there is room now."""
        queue = subscription.queue
        queue.hold(held=False)
        while subscription.waiting:
            waiting = subscription.waiting[0]
            if not queue.put(waiting.line, waiting.topic):
                queue.hold(held=True)
                return
            del subscription.waiting[0]
            self._no_longer_waits(waiting)

    def release(self, subscription: Subscription) -> None:
        """Nobody waits for it any more: it is gone."""
        while subscription.waiting:
            self._no_longer_waits(subscription.waiting.pop(0))

    def _no_longer_waits(self, waiting: Waiting) -> None:
        self._core.timers.cancel(waiting.timer)
        waiting.publisher.waits -= 1
        if not waiting.publisher.waits:
            waiting.publisher.budget.give_back(waiting.publisher.waiting_bytes)
            self._core.resumed[waiting.publisher] = None

    def _give_up(self, subscription: Subscription, waiting: Waiting) -> None:
        subscription.waiting.remove(waiting)
        self._count_dropped(subscription)
        self._no_longer_waits(waiting)
        why = "a subscriber did not read in time, and is without this message"
        error = LinkError(Code.SLOW, f"publish {waiting.topic!r}", why)
        self._core.refuse(waiting.publisher, error, topic=waiting.topic)
        self.pump(subscription)
