"""The rig itself: what other tests here take for granted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vm import accel, layer
from tests.vm.errors import CommandFailed, EmulationBroke
from tests.vm.machine import Machine


def test_the_kernel_has_what_modules_are_confined_with(vm: Machine) -> None:
    controllers = vm.run("cat /sys/fs/cgroup/cgroup.controllers").stdout.split()
    assert {"cpu", "io", "memory", "pids"} <= set(controllers)
    assert vm.run("cat /sys/module/apparmor/parameters/enabled").stdout == "Y\n"
    assert vm.run("aa-enabled").stdout == "Yes\n"


def test_systemd_is_that_of_debian_13(vm: Machine) -> None:
    version = vm.run("systemctl --version").stdout.split()[1]
    assert int(version) >= 257
    state = vm.run("systemctl is-system-running; systemctl list-units --failed --no-legend --plain", check=False).stdout
    assert state == "running\n"


def test_a_command_gives_its_output_and_its_exact_status(vm: Machine) -> None:
    done = vm.run("cat; echo trouble >&2; exit 71", check=False, input="given\n")
    assert (done.stdout, done.stderr, done.returncode) == ("given\n", "trouble\n", 71)
    assert vm.run("kill -KILL $$", check=False).returncode == 128 + 9
    with pytest.raises(CommandFailed, match="status 3"):
        vm.run("exit 3")


def test_a_command_that_does_not_end_is_ended(vm: Machine) -> None:
    with pytest.raises(CommandFailed, match="did not end within 1 s"):
        vm.run("exec sleep 4321", timeout_sec=1)
    vm.wait_until("! pgrep -fx 'sleep 4321'", 10)


def test_a_condition_is_waited_for_but_not_for_ever(vm: Machine) -> None:
    vm.run("rm -f /run/appears; (sleep 1; touch /run/appears) >/dev/null 2>&1 &")
    vm.wait_until("test -e /run/appears", 20)
    with pytest.raises(CommandFailed, match="still did not"):
        vm.wait_until("test -e /run/never", 1)


def test_a_share_is_a_fresh_copy(vm: Machine, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one").write_bytes(b"\0one")
    vm.run("mkdir -p /mnt/share && touch /mnt/share/stale")
    vm.share(tmp_path)
    assert vm.run("cd /mnt/share && find . -type f").stdout == "./sub/one\n"
    assert vm.pull("/mnt/share/sub/one") == b"\0one"


def test_the_machine_reaches_nobody(vm: Machine) -> None:
    done = vm.run("timeout 5 bash -c '</dev/tcp/10.0.2.2/22'", check=False)
    assert done.returncode != 0


def test_a_panic_in_emulation_is_told_from_a_command_that_fails(vm: Machine) -> None:
    emulated = accel.accelerator(vm.image.kernel, vm.image.initrd) == "tcg"
    with layer.ready(vm.image, None) as machine, pytest.raises(CommandFailed) as caught:
        machine.run("echo c >/proc/sysrq-trigger")
    assert (type(caught.value) is EmulationBroke) == emulated
    assert "went off" in str(caught.value)


@pytest.mark.deadline(900)
def test_a_power_cut_spares_what_was_flushed_and_a_reboot_spares_all(vm: Machine) -> None:
    vm.run("echo kept > /root/flushed && sync /root/flushed && sync /root")
    first = vm.run("cat /proc/sys/kernel/random/boot_id").stdout
    vm.run("echo lost > /root/not-flushed")
    vm.power_cut()
    assert vm.run("cat /root/flushed").stdout == "kept\n"
    assert vm.run("test -e /root/not-flushed", check=False).returncode == 1
    second = vm.run("cat /proc/sys/kernel/random/boot_id").stdout
    vm.run("echo kept > /root/not-flushed")
    vm.reboot()
    assert vm.run("cat /root/not-flushed").stdout == "kept\n"
    third = vm.run("cat /proc/sys/kernel/random/boot_id").stdout
    assert len({first, second, third}) == 3
