"""Keys in tokens: one that lives in a TPM, or in SoftHSM, signs what apt then takes, and nothing else does."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import pytest

from tests.vm.core import Core, Module, folder
from tests.vm.flavours import TOKEN_PACKAGES
from tests.vm.guest import USER
from tests.vm.machine import Completed, Machine

DEBS = "/var/lib/aurora-test/tokens"
HOME = f"/home/{USER}"
KEYS = f"{HOME}/.config/aurora/keys"
SOFT_PLACE = "/var/lib/softhsm"
PIN = "424242"
APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 --yes --reinstall"
EX_APT = 100
"""What apt ends with when what it runs before dpkg refuses."""
EX_DATAERR, EX_NOINPUT, EX_OSERR = 65, 66, 71

KEYED = Module(name="keyed")
PACKAGE = "aurora-module-keyed"
PLAIN = f"{DEBS}/{PACKAGE}_1.0_all.deb"


@dataclass(frozen=True, kw_only=True)
class Token:
    """A token on the machine, and the key in it that the owner trusts."""

    label: str
    kind: str
    """Of the keys that it makes where nobody says one."""
    maker: str
    """What it says of who has made it, as a URI has it."""

    @property
    def deb(self) -> str:
        """The package that its key has signed."""
        return f"{DEBS}/{self.label}.deb"

    def uri(self, pin: str = "pin", more: str = "") -> str:
        """Names it by its label alone, and says in which of the signer's files a PIN is."""
        return f"pkcs11:token={self.label}?pin-source=file:{HOME}/{pin}{more}"


SOFT = Token(label="card", kind="ed25519", maker="SoftHSM%20project")
TPM = Token(label="aurora", kind="ecdsa-p256", maker="IBM")
BOTH = pytest.mark.parametrize("token", [SOFT, TPM], ids=["softhsm", "tpm"])

TOKENS = f"""
softhsm2-util --init-token --free --label {SOFT.label} --so-pin 12345678 --pin {PIN}
tpm2_ptool init && tpm2_ptool addtoken --pid 1 --label {TPM.label} --sopin 12345678 --userpin {PIN}
umask 077; echo {PIN} >pin; echo 000000 >wrong
"""
"""What a signer does once; for the TPM with the words of the README."""


class Signer:
    """Somebody without rights, whose keys are in tokens, on a machine whose owner wants signatures."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def run(self, script: str, *, check: bool = True) -> Completed:
        """Run `script` by sh as the signer."""
        quoted = shlex.quote("set -e\n" * check + script)
        return self.core.run(f"cd {HOME} && runuser {USER} -c {quoted}", check=check)

    def files(self) -> str:
        """All that a failure could have left or changed: the signer's keys, and the packages."""
        return self.core.run(f"find {KEYS} {DEBS} -type f -exec sha256sum {{}} + | sort -k 2").stdout

    def install(self, deb: str) -> Completed:
        """What apt makes of the package."""
        return self.core.run(f"{APT} install {deb} 2>&1", check=False)

    def unpacked(self) -> int:
        """How often dpkg has begun to unpack the package."""
        said = self.core.run(f"grep -cE ' (install|upgrade) {PACKAGE}:all ' /var/log/dpkg.log || true").stdout
        return int(said)


@pytest.fixture(scope="module")
def bare(token_vm: Machine) -> Core:
    """The machine before anything is there that comes to a token."""
    return Core(token_vm)


@pytest.fixture(scope="module")
def signer(bare: Core) -> Signer:
    """A signer with a key in each token, and a package that each of them has signed."""
    bare.put(KEYED)
    bare.run(
        f"""
        {APT} install {" ".join(TOKEN_PACKAGES)} >&2
        usermod --append --groups tss,softhsm {USER}
        echo 'signatures = "required"' >>/etc/aurora/core.toml
        mkdir -p {DEBS} && auroractl pack {folder("keyed")} -o {DEBS} && chown -R {USER} {DEBS}
        """
    )
    one = Signer(bare)
    one.run(TOKENS)
    for token in (SOFT, TPM):
        one.run(f"auroractl key new {token.label} --in '{token.uri()}'")
        one.run(f"auroractl sign {PLAIN} --key {token.label} --output {token.deb}")
        bare.run(f"auroractl key trust {KEYS}/{token.label}.toml")
    return one


def test_where_nothing_comes_to_a_token_it_is_told_what_to_install(bare: Core) -> None:
    done = bare.run("auroractl key new release --in 'pkcs11:token=aurora'", check=False)
    assert done.returncode == EX_OSERR
    assert "python3-pykcs11 is not installed; try apt install python3-pykcs11" in done.stderr
    assert bare.run("ls -A /root/.config 2>/dev/null || true").stdout == ""


