"""The hub's state, written down for the next hub (`written`) and taken up by it (`taken_up`); `handover` has its shape.

What the next hub finds by itself is not in it: rules, gates, what is on disk, routes, and whose turn it is in a group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from aurora.link.acts import Acts
from aurora.link.approvals import HeldMessage
from aurora.link.envelope import Message, Will
from aurora.link.handover import Asked, Connected, Held, Hub, Reading, State, Subscribed, Waits
from aurora.link.refusal import LinkError
from aurora.link.retained import Retained
from aurora.link.session import NO_ROUTES, Client, Core, Cursor, Pending, Subscription, Waiting

__all__ = ["taken_up", "written"]

_encode = msgspec.json.encode
_decode_message = msgspec.json.Decoder(Message).decode
_decode_will = msgspec.json.Decoder(Will).decode


# --- written down -----------------------------------------------------------------------------------------


def written(core: Core, acts: Acts, connections: int) -> State:
    """All that the hub knows; whoever has the sockets adds where each connection is in its bytes (`Connected.wire`)."""
    due = core.timers.due()
    pending = [one for client in core.clients for one in client.requests.values()]
    hub = Hub(
        connections=connections,
        requests=acts.requests.number,
        approvals=acts.approvals.number,
        received=core.received,
        delivered=core.delivered,
        dropped=core.dropped,
        dropped_by_queues=core.total.dropped,
        denials=[(name, action, count) for (name, action), count in core.gatekeeper.denials.items()],
        retained=_values(acts),
        asked=[_asked(one, due) for one in pending],
        held=[
            Held(approval=one.approval, client=one.client.number, message=_encode(one.message))
            for one in acts.approvals.held()
        ],
        grants=[(sender, topic, until) for (sender, topic), until in acts.approvals.grants.items()],
        answers=list(acts.approvals.answers),
    )
    return State(hub=hub, clients=[_connected(client, due) for client in core.clients])


def _values(acts: Acts) -> list[Retained]:
    retained = acts.publishing.retained
    return retained.match("#") + retained.match("$sys/#")


def _asked(one: Pending, due: Mapping[int, int]) -> Asked:
    return Asked(
        client=one.client.number,
        client_id=one.client_id,
        server=one.server.number,
        hub_id=one.hub_id,
        topic=one.topic,
        due_msec=due[one.timer],
    )


def _connected(client: Client, due: Mapping[int, int]) -> Connected:
    closed = [one for one in client.ready if one.closed]
    older = [] if client.older is None else [client.older]
    subscriptions = [*client.subscriptions.values(), *closed, *older]
    place = {one: number for number, one in enumerate(subscriptions)}
    return Connected(
        number=client.number,
        peer=client.peer,
        name=client.name,
        malformed=client.malformed,
        first_line_due_msec=due.get(client.first_line_timer),
        control=list(client.control),
        will=b"" if client.will is None else _encode(client.will),
        waiting_bytes=client.waiting_bytes if client.waits else 0,
        subscriptions=[_subscribed(one, due, is_older=one is client.older) for one in subscriptions],
        ready=[place[one] for one in client.ready],
        wire=None,
    )


def _subscribed(one: Subscription, due: Mapping[int, int], *, is_older: bool) -> Subscribed:
    queue, cursor = one.queue, one.cursor
    return Subscribed(
        pattern=one.pattern,
        group=one.group,
        serve=one.serve,
        at_bound=queue.at_bound,
        max_messages=queue.max_messages,
        max_bytes=queue.max_bytes if cursor is None else cursor.window_bytes,
        dropped=queue.dropped,
        lines=queue.items(),
        waiting=[
            Waits(
                line=waiting.line,
                topic=waiting.topic,
                publisher=0 if waiting.publisher.ended else waiting.publisher.number,
                due_msec=due[waiting.timer],
            )
            for waiting in one.waiting
        ],
        reading=None if cursor is None or one.closed else _reading(cursor),
        is_older=is_older,
        closed=one.closed,
    )


def _reading(cursor: Cursor) -> Reading:
    return Reading(
        name=cursor.name,
        acked=cursor.acked,
        saved=cursor.saved,
        after=cursor.after,
        sent=list(cursor.sent),
        behind=cursor.behind,
    )


# --- taken up ---------------------------------------------------------------------------------------------


def taken_up(core: Core, acts: Acts, state: State, take_in: Callable[[Connected], Client]) -> list[Client]:
    """Have a new hub go on with `state`; its connections, in that order. `take_in` makes one that has nothing yet."""
    clients = {one.number: take_in(one) for one in state.clients}
    _go_on(core, acts, state.hub, clients)
    for one in state.clients:
        _fill(core, acts, one, clients)
    for one in state.clients:
        client = clients[one.number]
        if client.waits:
            client.waiting_bytes = one.waiting_bytes
            client.budget.charge(one.waiting_bytes)
        elif one.wire is not None and one.wire.held:
            core.resumed[client] = None
    return list(clients.values())


def _go_on(core: Core, acts: Acts, hub: Hub, clients: Mapping[int, Client]) -> None:
    core.received, core.delivered = hub.received, hub.delivered
    core.dropped, core.total.dropped = hub.dropped, hub.dropped_by_queues
    core.gatekeeper.denials.update({(name, action): count for name, action, count in hub.denials})
    for value in hub.retained:
        with suppress(LinkError):  # a later version may have other bounds
            acts.publishing.retained.keep(value)
    acts.requests.number = hub.requests
    for asked in hub.asked:
        client, server = clients[asked.client], clients[asked.server]
        acts.requests.wait(Pending(client, asked.client_id, server, asked.hub_id, asked.topic), asked.due_msec)
    approvals = acts.approvals
    approvals.number = hub.approvals
    for held in hub.held:
        approvals.wait(HeldMessage(held.approval, clients[held.client], _decode_message(held.message)))
    approvals.grants.update({(sender, topic): until for sender, topic, until in hub.grants})
    approvals.answers.extend(hub.answers)


def _fill(core: Core, acts: Acts, one: Connected, clients: Mapping[int, Client]) -> None:
    """Give a connection all that it had."""
    client = clients[one.number]
    client.name, client.malformed = one.name, one.malformed
    if one.wire is not None and one.wire.ending:
        client.ending, client.routes = True, NO_ROUTES
    if one.will:
        acts.take_up_will(client, _decode_will(one.will))
    client.control.extend(one.control)
    client.control_bytes = sum(map(len, one.control))
    client.budget.charge(client.control_bytes)
    subscriptions = [_subscription(core, acts, client, sub, clients) for sub in one.subscriptions]
    for place in one.ready:
        subscriptions[place].wake()
        client.draining += subscriptions[place].closed
    if client.control:
        core.ready[client] = None


def _subscription(
    core: Core, acts: Acts, client: Client, one: Subscribed, clients: Mapping[int, Client]
) -> Subscription:
    reading = one.reading
    found = Subscription(
        core,
        client,
        one.pattern,
        group=one.group,
        serve=one.serve,
        cursor="" if reading is None else reading.name,
        at_bound=one.at_bound,
        max_messages=one.max_messages,
        max_bytes=one.max_bytes,
    )
    found.closed = one.closed
    found.queue.fill(one.lines)
    found.queue.dropped = one.dropped
    for waits in one.waiting:
        publisher = clients.get(waits.publisher) or _gone(client, waits)
        publisher.waits += 1
        acts.publishing.wait(found, Waiting(waits.line, waits.topic, publisher), waits.due_msec)
    if reading is not None and found.cursor is not None:
        cursor = found.cursor
        cursor.acked, cursor.saved, cursor.after = reading.acked, reading.saved, reading.after
        cursor.sent.extend(reading.sent)
        cursor.behind = reading.behind
    if one.is_older:
        acts.older.enter(found)
    elif not one.closed:
        acts.enter(found)
    return found


def _gone(subscriber: Client, waits: Waits) -> Client:
    """In place of a publisher that had ended: the subscriber is charged with its message, as somebody has to be."""
    gone = Client(0, subscriber.peer, subscriber.budget, subscriber.traffic)
    gone.ended = True
    gone.waiting_bytes = len(waits.line)
    gone.budget.charge(gone.waiting_bytes)
    return gone
