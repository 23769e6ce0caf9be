"""Where the brokers are: starts them in turn, has the generator load them, and writes down what came of it.

python3 -m tests.bench.link.inside GENERATOR RESULT [--rounds N] [--only WORDS] [--msec N]
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.bench.link import brokers, cases, identity
from tests.bench.link.brokers import Broker
from tests.bench.names import Miss, Series

WARM_MSEC = 200
ROUND_TRIPS = 5_000
GENERATOR_MAX_SEC = 120.0


class Session:
    """All that is measured."""

    def __init__(self, generator: str, chosen: argparse.Namespace) -> None:
        self._generator = generator
        self._chosen = chosen
        self._found: dict[tuple[str, str, str], Series] = {}
        self.misses: list[Miss] = []
        self.shares: dict[str, list[float]] = {"broker": [], "generator": []}
        """Of one CPU, while something was measured."""
        self._cpu_of_broker, self._cpu = identity.cpus()
        most = brokers.files_max() // 2 - 100  # the hub has two files for each connection by the unix socket
        self._idle_counts = sorted({min(count, most) for count in cases.IDLE})
        self.pinned = self._cpu is not None

    @property
    def series(self) -> list[Series]:
        """What was measured."""
        return list(self._found.values())

    def run(self) -> None:
        """Everything that was asked for; what is chosen are cases that have all those words."""
        with tempfile.TemporaryDirectory() as folder, identity.known():
            brokers.compile_hub(Path(folder))
            self._under_load(Path(folder))
            for number in range(self._chosen.rounds):
                for way, name in cases.WAYS:
                    self._idle(way, name, Path(folder) / f"idle-{number}-{way}-{name}")

    def _under_load(self, folder: Path) -> None:
        streams = [one for one in cases.streams() if self._wanted(one.name)]
        pings = [way for way in (cases.UNIX, cases.WEBSOCKET) if self._wanted(f"{way} ping-pong")]
        if not (streams or pings):
            return
        with ExitStack() as kept:
            up = {
                name: kept.enter_context(brokers.running(name, folder / name, self._cpu_of_broker))
                for name in cases.CONTENDERS
            }
            for _ in range(self._chosen.rounds):
                for stream in streams:
                    for broker in self._there(stream.way, up):
                        self._stream(stream, broker)
                for way in pings:
                    for broker in self._there(way, up):
                        self._pingpong(way, broker)

    @staticmethod
    def _there(way: str, up: dict[str, Broker]) -> list[Broker]:
        return [broker for name, broker in up.items() if (way, name) in cases.WAYS]

    def _wanted(self, name: str) -> bool:
        return set(self._chosen.only.split()) <= set(name.split())

    def _stream(self, stream: cases.Stream, broker: Broker) -> None:
        words = ["stream", broker.pid, *stream.words, WARM_MSEC, self._chosen.msec]
        found = self._generate(cases.RATE, stream.name, broker, stream.way, words)
        if found is not None:
            rate = found["deliveries"] * 1e9 / found["broker_cpu_nsec"]
            self._note(cases.RATE, stream.name, broker.name, "a CPU s", rate)
            busy, own = (found[part] / found["nsec"] for part in ("broker_cpu_nsec", "own_cpu_nsec"))
            self.shares["broker"].append(busy)
            self.shares["generator"].append(own)
            _talk(f"{stream.name:36} {broker.name:13} {rate:12,.0f}  busy {busy:4.0%}, generator {own:4.0%}")

    def _pingpong(self, way: str, broker: Broker) -> None:
        words = ["pingpong", broker.pid, cases.SIZES_BYTES[0], ROUND_TRIPS]
        found = self._generate(cases.P50, way, broker, way, words)
        if found is not None:
            for figure, name in ((cases.P50, "p50_nsec"), (cases.P99, "p99_nsec")):
                self._note(figure, way, broker.name, "us", found[name] / 1000)
            _talk(f"{way} ping-pong {broker.name:13} {found['p50_nsec'] / 1000:.0f} us")

    def _idle(self, way: str, name: str, folder: Path) -> None:
        if not self._wanted(f"{way} idle"):
            return
        with brokers.running(name, folder, self._cpu_of_broker, connections=max(self._idle_counts) + 1) as broker:
            sizes: dict[int, float] = {}
            for count in self._idle_counts:
                command = [self._generator, *broker.words(way), "idle", str(count)]
                with subprocess.Popen(
                    identity.as_module(command, self._cpu),
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                ) as process:  # fmt: skip
                    assert process.stdout is not None
                    if not process.stdout.readline():
                        _, said = process.communicate()
                        self.misses.append(Miss(cases.MEMORY, f"{way}, {count}", name, said.strip()))
                        return
                    sizes[count] = brokers.pss_kib(broker.pid)
                    process.communicate()
                self._note(cases.MEMORY, f"{way}, {count}", name, "KiB", sizes[count])
                _talk(f"{way} idle {count:6} {name:13} {sizes[count]:,.0f} KiB")
        few, *more = self._idle_counts
        for count in more:
            each = (sizes[count] - sizes[few]) / (count - few)
            self._note(cases.EACH, f"{way}, {count}", name, "KiB", each)

    def _generate(
        self, figure: str, case: str, broker: Broker, way: str, words: Sequence[str | int]
    ) -> dict[str, Any] | None:
        command = [self._generator, *broker.words(way), *map(str, words)]
        done = subprocess.run(
            identity.as_module(command, self._cpu),
            check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=GENERATOR_MAX_SEC,
        )  # fmt: skip
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout)
            return found
        self.misses.append(Miss(figure, case, broker.name, done.stderr.strip() or f"status {done.returncode}"))
        _talk(f"{case} {broker.name}: {done.stderr.strip()}")
        return None

    def _note(self, figure: str, case: str, contender: str, unit: str, value: float) -> None:
        place = (figure, case, contender)
        self._found.setdefault(place, Series(*place, unit, [])).values.append(value)


def _talk(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def main(arguments: Sequence[str]) -> int:
    """See above; 1 when something could not be measured, or a delivery was wrong."""
    parser = argparse.ArgumentParser(prog="inside")
    parser.add_argument("generator")
    parser.add_argument("result", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--msec", type=int, default=1000)
    parser.add_argument("--only", default="")
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing of it is left behind
    session = Session(chosen.generator, chosen)
    session.run()
    found = {
        "series": [one._asdict() for one in session.series],
        "misses": [one._asdict() for one in session.misses],
        "shares": session.shares,
        "pinned": session.pinned,
        "systemd": identity.has_systemd(),
        "versions": [brokers.version(name) for name in cases.CONTENDERS],
    }
    chosen.result.write_text(json.dumps(found))
    return 1 if session.misses else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
