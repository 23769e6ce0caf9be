"""Tells this machine's figures every INTERVAL_SEC: cpu, memory, disks, temperatures, network.

They are one JSON line on stdout, and one message on AuroraLink, as long as that is there. Units are in the names. What
the machine has no sensor for, or does not let be read, is null: nothing is made up. Byte and packet counters count from
boot; percentages are over the time since the line before.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from aurora import sdk
from aurora.errors import AuroraError
from aurora.link.lasting import Link

INTERVAL_SEC = float(os.environ.get("INTERVAL_SEC", "5"))
TOPIC = "hoststat/figures"
LINK_TIMEOUT_SEC = 5.0
"""Well below the watchdog's time: a hub that does not answer is no hang of this module."""

Figures = dict[str, object]


def main() -> None:
    known(psutil.cpu_percent)  # a share is between two looks: this is the first
    sdk.ready("measuring")
    with sdk.link(timeout_sec=LINK_TIMEOUT_SEC) as link:
        for turn, _ in enumerate(sdk.heartbeat(INTERVAL_SEC)):
            if turn == 0:
                continue  # at once: too short a time for a share to mean anything
            line = reading()
            print(json.dumps(line, separators=(",", ":"), allow_nan=False), flush=True)
            publish(link, line)
            sdk.status(summary(line))


def publish(link: Link, line: Figures) -> None:
    """Retained, so that whoever subscribes later has the last reading at once. Without the hub it does without."""
    try:
        link.publish(TOPIC, line, retain=True)
    except AuroraError as error:
        # That the hub is away, and back again, the link itself says.
        if link.name and TOPIC not in _missed:
            _missed.add(TOPIC)
            sdk.log.warning("no reading on AuroraLink: %s", error)


def reading() -> Figures:
    """All figures, the same names in every line and on every machine."""
    return {
        "time_unix_sec": round(time.time(), 3),
        "uptime_sec": round(time.clock_gettime(time.CLOCK_BOOTTIME), 1),
        "cpu_percent": known(psutil.cpu_percent),
        "cpu_count": psutil.cpu_count(),
        "cpu_frequency_mhz": known(cpu_frequency_mhz),
        **(known(load) or dict.fromkeys(LOAD)),
        **(known(memory) or dict.fromkeys(MEMORY)),
        **(known(swap) or dict.fromkeys(SWAP)),
        "disks": known(disks),
        **(known(disk_traffic) or dict.fromkeys(DISK_TRAFFIC)),
        "temperatures_celsius": known(temperatures_celsius),
        "network": known(network),
    }


def known[T](figure: Callable[[], T]) -> T | None:
    """The figure, or None where this machine does not have it; the reason is logged the first time."""
    try:
        return figure()
    except (OSError, NotImplementedError, AttributeError) as error:  # psutil leaves out functions, too
        name = getattr(figure, "__name__", str(figure))
        if name not in _missed:
            _missed.add(name)
            sdk.log.warning("no figure for %s: %s", name, error)
        return None


_missed: set[str] = set()
"""At most one entry for each figure, and one for AuroraLink."""


def cpu_frequency_mhz() -> float | None:
    frequency = psutil.cpu_freq()
    # Virtual machines show 0 or nothing.
    return round(frequency.current, 1) if frequency and frequency.current else None


LOAD = ("load_1min", "load_5min", "load_15min")


def load() -> Figures:
    return dict(zip(LOAD, (round(value, 2) for value in os.getloadavg()), strict=True))


MEMORY = ("memory_total_bytes", "memory_available_bytes", "memory_used_bytes", "memory_used_percent")


def memory() -> Figures:
    now = psutil.virtual_memory()
    # Used is what is not available, as in free(1) and in the percentage; psutil's own "used" leaves out more.
    return dict(zip(MEMORY, (now.total, now.available, now.total - now.available, now.percent), strict=True))


SWAP = ("swap_total_bytes", "swap_used_bytes")


def swap() -> Figures:
    now = psutil.swap_memory()
    return dict(zip(SWAP, (now.total, now.used), strict=True))


def disks() -> list[Figures]:
    """The file systems in view, each once however often it is mounted; the root file system first.

    The sandbox hides trees such as /home: a file system of which nothing else is in view is not listed.
    """
    device_of = {part.mountpoint: part.device for part in psutil.disk_partitions()}
    found: list[Figures] = []
    seen: set[object] = set()
    for mount in ("/", *sorted(device_of)):
        device = device_of.get(mount)
        try:
            number, usage = Path(mount).stat().st_dev, psutil.disk_usage(mount)
        except OSError:
            continue  # not for this module's eyes
        # Subvolumes have numbers of their own on one device; bind mounts may lack the device's name.
        if number in seen or device in seen - {None}:
            continue
        seen |= {number, device}
        found.append(
            {
                "device": device,
                "mount": mount,
                "total_bytes": usage.total,
                "used_bytes": usage.used,
                "free_bytes": usage.free,
                "used_percent": usage.percent,
            }
        )
    return found


DISK_TRAFFIC = ("disk_read_bytes", "disk_written_bytes")


def disk_traffic() -> Figures:
    now = psutil.disk_io_counters()
    return dict(zip(DISK_TRAFFIC, (now.read_bytes, now.write_bytes), strict=True)) if now else {}


def temperatures_celsius() -> Figures | None:
    """Each sensor under "chip/label", or "chip/number" where a label is missing or taken; None without sensors."""
    found: Figures = {}
    for chip, sensors in psutil.sensors_temperatures().items():
        for number, sensor in enumerate(sensors):
            name = f"{chip}/{sensor.label or number}"
            found[f"{chip}/{number}" if name in found else name] = round(sensor.current, 1)
    return found or None


def network() -> list[Figures]:
    return [
        {
            "interface": name,
            "received_bytes": counters.bytes_recv,
            "sent_bytes": counters.bytes_sent,
            "received_packets": counters.packets_recv,
            "sent_packets": counters.packets_sent,
            "errors": counters.errin + counters.errout,
            "dropped_packets": counters.dropin + counters.dropout,
        }
        for name, counters in sorted(psutil.net_io_counters(pernic=True).items())
    ]


def summary(line: Figures) -> str:
    """For `systemctl status`."""
    return f"cpu {line['cpu_percent']} %, memory {line['memory_used_percent']} %, load {line['load_1min']}"


if __name__ == "__main__":
    main()
