"""A repository of the owner's own: plain apt has from it what its maker has signed, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import repo
from tests.vm.core import Core, Module, folder, tidied
from tests.vm.machine import Machine

DEBS = "/var/lib/aurora-test/keepers"
SERVED = "/var/lib/aurora-test/served"
KEY = f"/etc/apt/keyrings/{repo.PUBLIC_KEY}"
SOURCE = "/etc/apt/sources.list.d/aurora-repository.sources"
SETTINGS = "/etc/aurora/core.toml"
APT = "DEBIAN_FRONTEND=noninteractive apt --yes -o Dpkg::Use-Pty=0"
EX_APT = 100

KEEPER = Module(name="keeper")
PACKAGE = "aurora-module-keeper"
VERSIONS = {version: dataclasses.replace(KEEPER, version=version) for version in ("1.0", "1.1", "1.2", "1.3")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shop:
    """The repository, and what its maker has for it."""

    core: Core
    place: Path
    """Where it is made, on this machine."""
    key: repo.Key
    shipped: list[Path]

    def offer(self, *debs: str) -> None:
        """Make the repository of what is shipped and these (KIND/VERSION), and put it where it is served."""
        found = [self.place / f"{deb}.deb" for deb in debs]
        named = [Path(shutil.copy(deb, self.place / f"{PACKAGE}_{deb.stem}_all.deb")) for deb in found]
        repo.publish([*self.shipped, *named], self.place / "repo", self.key)
        self.core.run(f"rm -rf {SERVED}/*")
        self.core.machine.push(self.place / "repo", SERVED)

    def served(self) -> None:
        """Have apt know what there is."""
        self.core.run("apt-get -q update")

    def version(self) -> str:
        """What dpkg has of the package."""
        return self.core.run(f"dpkg-query -W -f '${{Version}} ${{db:Status-Status}}' {PACKAGE}").stdout

    def unpacked(self) -> int:
        """How often dpkg has begun to unpack one of its versions."""
        said = self.core.run(f"grep -cE ' (install|upgrade) {PACKAGE}:all ' /var/log/dpkg.log || true").stdout
        return int(said)


@pytest.fixture(scope="module")
def shop(vm: Machine, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A repository served by HTTP that apt trusts by its key, where signatures of packages are required as well."""
    repo.ensure_programs()
    place, work = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("shipped")
    with tidied(vm) as core, repo.made_key(place / "repo-key") as key:
        core.run(f"rm -rf {DEBS} {SERVED}; mkdir -p {DEBS}/plain {DEBS}/signed {SERVED}")
        for version in VERSIONS.values():
            core.put(version)
            core.run(f"auroractl pack {folder('keeper')} -o {DEBS}/plain")
        core.run(
            f"""
            auroractl key new maker --no-passphrase --in {DEBS}
            auroractl key trust {DEBS}/maker.toml
            for one in {DEBS}/plain/*.deb; do
                auroractl sign $one --key {DEBS}/maker.key --output {DEBS}/signed/$(basename $one)
            done
            echo 'signatures = "required"' >>{SETTINGS}
            """
        )
        for kind in ("plain", "signed"):
            (place / kind).mkdir()
            for number in VERSIONS:
                deb = core.machine.pull(f"{DEBS}/{kind}/{PACKAGE}_{number}_all.deb")
                (place / kind / f"{number}.deb").write_bytes(deb)
        signer = place / "maker.key"
        signer.write_bytes(core.machine.pull(f"{DEBS}/maker.key"))
        signer.chmod(0o600)
        shipped = repo.shipped(request.config.getoption("--source").resolve(), work, signer=signer)
        one = Shop(core=core, place=place, key=key, shipped=shipped)
        one.offer("signed/1.0")
        core.run(
            f"""
            systemd-run --quiet --unit=served python3 -m http.server --bind 127.0.0.1 --directory {SERVED} 8990
            install -D -m 644 {SERVED}/{repo.PUBLIC_KEY} {KEY}
            sed 's#^URIs:.*#URIs: http://127.0.0.1:8990/#' {SERVED}/aurora-repository.sources >{SOURCE}
            """
        )
        core.machine.wait_until("python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 8990))'", 60)
        one.served()
        yield one
        core.run(
            f"""
            systemctl stop served.service
            rm -f {SOURCE} {KEY} /etc/aurora/keyring/maker.toml
            sed -i '/^signatures/d' {SETTINGS}
            rm -rf {DEBS} {SERVED} /var/lib/apt/lists/127.0.0.1*
            apt-get -q update
            """
        )


@pytest.fixture
def core(shop: Shop) -> Core:
    return shop.core


