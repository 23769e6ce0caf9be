"""The rows of the table of verbs for signed packages."""

from __future__ import annotations

from aurora.cli.verb import JSON, Argument, Takes, Verb

__all__ = ["SIGNING"]

_DEB = Argument("deb", "the package", Takes.PACKAGE)

SIGNING: tuple[Verb, ...] = (
    Verb(
        "sign", "sign", "sign a package",
        "Adds a signature to FILE.deb, which stays an ordinary package: dpkg and apt pass it over. What is signed is"
        " all that is in the package, its name, version and architecture, the last day on which it may be installed,"
        " and the lowest version that may be gone back to once it was. A second signer signs what the first one did,"
        " and --expires and --lowest are then not given; given otherwise, they make a new statement, and the older"
        " signatures are taken away. The passphrase, or the PIN of the token that the key is in, is asked on the"
        " terminal; a PIN is given to the token once, and a wrong one not tried again.",
        "aurora.cli.sign:sign",
        (
            _DEB,
            Argument("key", "your key's name, or the path of its file; may be left out where you have one",
                     Takes.TEXT, ("--key",)),
            Argument("expires", "the last day, YYYY-MM-DD in UTC; a year from today, if not given", Takes.TEXT,
                     ("--expires",)),
            Argument("lowest", "the lowest version to go back to; its own, if not given", Takes.TEXT, ("--lowest",)),
            Argument("output", "write the signed package here, and leave FILE.deb as it is", Takes.TEXT,
                     ("-o", "--output")),
        ),
        "auroractl sign hello.deb --key release --lowest 1.0.0",
    ),
    Verb(
        "verify", "sign", "whether a package is signed by those whom the owner trusts",
        "Says who has signed FILE.deb, and whether this machine's keyring and rules accept it today, whatever"
        " /etc/aurora/core.toml has for signatures; when not, every reason. The day is that of this machine's clock."
        " Whether it holds a module that can be installed is for check to say. Exit status 0 when it is accepted, 65"
        " when it is damaged or no package, 69 when it is refused.",
        "aurora.cli.sign:verify", (_DEB, JSON), "auroractl verify hello.deb",
    ),
    Verb(
        "key new", "sign", "make a key to sign with",
        "Makes an Ed25519 key: the private one in NAME.key, which only you can read, sealed by a passphrase that is"
        " asked twice, and the public one in NAME.toml, which is for those who are to trust it. Both are put into"
        " ~/.config/aurora/keys. A passphrase that is lost cannot be had back. With --in pkcs11:token=LABEL the key is"
        " made in a token, which is a smart card, a security key, or a TPM (libtpm2-pkcs11-1), and never leaves it:"
        " NAME.key then says where it is (RFC 7512). The token's PIN is asked on the terminal, or read from the file"
        " that pin-source=file:/PATH in the URI names, which only you may read. Without module-path=/PATH of the"
        " token's library, p11-kit's settings say which libraries are asked. Needs python3-pykcs11, and p11-kit-modules"
        " where no library is named.",
        "aurora.cli.key:new",
        (
            Argument("name", "the key's name", Takes.TEXT),
            Argument("folder", "put both files into this folder; or, with pkcs11:, make the key in that token",
                     Takes.FOLDER, ("--in",)),
            Argument("no_passphrase", "do not seal it: who can read the file can sign", Takes.NOTHING,
                     ("--no-passphrase",)),
            Argument("kind", "of a key in a token; the first that the token can do, if not given", Takes.CHOICE,
                     ("--kind",), choices=("ed25519", "ecdsa-p256")),
            Argument("existing", "make no key, but use the one that the URI names and that is there", Takes.NOTHING,
                     ("--existing",)),
        ),
        "auroractl key new release",
    ),
    Verb(
        "key list", "sign", "the keys that are trusted, and your own",
        "One line for each key of /etc/aurora/keyring, with its roles and whether it counts today, and one for each"
        " private key of yours: its file, or the URI of the token that it is in.",
        "aurora.cli.key:listing", (JSON,), "auroractl key list",
    ),
    Verb(
        "key trust", "sign", "let a key sign packages for this machine",
        "Takes a public key, the NAME.toml that key new made, into /etc/aurora/keyring. Compare its digits with its"
        " owner's first. /etc/aurora/trust.toml says how many of which roles must sign which packages; without that"
        " file any one key is enough. Done again, it changes roles and days.",
        "aurora.cli.key:trust",
        (
            Argument("file", "the public key", Takes.TEXT),
            Argument("name", "its name here; its own, if not given", Takes.TEXT, ("--name",)),
            Argument("roles", "what it signs as, with commas", Takes.TEXT, ("--roles",), default="release"),
            Argument("since", "the first day on which it counts, YYYY-MM-DD", Takes.TEXT, ("--from",)),
            Argument("until", "the last day on which it counts, YYYY-MM-DD", Takes.TEXT, ("--until",)),
        ),
        "sudo auroractl key trust release.toml --roles release --until 2030-12-31",
    ),
    Verb(
        "key revoke", "sign", "let a key sign nothing any more",
        "Marks a key of /etc/aurora/keyring as revoked, for good: no signature of it counts from now on, whenever it"
        " was made. Modules that are installed stay.",
        "aurora.cli.key:revoke", (Argument("name", "the key", Takes.TEXT),), "sudo auroractl key revoke release",
    ),
)  # fmt: skip
"""Signing, trust and keys, in the order of the help."""
