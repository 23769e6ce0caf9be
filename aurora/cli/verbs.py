"""The table of verbs: parser, help, shell completion and man page all read these rows.

A verb's code is imported when it is called, not before, so that a short verb costs little.
"""

from __future__ import annotations

from aurora.cli.verb import JSON, MODULE, MODULES, Argument, Takes, Verb, split_command
from aurora.cli.verbs_link import LINK
from aurora.cli.verbs_signing import SIGNING
from aurora.cli.verbs_update import UPDATE

__all__ = ["GROUPS", "INTERNAL", "VERBS", "Argument", "Takes", "Verb", "families", "split_command"]


GROUPS: tuple[tuple[str, str], ...] = (
    ("see", "See what runs"),
    ("run", "Start and stop"),
    ("have", "Install and remove"),
    ("make", "Write a module"),
    ("sign", "Sign and trust packages"),
    ("link", "Talk with modules"),
    ("core", "The core itself"),
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "status", "see", "state, limits and last failure of modules",
        "Without a name, one line for each module; with one, all that is known of it. Exit status 3 when the module, or"
        " without a name one that starts at boot or has failed, is not up.",
        "aurora.cli.status:status",
        (Argument("name", "show only this module, in full", Takes.MODULE, optional=True), JSON),
        "auroractl status hoststat",
    ),
    Verb(
        "list", "see", "installed modules",
        "One line for each installed module: version, whether it starts at boot, where it came from.",
        "aurora.cli.status:listing", (JSON,), "auroractl list --json",
    ),
    Verb(
        "logs", "see", "log lines of a module",
        "Prints the module's lines from the journal, oldest first.",
        "aurora.cli.logs:logs",
        (
            MODULE,
            Argument("follow", "go on printing new lines until interrupted", Takes.NOTHING, ("-f", "--follow")),
            Argument("lines", "how many of the last lines", Takes.NUMBER, ("-n", "--lines"), default="50"),
            JSON,
        ),
        "auroractl logs -f hello",
    ),
    Verb(
        "top", "see", "what modules use, live",
        "Shows memory, CPU, pressure, tasks and restarts of every module that systemd holds, against its limits, anew"
        " every few seconds until q. The keys m, c, p, r and n sort. CPU is that of the last interval; pressure is the"
        " share of the last ten seconds in which some of the module waited for CPU, memory or disk. Where stdout is no"
        " terminal, and with --once or --json, one table is printed after one interval.",
        "aurora.cli.top:top",
        (
            Argument("once", "print one table and end", Takes.NOTHING, ("--once",)),
            Argument("delay", "seconds between two looks", Takes.NUMBER, ("-d", "--delay"), default="2"),
            Argument("sort", "what comes first", Takes.CHOICE, ("--sort",), default="cpu",
                     choices=("memory", "cpu", "pressure", "restarts", "name")),
            JSON,
        ),
        "auroractl top --sort memory",
    ),
    Verb(
        "why", "see", "why a module failed, and what to do about it",
        "One sentence of root cause, what speaks for it, and what to try, with lines for the manifest where they help."
        " The last 20 incidents of a module are kept on disk, also where the journal does not outlive a boot. Exit"
        " status 0 when nothing failed, 3 when there is a failure to explain.",
        "aurora.cli.why:why",
        (MODULE, Argument("all", "list all incidents that are kept", Takes.NOTHING, ("--all",)), JSON),
        "auroractl why hello",
    ),
    Verb(
        "doctor", "see", "what is declared against what is enforced",
        "Says what this machine can enforce, with the line to change where it cannot, and compares each thing that a"
        " module declares with what the kernel and systemd really hold: enforced, not enforced and why, or overridden"
        " by which drop-in. Without names, all modules, and only the rows that are not as declared; with names, every"
        " row of these. Where the kernel cannot be asked, the row says that systemd holds it. Changes nothing; as root"
        " it reads everything. Exit status 0 when all is as declared; 1 when something is not, or could not be read.",
        "aurora.cli.doctor:doctor",
        (Argument("names", "only these modules, every row", Takes.MODULE, many=True, optional=True), JSON),
        "sudo auroractl doctor hello",
    ),
    Verb(
        "start", "run", "start modules and wait until they are up",
        "Starts each module from its current plan and waits until it is up. A start that fails says why and leaves"
        " nothing running. A module that is up already is left alone.",
        "aurora.cli.control:start", (MODULES,), "auroractl start hello",
    ),
    Verb(
        "stop", "run", "stop modules",
        "Stops each module and waits until it is gone. One that is enabled starts again at boot.",
        "aurora.cli.control:stop", (MODULES,), "auroractl stop hello",
    ),
    Verb(
        "restart", "run", "stop modules and start them from their current plans",
        "Like stop and start; what changed since the last start takes effect.",
        "aurora.cli.control:restart", (MODULES,), "auroractl restart hello",
    ),
    Verb(
        "enable", "run", "start modules at boot",
        "Records that the modules start at boot; with --now starts them as well.",
        "aurora.cli.control:enable",
        (MODULES, Argument("now", "start them now as well", Takes.NOTHING, ("--now",))),
        "auroractl enable --now hello",
    ),
    Verb(
        "disable", "run", "do not start modules at boot",
        "Records that the modules do not start at boot; with --now stops them as well.",
        "aurora.cli.control:disable",
        (MODULES, Argument("now", "stop them now as well", Takes.NOTHING, ("--now",))),
        "auroractl disable --now hello",
    ),
    Verb(
        "run", "run", "run a folder in the foreground, boxed and capped",
        "Runs the module in DIR attached to this terminal, with all its limits and its sandbox, until it ends or"
        " Ctrl-C. Nothing is installed. Exit status: the program's.",
        "aurora.cli.foreground:run", (Argument("dir", "the module's folder", Takes.FOLDER),),
        "sudo auroractl run ./hello",
    ),
    Verb(
        "exec", "run", "run a command where a module is, within its limits",
        "Runs CMD on this terminal as the running module's user, in its folder, with its environment, its view of files"
        " and network and its AppArmor profile. It counts against the module's memory, CPU and task limits; when memory"
        " runs out CMD is ended first. It ends with the module. This is a tool for the owner, no sandbox: the module's"
        " system call filter does not hold for CMD, and --root and --outside take the rest away as well. Exit status:"
        " that of CMD; 128 + N when signal N ended it; 66 when there is no CMD there.",
        "aurora.cli.execute:execute",
        (
            Argument("name", "the module, which must be up", Takes.MODULE),
            Argument("root", "as root and under no profile, still in the module's view", Takes.NOTHING, ("--root",)),
            Argument("outside", "as root in the machine's own view; only the limits are the module's", Takes.NOTHING,
                     ("--outside",)),
            Argument("command", "the program and its arguments, which are left as they stand", Takes.COMMAND),
        ),
        "sudo auroractl exec hello -- ls -la",
    ),
    Verb(
        "install", "have", "install a module from a folder or a package, and start it",
        "A folder is checked, copied and recorded; a package goes through apt. The module is then enabled and started."
        " Installing a folder again replaces the module; when the new one does not come up, the old one is put back.",
        "aurora.cli.install:install",
        (
            Argument("source", "a module's folder, or a .deb", Takes.SOURCE),
            Argument("no_start", "do not enable and start it", Takes.NOTHING, ("--no-start",)),
        ),
        "sudo auroractl install ./hello",
    ),
    Verb(
        "remove", "have", "stop and remove modules",
        "Stops each module and removes it; its state stays unless --purge is given. A module that came as a package is"
        " removed through apt.",
        "aurora.cli.install:remove",
        (MODULES, Argument("purge", "remove its state, cache and logs too", Takes.NOTHING, ("--purge",))),
        "sudo auroractl remove --purge hello",
    ),
    *UPDATE,
    Verb(
        "credential set", "have", "give a module a secret",
        "Stores a credential that the module's manifest asks for, read from standard input, from a file, or typed in,"
        " in /etc/aurora/credentials, where only root can read it. systemd hands it to the module as a file in"
        " $CREDENTIALS_DIRECTORY when it starts. It is never an argument, in an environment or in the journal.",
        "aurora.cli.credential:store",
        (
            MODULE,
            Argument("credential", "its name in the manifest", Takes.TEXT),
            Argument("file", "take what is in this file", Takes.TEXT, ("--file",)),
            Argument("encrypt", "store it encrypted for this machine (systemd-creds)", Takes.NOTHING, ("--encrypt",)),
        ),
        "sudo auroractl credential set uplink api-key --file key.txt",
    ),
    Verb(
        "credential list", "have", "which secrets modules ask for and which are set",
        "One line for each credential that a module asks for or that is set, never what is in it.",
        "aurora.cli.credential:listing",
        (Argument("name", "only those of this module", Takes.MODULE, optional=True), JSON),
        "sudo auroractl credential list",
    ),
    Verb(
        "credential remove", "have", "forget a module's secret",
        "Removes a stored credential. The module keeps what it was handed until it stops.",
        "aurora.cli.credential:remove", (MODULE, Argument("credential", "its name", Takes.TEXT)),
        "sudo auroractl credential remove uplink api-key",
    ),
    Verb(
        "new", "make", "start a module from the template",
        "Makes the folder NAME here (or in --in DIR) with a manifest and a program that works as it is.",
        "aurora.cli.author:new",
        (
            Argument("name", "the module's name", Takes.TEXT),
            Argument("parent", "make it in this folder", Takes.FOLDER, ("--in",), default="."),
        ),
        "auroractl new my-sensor",
    ),
    Verb(
        "check", "make", "check a module and name every fault",
        "Reads the manifest and makes the plan; prints every problem with file, line, key and remedy. When it can be"
        " installed, prints what it will be able to do beyond the default, its exposure score as systemd-analyze"
        " security counts it, and what its policy and each grant add to that. Exit status 0 when it can be installed,"
        " 65 when a file is wrong, 69 when this machine or its owner refuses it.",
        "aurora.cli.author:check", (Argument("source", "a module's folder, or a .deb", Takes.SOURCE), JSON),
        "auroractl check ./hello",
    ),
    Verb(
        "plan", "make", "show what a module becomes",
        "Prints the plan of an installed module or a folder: a summary, the unit, the AppArmor profile, or all of it"
        " as JSON. Changes nothing.",
        "aurora.cli.author:plan",
        (
            Argument("subject", "an installed module, or a folder", Takes.SUBJECT),
            Argument("unit", "print it as a unit file", Takes.NOTHING, ("--unit",)),
            Argument("apparmor", "print its AppArmor profile", Takes.NOTHING, ("--apparmor",)),
            JSON,
        ),
        "auroractl plan hello --unit",
    ),
    Verb(
        "diff", "make", "show what a new version would newly be able to do",
        "Compares a module with the installed one of its name, or with OTHER: grants, policy, limits, directories, the"
        " program, and the directives and rules that come of them. Exit status 1 when the module may do or take more, 0"
        " when it may not.",
        "aurora.cli.diff:diff",
        (
            Argument("subject", "the new version: a folder, a .deb, or an installed module", Takes.SUBJECT),
            Argument("other", "compare with this instead of the installed module", Takes.SUBJECT, optional=True),
            JSON,
        ),
        "auroractl diff ./hello",
    ),
    Verb(
        "learn", "make", "see what a module does, and propose the grants for it",
        "Runs an installed module, or one in a folder (a path with a slash), LESS CONFINED for a time: what its sandbox"
        " refuses is let through and logged. Then it runs as before, and the smallest grants for what it did are"
        " printed as a change of module.toml, each with what was seen. The run ends by itself after its time, also when"
        " this command is killed. With --apply the module is installed with that change, started, and watched enforced;"
        " where something is refused that was not foreseen, it is put back. Exit status 70 when it did not come up or"
        " the proof does not hold.",
        "aurora.cli.learn:run",
        (
            Argument("subject", "an installed module, or a folder", Takes.SUBJECT),
            Argument("box", "how long to look", Takes.TEXT, ("--for",), default="10min"),
            Argument("apply", "write the proposal, and prove it", Takes.NOTHING, ("--apply",)),
            Argument("watch", "how long to watch it enforced; as long as --for, if not given", Takes.TEXT,
                     ("--watch",)),
            Argument("yes", "run it less confined without asking", Takes.NOTHING, ("--yes",)),
            JSON,
        ),
        "sudo auroractl learn hello --for 10min",
    ),
    Verb(
        "pack", "make", "make a Debian package of a module",
        "Makes aurora-module-NAME_VERSION_ARCH.deb of the folder: payload only, no maintainer scripts, the same bytes"
        " each time.",
        "aurora.cli.author:pack",
        (
            Argument("dir", "the module's folder", Takes.FOLDER),
            Argument("output", "put the package into this folder", Takes.FOLDER, ("-o", "--output"), default="."),
            Argument("arch", "the package's architecture; all unless it holds compiled programs", Takes.TEXT,
                     ("--arch",), default="all"),
        ),
        "auroractl pack ./hello",
    ),
    Verb(
        "policy list", "make", "policies that a manifest can name",
        "One line for each policy of this machine, the owner's own included, with the exposure score that it gives a"
        " module without grants: 0.0 is best, 10.0 no protection.",
        "aurora.cli.policy:listing", (JSON,), "auroractl policy list",
    ),
    Verb(
        "policy show", "make", "show a policy in full",
        "Prints what a policy is for, its directives as a unit file has them, and its AppArmor rules.",
        "aurora.cli.policy:show", (Argument("name", "the policy", Takes.POLICY), JSON), "auroractl policy show strict",
    ),
    Verb(
        "policy diff", "make", "what one policy does otherwise than another",
        "Prints the directives and AppArmor rules that differ: - those of the first, + those of the second; of a list"
        " only the words that the other one has not.",
        "aurora.cli.policy:diff",
        (
            Argument("before", "the first policy", Takes.POLICY),
            Argument("after", "the second policy", Takes.POLICY),
            JSON,
        ),
        "auroractl policy diff strict network",
    ),
    *SIGNING,
    *LINK,
    Verb(
        "apply", "core", "make the machine equal to what is installed and enabled",
        "Takes in module packages that came or went, starts what is enabled and not up, restarts what changed and only"
        " that. Outside the owner's windows new versions wait (auroractl update status). aurora-core.service runs it at"
        " boot and on reload.",
        "aurora.cli.core:apply", (JSON,), "sudo systemctl reload aurora-core",
    ),
    Verb(
        "version", "core", "print the version",
        "Prints the version of AuroraOS Core.", "aurora.cli.version:version", (JSON,), "auroractl version",
    ),
)  # fmt: skip
"""Every verb, in the order of the help."""

