"""Requests and their answers: each has one server, one deadline and one end."""

from __future__ import annotations

from aurora.link.envelope import Message, deliver, opening, say
from aurora.link.refusal import Code, LinkError
from aurora.link.session import Client, Core, Pending, Subscription
from aurora.link.topics import Index

__all__ = ["Requests"]


class Requests:
    """All requests that wait, and who serves what.

    Invariant: a request is in its client's `requests` and its server's `serving` until it ends; it ends once, with an
    answer, an error of the server, its deadline, its cancellation, or one of the two being gone. Whoever waits is told.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.index: Index[Subscription] = Index(
            core.bounds.matches_cached_max, core.bounds.matches_cached_max_subscribers
        )
        self.number = 0
        """Of the last one; none has the same twice."""
        self._turn = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def check(self, client: Client, message: Message) -> None:
        """LinkError unless this request may wait beside those that do."""
        bounds = self._core.bounds
        what = f"ask {message.topic!r}"
        if message.id in client.requests:
            raise LinkError(Code.IN_USE, what, f"a request {message.id!r} waits already", remedy="another id")
        if len(client.requests) >= bounds.requests_of_one_max:
            remedy = "waiting for some of them"
            raise LinkError(Code.TOO_MANY, what, f"{len(client.requests)} of its requests wait", remedy=remedy)
        if self._count >= bounds.requests_max:
            raise LinkError(Code.TOO_MANY, what, f"{self._count} requests wait in the hub", remedy="later again")

    def ask(self, client: Client, message: Message) -> None:
        """Give an allowed request to one who serves its topic, in turn; LinkError when there is none with room."""
        self.check(client, message)
        what = f"ask {message.topic!r}"
        servers = self.index.match(message.topic)
        if not servers:
            raise LinkError(Code.NO_SERVER, what, "nobody serves it")
        msec = message.deadline_ms or self._core.bounds.request_default_msec
        self.number += 1
        hub_id = f"r{self.number}"
        begun = opening(
            "req", client.peer.name, topic=message.topic, message_id=hub_id, more=f'"deadline_ms":{msec},'
        )  # fmt: skip
        line = deliver(begun, self._core.stamped, bytes(message.data))
        self._turn += 1
        for step in range(len(servers)):
            chosen = servers[(self._turn + step) % len(servers)]
            if not chosen.waiting and chosen.queue.put(line, hub_id):
                break
        else:
            raise LinkError(Code.BUSY, what, "the queues of all who serve it are full", remedy="later again")
        pending = Pending(client, message.id, chosen.client, hub_id, message.topic)
        self.wait(pending, self._core.now_msec + msec)

    def wait(self, pending: Pending, due_msec: int) -> None:
        """Have a request wait for its answer, which its server is to give by `due_msec`."""
        pending.client.requests[pending.client_id] = pending
        pending.server.serving[pending.hub_id] = pending
        self._count += 1
        pending.timer = self._core.timers.at(due_msec, lambda: self._expire(pending))

    def reply(self, server: Client, message: Message) -> None:
        """An answer; LinkError when no such request waits for `server`."""
        pending = self._served(server, message)
        self._end(pending)
        begun = opening("rep", server.peer.name, message_id=pending.client_id)
        self._core.answer(pending.client, deliver(begun, self._core.stamped, bytes(message.data)))

    def error(self, sender: Client, message: Message) -> None:
        """A server's error, or the cancellation of one's own request; LinkError when there is no such request."""
        if message.id in sender.requests and message.code == Code.CANCELLED:
            pending = sender.requests[message.id]
            self._end(pending)
            self._tell_server(pending, Code.CANCELLED, "whoever asked no longer wants an answer")
            return
        pending = self._served(sender, message)
        self._end(pending)
        text = message.text or f"{sender.peer.name} failed"
        members = {"code": str(Code.FAILED), "text": text, "from": sender.peer.name}
        self._core.answer(pending.client, say("error", id=pending.client_id, topic=pending.topic, **members))

    def forget(self, gone: Client) -> None:
        """End all requests of a client that is gone, and all that it would have answered."""
        for pending in list(gone.requests.values()):
            self._end(pending)
            self._tell_server(pending, Code.CANCELLED, "whoever asked is gone")
        for pending in list(gone.serving.values()):
            self._end(pending)
            self._tell_client(pending, Code.NO_SERVER, f"{gone.peer.name}, who had it, is gone")

    def _served(self, server: Client, message: Message) -> Pending:
        pending = server.serving.get(message.id)
        if pending is None:
            why = f"no request {message.id!r} waits for it"
            raise LinkError(Code.NO_SUCH, "answer", why, remedy="the id of a request, within its deadline")
        return pending

    def _expire(self, pending: Pending) -> None:
        self._end(pending)
        self._tell_client(pending, Code.DEADLINE, "nobody answered in time")
        self._tell_server(pending, Code.DEADLINE, "its time is over")

    def _end(self, pending: Pending) -> None:
        self._core.timers.cancel(pending.timer)
        del pending.client.requests[pending.client_id]
        del pending.server.serving[pending.hub_id]
        self._count -= 1

    def _tell_client(self, pending: Pending, code: Code, why: str) -> None:
        error = LinkError(code, f"get an answer to {pending.topic!r}", why)
        self._core.refuse(pending.client, error, message_id=pending.client_id, topic=pending.topic)

    def _tell_server(self, pending: Pending, code: Code, why: str) -> None:
        error = LinkError(code, f"answer {pending.topic!r}", why)
        self._core.refuse(pending.server, error, message_id=pending.hub_id, topic=pending.topic)
