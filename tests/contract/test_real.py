"""What only a real system manager has: files that it writes for itself and reads again."""

from __future__ import annotations

import subprocess

from aurora.host.systemd import Systemd
from tests.contract.test_systemd import HARD_WORDS, LISTENS
from tests.contract.units import DEADLINE_SEC, UNIT, Properties, active, argv_of, pinned, started, transient


def reload() -> None:
    """systemd forgets all that it can read from files, and reads them."""
    subprocess.run(["systemctl", "daemon-reload"], check=True)


def test_every_word_of_a_command_survives_daemon_reload(systemd: Systemd) -> None:
    started(systemd, pinned(*LISTENS, *HARD_WORDS))
    reload()
    assert systemd.restart([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok
    assert argv_of(systemd) == [*LISTENS, *HARD_WORDS]


def test_a_pinned_unit_that_is_down_survives_daemon_reload(systemd: Systemd) -> None:
    started(systemd, pinned(*LISTENS))
    systemd.stop([UNIT], deadline_sec=DEADLINE_SEC)
    reload()
    assert active(systemd)[UNIT] == "inactive"
    assert systemd.start([UNIT], deadline_sec=DEADLINE_SEC)[UNIT].ok


def test_a_description_that_cannot_join_the_next_line_is_read_again_as_it_was(systemd: Systemd) -> None:
    # What aurora.plan makes of a description that ends in a backslash.
    more: Properties = [("Description", "s", "100% of $HOME \\ "), ("CollectMode", "s", "inactive-or-failed")]
    started(systemd, pinned(*LISTENS, more=more))
    reload()
    assert systemd.get(UNIT, "Unit", "Description", "s") == "100% of $HOME \\"
    assert systemd.get(UNIT, "Unit", "CollectMode", "s") == "inactive-or-failed"


def test_the_end_of_a_unit_that_is_at_work_is_waited_for(systemd: Systemd) -> None:
    ends = transient("/bin/sh", "-c", "sleep 3", kind="exec")
    assert started(systemd, ends)[0].ok
    assert systemd.wait_ended([UNIT], deadline_sec=DEADLINE_SEC)
    assert active(systemd).get(UNIT) in (None, "inactive")
