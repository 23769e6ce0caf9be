"""AuroraOS Core: small programs on Debian, boxed, capped, restarted and watched by systemd.

The house, from the ground up. Imports only go down; rooms on one level do not see each other:

    L0  value       frozen values that are cheap to import, for the short verbs
        errors      what can go wrong, and how it is said
        quantity    "64M", "10s", "20%": the only conversions
        text        what a terminal must not obey
        names       unit, slice, profile and package of a module
        identity    all names of a running module, its user among them
        topics      what a topic of the message hub is, and a pattern of them
        paths       every location that is read or written
        directives  one row for each unit directive: file name, D-Bus name, kind
    L1  manifest    module.toml or module.json -> Manifest
        policy      policies/*.toml and grants -> Policy
    L2  plan        Manifest + Policy + Facts -> Plan; Plan + what runs -> Steps
    L3  emit        Plan -> unit properties, unit text, AppArmor text
    L4  host        the only room that touches the machine
    L5  runtime     records, staging, reconciliation, status, diagnosis
        update      packages
        link        AuroraLink, the local message hub
    L6  cli         auroractl
        sdk         what a module's author imports

A value flows one way: bytes -> Manifest -> Plan -> properties -> systemd. All left of `host` is pure.
Nothing here stays resident: a command acts and exits, systemd supervises.

On a machine all of it runs from a slot (`runtime.core`): debian/aurora_launch.py finds the active one, debian/rollback
takes a version back that did not stay. Both are outside of the slots, and need nothing of what is here.
"""

__version__ = "0.1.0"
