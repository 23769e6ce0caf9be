from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aurora.cli import sources
from aurora.cli.main import main
from aurora.cli.sources import open_sources
from aurora.errors import AuroraError, InputError, Refused
from aurora.names import package_name
from aurora.paths import Paths
from aurora.runtime.folders import read_module
from aurora.runtime.records import Origin, Record
from aurora.update.build import build_package
from aurora.update.package import package_content


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """A machine with hello and lamp, each of version 1, from packages, and shop from a folder."""
    paths = Paths(tmp_path / "root")
    paths.records.mkdir(parents=True)
    (paths.root / "var/lib/dpkg/info").mkdir(parents=True)
    (paths.root / "var/lib/dpkg/status").touch()
    for name, origin in (("hello", Origin.PACKAGE), ("lamp", Origin.PACKAGE), ("shop", Origin.FOLDER)):
        record = Record(
            name=name, version="1", description="", origin=origin, enabled=True, slot="a", source_digest="1"
        )
        (paths.records / name).write_bytes(record.to_bytes())
    return paths


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    place = tmp_path / "stick"
    place.mkdir()
    return place


class Web:
    """A folder, served."""

    def __init__(self, folder: Path) -> None:
        handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web(stick: Path) -> Iterator[Web]:
    one = Web(stick)
    thread = threading.Thread(target=one.server.serve_forever)
    thread.start()
    yield one
    one.server.shutdown()
    thread.join()
    one.server.server_close()


def folder(place: Path, name: str = "hello", version: str = "2") -> Path:
    made = place / f"folder-{name}-{version}"
    made.mkdir()
    (made / "module.toml").write_text(f'[module]\nname = "{name}"\nversion = "{version}"\nentry = "run.sh"\n')
    (made / "run.sh").write_text("#!/bin/sh\n")
    return made


def deb(place: Path, tmp_path: Path, name: str = "hello", version: str = "2") -> Path:
    made = folder(tmp_path, name, version)
    return build_package(made, package_content(read_module(made), arch="all"), place)


def opened(paths: Paths, *texts: str) -> list[tuple[str, str, str]]:
    """Module, version and what it is called, of each source."""
    with ExitStack() as stack:
        found, packages = open_sources(paths, stack, texts)
        assert len(packages) == sum(one.origin == Origin.PACKAGE for one in found)
        assert all(Path(package).is_file() for package in packages)
        manifests = [read_module(one.folder) for one in found]
        return [(one.name, one.version, source.shown) for one, source in zip(manifests, found, strict=True)]


def test_several_at_once_from_everywhere(paths: Paths, stick: Path, web: Web, tmp_path: Path) -> None:
    hello = deb(stick, tmp_path)
    beside = deb(tmp_path, tmp_path, "lamp", "3")
    shop = folder(tmp_path, "shop", "4")
    url = f"{web.url}/{hello.name}"
    assert opened(paths, url, str(beside), str(shop)) == [
        ("hello", "2", url),
        ("lamp", "3", str(beside)),
        ("shop", "4", str(shop)),
    ]
    assert list(paths.downloads.glob("*.part")) == []


def test_of_a_folder_of_packages_those_that_are_newer(
    paths: Paths, stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, version in (
        ("hello", "1.5"),
        ("hello", "2"),
        ("lamp", "0.9"),
        ("lamp", "1"),
        ("new", "1"),
        ("shop", "2"),
    ):
        deb(stick, tmp_path, name, version)
    (stick / "noise.deb").write_bytes(b"no package")
    (stick / "letter.txt").touch()
    assert opened(paths, str(stick)) == [("hello", "2", f"{stick}/aurora-module-hello_2_all.deb")]
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == ["passed over"] * 3 + ["aurora-module-hello 2 is newer than 1"]
    assert "noise.deb" in said[0]
    assert f"{package_name('new')} is not installed" in said[1]
    assert f"{package_name('shop')} is not installed" in said[2]


def test_where_nothing_is_newer_that_is_told(
    paths: Paths, stick: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deb(stick, tmp_path, "hello", "1")
    assert opened(paths, str(stick)) == []
    assert capsys.readouterr().err == f"nothing in {stick} is newer than what is installed\n"


def test_a_folder_with_too_many_is_refused(paths: Paths, stick: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PACKAGES_MAX", 3)
    for number in range(4):
        (stick / f"{number}.deb").touch()
    with pytest.raises(Refused, match="more than 3 packages"):
        opened(paths, str(stick))


def test_a_module_that_has_packages_beside_it_is_still_a_module(paths: Paths, tmp_path: Path) -> None:
    made = folder(tmp_path)
    deb(made, tmp_path, "lamp")
    assert opened(paths, str(made)) == [("hello", "2", str(made))]


def test_what_comes_from_the_web_is_judged_as_what_lies_here(
    paths: Paths, stick: Path, web: Web, tmp_path: Path
) -> None:
    made = deb(stick, tmp_path)
    (stick / "bad.deb").write_bytes(made.read_bytes()[:-200])
    paths.owner.mkdir(parents=True)
    paths.owner_core.write_text('signatures = "required"\n')
    for name, here, why in ((made.name, stick, "nobody has signed it"), ("bad.deb", stick, "")):
        said = []
        for place in (f"{here}/{name}", f"{web.url}/{name}"):
            with pytest.raises(AuroraError) as caught:
                opened(paths, place)
            said.append(str(caught.value).replace(place, "IT"))
        assert said[0] == said[1]
        assert why in said[0]
    assert list(paths.downloads.glob("*.part")) == [], "what was refused is not kept"


def test_a_page_that_is_served_instead_is_no_package(paths: Paths, stick: Path, web: Web) -> None:
    (stick / "hello.deb").write_text("<html>please log in</html>")
    with pytest.raises(InputError, match=f"{web.url}/hello.deb"):
        opened(paths, f"{web.url}/hello.deb")


def test_what_cannot_be_fetched_changes_nothing_and_is_told(
    paths: Paths, web: Web, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from aurora.cli import update  # noqa: PLC0415  # it needs pystemd, which the rest here does without

    monkeypatch.setattr(update, "Paths", lambda: paths)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(update, "connect", lambda: pytest.fail("nothing is to be updated"))
    assert main(["update", "apply", f"{web.url}/gone.deb"]) == os.EX_NOINPUT
    assert f"cannot fetch {web.url}/gone.deb, because its server has answered 404" in capsys.readouterr().err
