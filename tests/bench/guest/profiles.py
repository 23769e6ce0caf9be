"""What compiling AppArmor profiles takes, apart from everything else: in one run or one each, cached or not."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import names
from tests.bench.guest import modules
from tests.bench.guest.modules import EXEC
from tests.bench.guest.results import Results
from tests.bench.guest.tools import WORK, run

COUNT = 10
ROUNDS = 3
_CACHE = WORK / "profile-cache"


def measure(results: Results, *, quick: bool) -> None:
    """Cold, then warm, in one run and one each, in turn."""
    files = _write()
    for _ in range(1 if quick else ROUNDS):
        for in_one, cold, warm in (
            (True, names.ONE_RUN_COLD, names.ONE_RUN_WARM),
            (False, names.EACH_COLD, names.EACH_WARM),
        ):
            shutil.rmtree(_CACHE, ignore_errors=True)
            for contender in (cold, warm):
                before = time.monotonic()
                _load(files, in_one=in_one)
                results.add(names.PROFILES, f"{COUNT} profiles", contender, "s", time.monotonic() - before)
    for file in files:
        Path("/sys/kernel/security/apparmor/.remove").write_bytes(Path(file).name.encode())


def _write() -> list[str]:
    name = modules.names(EXEC, 1)[0]
    modules.install(EXEC, [name])
    text = run(["auroractl", "plan", name, "--apparmor"])
    folder = WORK / "profiles"
    folder.mkdir(exist_ok=True)
    files = []
    for number in range(1, COUNT + 1):
        file = folder / f"aurora.parsed{number:03}"
        file.write_text(text.replace(name, f"parsed{number:03}"))
        files.append(str(file))
    return files


def _load(files: Sequence[str], *, in_one: bool) -> None:
    parser = ["apparmor_parser", "--replace", "--write-cache", f"--cache-loc={_CACHE}"]
    _CACHE.mkdir(exist_ok=True)
    for batch in [list(files)] if in_one else [[file] for file in files]:
        run([*parser, *batch])