INTERNAL: tuple[Verb, ...] = (
    Verb(
        "apt-gate", "core", "judge what apt is about to install", "What debian/50aurora-core has apt run.",
        "aurora.cli.gate:gate", (),
    ),
    Verb(
        "core-stage", "core", "make the core that dpkg has the active one",
        "What units/aurora-core-trial.service runs first.", "aurora.cli.slots:stage", (),
    ),
    Verb(
        "core-check", "core", "look at the core that is tried", "What it runs then.", "aurora.cli.slots:check", (),
    ),
    Verb(
        "core-confirm", "core", "keep the core that is tried", "What it runs last.", "aurora.cli.slots:confirm", (),
    ),
    Verb(
        "hold-ports", "core", "hold a module to its ports", "What units/aurora-ports@.service runs.",
        "aurora.cli.ports:hold_ports", (MODULE,),
    ),
    Verb(
        "incident", "core", "record a failure", "What units/aurora-incident@.service runs when a module has failed.",
        "aurora.cli.incident:incident",
        (Argument("instance", "the module, or NAME.safe for its safe state", Takes.TEXT),),
    ),
    Verb(
        "safe-state", "core", "bring a module into its safe state", "What units/aurora-safe-state@.service runs.",
        "aurora.cli.safe_state:safe_state", (MODULE,),
    ),
)  # fmt: skip
"""What our own units, and apt, run: in no help, no completion and no manual page."""


def families() -> dict[str, list[Verb]]:
    """The verbs of two words by their first one, both in the order of the table."""
    found: dict[str, list[Verb]] = {}
    for verb in VERBS:
        first, _, second = verb.name.partition(" ")
        if second:
            found.setdefault(first, []).append(verb)
    return found
