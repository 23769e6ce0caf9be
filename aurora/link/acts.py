"""What each type of message does that a client sends."""

from __future__ import annotations

import msgspec

from aurora.link.approvals import Approvals
from aurora.link.durable import Keeping
from aurora.link.envelope import Message, Will, deliver, opening, say
from aurora.link.older import Older
from aurora.link.operator import answer, answer_of_clients, answer_of_disk, answer_of_subscriptions
from aurora.link.publishing import Publishing
from aurora.link.queue import AtBound
from aurora.link.refusal import Code, LinkError
from aurora.link.requests import Requests
from aurora.link.retained import HUB
from aurora.link.rules import Action
from aurora.link.session import Client, Core, Subscription, key_of
from aurora.link.topics import check_pattern, check_topic
from aurora.link.vocabulary import VERSION
from aurora.topics import APPROVALS, CLIENTS, DURABLE, SUBSCRIPTIONS

__all__ = ["Acts"]

_LISTED = {SUBSCRIPTIONS: answer_of_subscriptions, CLIENTS: answer_of_clients}


class Acts:
    """One method for each type; LinkError when it is refused, with nothing changed."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._bounds = core.bounds
        self.publishing = Publishing(core)
        self.keeping = Keeping(core, self.publishing, self.close)
        self.requests = Requests(core)
        self.older = Older(core, self.publishing)
        self.approvals = Approvals(core, self._pass_on)
        self._subscriptions = 0
        self._subscriptions_of: dict[str, int] = {}
        """The same by peer."""
        self._by_type = {
            "hello": self._hello,
            "sub": self._subscribe,
            "unsub": self._unsubscribe,
            "pub": self._publish,
            "req": self._ask,
            "rep": self.requests.reply,
            "error": self.requests.error,
            "ack": self._acknowledge,
            "ping": self._ping,
            "pong": self._nothing,
        }

    def do(self, client: Client, message: Message) -> None:
        """What the message asks for."""
        self._by_type[message.type](client, message)

    # --- types --------------------------------------------------------------------------------------------

    def _hello(self, client: Client, message: Message) -> None:
        if message.will is not None:
            check_topic(message.will.topic, self._bounds)
            if self._core.gatekeeper.require(client.peer, Action.PUBLISH, message.will.topic).gated:
                why = "its topic needs an approval, and nobody is left to be told"
                raise LinkError(Code.DENIED, f"leave a will for {message.will.topic!r}", why, remedy="another topic")
        self._keep_will(client, message.will)
        client.name = message.id
        if message.version:
            version = min(message.version, VERSION)
            self._core.answer(client, say("hello", version=version, id=client.peer.name, ts=self._core.wall_msec))
        elif not client.subscriptions:
            self.older.join(client)

    @staticmethod
    def _keep_will(client: Client, will: Will | None) -> None:
        """In place of an older one, charged to the peer's budget; LinkError when it has no room for it."""
        older = 0 if client.will is None else len(client.will.topic) + len(bytes(client.will.data))
        # A copy: what msgspec gives holds on to the whole line.
        kept = None if will is None else Will(topic=will.topic, data=msgspec.Raw(bytes(will.data)), retain=will.retain)
        size = 0 if kept is None else len(kept.topic) + len(bytes(kept.data))
        if size > older and not client.budget.has_room(size - older):
            why = f"too much waits already for {client.peer.name}"
            raise LinkError(Code.TOO_MANY, "leave a will", why, remedy="a smaller one")
        client.budget.give_back(older - size)
        client.will = kept

    def take_up_will(self, client: Client, will: Will) -> None:
        """Keep one that the hub before had room for."""
        client.will = will
        client.budget.charge(len(will.topic) + len(bytes(will.data)))

    def _subscribe(self, client: Client, message: Message) -> None:
        pattern, group, serve = message.topic, message.group, message.serve
        what = f"subscribe {pattern!r}"
        check_pattern(pattern, self._bounds)
        if serve and (group or message.bound == AtBound.LATEST):
            raise LinkError(Code.BAD_MEMBER, what, "who serves has no group, and needs every request")
        if message.cursor and (group or serve or message.bound):
            raise LinkError(Code.BAD_MEMBER, what, "what is read by a cursor has no group, bound or serve")
        if message.start and not message.cursor:
            raise LinkError(Code.BAD_MEMBER, what, "start says where a cursor begins, and it has none")
        if _key(message) in client.subscriptions:
            raise LinkError(Code.IN_USE, what, "it is subscribed already", remedy="unsub first")
        self._check_room(client, what)
        if message.cursor:
            self.keeping.check(client, message.cursor, pattern)
        self._core.gatekeeper.require(client.peer, Action.SERVE if serve else Action.SUBSCRIBE, pattern)
        subscription = Subscription(
            self._core,
            client,
            pattern,
            group=group,
            serve=serve,
            # Who asks is told at once that a queue is full, and not left without an answer. What a cursor reads waits
            # on disk, and nothing of it is dropped.
            at_bound=AtBound(message.bound or (AtBound.BLOCK if serve or message.cursor else AtBound.DROP_OLDEST)),
            cursor=message.cursor,
            max_messages=message.queue_messages or (self._bounds.cursor_window_messages if message.cursor else 0),
            max_bytes=message.queue_bytes,
        )
        self.older.leave(client)
        self._count(subscription)
        if subscription.cursor is not None:
            newest = message.start == "newest"
            self.keeping.subscribe(
                subscription.cursor, newest=newest, acknowledged=lambda: self._acknowledged(client, message)
            )
            return
        self._acknowledged(client, message)
        if serve:
            self.requests.index.add(pattern, subscription)
        else:
            self.publishing.add(subscription)

    def _count(self, subscription: Subscription) -> None:
        client = subscription.client
        client.subscriptions[subscription.key] = subscription
        self._subscriptions += 1
        self._subscriptions_of[client.peer.name] = self._subscriptions_of.get(client.peer.name, 0) + 1

    def enter(self, subscription: Subscription) -> None:
        """Go on with a subscription of the hub before: its client has read what is kept, and has its ack."""
        self._count(subscription)
        if subscription.cursor is not None:
            self.keeping.resume(subscription.cursor)
        elif subscription.serve:
            self.requests.index.add(subscription.pattern, subscription)
        else:
            self.publishing.enter(subscription)

    def _check_room(self, client: Client, what: str) -> None:
        """LinkError when there are as many subscriptions as may be."""
        if len(client.subscriptions) + client.draining >= self._bounds.subscriptions_of_one_max:
            raise LinkError(
                Code.TOO_MANY, what, "the connection has as many subscriptions as it may", remedy="wildcards"
            )
        own, peer = self._subscriptions_of.get(client.peer.name, 0), client.peer.name
        if own >= self._bounds.subscriptions_of_peer_max:
            raise LinkError(Code.TOO_MANY, what, f"{peer} has as many subscriptions as it may", remedy="wildcards")
        if self._subscriptions >= self._bounds.subscriptions_max:
            raise LinkError(Code.TOO_MANY, what, "the hub has as many subscriptions as it may", remedy="later again")

    def _unsubscribe(self, client: Client, message: Message) -> None:
        if message.cursor:
            self.keeping.forget(client, message.cursor, lambda result: self._kept(client, message, result))
            return
        subscription = client.subscriptions.get(_key(message))
        if subscription is None:
            raise LinkError(Code.NO_SUCH, f"unsubscribe {message.topic!r}", "it is not subscribed")
        self.close(subscription)
        self._acknowledged(client, message)

    def _publish(self, client: Client, message: Message) -> None:
        if self._is_held(client, message, Action.PUBLISH):
            return
        self._do_publish(client, message)

    def _do_publish(self, client: Client, message: Message) -> None:
        data, topic = bytes(message.data), message.topic
        durable = self._core.gatekeeper.durable(client.peer, topic)
        if durable is not None:
            self.keeping.publish(client, topic, data, durable, retain=message.retain, message_id=message.id)
            return
        if message.retain:
            self.keeping.retain(client, topic, data, lambda result: self._kept(client, message, result))
        self.publishing.deliver(self.publishing.route(client, topic), data, client)
        if not message.retain:
            self._acknowledged(client, message)

    def _kept(self, client: Client, message: Message, result: None | LinkError) -> None:
        """It is on disk now, or cannot be."""
        if isinstance(result, LinkError):
            self._core.refuse(client, result, message_id=message.id, topic=message.topic)
        else:
            self._acknowledged(client, message)

    def _ask(self, client: Client, message: Message) -> None:
        if message.topic == APPROVALS:
            said = answer(self._core, self.approvals, client.peer, bytes(message.data))
            self._report(client, message, said)
            return
        if (listed := _LISTED.get(message.topic)) is not None:
            self._report(client, message, listed(self._core, client.peer, bytes(message.data)))
            return
        if message.topic == DURABLE:
            data = bytes(message.data)
            answer_of_disk(self._core, self.keeping, client, data, lambda said: self._report(client, message, said))
            return
        self.requests.check(client, message)
        if not self._is_held(client, message, Action.REQUEST):
            self.requests.ask(client, message)

    def _report(self, client: Client, message: Message, said: bytes | LinkError) -> None:
        """What the hub itself answers."""
        if isinstance(said, LinkError):
            self._core.refuse(client, said, message_id=message.id, topic=message.topic)
        else:
            self._core.answer(client, deliver(opening("rep", HUB, message_id=message.id), self._core.stamped, said))

    def _is_held(self, client: Client, message: Message, action: Action) -> bool:
        """Check topic and rules; whether the message waits for an approval now."""
        check_topic(message.topic, self._bounds)
        decision = self._core.gatekeeper.require(client.peer, action, message.topic)
        if not decision.gated or self.approvals.granted(client.peer, message.topic):
            return False
        self._core.answer(client, say("ack", id=message.id, approval=self.approvals.hold(client, message)))
        return True

    def _pass_on(self, client: Client, message: Message) -> None:
        """An approved message, if the rules still allow it."""
        action = Action.REQUEST if message.type == "req" else Action.PUBLISH
        self._core.gatekeeper.require(client.peer, action, message.topic)
        if message.type == "req":
            self.requests.ask(client, message)
        else:
            self._do_publish(client, message)

    def _acknowledge(self, client: Client, message: Message) -> None:
        self.keeping.acknowledge(client, message.cursor, message.id)

    def _nothing(self, client: Client, message: Message) -> None:
        """A pong: it is there."""

    def _ping(self, client: Client, message: Message) -> None:
        self._core.answer(client, say("pong", id=message.id, ts=self._core.wall_msec))

    def _acknowledged(self, client: Client, message: Message) -> None:
        if message.id:
            self._core.answer(client, say("ack", id=message.id))

    # --- ends ---------------------------------------------------------------------------------------------

    def close(self, subscription: Subscription) -> None:
        """End a subscription; what its queue holds may still be read, in order."""
        client = subscription.client
        del client.subscriptions[subscription.key]
        self._subscriptions -= 1
        left = self._subscriptions_of.pop(client.peer.name) - 1
        if left:
            self._subscriptions_of[client.peer.name] = left
        if subscription.cursor is not None:
            self.keeping.leave(subscription.cursor)
        elif subscription.serve:
            self.requests.index.remove(subscription.pattern, subscription)
        else:
            self.publishing.remove(subscription)
        self.publishing.release(subscription)
        subscription.closed = True
        if subscription in client.ready:
            client.draining += 1
            # Its messages are older than what another of the client's subscriptions takes over: they come first.
            client.ready = dict.fromkeys(sorted(client.ready, key=lambda one: not one.closed))

    def recheck(self, client: Client) -> None:
        """End what the rules no longer allow, with all that it has not read, and tell the client."""
        for subscription in list(client.subscriptions.values()):
            action = Action.SERVE if subscription.serve else Action.SUBSCRIBE
            try:
                self._core.gatekeeper.require(client.peer, action, subscription.pattern)
            except LinkError as error:
                self.close(subscription)
                client.draining -= subscription in client.ready
                client.ready.pop(subscription, None)
                subscription.queue.take(subscription.queue.bytes)
                self._core.refuse(client, error, topic=subscription.pattern)
        if client.older is not None:
            try:
                self.older.join(client)
            except LinkError as error:
                self.older.leave(client)
                self._core.refuse(client, error)

    def leave_will(self, client: Client) -> None:
        """Publish it, if the rules still allow that; a gated topic takes no will, as nobody is left to be told."""
        will = client.will
        self._keep_will(client, None)
        if will is None:
            return
        decision = self._core.gatekeeper.decide(client.peer, Action.PUBLISH, will.topic)
        if not decision.allowed or (decision.gated and not self.approvals.granted(client.peer, will.topic)):
            self._core.gatekeeper.count(client.peer, Action.PUBLISH)
            return
        topic, data = will.topic, bytes(will.data)
        durable = self._core.gatekeeper.durable(client.peer, topic)
        try:
            if durable is not None:
                self.keeping.publish(client, topic, data, durable, retain=will.retain, message_id="")
                return
            if will.retain:
                self.keeping.retain(client, topic, data)
        except LinkError:
            pass  # it is not kept, then; who is there gets it all the same
        self.publishing.publish(client.peer.name, topic, data)


def _key(message: Message) -> tuple[str, str, str]:
    return key_of(message.topic, group=message.group, serve=message.serve, cursor=message.cursor)
