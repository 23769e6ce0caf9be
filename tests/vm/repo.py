"""`make repo`: a signed apt repository of this tree's packages and of its modules as packages.

It is one flat folder, which any web server or memory stick can carry:

    pool/*.deb                   the packages
    Packages, Packages.xz        what there is
    Release, InRelease           their digests; InRelease is signed, and Release.gpg signs Release for older readers
    aurora-repository.asc        the public key
    aurora-repository.sources    for /etc/apt/sources.list.d, once the place of the folder is put in

apt-ftparchive is a part of apt, made by those who make the reader, and keeps nothing from one run to the next: the
folder is made anew of its packages, and says nothing that they do not. reprepro has a database of its own, which has to
be kept beside it and can differ from it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.vm import cache, chroot, cli, debiandir, hostpackages
from tests.vm.errors import RigError
from tests.vm.package import packages
from tests.vm.progress import step
from tests.vm.tools import must

OUTPUT = debiandir.CHECKOUT / "dist/repo"
PROGRAMS = {"apt-ftparchive": "apt-utils", "gpg": "gpg", "gpgconf": "gpgconf", "xz": "xz-utils"}
"""Program on PATH -> the Debian package that has it."""
PUBLIC_KEY = "aurora-repository.asc"
SOURCES = f"""\
Types: deb
URIs: file:/where/this/folder/is
Suites: ./
Signed-By: /etc/apt/keyrings/{PUBLIC_KEY}
"""
RELEASE = {"Origin": "AuroraOS Core", "Label": "AuroraOS Core", "Suite": "stable"}
"""What an owner's rules (apt_preferences(5), unattended-upgrades) can name the repository by."""

_AURORACTL = """
set -e
work=$(mktemp -d)
dpkg-deb --extract /build/aurora-core_*.deb "$work"
auroractl() {
    PYTHONPATH="$work/usr/lib/python3/dist-packages" \\
        python3 -c 'import sys; from aurora.cli.main import main; sys.exit(main(sys.argv[1:]))' "$@" >&2
}
"""
"""With the auroractl of the package that is to go into the repository."""
# A program that has to be compiled first is packed by whoever has done that.
_PACK = """
for one in "$work"/usr/share/aurora/examples/*/; do
    if ls "$one"*.c >/dev/null 2>&1; then continue; fi
    auroractl pack "$one" --output /build
done
"""
_SIGNING = "sign the packages"
_OF_A_TOKEN = b"aurora-core token key "
"""What the file of a key begins with that is in a token."""
_SIGN = 'for deb in /build/*.deb; do auroractl sign "$deb" --key "/mnt/$0"; done'


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key of GnuPG, which signs the repository."""

    name: str
    """As gpg --local-user takes it."""
    home: Path | None = None
    """GnuPG's folder; None: the caller's own."""

    def argv(self, *arguments: str) -> list[str]:
        """What runs gpg on it."""
        return ["gpg", "--batch", "--yes", *_home(self.home), "--local-user", self.name, *arguments]


def _home(home: Path | None) -> list[str]:
    return [] if home is None else ["--homedir", str(home)]


@contextmanager
def made_key(home: Path) -> Iterator[Key]:
    """A key without a passphrase in the folder `home`, made there where none is; only its owner can read it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    name = "AuroraOS Core repository"
    key = Key(name=f"={name}", home=home)
    try:
        if not must("look for a key", ["gpg", "--batch", *_home(home), "--list-secret-keys", "--with-colons"]):
            generate = ["--passphrase", "", "--quick-generate-key", name, "ed25519", "sign", "never"]
            must("make a key", ["gpg", "--batch", *_home(home), *generate])
        yield key
    finally:
        must("end gpg's agent", ["gpgconf", *_home(home), "--kill", "all"])


def shipped(source: Path, work: Path, *, signer: Path | None = None) -> list[Path]:
    """The packages of `source` and of the modules that they bring, made in `work`, an empty folder.

    `signer` is a private key that `auroractl key new` made: they are signed with it.
    """
    if signer is not None and not signer.is_file():
        raise RigError(_SIGNING, f"{signer} is no file", "the NAME.key that auroractl key new made")
    built = packages(source)
    for deb in built.debs:
        shutil.copy(deb, work)
    place = chroot.Mount(here=work, there="/build", writable=True)
    _in_tree("pack the modules", source, ["sh", "-c", _AURORACTL + _PACK], [place])
    debs = sorted(work.glob("*.deb"))
    if signer is not None and signer.read_bytes().startswith(_OF_A_TOKEN):
        sign_with_token(signer, debs)
    elif signer is not None:
        places = [place, chroot.Mount(here=signer.absolute().parent, there="/mnt")]
        _in_tree(_SIGNING, source, ["sh", "-c", _AURORACTL + _SIGN, signer.name], places)
    return debs


