"""Learning runs on a machine in memory: what is left afterwards, and what becomes of the proposal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from aurora.errors import InputError, NotFound, Refused, StartFailed
from aurora.host.fake import Program
from aurora.names import unit_name
from aurora.plan.evidence import APPARMOR_RECORD
from aurora.runtime import learn as learn_module
from aurora.runtime import learned as learned_module
from aurora.runtime.apply import apply
from aurora.runtime.control import stop
from aurora.runtime.install import install_folder
from aurora.runtime.learn import Learned, learn, subject
from aurora.runtime.learned import Proof, apply_learned
from tests.unit.runtime.rig import BAD, Rig

LEARNING = "aurora-learn-hello.service"
BOX_USEC = 5_000_000
BUDGET = '[limits]\nstate_max = "8M"\n[directories]\nstate = true\n'
SANDBOX = '[sandbox]\ngrants = ["host.figures"]\n'


def record(profile: str, more: str, verdict: str = "ALLOWED") -> str:
    return f'audit(1764037200.123:456): apparmor="{verdict}" profile="{profile}" pid=7 comm="x" {more}'


TCP = 'operation="create" family="inet" sock_type="stream" protocol=6'
MOUNT = 'operation="mount" class="mount" name="/mnt/"'
SHELLS = 'operation="open" name="/etc/shells" denied_mask="r"'


class Kernel:
    """What the kernel's log holds while somebody listens."""

    def __init__(self) -> None:
        self.learned: list[str] = [TCP]
        self.refused: list[str] = []
        self.ends = False
        self.lost = 0
        self.interrupts = False
        self.meanwhile: Callable[[], None] = lambda: None


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel()

    class Listener:
        lost = property(lambda _self: kernel.lost)

        def __enter__(self) -> Self:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            pass

        def hear(self, take: Callable[[int, str], None], *, pid: int | None, deadline_sec: float) -> bool:
            kernel.meanwhile()
            if kernel.interrupts:
                kernel.interrupts = False
                raise KeyboardInterrupt
            for more in kernel.learned:
                take(APPARMOR_RECORD, record("aurora-learn.hello", more))
            for more in kernel.refused:
                take(APPARMOR_RECORD, record("aurora.hello", more, "DENIED"))
            return kernel.ends

    for module in (learn_module, learned_module):
        monkeypatch.setattr(module, "AuditListener", Listener)
        monkeypatch.setattr(module, "syscall_names", lambda: lambda _arch, _number: None)
    return kernel


def look(rig: Rig, name: str = "hello") -> Learned:
    return learn(rig.paths, rig.systemd, subject(rig.paths, name), box_usec=BOX_USEC)


def prove(rig: Rig, learned: Learned) -> Proof:
    return apply_learned(rig.paths, rig.systemd, learned, watch_usec=BOX_USEC)


def grants(rig: Rig) -> tuple[str, ...]:
    return subject(rig.paths, "hello").manifest.sandbox.grants


@pytest.fixture
def up(rig: Rig) -> Rig:
    install_folder(rig.paths, rig.systemd, rig.module(more=SANDBOX), start=True)
    return rig


@pytest.fixture
def down(rig: Rig) -> Rig:
    install_folder(rig.paths, rig.systemd, rig.module(more=SANDBOX), start=False)
    return rig


def units(rig: Rig) -> dict[str, str]:
    return {row.name: row.active for row in rig.systemd.list_units(["*.service"])}


def nothing_is_left_of_it(rig: Rig) -> Iterator[bool]:
    yield LEARNING not in units(rig)
    yield not (rig.paths.profiles / "aurora-learn.hello").exists()
    yield not (rig.paths.state / "learning/hello").exists()


def test_what_was_seen_becomes_a_proposal_and_the_module_runs_again(up: Rig, kernel: Kernel) -> None:
    learned = look(up)
    assert learned.proposal.names == ("network.loopback",)
    assert learned.proposal.unused == ("host.figures",)
    assert (learned.records, learned.complete, learned.problem, learned.early) == (1, True, None, False)
    assert up.running == {"hello": "1"}
    assert all(nothing_is_left_of_it(up))


def test_meanwhile_its_own_unit_runs_less_confined(up: Rig, kernel: Kernel) -> None:
    seen: list[object] = []
    kernel.meanwhile = lambda: seen.extend(
        (
            units(up)[LEARNING],
            up.systemd.get(LEARNING, "Service", "PrivateNetwork", "b"),
            "complain" in (up.paths.profiles / "aurora-learn.hello").read_text(),
        )
    )
    look(up)
    assert seen == ["active", False, True]


def test_a_module_that_was_stopped_is_stopped_afterwards(down: Rig, kernel: Kernel) -> None:
    look(down)
    assert down.running == {}
    assert all(nothing_is_left_of_it(down))


def test_one_that_does_not_come_up_is_told_with_what_it_did_until_then(up: Rig, kernel: Kernel) -> None:
    usual = up.systemd.behaviour
    up.systemd.behaviour = lambda unit, argv: Program(status=3) if unit == LEARNING else usual(unit, argv)
    learned = look(up)
    assert learned.problem is not None
    assert "status 3" in learned.problem.why
    assert learned.proposal.names == ("network.loopback",)
    assert up.running == {"hello": "1"}
    assert all(nothing_is_left_of_it(up))


def test_an_interrupt_ends_it_early_and_what_was_seen_counts(up: Rig, kernel: Kernel) -> None:
    kernel.interrupts = True
    learned = look(up)
    assert learned.early
    assert learned.proposal.names == ("network.loopback",)
    assert up.running == {"hello": "1"}


