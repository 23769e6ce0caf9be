"""The only room that touches the machine. Import what is needed from its files: each costs only what it uses.

systemd   the Protocol                 dbus      systemd over D-Bus (pystemd)
fake      the Protocol, in memory      process   other programs
files     durable files and folders    facts     what this machine can enforce
apparmor  profiles in the kernel       cgroup    what a module uses
journal   a unit's log lines           show      properties of many units
terminal  a process, until it ends     inside    a command where a module is
screen    a terminal, all of it        stream    another program's output, held to bounds
calendar  systemd's calendar events    exposure  a unit's score
netlink   the machine's networks      bpf       programs that hold a cgroup
observe   a process and its cgroup    mounts    /proc/PID/mountinfo
survey    what the machine has        syscalls  names and groups of system calls
ports     ports that may be bound, as a program
audit     the kernel's audit records as they come
snapshot  copies of folders, and back
volume    images of file systems       space     what is mounted, and what it holds
staging   modules, copied into slots
slots     slots of modules, looked into and mended through open folders
bytecode  what Python compiles, beside its files
dpkg      what dpkg says of a package   caller    who called us: root? and how it ends us
token     keys in smart cards, security keys and TPMs (PyKCS11)
download  a file from the web, going on where it was cut off
"""
