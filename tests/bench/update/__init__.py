"""What an update of a module costs, against the least that it could cost, in turn in one machine, as ratios.

    tests/bench/update/run              everything, in a virtual machine
    tests/bench/update/run --quick --only "200 KiB"     parts of it, while working on one

A module of 200 KiB in 20 files and one of 20 MiB in 500 files, each in two versions that differ in every file, and in
two that differ in one file and the manifest. Each figure is measured in rounds that take the contenders in turn;
printed are median and range, and the ratio of medians to the reference. Where the machine is emulated the values mean
nothing; the ratios do, as far as both sides are made of the same work: in emulation, processor time weighs several
times what it does on a real machine, and the disk's almost nothing.

Downtime
    The module beats: each millisecond it notes the time (CLOCK_MONOTONIC) in a file in memory, and the first thing that
    the next run of it does is to look how long ago that was. So the gap is the module's own, from the last time that
    the old version did something to the first thing that the new one does, its interpreter's start included. The
    reference is `systemctl restart` of the same unit. The peer is an ordinary package, `dpkg --install` with a script
    that restarts its service: the same program, in a unit with no sandbox.
    The window is 0 s: waiting is no downtime.
Staging
    From a package: `update.unpack` (both passes), the module's checks and digests, `install.copy_to_slot` (copied,
    durable, read again, its inventory written) in one process that has imported it all; from a folder: the same without
    the package. The reference is `dpkg-deb -x` of the same package, which makes nothing durable; `dpkg-deb -x` followed
    by `sync --file-system` is a row too.
Bytes written
    By the block device (/sys/block/NAME/stat, sectors written), between two syncs: journal, metadata and what else the
    machine wrote meanwhile included. The reference is the unpacked size: the sum of the files' lengths. Of the peer the
    same, and of `systemctl restart` alone, which is the noise.
Whole command
    From before the command is run until it has ended.
The core itself
    `dpkg --install` of another version of aurora-core, by which it is staged, tried and confirmed; the reference is the
    same with aurora-core-trial.service masked, which leaves the version before in use. Modules run on through both.

Not here yet: RAUC's update, whose bundles need a slot of their own.
"""
