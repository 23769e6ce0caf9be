"""Everything in the hub that can grow, and where it stops: one row for each, with what happens there."""

from __future__ import annotations

from dataclasses import dataclass

from aurora.topics import LEVELS_MAX, TOPIC_MAX_BYTES

__all__ = ["Bounds"]


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The hub's bounds; sizes in bytes, times in milliseconds. What is beyond is refused with the code in brackets."""

    message_max_bytes: int = 256 * 1024
    """A line without its end [too-large]."""
    depth_max: int = 32
    """Objects and lists within one another, the envelope's own among them [too-deep]."""
    topic_max_bytes: int = TOPIC_MAX_BYTES
    """A topic or a pattern in UTF-8 [bad-topic]."""
    levels_max: int = LEVELS_MAX
    """Levels of a topic or a pattern [bad-topic]."""
    clients_max: int = 4_000
    """Connections in all [too-many]."""
    clients_of_one_max: int = 500
    """Connections of one peer (a module, a user) [too-many]."""
    first_line_max_msec: int = 10_000
    """From connecting to the first line, a handshake among that; the connection is ended [silent]."""
    malformed_max: int = 64
    """Lines of one connection that were no message; the connection is ended with the last error."""
    subscriptions_of_one_max: int = 128
    """Subscriptions of one connection [too-many]."""
    subscriptions_of_peer_max: int = 4_000
    """Subscriptions of all connections of one peer: each takes 2 to 7 KiB of the hub's memory [too-many]."""
    subscriptions_max: int = 16_000
    """Subscriptions in all [too-many]."""
    subscriptions_listed_max: int = 1_000
    """Subscriptions in one answer to an operator; the others are only counted."""
    peers_listed_max: int = 1_000
    """Modules and users in one; the same."""
    queue_max_bytes: int = 1024 * 1024
    """The most that a subscription may ask to be kept for it [bad-member]."""
    queue_max_messages: int = 16_384
    """The same, counted in messages [bad-member]."""
    queues_max_bytes: int = 48 * 1024 * 1024
    """What waits to be read, of all together, with wills, beginnings of lines, and lines behind a full queue; a queue
    that would pass it is full, whatever its own bound."""
    queues_of_one_max_bytes: int = 8 * 1024 * 1024
    """The same of one peer, so that nobody who does not read can take the room of all."""
    control_max_bytes: int = 1024 * 1024
    """Answers that wait for one connection to read them; the connection is ended [slow]."""
    block_max_msec: int = 5_000
    """How long a publisher waits for a full queue that blocks; then the message is dropped there, and counted."""
    retained_max: int = 10_000
    """Retained values in all [too-many]."""
    retained_max_bytes: int = 16 * 1024 * 1024
    """Their topics and data together [too-many]."""
    retained_of_one_max: int = 2_000
    """Those of one publisher: each takes up to 5 KiB beside its topic and data [too-many]."""
    retained_of_one_max_bytes: int = 1024 * 1024
    """Topics and data of one publisher [too-many]."""
    requests_of_one_max: int = 256
    """Requests of one connection that wait for their answers [too-many]."""
    requests_max: int = 10_000
    """Requests in all that wait [too-many]."""
    request_default_msec: int = 10_000
    """A request's deadline when it names none."""
    request_max_msec: int = 300_000
    """The longest deadline of a request [bad-member]."""
    approvals_of_one_max: int = 16
    """Messages of one peer that wait for an approval [too-many]."""
    approvals_max: int = 256
    """The same in all [too-many]."""
    approvals_max_bytes: int = 4 * 1024 * 1024
    """Their data together [too-many]."""
    approval_max_msec: int = 300_000
    """How long a message waits for somebody to approve it; then it is refused [unanswered]."""
    grant_max_msec: int = 8 * 3_600_000
    """The longest time for which an approval lets such messages pass."""
    grants_max: int = 256
    """Such grants at one time; the one that ends first makes room."""
    gates_max: int = 1_024
    """Patterns of topics that need one, of the owner and all manifests; with more, all that modules send does."""
    decisions_kept_max: int = 256
    """Answers to approvals that are remembered; the oldest are forgotten."""
    cursors_max: int = 64
    """Cursors in all, connected or not [too-many]."""
    cursors_of_one_max: int = 8
    """Those of one peer [too-many]."""
    cursor_window_messages: int = 256
    """Durable messages that a cursor is sent before it has to acknowledge one, when it says nothing else."""
    cursor_read_max_bytes: int = 32 * 1024
    """Of them so much is read from disk at once, or one."""
    cursor_counted_max: int = 10_000
    """Messages that are looked at to count what a cursor has still to read; there may be more."""
    trim_msec: int = 60_000
    """How often durable messages that are too old are removed."""
    cursor_retry_msec: int = 1_000
    """When no room was left to queue one; then again."""
    routes_of_one_max: int = 512
    """Topics and beginnings of lines remembered for one peer; all are forgotten when there are more."""
    routes_of_one_max_subscribers: int = 16_384
    """Where all of them lead, together; the same."""
    matches_cached_max: int = 4_096
    """Topics whose subscribers are remembered; all are forgotten when there are more."""
    matches_cached_max_subscribers: int = 65_536
    """Their subscribers together; the same."""
    decisions_cached_max: int = 4_096
    """Answers of the rules that are remembered; all are forgotten when there are more."""
    denials_counted_max: int = 512
    """Peers and actions whose denials are counted apart; further ones are counted together."""
