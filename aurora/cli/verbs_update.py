"""The rows of `auroractl update`. On the path of the short verbs, as all rows are: it imports little."""

from __future__ import annotations

from aurora.cli.verb import JSON, MODULE, MODULES, Argument, Takes, Verb

__all__ = ["UPDATE"]

UPDATE: tuple[Verb, ...] = (
    Verb(
        "update apply", "have", "try new versions, and go back where they are worse",
        "Stages new versions of installed modules beside the ones that run, swaps all of them, restarts those that were"
        " up and looks at them for a window, the longest of their manifests' [update]. When one does not come up, is"
        " restarted too often, misses its watchdog, holds more memory than its margin allows, or fails its own check,"
        " all of them are put back, and that version is not tried again by itself. Ctrl-C goes back too. An update that"
        " was interrupted is ended by the next auroractl apply or update, or at boot: by going back, unless it was"
        " confirmed. A package goes through apt once it is staged. Of a folder of packages, such as a memory stick,"
        " those that are newer than what is installed are taken, all or none of them, and what is passed over is"
        " told. What comes from an address is fetched first, at most 1.1G a package, and judged as what lies here"
        " is; cut off, it is gone on with, by the same command later as well, where its server says that it is still"
        " the same. Modules that are down are neither started nor looked at. What a version has written into its"
        " directories stays: where that is more than the disk budget of the version before, that one does not come"
        " up again, which is told. Told in the end, and"
        " kept (update history), are downtime, bytes written, the names of the keys for whose signatures a package was"
        " accepted, and messages lost: what is published on AuroraLink under the subscribe patterns of a module from"
        " just before it is stopped until it and those updated with it are up again (or the update is over), in going"
        " back as well. One of root's subscribers counts them, for which no publisher waits, and which starts the hub"
        " where that does not run. Not lost are durable messages, as their publisher's manifest says, for a module that"
        " had a cursor for them; the newest value that is retained, which it is given when it subscribes; what it sends"
        " itself; and topics below $. One that says that it is ready once it has subscribed misses at most as many, as"
        " it may have read what came when it was being stopped, or was about to be up. Where they could not be counted"
        " from beginning to end (the hub could not be reached or went away, more than 1M or 16384 messages waited for"
        " the one who counts, or the update was interrupted), it is unknown, and never said to be none. Exit"
        " status 70 when the new versions are not active at the end. /etc/aurora/core.toml may have windows, such as"
        ' [update] windows = ["Mon..Fri 02:00-04:00", "Sat 22:00-02:00"], by the clock as it shows the time there: an'
        " hour that it shows twice is open twice, and one that it leaves out is not. Outside of them this takes --now;"
        " that alone takes in what apt has brought and what waits for a window.",
        "aurora.cli.update:update",
        (
            Argument("sources", "modules' folders, .debs, folders of .debs, and addresses", Takes.OFFER, many=True,
                     optional=True),
            Argument("accept", "let them do more than the versions before", Takes.NOTHING, ("--accept",)),
            Argument("now", "outside the owner's windows as well", Takes.NOTHING, ("--now",)),
            Argument("window", "how long to look at them; 0s: only whether they come up", Takes.TEXT, ("--window",)),
            JSON,
        ),
        "sudo auroractl update apply /media/stick https://modules.example.org/hello_1.2_all.deb",
    ),
    Verb(
        "update status", "have", "what is being tried, refused or held",
        "Shows an update that has not ended, what waits for a window of its owner's and until when, and for each module"
        " its active version, the version of its package where that is another one, the version to go back to, and what"
        " is refused or held. Where another version of aurora-core runs than dpkg has, which one and why comes first.",
        "aurora.cli.update:status",
        (Argument("name", "show only this module", Takes.MODULE, optional=True), JSON),
        "auroractl update status",
    ),
    Verb(
        "update history", "have", "updates and how they ended",
        "The last 50 updates, oldest first: when, from and to which version, how it ended and why, downtime,"
        " messages lost (auroractl update apply), bytes written, whose signatures the package was accepted for, and"
        " with --json what the new version may newly do.",
        "aurora.cli.update:history",
        (Argument("name", "show only those of this module", Takes.MODULE, optional=True), JSON),
        "auroractl update history hello",
    ),
    Verb(
        "update rollback", "have", "go back to the version of a module before",
        "Ends a trial by going back; or, after an update was confirmed, makes the version before it active again in the"
        " same way, looked at as long. The version that is left is not tried again by itself. Exit status 70 when the"
        " version before is not active at the end. Once another one has been tried in its slot, even one that did not"
        " stay, there is no version before.",
        "aurora.cli.update:rollback", (MODULE, JSON), "sudo auroractl update rollback hello",
    ),
    Verb(
        "update confirm", "have", "take a version that is being tried for good",
        "Before its window is over. All modules of the same update are confirmed with it.",
        "aurora.cli.update:confirm", (MODULE, JSON), "sudo auroractl update confirm hello",
    ),
    Verb(
        "update hold", "have", "let no other version of modules in",
        "Held modules are not updated, neither by update apply or install nor by a package that apt brings.",
        "aurora.cli.update:hold", (MODULES, JSON), "sudo auroractl update hold hello",
    ),
    Verb(
        "update unhold", "have", "let other versions of modules in again",
        "What a package brought meanwhile is taken in by the next auroractl apply.",
        "aurora.cli.update:unhold", (MODULES, JSON), "sudo auroractl update unhold hello",
    ),
    Verb(
        "update core", "have", "try again the core that dpkg has",
        "A version of aurora-core is tried when its package is configured; one that did not stay is not tried again by"
        " itself. This tries it, and tells how that ended. Modules run on. Exit status 70 when that version is not in"
        " use at the end.",
        "aurora.cli.core_again:again", (JSON,), "sudo auroractl update core",
    ),
    Verb(
        "update verify", "have", "whether modules are on disk as they were staged",
        "Compares every name, kind, mode, length and byte of the active version, and of that to go back to, with what"
        " was written down when it was staged; read from the disk, not from what memory keeps of it. Without names, of"
        " all modules. (auroractl verify is about the signatures of packages.) Exit status 1 when something is damaged;"
        " for root, auroractl status then says so as well.",
        "aurora.cli.repair:verify",
        (Argument("names", "the modules", Takes.MODULE, many=True, optional=True), JSON),
        "auroractl update verify hello",
    ),
    Verb(
        "update repair", "have", "mend files of modules that are damaged on disk",
        "Takes each file that is not as it was staged from the first place that still holds its bytes, by the digest"
        " that was written down then: the module's other slots, what dpkg has laid down of its package, what --from"
        " names, and packages that apt has kept. What was not staged is removed, and what is right is not touched. A"
        " power cut leaves each file as it was or mended. No module is restarted. Without names, of all modules. Exit"
        " status 71 when something stays damaged, which is named. What is seen without reading everything (what is"
        " missing, of another kind, mode or length, and any byte of manifest and programs) is mended in the same way by"
        " every auroractl apply, so at each boot, before modules are started; a module whose manifest or program stays"
        " damaged is not started.",
        "aurora.cli.repair:repair_slots",
        (
            Argument("names", "the modules", Takes.MODULE, many=True, optional=True),
            Argument("source", "a folder or a .deb that has them", Takes.SOURCE, ("--from",)),
            JSON,
        ),
        "sudo auroractl update repair hello --from hello_1.2_all.deb",
    ),
)  # fmt: skip
"""In the order of the help."""
