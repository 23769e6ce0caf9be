"""The contract that `aurora.host.Systemd` keeps, on the systemd of this machine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.vm.machine import Machine

CHECKOUT = Path(__file__).resolve().parents[2]
PLACE = "/var/lib/aurora-test/checkout"


@pytest.mark.deadline(900)
def test_the_contract_suite_passes_whole_on_the_real_systemd(vm: Machine) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in ("pyproject.toml", "tests/__init__.py", "tests/contract"):
            tar.add(CHECKOUT / path, path, filter=lambda one: None if "__pycache__" in one.name else one)
    vm.run(f"rm -rf {PLACE} && mkdir -p {PLACE} && cd {PLACE} && tar -x --no-same-owner", input=packed.getvalue())

    # What is imported is what is installed: the checkout there has no aurora of its own.
    pytest_line = "python3 -B -m pytest tests/contract --real -p no:cacheprovider --junitxml=/tmp/contract.xml"
    done = vm.run(f"cd {PLACE} && {pytest_line}", check=False, timeout_sec=800)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    (suite,) = ElementTree.fromstring(vm.pull("/tmp/contract.xml"))
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert counts.pop("tests") > 0
    assert set(counts.values()) == {0}, counts
    vm.run(f"rm -rf {PLACE} /tmp/contract.xml")
    left = vm.run("systemctl list-units --all --no-legend --plain 'aurora@*' 'aurora-*.slice'").stdout
    assert left == "", "it leaves nothing behind"
