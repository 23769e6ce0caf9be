"""What `make demo` shows, as data: each scene is a title, what it is to show, and commands typed on the machine."""

from __future__ import annotations

from dataclasses import dataclass

EXAMPLES = "/usr/share/aurora/examples"
SHOWN = "/mnt/share"
"""Where the demo's own modules are on the machine: one that hogs memory, one that hangs, one that snoops."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One phase of the demo."""

    title: str
    why: str
    commands: tuple[str, ...]
    """Typed one after the other; one that fails ends the demo."""
    until: str = ""
    """A shell condition to wait for after the first command, where something has to happen first."""
    deadline_sec: float = 120


SCENES: tuple[Scene, ...] = (
    Scene(
        title="Install",
        why="By apt, from the .deb of this tree; apt finds what it depends on.",
        commands=(
            "cd /var/lib/aurora-test/deb && apt-get install -qq -y -o Dpkg::Use-Pty=0 ./aurora-core_*.deb"
            " 2>&1 | grep -E '^(Setting up|Processing)'",
            "auroractl version",
            "systemctl is-enabled aurora-core.service && systemctl is-active aurora-core.service",
        ),
    ),
    Scene(
        title="Run the shipped modules",
        why="A heartbeat, the machine's real figures, a watcher in shell, and Debian's own mosquitto, unmodified.",
        commands=(
            "apt-get install -qq -y -o Dpkg::Use-Pty=0 mosquitto mosquitto-clients python3-psutil 2>&1"
            " | grep '^Setting up'; systemctl disable --now mosquitto 2>/dev/null",
            *(f"auroractl install {EXAMPLES}/{name}" for name in ("hello", "hoststat", "disk-watch", "broker")),
            "auroractl status",
        ),
    ),
    Scene(
        title="See one of them",
        why="A module is a unit like any other: systemctl and journalctl know it, with its limits.",
        until="journalctl -u aurora@hoststat -o cat | grep -q memory_used",
        commands=(
            "systemctl status aurora@hoststat --no-pager --lines=0",
            "journalctl -u aurora@hoststat -o cat --no-pager -n 1",
        ),
    ),
    Scene(
        title="Talk to the wrapped server",
        why="mosquitto answers on loopback, and it sees nothing else: no file of the machine, no other address.",
        commands=(
            "mosquitto_pub -p 18830 -t greeting -r -m 'hello from outside'",
            "mosquitto_sub -p 18830 -t greeting -C 1 -W 30",
            "systemd-analyze security --no-pager aurora@broker | tail -1",
        ),
    ),
    Scene(
        title="Stop a memory hog at its limit",
        why="It may have 48M. The kernel ends it there, and nothing else.",
        until="systemctl is-failed aurora@hog",
        commands=(
            f"auroractl install {SHOWN}/hog",
            "journalctl -u aurora@hog -o cat --no-pager -n 4",
            "auroractl status hog || true",
            "auroractl status hello | head -2",
        ),
    ),
    Scene(
        title="Restart a hung module by its watchdog",
        why="It promised a sign of life every 8 s, and hangs. systemd kills it and starts it again.",
        until="[ $(systemctl show -P NRestarts aurora@hung) -ge 1 ]",
        commands=(
            f"auroractl install {SHOWN}/hung",
            "journalctl -u aurora@hung -o cat --no-pager | grep -E 'Watchdog|up, and|restart'",
            "auroractl status hung || true",
        ),
    ),
    Scene(
        title="Refuse a forbidden read",
        why="The module reads what its manifest does not name. It is not there, or AppArmor says no.",
        until="journalctl -u aurora@snoop -o cat | grep -c 'could not' | grep -q 3",
        commands=(
            f"auroractl install {SHOWN}/snoop",
            "journalctl -u aurora@snoop -o cat --no-pager",
        ),
    ),
    Scene(
        title="Make a module",
        why="From the template to a running unit; then a mistake, told with file, line, key and remedy.",
        commands=(
            "cd /root && auroractl new my-sensor && auroractl install ./my-sensor && auroractl list",
            "cd /root && sed -i 's/^cpu = .*/cpu = \"fast\"/; s/^tasks = /task = /' my-sensor/module.toml"
            " && ! auroractl check my-sensor",
        ),
    ),
    Scene(
        title="Stop, start, and what is left resident",
        why="systemctl works on modules; when nothing happens, nothing of ours runs.",
        commands=(
            "systemctl stop aurora@hello && auroractl status hello | sed -n 2p",
            "systemctl start aurora@hello && auroractl status hello | sed -n 2p",
            "ps -eo pid,cgroup,args | grep '[a]urora' | grep -v aurora.slice || echo 'no process of ours'",
        ),
    ),
)
