"""What is where on a machine, and what the message hub is, for the manual pages."""

from __future__ import annotations

from aurora.policy import OWNER_FEATURES

__all__ = ["FILES", "LINK_ABOUT", "LINK_PROGRAMS"]

FILES: tuple[tuple[str, str], ...] = (
    ("package_modules", "What module packages bring: one folder each."),
    (
        "owner_core",
        "The owner's word on the core itself. accept_unenforced is a list of features that modules may go without"
        f" where this machine lacks them: {', '.join(sorted(OWNER_FEATURES))}. Without it such a module is refused."
        ' exposure_max = "3.0" refuses modules with a higher exposure score, grants_never = ["cap:*",'
        ' "network.internet"] those that ask for such a grant (:* stands for all of that name), policies_never ='
        ' ["trusted"] those under such a policy: when they are checked, installed and started, at boot too. What runs'
        ' when the file is changed goes on until it is stopped. signatures = "required" refuses module packages that'
        ' are not signed by those whom the owner trusts, "warn" tells and takes them, "off" does not look. It is off'
        " unless it is set, as a machine on which no key is trusted yet could install no package. It is judged by"
        " install and by apt (/etc/apt/apt.conf.d/50aurora-core), before anything of the package is written, for"
        " aurora-core itself too, and again when core takes in what dpkg has laid down: what came past both, by dpkg"
        " alone, was not judged, is not taken in and does not run. A folder that root installs has no signature, and is"
        " not asked for one. approve"
        ' under [link], such as ["actuator/#"], has what modules publish or ask under such topics wait until root or a'
        " member of the group aurora approves it (auroractl link approvals): what the hub is told next goes by it, and"
        " while the file is wrong, all that modules send waits. origins under"
        ' [link] lists the web pages that may talk to AuroraLink, such as ["https://panel.example"]; no other may, and'
        " each connection goes by what is listed when it is made.",
    ),
    ("owner_policies", "The owner's policies; one of a package's name replaces it."),
    (
        "owner_modules",
        "NAME.toml is the owner's file for a module: keys of its manifest, which they replace. A module package brings"
        " an empty one, and the module's state is kept until it is purged.",
    ),
    ("owner_credentials", "Secrets of modules, for root alone."),
    (
        "owner_keyring",
        "NAME.toml is a key that may sign packages: name, public, roles, and where they are given valid_from,"
        " valid_until and revoked, days such as 2027-11-30. public is 64 hexadecimal digits for Ed25519, and for"
        " another kind begins with its name: ecdsa-p256:02... Only root may write there.",
    ),
    (
        "owner_trust",
        'Who must sign which packages: tables [[rule]] with packages = ["aurora-module-*"] and signers = { release = 2,'
        " qa = 1 }, how many keys of which roles; no key counts for two. The first rule whose pattern is the package's"
        ' name decides; a package that none names is refused. "*" is any role. Without this file one key of any role is'
        " enough.",
    ),
    ("policies", "The package's policies and grants."),
    ("template", "What new copies."),
    ("records", "What is installed, and what starts at boot."),
    ("modules", "The modules as they run."),
    ("volumes", "Disk images of directories that have a budget; mounted from a module's first start on."),
    (
        "accepted",
        "Which package of each module was accepted last, by whom, until when it may be taken in, and the lowest version"
        " to go back to. It goes when the module is purged.",
    ),
    (
        "core",
        "The core's own code in two slots: active leads to the one that runs. What dpkg has unpacked is staged in the"
        " other one, tried by aurora-core-trial.service, and confirmed or taken back by aurora-core-rollback.service."
        " Without it dpkg's own copy runs.",
    ),
    (
        "updates",
        "Updates, those that have ended among them, and 256 KiB of room to end one by, should others fill the disk.",
    ),
    ("incidents", "The last failures of each module, with their last log lines; for those who may read the journal."),
    ("cache", "Compiled AppArmor profiles."),
    ("link_socket", "Where AuroraLink listens; auroralink(7)."),
    ("runtime", "What is true until the next boot."),
)
"""Property of `Paths` and what is there."""

LINK_ABOUT = (
    "Modules of this machine and its people talk through a hub at /run/aurora/link.sock, a unix stream socket, a line"
    " of JSON for each message. systemd holds the socket; aurora-link.service starts with the first client and ends"
    " half a minute after the last one. What is kept for later subscribers is kept as long as the hub runs. An upgrade"
    " of AuroraOS Core and systemctl restart aurora-link.service bring a new one, to which all connections go over."
    " To stop aurora-link.socket stops all modules that have a [link] table.",
    "The same hub is at ws://127.0.0.1:9801 and ws://[::1]:9801 by WebSocket (RFC 6455), without compression: each text"
    " message is one message, without line breaks within. Binary ones end the connection (close code 1003), as do those"
    " that are no UTF-8 (1007) or too long (1009); before a connection is ended for another reason (1008) an error"
    " message says which, and 1001 says that the hub goes. Who sends nothing for 20 seconds is pinged, and ended when"
    " nothing came for a minute. A browser tells the hub which page asks: none is let in whose origin is not listed"
    " under [link] origins in /etc/aurora/core.toml. Programs name no origin. aurora-link-websocket.socket holds the"
    " addresses; systemctl mask --now aurora-link-websocket.socket closes them once the hub has ended, as after"
    " systemctl stop aurora-link.service.",
    "Who connects is known by the kernel, and cannot say otherwise. A module is known by its unit,"
    " aurora@NAME.service, and may do what [link] in its manifest says; its address is in AURORA_LINK. By WebSocket it"
    " comes where its policy or a grant lets it talk with programs on this machine (network.loopback). root may do"
    " everything, and so may the members of the group aurora, which the owner makes (addgroup --system aurora)."
    " Others are refused and told why, among them what auroractl run and learn have started, and what exec runs as the"
    " module's user. A connection on the unix socket ends with the process that made it, one by WebSocket ten seconds"
    " after the unit's run at the latest, even where it was handed on.",
    "By WebSocket the kernel says in which unit a socket was made, and whose it is. So a program that makes a socket as"
    " root and hands it on, or goes on as somebody else, hands on root's rights on the hub with it. Members of the"
    " group aurora are those that the user database names when the connection is made.",
    "While an update restarts a module, one of root's clients is subscribed to the patterns of its manifest, and"
    " counts what it misses. auroractl(1) says at update apply what counts as lost. A module to which nothing may be"
    " lost reads durable topics by a cursor.",
)
"""Paragraphs on AuroraLink."""

LINK_PROGRAMS = (
    "A program takes part with what its language has. /usr/share/aurora/examples has one each in shell (link-shell,"
    " with socat), C (link-c), Python (link-python, and link-asyncio with asyncio) and JavaScript (link-js, in Node and"
    " in a web page): modules to be copied. hoststat there publishes the machine's figures as hoststat/figures, and"
    " load-alert tells when one of them has been too high for some time."
)
"""For auroralink(7): where programs are that use it."""