@pytest.mark.deadline(600)
def test_plain_apt_installs_a_module_and_what_the_tree_brings(shop: Shop, core: Core) -> None:
    done = core.run(f"{APT} install {PACKAGE} aurora-module-hello 2>&1")
    assert "signed by maker" in done.stdout
    for name in ("keeper", "hello"):
        core.wait_for(name, ActiveState="active")
    assert core.listed()["keeper"]["version"] == "1.0"
    policy = core.run("apt-cache policy aurora-core").stdout
    assert "http://127.0.0.1:8990" in policy, "the core is there as well"


@pytest.mark.deadline(600)
def test_an_unsigned_version_is_refused_before_dpkg_unpacks_any_of_it(shop: Shop, core: Core) -> None:
    before, unpacked = core.invocations("keeper"), shop.unpacked()
    shop.offer("signed/1.0", "plain/1.1")
    shop.served()
    done = core.run(f"{APT} upgrade 2>&1", check=False)
    assert done.returncode == EX_APT
    assert f"{PACKAGE}_1.1_all.deb" in done.stdout
    assert "nobody has signed it" in done.stdout
    assert (shop.version(), shop.unpacked()) == ("1.0 installed", unpacked)
    assert 'version = "1.0"' in core.run("cat /usr/lib/aurora/modules/keeper/module.toml").stdout
    assert core.invocations("keeper") == before


@pytest.mark.deadline(600)
def test_a_signed_version_comes_by_a_plain_upgrade(shop: Shop, core: Core) -> None:
    before, unpacked = core.invocations("keeper"), shop.unpacked()
    shop.offer("signed/1.0", "signed/1.1")
    shop.served()
    done = core.run(f"{APT} upgrade 2>&1")
    assert "signed by maker" in done.stdout
    core.wait_for("keeper", ActiveState="active")
    assert shop.version() == "1.1 installed"
    assert shop.unpacked() == unpacked + 1
    assert core.listed()["keeper"]["version"] == "1.1"
    assert core.invocations("keeper") != before


@pytest.mark.deadline(600)
def test_what_is_held_stays_as_it_is(shop: Shop, core: Core) -> None:
    before = core.invocations("keeper")
    shop.offer("signed/1.2")
    shop.served()
    core.run(f"apt-mark hold {PACKAGE} && {APT} upgrade && apt-mark unhold {PACKAGE}")
    assert shop.version() == "1.1 installed", "apt's own hold"

    core.run("auroractl update hold keeper")
    core.run(f"{APT} upgrade")
    assert shop.version() == "1.2 installed"
    assert core.listed()["keeper"]["version"] == "1.1", "auroractl's: dpkg has it, and it is not taken in"
    (row,) = json.loads(core.run("auroractl update status keeper --json").stdout)["modules"]
    assert (row["active"], row["package"], row["held"]) == ("1.1", "1.2", True)
    assert core.invocations("keeper") == before
    core.run("auroractl update unhold keeper && auroractl apply")
    core.wait_for("keeper", ActiveState="active")
    assert core.listed()["keeper"]["version"] == "1.2"


@pytest.mark.deadline(600)
@pytest.mark.parametrize(
    ("step", "damage", "why"),
    [
        ("upgrade", f"printf X | dd of=pool/{PACKAGE}_1.3_all.deb bs=1 seek=900 conv=notrunc", "Hash Sum mismatch"),
        ("update", "sed -i 's/^Version: 1.3/Version: 1.4/' Packages; rm Packages.xz", "Hash Sum mismatch"),
        ("update", "sed -i 's/^Label: .*/Label: another/' InRelease; rm Release Release.gpg", "signature"),
    ],
    ids=["a package", "the index", "what is signed"],
)
def test_a_repository_that_was_tampered_with_is_refused(
    shop: Shop, core: Core, step: str, damage: str, why: str
) -> None:
    before = core.invocations("keeper")
    core.run("rm -rf /var/lib/apt/lists/127.0.0.1*; apt-get clean")
    shop.offer("signed/1.3")
    if step == "upgrade":
        shop.served()
    core.run(f"cd {SERVED}; {damage}")
    done = core.run(f"{APT} {step} 2>&1", check=False)
    assert (done.returncode, why in done.stdout) == (EX_APT, True), done.stdout
    assert shop.version() == "1.2 installed"
    assert core.invocations("keeper") == before


@pytest.mark.deadline(600)
def test_one_that_another_key_has_signed_is_refused(shop: Shop, core: Core, tmp_path: Path) -> None:
    with repo.made_key(tmp_path / "stranger") as stranger:
        dataclasses.replace(shop, key=stranger).offer("signed/1.3")
    core.run("rm -rf /var/lib/apt/lists/127.0.0.1*; apt-get clean")
    done = core.run("apt-get -q update -o APT::Update::Error-Mode=any 2>&1", check=False)
    assert (done.returncode, "is not signed" in done.stdout) == (EX_APT, True), done.stdout
    assert shop.version() == "1.2 installed"
