"""Comparisons side by side with peers, in one session of the test machine, printed as ratios.

    tests/bench/run             everything, about a quarter of an hour on an idle machine
    tests/bench/run --json      the same as JSON on stdout; talk stays on stderr
    tests/bench/run --quick --only start --counts 1,10 --kept NAME     parts of it, while working on one

Each figure is measured in rounds that take the contenders in turn (A B C, A B C, ...), so that a machine which
slows down slows all of them. Printed are the smallest and the middle value, and both as ratios to the reference. In
emulation the values themselves mean nothing; the ratios do. No threshold is hidden: every goal is printed with its
limit, what was measured, and whether it was met; the exit status only says whether the benchmark itself ran.

Start to ready
    N = 1, 10, 100 modules whose program is `exec sleep infinity` (readiness exec), and N = 1, 10 that are a Python
    program which sends READY=1. `auroractl start` of all N, installed before and unknown to systemd, from three states:
    - profiles in the kernel: as after `systemctl stop` of their slices;
    - as after a reboot: profiles compiled before, /run empty, nothing in the kernel;
    - nothing compiled: as the very first start.
    The floor is what systemd itself takes for the same thing: the text of the same plans (`auroractl plan NAME --unit`:
    same properties, user, slice and AppArmor profile) in unit files of other names, daemon-reload before and the
    profiles in the kernel before, then one `systemctl start` of all N. Nobody who starts N units of this sandbox
    through systemd can be faster than systemd starting files that it has already indexed, with nothing to compile;
    what `auroractl` adds (Python, manifests, plans, profiles, D-Bus) is what lies above 1.00.
    Peers run the same program: `systemd-run` one by one with no sandbox; `supervisorctl start all` of a supervisord
    that already runs (no sandbox either, startsecs=0); `podman run -d` one by one, without network. Containers are not
    started 100 at a time: that would take longer than everything else.
    The clock is that of the caller: from before the command is run until it has ended. Afterwards each program is
    checked to be up.

Memory that supervising takes
    Read while the N are up, without the programs themselves: what PID 1's proportional set size has grown by since
    `daemon-reexec` just before; supervisord's own; all conmon processes'. From N = 1 and the largest N follows what one
    more program costs.

SIGKILL to ready again
    From kill(2) on the main process to a new process that has become `sleep`, seen from outside and for all alike,
    minus the declared delay (200 ms for units, none for supervisord and podman --restart=always). For units also
    between PID 1's own timestamps (ActiveExit, ActiveEnter). Nothing of ours runs in between, so the bare unit is the
    reference.

Short commands
    CPU time, user and system, children included (getrusage), with 10 modules, programs and containers up.

Profiles
    What apparmor_parser alone takes for 10 profiles: in one run or one each, compiled before or not.

Processes of ours when idle
    With 10 modules up: processes outside aurora.slice whose command line or cgroup names aurora.
"""
