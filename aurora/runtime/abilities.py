"""What this machine can enforce: each thing, how it was found out, what it means, and the line to change. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from aurora.host.bpf import Attach
from aurora.host.survey import Survey
from aurora.names import LINK_PROFILE, LINK_SERVICE
from aurora.plan import Facts, Feature

__all__ = ["Ability", "abilities"]

SYSTEMD_LEAST = 257
"""The systemd on which every directive of a plan was tried."""


class Ability(NamedTuple):
    """One thing that a machine can do, or cannot."""

    name: str
    able: bool | None
    """None when it could not be found out."""
    found: str
    """File and content, or call and answer."""
    means: str
    """What it is to modules."""
    remedy: str
    """The line to change; empty when there is nothing to change."""
    accepted: bool
    """Whether the owner accepts that it is missing."""


def abilities(survey: Survey, facts: Facts) -> list[Ability]:
    """Every thing, in the order of the table that `doctor` prints."""
    return [ability for part in _PARTS for ability in part(survey, facts)]


def _is_pi(survey: Survey) -> bool:
    return survey.files.get("proc/device-tree/model", "").startswith("Raspberry Pi")


def _kernel_word(survey: Survey, add: str, *, unless: str = "") -> str:
    """How to put words on the kernel's command line: Raspberry Pi OS has a file of its own for that."""
    pi = f"/boot/firmware/cmdline.txt: add {add} to its one line, then reboot"
    if _is_pi(survey):
        return pi
    present = unless and unless in survey.files.get("proc/cmdline", "").split()
    change = f"take {unless} out of GRUB_CMDLINE_LINUX" if present else f'GRUB_CMDLINE_LINUX="{add}"'
    return f"/etc/default/grub: {change}, then update-grub and reboot; on Raspberry Pi OS {pi}"


def _file(survey: Survey, name: str) -> str:
    text = survey.files.get(name)
    return f"/{name} is not there" if text is None else f"/{name}: {' '.join(text.split()) or 'empty'}"


def _controllers(survey: Survey, facts: Facts) -> Iterator[Ability]:
    name = "sys/fs/cgroup/cgroup.controllers"
    unified = name in survey.files
    yield Ability(
        "cgroup v2", unified, _file(survey, name), "all limits are cgroup v2's; without it none holds",
        "" if unified else _kernel_word(survey, "systemd.unified_cgroup_hierarchy=1"), False,
    )  # fmt: skip
    for feature, means, remedy in (
        (Feature.MEMORY, "memory_max and memory_high hold", _kernel_word(
            survey, "cgroup_enable=memory", unless="cgroup_disable=memory")),
        (Feature.CPU, "limits and weights of the cpu hold", "a kernel with CONFIG_CFS_BANDWIDTH"),
        (Feature.PIDS, "the limit of tasks holds", "a kernel with CONFIG_CGROUP_PIDS"),
        (Feature.IO, "limits of disk bandwidth hold", "a kernel with CONFIG_BLK_CGROUP and CONFIG_BLK_DEV_THROTTLING"),
    ):  # fmt: skip
        able = feature in facts.features
        found = _file(survey, name)
        if not able and feature is Feature.MEMORY:
            found += f"; {_file(survey, 'proc/cmdline')}"
        yield _feature(facts, f"{feature} controller", feature, found, f"with it {means}", remedy)


def _feature(facts: Facts, name: str, feature: Feature, found: str, means: str, remedy: str) -> Ability:
    able = feature in facts.features
    return Ability(name, able, found, means, "" if able else remedy, feature in facts.accepted)