def sign_with_token(signer: Path, debs: Sequence[Path]) -> None:
    """Sign the packages in place with a key that is in a token, by the auroractl that is installed on this machine.

    The build tree has neither the token's device nor the library and the settings that lead to it.
    """
    program = shutil.which("auroractl")
    if program is None:
        why = f"the key of {signer} is in a token, and this machine has no auroractl to come to it"
        raise RigError(_SIGNING, why, "apt install ./aurora-core_*.deb, or DEBS= with packages that are signed")
    for deb in debs:
        status = subprocess.run([program, "sign", str(deb), "--key", str(signer.absolute())], check=False).returncode
        if status != 0:
            raise RigError(_SIGNING, f"it ended with status {status}", "its messages above")


def _in_tree(what: str, source: Path, command: Sequence[str], places: Sequence[chroot.Mount]) -> None:
    # On our own terminal, where auroractl asks for a passphrase.
    status = chroot.run(command, source=source, mounts=places)
    if status != 0:
        raise RigError(what, f"it ended with status {status}", "its messages above")


def publish(debs: Sequence[Path], target: Path, key: Key) -> None:
    """Make the repository `target` of these packages, in place of what is there: two renames, one after the other."""
    names = [deb.name for deb in debs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RigError("make the repository", f"{', '.join(twice)} is there twice", "one of them")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        part.chmod(0o755)
        _fill(part, debs, key)
        before = part.with_name(f"{part.name}-before")
        if target.exists():
            target.rename(before)
        part.rename(target)
        if before.exists():
            cache.remove_tree(before)
    finally:
        if part.exists():
            cache.remove_tree(part)


def _fill(part: Path, debs: Sequence[Path], key: Key) -> None:
    (part / "pool").mkdir()
    for deb in debs:
        shutil.copy(deb, part / "pool")
        (part / "pool" / deb.name).chmod(0o644)
    what = "index the packages"
    digests = ["MD5", "SHA1", "SHA512"]  # SHA256 is what apt goes by
    options = [f"-oAPT::FTPArchive::{name}=false" for name in digests]
    (part / "Packages").write_text(must(what, ["env", "-C", str(part), "apt-ftparchive", *options, "packages", "pool"]))
    must(what, ["xz", "--keep", str(part / "Packages")])
    options += [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in RELEASE.items()]
    release = must(what, ["env", "-C", str(part), "apt-ftparchive", *options, "release", "."])
    (part / "Release").write_text(release)
    must("sign the repository", key.argv("--output", str(part / "InRelease"), "--clearsign", str(part / "Release")))
    detached = ["--output", str(part / "Release.gpg"), "--armor", "--detach-sign", str(part / "Release")]
    must("sign the repository", key.argv(*detached))
    must("show the public key", key.argv("--output", str(part / PUBLIC_KEY), "--armor", "--export", key.name))
    (part / "aurora-repository.sources").write_text(SOURCES)


def main(arguments: Sequence[str]) -> int:
    """tests/vm/repo."""
    parser = argparse.ArgumentParser(prog="tests/vm/repo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIR", help="the repository's folder, made anew")
    parser.add_argument(
        "--key", metavar="ID", help="of your GnuPG keys the one that signs; without it, one made in the folder DIR-key"
    )
    parser.add_argument("--signer", type=Path, metavar="FILE", help="sign each package with this key of auroractl's")
    parser.add_argument("debs", nargs="*", type=Path, metavar="DEB", help="packages of your own, taken in as they are")
    chosen = parser.parse_args(arguments)
    return cli.guarded(lambda: _make(chosen))


def _make(chosen: argparse.Namespace) -> int:
    hostpackages.ensure_packages()
    ensure_programs()
    target: Path = chosen.output.absolute()
    with tempfile.TemporaryDirectory(prefix="aurora-repo-") as work, step("repository: making"):
        debs = [*shipped(debiandir.CHECKOUT, Path(work), signer=chosen.signer), *chosen.debs]
        if chosen.key is not None:
            publish(debs, target, Key(name=chosen.key))
        else:
            with made_key(target.with_name(f"{target.name}-key")) as key:
                publish(debs, target, key)
    print(target)
    return 0


def ensure_programs() -> None:
    """What makes a repository is there afterwards, or RigError says what to type."""
    missing = [package for program, package in PROGRAMS.items() if hostpackages.find(program) is None]
    if missing:
        hostpackages.ensure_packages(missing)
