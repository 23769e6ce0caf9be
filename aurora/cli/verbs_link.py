"""The rows of the table of verbs for AuroraLink."""

from __future__ import annotations

from aurora.cli.verb import JSON, Argument, Takes, Verb

__all__ = ["LINK"]

_TOPIC = Argument("topic", "the topic", Takes.TEXT)
_DATA = Argument("data", "JSON, or else a text; null, if not given", Takes.TEXT, optional=True)

LINK: tuple[Verb, ...] = (
    Verb(
        "link pub", "link", "publish on AuroraLink",
        "Publishes DATA under TOPIC, and ends when the hub has taken it. Only root and the members of the group aurora"
        " may.",
        "aurora.cli.link:pub",
        (_TOPIC, _DATA, Argument("retain", "keep it for later subscribers, while the hub runs", Takes.NOTHING,
                                 ("--retain",))),
        "sudo auroractl link pub site/lamp '{\"on\": true}'",
    ),
    Verb(
        "link sub", "link", "read what is published on AuroraLink",
        "Prints what is published under topics that match a PATTERN, a line for each message, until it is interrupted"
        " or --count messages came. In a pattern + stands for any one level, # at the end for any number of them.",
        "aurora.cli.link:sub",
        (
            Argument("patterns", "the patterns", Takes.TEXT, many=True),
            Argument("count", "end after so many messages", Takes.NUMBER, ("-n", "--count")),
            Argument("within", "end after so many seconds", Takes.NUMBER, ("--within",)),
            Argument("cursor", "read what is kept of durable topics, each message once, and go on from there the next"
                     " time", Takes.TEXT, ("--cursor",)),
            JSON,
        ),
        "sudo auroractl link sub 'site/#'",
    ),
    Verb(
        "link req", "link", "ask on AuroraLink and print the answer",
        "Asks who serves TOPIC, with DATA, and prints what they answer. Exit status 66 when nobody serves it, 71 when"
        " the answer does not come in time.",
        "aurora.cli.link:req",
        (_TOPIC, _DATA, Argument("deadline", "seconds to wait for the answer", Takes.NUMBER, ("--deadline",),
                                 default="10"), JSON),
        "sudo auroractl link req lamp/set 1",
    ),
    Verb(
        "link clients", "link", "who is connected to AuroraLink",
        "Counts of the hub, and how many connections each module has. Asking connects to it, and starts it.",
        "aurora.cli.link:clients", (JSON,), "sudo auroractl link clients",
    ),
    Verb(
        "link topics", "link", "who reads what on AuroraLink, and what waits for them",
        "Every subscription: its topics, whose it is, how many messages wait to be read by it, and how many it has lost"
        " because its queue was full. Those that lost most come first.",
        "aurora.cli.link:topics", (JSON,), "sudo auroractl link topics",
    ),
    Verb(
        "link top", "link", "who talks on AuroraLink, and how much, live",
        "Every module and user that is connected: messages and bytes a second that the hub takes from it (in) and gives"
        " to it (out), what it was denied, what it has lost at the bounds of its queues, and what waits to be read by"
        " it, messages and all bytes. Anew every few seconds until q; those that lose messages or hold others up come"
        " first, then those that most waits for. Where stdout is no terminal one table is printed after one interval,"
        " or --count of them; with --json a line for each look, without end where no --count is given.",
        "aurora.cli.link_top:top",
        (
            Argument("count", "end after so many looks", Takes.NUMBER, ("-n", "--count")),
            Argument("delay", "seconds between two looks", Takes.NUMBER, ("-d", "--delay"), default="2"),
            JSON,
        ),
        "sudo auroractl link top",
    ),
    Verb(
        "link durable", "link", "what AuroraLink keeps on disk, and who has not read it",
        "How many durable messages of each module are on disk, and for each cursor how many it has not acknowledged."
        " With --forget everything that a module, or user:NAME, has there is removed: messages, cursors, values.",
        "aurora.cli.durable:durable",
        (Argument("forget", "whose messages, cursors and values are removed", Takes.TEXT, ("--forget",)), JSON),
        "sudo auroractl link durable",
    ),
    Verb(
        "link approvals", "link", "what waits for somebody to approve it, and what was answered",
        "What modules send to topics that approve under [link] names, in /etc/aurora/core.toml or a manifest, waits,"
        " five minutes at most, until root or a member of the group aurora approves or denies it; when nobody does, it"
        " is refused.",
        "aurora.cli.approvals:approvals", (JSON,), "sudo auroractl link approvals",
    ),
    Verb(
        "link approve", "link", "let a message pass that waits",
        "Lets the message ID of auroractl link approvals pass. With --for what its module sends to that topic passes"
        " unasked for that time, eight hours at most. Who approved it, and when, is in the journal of aurora-link.",
        "aurora.cli.approvals:approve",
        (
            Argument("id", "the message, such as a3", Takes.TEXT),
            Argument("grant", "how long others like it pass, such as 10min", Takes.TEXT, ("--for",)),
            JSON,
        ),
        "sudo auroractl link approve a3 --for 10min",
    ),
    Verb(
        "link deny", "link", "refuse a message that waits",
        "Refuses the message ID of auroractl link approvals; its module is told who denied it.",
        "aurora.cli.approvals:deny",
        (Argument("id", "the message, such as a3", Takes.TEXT), JSON), "sudo auroractl link deny a3",
    ),
)  # fmt: skip
"""AuroraLink, in the order of the help."""