def _swap(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    name = "sys/fs/cgroup/init.scope/memory.swap.max"
    able = name in survey.files
    yield Ability(
        "swap accounting", able, _file(survey, name), "with it a module over memory_max cannot go on in swap",
        "" if able else _kernel_word(survey, "cgroup_enable=memory swapaccount=1", unless="swapaccount=0"), False,
    )  # fmt: skip


def _io_weight(survey: Survey, facts: Facts) -> Iterator[Ability]:
    cost = " ".join(survey.files.get("sys/fs/cgroup/io.cost.qos", "").split()) or "empty"
    disks = ", ".join(f"{disk}: {kind}" for disk, kind in survey.schedulers.items()) or "no disk has a scheduler"
    rule = 'ACTION=="add|change", SUBSYSTEM=="block", ENV{DEVTYPE}=="disk", ATTR{queue/scheduler}="bfq"'
    found = f"/sys/block/*/queue/scheduler: {disks}; /sys/fs/cgroup/io.cost.qos: {cost}"
    means = "without it io_weight changes nothing"
    yield _feature(facts, "io weights", Feature.IO_WEIGHT, found, means, f"/etc/udev/rules.d/60-bfq.rules: {rule}")


def _loop(_survey: Survey, facts: Facts) -> Iterator[Ability]:
    found = "/sys/module/loop is " + ("there" if Feature.LOOP in facts.features else "not there")
    means = "state_max, cache_max and logs_max hold: a directory with a budget is a file system on a loop device"
    remedy = "/etc/modules-load.d/loop.conf: loop, then modprobe loop"
    yield _feature(facts, "loop devices", Feature.LOOP, found, means, remedy)


def _apparmor(survey: Survey, facts: Facts) -> Iterator[Ability]:
    found = _file(survey, "sys/module/apparmor/parameters/enabled")
    if Feature.APPARMOR not in facts.features:
        found += f"; {_file(survey, 'proc/cmdline')}"
    remedy = _kernel_word(survey, "apparmor=1 security=apparmor", unless="apparmor=0")
    ability = _feature(
        facts, "apparmor", Feature.APPARMOR, found, "every module, and the hub, runs under a profile", remedy
    )
    if ability.able and not survey.has_parser:
        found += "; /usr/sbin/apparmor_parser is not there"
        ability = ability._replace(able=False, found=found, remedy="apt install apparmor")
    yield ability
    if Feature.APPARMOR in facts.features:
        yield _hub(survey)


def _hub(survey: Survey) -> Ability:
    """The core's own service that strangers talk with. systemd does not start it without its profile."""
    mode, label = survey.link_profile, survey.link_label
    good = f"{LINK_PROFILE} (enforce)"
    able = None if mode is None else mode == "enforce"
    if label:
        able = label == good and able is not False
    held = {None: "only root may read it", "": f"no {LINK_PROFILE}"}.get(mode, f"{LINK_PROFILE} ({mode})")
    found = f"/sys/kernel/security/apparmor/profiles: {held}"
    found += f"; /proc/PID/attr/apparmor/current of {LINK_SERVICE}: {label}" if label else ""
    remedy = f"apparmor_parser --replace /etc/apparmor.d/{LINK_PROFILE}, then systemctl restart {LINK_SERVICE}"
    means = f"AuroraLink runs under the profile {LINK_PROFILE}, and not at all where it is not there"
    return Ability("hub confined", able, found, means, remedy if able is False else "", False)


def _seccomp(survey: Survey, facts: Facts) -> Iterator[Ability]:
    found = _file(survey, "proc/sys/kernel/seccomp/actions_avail")
    means = "system calls, namespaces and address families are refused by it"
    yield _feature(facts, "seccomp", Feature.SECCOMP, found, means, "a kernel with CONFIG_SECCOMP_FILTER")


def _user_namespaces(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    name = "proc/sys/user/max_user_namespaces"
    text = survey.files.get(name, "").strip()
    able = text.isdecimal() and int(text) > 0
    yield Ability(
        "user namespaces", able, _file(survey, name), "PrivateUsers, which strict sets, needs them",
        "" if able else "/etc/sysctl.d/90-user-namespaces.conf: user.max_user_namespaces=10000", False,
    )  # fmt: skip


def _bpf(survey: Survey, facts: Facts) -> Iterator[Ability]:
    asked = survey.programs.get(Attach.INGRESS)
    found = _file(survey, "proc/sys/kernel/unprivileged_bpf_disabled")
    found += "; bpf(2) answers" if asked is not None else "; bpf(2) could not be asked (it takes root)"
    remedy = "a kernel with CONFIG_CGROUP_BPF"
    yield _feature(facts, "ip filter", Feature.IP_FILTER, found, "IP addresses are refused by BPF programs", remedy)
    able = None if survey.programs.get(Attach.DEVICE) is None else True
    found = "bpf(2) on /sys/fs/cgroup: " + ("it answers" if able else "it could not be asked (it takes root)")
    yield Ability("device filter", able, found, "devices are refused by a BPF program", "", False)


def _lockdown(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    name = "sys/kernel/security/lockdown"
    text = survey.files.get(name, "[none]")
    able = "[confidentiality]" not in text
    yield Ability(
        "open to bpf", able, _file(survey, name), "a kernel locked down for confidentiality hides what doctor reads",
        "" if able else _kernel_word(survey, "lockdown=integrity", unless="lockdown=confidentiality"), False,
    )  # fmt: skip


def _hang(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    name = "sys/class/watchdog/watchdog0/state"
    able = survey.files.get(name, "").strip() == "active"
    yield Ability(
        "hardware watchdog", able, _file(survey, name), "without it a kernel that hangs stays so, all modules with it",
        "" if able else "/etc/systemd/system.conf.d/watchdog.conf: [Manager] RuntimeWatchdogSec=15s", False,
    )  # fmt: skip


def _journal(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    storage, file = survey.journal_storage
    said = f"Storage={storage} in {file}" if file else "no Storage= is set (auto)"
    where = "/var/log/journal" if survey.journal_on_disk else "not /var/log/journal"
    name = file.rpartition("/")[2]
    # Drop-ins count in the order of their names, and the last one wins.
    own = "90-persistent.conf" if name < "90-persistent.conf" else f"zz-{name}"
    yield Ability(
        "persistent journal", survey.journal_on_disk, f"journald writes to {where}; {said}",
        "without it the logs of modules, and why they failed, are gone after a reboot",
        "" if survey.journal_on_disk else f"/etc/systemd/journald.conf.d/{own}: [Journal] Storage=persistent, then"
        " systemctl restart systemd-journald && journalctl --flush", False,
    )  # fmt: skip


def _clock(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    set_at_all = survey.now_sec >= survey.built_sec
    able = set_at_all if survey.synchronised is None else set_at_all and survey.synchronised
    said = {True: "synchronised", False: "not synchronised", None: "not known"}[survey.synchronised]
    found = f"adjtimex(2): {said}; now is {survey.now_sec} s, the core was made at {survey.built_sec} s"
    found += "" if set_at_all else ", so the clock was never set"
    yield Ability(
        "clock", able, found, "schedules by the calendar, certificates and the times of logs need it",
        "" if able else "apt install systemd-timesyncd && timedatectl set-ntp true", False,
    )  # fmt: skip


def _systemd(survey: Survey, _facts: Facts) -> Iterator[Ability]:
    word = survey.systemd.removeprefix("systemd ").partition(" ")[0]
    able = int(word) >= SYSTEMD_LEAST if word.isdecimal() else None
    found = f"systemctl --version: {survey.systemd or 'no answer'}"
    yield Ability(
        "systemd", able, found, f"every directive was tried on systemd {SYSTEMD_LEAST}",
        "" if able else "Debian 13 or Raspberry Pi OS (trixie), or later", False,
    )  # fmt: skip


_PARTS: tuple[Callable[[Survey, Facts], Iterator[Ability]], ...] = (
    _controllers, _swap, _io_weight, _loop, _apparmor, _seccomp, _user_namespaces, _bpf, _lockdown, _journal, _clock,
    _hang, _systemd,
)  # fmt: skip