def test_records_that_were_lost_make_it_incomplete(up: Rig, kernel: Kernel) -> None:
    kernel.lost = 3
    assert (look(up).lost, look(up).complete) == (3, False)


def test_a_folder_is_looked_at_without_being_installed(rig: Rig, kernel: Kernel) -> None:
    learned = look(rig, str(rig.module()))
    assert learned.proposal.names == ("network.loopback",)
    assert rig.installed == {}
    assert all(nothing_is_left_of_it(rig))
    with pytest.raises(Refused, match="not installed"):
        prove(rig, learned)


def test_a_folder_with_a_budget_leaves_no_volume(rig: Rig, kernel: Kernel) -> None:
    mounted: list[str] = []
    kernel.meanwhile = lambda: mounted.extend(row.name for row in rig.systemd.list_units(["*.mount"]))
    learned = look(rig, f"{rig.module(more=BUDGET)}/")
    assert learned.problem is None
    assert mounted == ["var-lib-private-aurora\\x2drun-hello.mount"]
    assert rig.systemd.list_units(["*.mount"]) == []
    assert [path for path in rig.paths.volumes.rglob("*") if path.is_file()] == []


def test_a_module_that_is_up_with_other_budgets_than_it_is_to_have_is_not_disturbed(up: Rig, kernel: Kernel) -> None:
    install_folder(up.paths, up.systemd, up.module(version="2", more=BUDGET), start=False)
    with pytest.raises(Refused, match="other disk budgets"):
        look(up)
    assert set(up.running) == {"hello"}


def test_a_name_that_is_not_installed_is_not_found(rig: Rig, kernel: Kernel) -> None:
    with pytest.raises(NotFound):
        look(rig)


def test_without_apparmor_nothing_can_be_learned(up: Rig, kernel: Kernel) -> None:
    up.write("sys/module/apparmor/parameters/enabled", "N")
    up.write("etc/aurora/core.toml", 'accept_unenforced = ["apparmor"]\n')
    with pytest.raises(Refused, match="no AppArmor"):
        look(up)


def test_the_proposal_is_installed_and_runs_enforced(up: Rig, kernel: Kernel) -> None:
    proof = prove(up, look(up))
    assert proof.holds
    assert grants(up) == ("network.loopback",)
    assert up.running == {"hello": "1"}
    text = (Path(subject(up.paths, "hello").folder) / "module.toml").read_text()
    assert "  # socket inet stream used once" in text
    assert up.damage() == []
    assert not (up.paths.state / "learning/hello").exists()


def test_a_module_that_was_stopped_and_disabled_stays_so(down: Rig, kernel: Kernel) -> None:
    assert prove(down, look(down)).holds
    assert grants(down) == ("network.loopback",)
    assert down.installed == {"hello": ("1", False)}
    assert down.running == {}


@pytest.mark.parametrize("how", ["is refused something new", "ends"])
def test_where_the_proof_does_not_hold_the_module_is_as_it_was(up: Rig, kernel: Kernel, how: str) -> None:
    learned = look(up)
    if how == "ends":
        kernel.ends = True
    else:
        kernel.refused = [SHELLS]
    proof = prove(up, learned)
    assert not proof.holds
    assert [one.deed.what for one in proof.refused] == ([] if how == "ends" else ["/etc/shells"])
    assert grants(up) == ("host.figures",)
    assert up.running == {"hello": "1"}


def test_what_the_proposal_said_cannot_be_granted_may_be_refused(up: Rig, kernel: Kernel) -> None:
    kernel.learned = [TCP, MOUNT]
    kernel.refused = [MOUNT]
    proof = prove(up, look(up))
    assert proof.holds
    assert [one.deed.what for one in proof.expected] == ["mount mount /mnt/"]


def test_where_it_does_not_come_up_the_module_is_as_it_was(up: Rig, kernel: Kernel) -> None:
    learned = look(up)
    usual = up.systemd.behaviour

    def behaviour(unit: str, argv: Sequence[str]) -> Program:
        loosened = "network.loopback" in (Path(argv[-1]).parent / "module.toml").read_text()
        return Program(status=1) if loosened else usual(unit, argv)

    up.systemd.behaviour = behaviour
    with pytest.raises(StartFailed):
        prove(up, learned)
    assert grants(up) == ("host.figures",)
    assert up.running == {"hello": "1"}


def test_a_package_is_not_rewritten(rig: Rig, kernel: Kernel) -> None:
    rig.package()
    apply(rig.paths, rig.systemd)
    learned = look(rig)
    with pytest.raises(Refused, match="came as a package"):
        prove(rig, learned)
    assert grants(rig) == ()


def test_a_manifest_that_cannot_be_changed_in_lines_leaves_the_module_alone(rig: Rig, kernel: Kernel) -> None:
    folder = rig.module()
    manifest = folder / "module.toml"
    manifest.write_text('sandbox.policy = "strict"\n' + manifest.read_text())
    install_folder(rig.paths, rig.systemd, folder, start=True)
    before = rig.systemd.get(unit_name("hello"), "Service", "MainPID", "u")
    learned = look(rig)
    with pytest.raises(InputError, match="lines that can be replaced"):
        prove(rig, learned)
    assert rig.running == {"hello": "1"}
    assert before == rig.systemd.get(unit_name("hello"), "Service", "MainPID", "u")


def test_a_stopped_module_with_a_bad_program_says_so_and_stays_down(rig: Rig, kernel: Kernel) -> None:
    install_folder(rig.paths, rig.systemd, rig.module(program=BAD), start=False)
    assert look(rig).problem is not None
    stop(rig.paths, rig.systemd, ["hello"])
    assert rig.running == {}