@BOTH
def test_apt_takes_what_a_token_has_signed_and_the_module_runs(signer: Signer, token: Token) -> None:
    done = signer.install(token.deb)
    assert (done.returncode, f"signed by {token.label}" in done.stdout) == (0, True), done.stdout
    signer.core.wait_for("keyed", ActiveState="active")
    assert signer.core.listed()["keyed"]["version"] == "1.0"


@BOTH
def test_apt_refuses_it_before_it_is_unpacked_where_its_key_is_not_trusted(signer: Signer, token: Token) -> None:
    before, trusted = signer.unpacked(), f"/etc/aurora/keyring/{token.label}.toml"
    signer.core.run(f"mv {trusted} {trusted}.away")
    try:
        done = signer.install(token.deb)
    finally:
        signer.core.run(f"mv {trusted}.away {trusted}")
    assert (done.returncode, "it is not in the keyring" in done.stdout) == (EX_APT, True), done.stdout
    assert signer.unpacked() == before


@BOTH
def test_one_whose_signature_was_put_under_another_statement_is_refused(signer: Signer, token: Token) -> None:
    changed, before = f"{DEBS}/changed.deb", signer.unpacked()
    signer.core.run(f"sed 's/^lowest 1\\.0$/lowest 0.9/' {token.deb} >{changed} && ! cmp -s {token.deb} {changed}")
    done = signer.install(changed)
    assert done.returncode == EX_APT
    assert f"the signature of {token.label} is not by that key, or was damaged" in done.stdout, done.stdout
    assert signer.unpacked() == before


def test_a_list_of_keys_says_in_which_token_each_is(signer: Signer) -> None:
    listed = signer.run("auroractl key list").stdout.splitlines()
    for token in (SOFT, TPM):
        (line,) = [line for line in listed if f"pkcs11:token={token.label};manufacturer={token.maker};" in line]
        assert line.split()[0] == token.label
        assert "in a token" in line
        assert ("ecdsa-p256:" in line) == (token.kind == "ecdsa-p256")


@BOTH
def test_with_a_wrong_pin_nothing_is_signed(signer: Signer, token: Token) -> None:
    signer.run(f"sed 's/pin$/wrong/' {KEYS}/{token.label}.key >{HOME}/late.key && chmod 600 {HOME}/late.key")
    before = signer.files()
    done = signer.run(f"auroractl sign {PLAIN} --key {HOME}/late.key --output {DEBS}/late.deb", check=False)
    assert (done.returncode, "because the PIN is wrong" in done.stderr) == (EX_DATAERR, True), done.stderr
    assert signer.files() == before


def test_with_a_wrong_pin_no_key_is_made(signer: Signer) -> None:
    before = signer.files()
    done = signer.run(f"auroractl key new late --in '{SOFT.uri('wrong')}'", check=False)
    assert (done.returncode, "because the PIN is wrong" in done.stderr) == (EX_DATAERR, True), done.stderr
    assert signer.files() == before


def test_a_token_that_is_away_signs_nothing(signer: Signer) -> None:
    before = signer.files()
    signer.core.run(f"cd {SOFT_PLACE} && mv tokens away && install -d -m 1770 -g softhsm tokens")
    try:
        done = signer.run(f"auroractl sign {PLAIN} --key {SOFT.label} --output {DEBS}/late.deb", check=False)
    finally:
        signer.core.run(f"cd {SOFT_PLACE} && rmdir tokens && mv away tokens")
    assert done.returncode == EX_NOINPUT, done.stderr
    assert f"no token fits; there is pkcs11:token={TPM.label};" in done.stderr
    assert signer.files() == before


def test_a_library_that_is_not_there_is_told(signer: Signer) -> None:
    before = signer.files()
    uri = SOFT.uri(more="&module-path=/usr/lib/nothing.so")
    done = signer.run(f"auroractl key new late --in '{uri}'", check=False)
    assert done.returncode == EX_NOINPUT, done.stderr
    assert "because its library is not there, at /usr/lib/nothing.so" in done.stderr
    assert signer.files() == before


@pytest.mark.deadline(600)
def test_a_key_in_the_tpm_outlives_a_power_cut_but_not_its_tpm(signer: Signer) -> None:
    signer.core.run("sync")
    signer.core.machine.power_cut()
    line = f"auroractl sign {PLAIN} --key {TPM.label} --output {DEBS}/late.deb"
    assert "1 signature is in it" in signer.run(line).stderr
    signer.run(f"rm {DEBS}/late.deb")

    before = signer.files()
    signer.core.run("tpm2_clear")  # it has another seed then: another TPM for all that the disk has kept
    done = signer.run(line, check=False)
    assert done.returncode == EX_OSERR, done.stderr
    assert "as a TPM does that was cleared, or is not the one that its keys were made in" in done.stderr
    assert signer.files() == before
