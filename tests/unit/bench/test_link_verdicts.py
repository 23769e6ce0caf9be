from __future__ import annotations

from tests.bench.link import cases
from tests.bench.link.verdicts import text, verdicts
from tests.bench.names import Series

BATCHED = "unix 1>1 128 B batched"
FANNED = "unix 1>10 128 B batched"


def rate(case: str, contender: str, *values: float) -> Series:
    return Series(cases.RATE, case, contender, "a CPU s", list(values))


def of(series: list[Series], words: str) -> tuple[float | None, bool, str]:
    (found,) = [one for one in verdicts(series) if one.goal.text == words]
    return found.measured, found.met, found.case


def test_a_goal_is_measured_where_it_stands_worst() -> None:
    series = [
        rate(BATCHED, cases.SUBJECT, 900, 1000, 5000), rate(BATCHED, cases.MOSQUITTO, 50),
        rate(FANNED, cases.SUBJECT, 1000), rate(FANNED, cases.MOSQUITTO, 125),
    ]  # fmt: skip
    assert of(series, "unix socket, batched: times mosquitto") == (8.0, False, FANNED)
    assert of(series[:2], "unix socket, batched: times mosquitto") == (20.0, True, BATCHED)


def test_what_was_not_measured_is_not_met() -> None:
    assert of([], "ping-pong, p50: of mosquitto's") == (None, False, "")


def test_idle_memory_is_met_below_its_limit() -> None:
    def idle(kib: float) -> list[Series]:
        return [Series(cases.MEMORY, "unix, 1", cases.SUBJECT, "KiB", [kib])]

    assert of(idle(13_000), "hub with one idle client: KiB of PSS")[1]
    assert not of(idle(14_000), "hub with one idle client: KiB of PSS")[1]


def test_the_text_has_every_round_s_range_and_what_failed() -> None:
    series = [rate(BATCHED, cases.SUBJECT, 1_000_000, 2_000_000, 3_000_000), rate(BATCHED, cases.NATS, 4_000_000)]
    miss = {"figure": cases.RATE, "case": BATCHED, "contender": cases.REDIS, "why": "wrong delivery: …"}
    said = text({"series": [one._asdict() for one in series], "misses": [miss]}, ["Speed: …"])
    assert "1,000 k  2,000 k  3,000 k" in said
    assert "0.50 times" in said
    assert "FAILED: deliveries per CPU second, unix 1>1 128 B batched, redis-server: wrong delivery" in said
    assert "MISSED" in said
