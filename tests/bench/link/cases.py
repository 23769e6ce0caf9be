"""What is measured, by name: in the tree that measures, and for the report. Pure."""

from __future__ import annotations

from typing import NamedTuple

SUBJECT = "aurora-link"
MOSQUITTO = "mosquitto"
NATS = "nats-server"
REDIS = "redis-server"
CONTENDERS = (SUBJECT, MOSQUITTO, NATS, REDIS)

PROTOCOLS = {SUBJECT: "aurora", MOSQUITTO: "mqtt", NATS: "nats", REDIS: "resp"}
"""What the generator calls what they speak."""

UNIX = "unix"
WEBSOCKET = "websocket"
WAYS = {
    (UNIX, SUBJECT): "unix",
    (UNIX, MOSQUITTO): "unix",
    (UNIX, NATS): "tcp",
    (UNIX, REDIS): "unix",
    (WEBSOCKET, SUBJECT): "websocket",
    (WEBSOCKET, MOSQUITTO): "websocket",
    (WEBSOCKET, NATS): "websocket",
}
"""Who is there by which way, and the generator's word for it."""

FANS = {"1>1": (1, 1), "1>10": (1, 10), "4>4": (4, 1)}
"""Publishers, and subscribers of each."""
SIZES_BYTES = (128, 1024)
BATCHED = "batched"
ONE = "one a write"
BATCH_BYTES = 16 * 1024
WINDOW = 1024
WINDOW_BYTES = 512 * 1024
IDLE = (1, 1_000, 10_000)

RATE = "deliveries per CPU second"
P50 = "ping-pong, p50"
P99 = "ping-pong, p99"
MEMORY = "PSS with idle connections"
EACH = "PSS of one more idle connection"


class Stream(NamedTuple):
    """One case of throughput."""

    way: str
    fan: str
    size_bytes: int
    writing: str

    @property
    def name(self) -> str:
        """What it is called."""
        return f"{self.way} {self.fan} {self.size_bytes} B {self.writing}"

    @property
    def words(self) -> list[int]:
        """What the generator is told: publishers, subscribers of each, bytes, messages a write and under way."""
        batch = max(1, BATCH_BYTES // self.size_bytes) if self.writing == BATCHED else 1
        return [*FANS[self.fan], self.size_bytes, batch, min(WINDOW, WINDOW_BYTES // self.size_bytes)]


def streams() -> list[Stream]:
    """All cases of throughput."""
    return [
        Stream(way, fan, size, writing)
        for way in (UNIX, WEBSOCKET)
        for writing in (BATCHED, ONE)
        for fan in FANS
        for size in SIZES_BYTES
    ]
