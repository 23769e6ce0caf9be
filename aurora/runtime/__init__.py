"""Installed modules, and the work of making the machine equal to them.

records      what is installed and enabled, on disk     applied     what systemd was given since boot
folders      a folder -> manifest -> plan               install     staging into slots, removal
packages     module packages that came or went          reconcile   steps, and their undo
control      start, stop, restart                       diagnosis   why a start failed
status       what runs, against its limits              foreground  a module in a terminal
results      what systemd's results mean, in words      evidence    what is known of one failure
witness      systemd, kernel, journal -> evidence       refused     the kernel's words about a refusal
cause        evidence -> root cause and remedy          allowing    which grant would allow what was refused
incidents    evidence that is kept, on disk             why         the cause of how a module stands
recorder     what is done when a module has failed      given       of the plan, what a failure needs
doctor       declared against effective, of modules      abilities   what this machine can enforce
readback     all that was read about one module         verdict     a row, and how the two are compared
kernel       what the kernel shows of a directive       mounted     what its table of mounts shows
held         what systemd holds of it                ports       how it stays held to its ports
budgets      what the kernel shows of disk budgets   volumes     directories with a budget
snapshots    copies of state while an update is tried
safe_request when a module's safe state runs            safe_state  how it does       saferuns  when it last did
update       what an owner does with versions       transaction  one, carried to its end
updates      transactions and versions, on disk     watch        looking at a module for a time
missed       what modules miss while an update has them down
windows      when new versions may come in           inventory    what was staged, on disk
damage       whether slots are as they were staged   repair       mending what is not
damaged      what could not be mended, for the short verbs
core         the core's own code, tried               slots        which of its slots runs
learn        what a module does, let through            learned     what it showed, written and proven
linked       what AuroraLink's hub goes by for a module  permitted    what a version may do, to be compared
"""
