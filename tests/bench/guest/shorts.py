"""The CPU time of short commands while 10 modules, 10 programs and 10 containers are up; then who stays resident."""

from __future__ import annotations

from pathlib import Path

from tests.bench import names
from tests.bench.guest import modules
from tests.bench.guest.contenders import Contender, Ours
from tests.bench.guest.modules import EXEC
from tests.bench.guest.peers import Podman, Supervisord
from tests.bench.guest.results import Results
from tests.bench.guest.tools import WORK, Failed, cpu_sec, processes, say

COUNT = 10
ROUNDS = 15
WARM_UP_ROUNDS = 2

COMMANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (names.PASS, ("python3", "-c", "pass")),
    (names.STATUS, ("auroractl", "status")),
    ("auroractl list", ("auroractl", "list")),
    ("auroractl version", ("auroractl", "version")),
    ("systemctl status 'aurora@*'", ("systemctl", "status", "--no-pager", "aurora@*")),
    ("supervisorctl status", ("supervisorctl", "-c", f"{WORK}/supervisor/supervisord.conf", "status")),
    ("podman ps", ("podman", "ps")),
)


def measure(results: Results, *, quick: bool) -> None:
    """Interleave all commands, round by round."""
    case = f"{COUNT} up"
    modules.install(EXEC, modules.names(EXEC, COUNT))
    up: list[Contender] = []
    commands = list(COMMANDS)
    wanted: list[Contender] = [Ours(EXEC, names.OURS_LOADED), Supervisord(), Podman()]
    for contender in wanted:
        try:
            contender.arm(COUNT)
            up.append(contender)
            contender.start(COUNT)
            contender.check(COUNT)
        except Failed as error:
            results.miss(names.SHORT, case, contender.name, str(error))
    for number in range(-1 if quick else -WARM_UP_ROUNDS, 1 if quick else ROUNDS):
        for entry in list(commands):
            name, argv = entry
            try:
                seconds = cpu_sec(argv)
            except (Failed, OSError) as error:
                commands.remove(entry)
                results.miss(names.SHORT, case, name, str(error))
                continue
            if number >= 0:
                results.add(names.SHORT, case, name, "s", seconds)
    ours = residents()
    say(f"processes of ours: {', '.join(ours) or 'none'}")
    results.add(names.RESIDENTS, case, names.OURS, "processes", len(ours))
    for contender in up:
        contender.disarm(COUNT)


def residents() -> list[str]:
    """Command lines of processes of the core itself: whatever says aurora and is not a module."""
    found = []
    for pid in processes():
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            group = Path(f"/proc/{pid}/cgroup").read_text()
        except OSError:
            continue  # it has ended
        if ("aurora" in command or "/aurora-" in group) and "/aurora.slice/" not in group:
            found.append(f"{pid} {command}")
    return found
