"""The message hub against Debian's brokers, in turn in one session, as ratios.

    tests/bench/link/run            everything, about ten minutes
    tests/bench/link/run --quick --only "unix 1>1"      parts of it, while working on one
    tests/bench/link/run --in-vm    in the test machine: identity by systemd, figures of an emulator

Runs in the build tree, at this machine's own speed. Hub and peers are from there: mosquitto, nats-server and
redis-server of Debian 13, each with one configuration (`brokers`): a unix socket where it has one (nats-server has none
and is reached over TCP), nothing kept on disk, no limit at which it drops. The broker has one CPU to itself and the
generator another, where there are two.

The hub is the whole one (`hub`): who connects is identified by the kernel, rules are read and kept to, each line is
validated. The generator is the module `bench`: it runs in that unit's control group. Where no systemd is, the control
group, the unit's InvocationID and the file with the module's rules are made here, as systemd and `auroractl` would
(`identity`); everything that the hub does with them is the same. Its bounds are raised for idle connections alone, as
one module may have 500.

What is sent: a JSON string of 128 B or 1 KiB, the same for all protocols, with the number of the message in it. The
generator (load/, in C) compares each delivery with what has to come next: a message that is missing, twice there, out
of order or changed fails the benchmark. At most `WINDOW` messages of a publisher are under way, which no broker has to
drop. 1>10 is one publisher and ten subscribers of its topic, 4>4 four such pairs, each with a topic of its own.
Batched: writes of up to 16 KiB. One a write: each message is written by itself.

Deliveries per CPU second
    Of the broker's process with all its threads, user and system (clock_getcpuclockid(3): what utime and stime of
    /proc/PID/stat are the sum of, in nanoseconds), while the generator keeps it busy; by that, other load on the
    machine counts little. The generator's own CPU time is printed, and how far the broker was busy.
Ping-pong
    One message there and one back, between two clients, nothing else under way. Wall time: it needs an idle machine.
Idle connections
    PSS of the broker. Pages of Python's own files count whole, though the benchmark, also Python, shares them.
"""
