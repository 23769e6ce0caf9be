"""Says hello on a steady beat: the smallest useful module, and the one to copy.

Limits, restarts and the sandbox are not here: they are declared in module.toml and kept by systemd.
"""

import os

from aurora import sdk

NAME = os.environ.get("AURORA_MODULE", "hello")
INTERVAL_SEC = float(os.environ.get("INTERVAL_SEC", "5"))


def main() -> None:
    # Prepare here whatever the work needs: open files, load tables. Until ready() the module counts as starting.
    sdk.ready("saying hello")

    # One turn every INTERVAL_SEC, until systemd asks the module to stop. The watchdog is fed on the way, so a
    # turn that hangs for longer than module.toml allows gets the module restarted.
    for turn, _ in enumerate(sdk.heartbeat(INTERVAL_SEC), start=1):
        do_work(turn)

    # Tidy up here: systemd waits some seconds before it insists.
    sdk.log.info("%s says goodbye", NAME)


def do_work(turn: int) -> None:
    """Put your own work here. What is printed is in `journalctl -u aurora@NAME`."""
    print(f"hello number {turn} from {NAME}", flush=True)
    sdk.status(f"said hello {turn} times")


if __name__ == "__main__":
    main()
