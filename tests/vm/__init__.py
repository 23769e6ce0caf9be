"""The rig for tests that need a real kernel and a real systemd: Debian 13 virtual machines under QEMU.

    run, chroot, all, demo   what to type
    cli suite demo           their command lines
    conftest rerun           what tests here are given, and the rule that each of them runs
    machine                  a running machine: run, push, reboot, power_cut, wait_until   <- what a test uses
    kept layer state         machines that stay or are thrown away, disks with our package installed
    image guest initrd tree  from Debian packages to a bootable disk
    package chroot           from a source tree to .deb files, in a Debian tree made for that
    qemu tpm qmp accel ssh disk  the processes and the disks below
    flavours                 the kinds of machine and all package lists, as data
    debiandir hostpackages linters cache progress tools errors

Nothing here is imported by aurora/, and nothing here imports it.
"""
