"""What a manifest can say of when a module runs, beside whom, with which secrets, and what its owner may change."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.vm.core import Core, Module, folder, tidied, unit
from tests.vm.machine import Machine

SECRET = "corr3ct-h0rse"

TICK = Module(
    name="tick-tock",
    program='#!/bin/sh\necho "ran $(wc -l <"$STATE_DIRECTORY/runs" 2>/dev/null)"\necho run >>"$STATE_DIRECTORY/runs"\n',
    more='kind = "oneshot"\n[schedule]\ninterval = "4s"\n[directories]\nstate = true\n',
)
NIGHTLY = Module(
    name="nightly",
    program="#!/bin/sh\necho nothing to do\n",
    more='kind = "oneshot"\n[schedule]\ncalendar = "*-*-* 03:30"\njitter = "10min"\ncatch_up = true\n',
)
ONCE = Module(name="once", program="#!/bin/sh\necho done\n", more='kind = "oneshot"\n')
BASE = Module(name="base-one")
LEANING = Module(name="leaning", more='[order]\nrequires = ["base-one"]\n')
KEYED = Module(
    name="keyed",
    program=(
        '#!/bin/sh\nfor key in open sealed; do wc -c <"$CREDENTIALS_DIRECTORY/$key"; done\n'
        'cat "$CREDENTIALS_DIRECTORY/open" "$CREDENTIALS_DIRECTORY/sealed" | sha256sum\nexec sleep inf\n'
    ),
    more='[credentials]\nnames = ["open", "sealed"]\n',
)
STUBBORN = Module(
    name="stubborn",
    program='#!/bin/sh\ntrap "echo asked; exit 0" INT\ntrap : TERM\necho up\nwhile :; do sleep 1; done\n',
    more='[stop]\nsignal = "SIGINT"\ntimeout = "20s"\n',
)
WEIGHED = Module(
    name="weighed",
    program='#!/bin/sh\necho "$GREETING"\nexec sleep inf\n',
    more='[limits]\ncpu_weight = 50\nio_write_max = "2M"\nmemory_max = "32M"\n[environment]\nGREETING = "hello"\n',
)


@pytest.fixture(scope="module")
def core(vm: Machine) -> Iterator[Core]:
    with tidied(vm) as core:
        core.install_only(TICK, NIGHTLY, ONCE, BASE, LEANING, KEYED, STUBBORN, WEIGHED)
        yield core
        core.run("rm -f /etc/aurora/modules/weighed.toml")


def status(core: Core, module: str) -> dict[str, object]:
    return dict(json.loads(core.run(f"auroractl status --json {module} || true").stdout))


def test_a_schedule_runs_a_oneshot_again_and_again_also_after_a_daemon_reload(core: Core) -> None:
    core.run("auroractl start tick-tock nightly")
    runs = "/var/lib/private/aurora/tick-tock/runs"
    core.machine.wait_until(f'[ "$(wc -l <{runs})" -ge 3 ]', 120)
    core.run("systemctl daemon-reload")
    now = int(core.run(f"wc -l <{runs}").stdout)
    core.machine.wait_until(f'[ "$(wc -l <{runs})" -ge {now + 2} ]', 120)
    found = status(core, "tick-tock")
    assert (found["up"], found["scheduled"]) == (True, True)
    timers = core.run("systemctl list-timers --no-pager --all 'aurora@*'").stdout
    assert "aurora@nightly.timer" in timers
    assert int(str(status(core, "nightly")["next_sec"])) > int(core.run("date +%s").stdout)


def test_a_schedule_stops_for_its_owner_and_is_known_to_systemctl_afterwards(core: Core) -> None:
    core.run("auroractl stop tick-tock")
    shown = core.run("systemctl is-active aurora@tick-tock.timer aurora@tick-tock || true").stdout
    assert shown == "inactive\ninactive\n"
    core.run("systemctl start aurora@tick-tock.timer && systemctl start aurora@tick-tock")
    core.run("auroractl stop tick-tock")


def test_a_calendar_that_systemd_does_not_know_is_refused_with_its_place(core: Core) -> None:
    wrong = Module(name="wrong", more='kind = "oneshot"\n[schedule]\ncalendar = "someday"\n')
    core.put(wrong)
    done = core.run(f"auroractl install {folder('wrong')}", check=False)
    assert done.returncode == 65
    assert "key schedule.calendar" in done.stderr
    assert "wrong" not in core.listed()


def test_a_oneshot_is_up_once_it_has_done_its_work(core: Core) -> None:
    core.run("auroractl start once")
    assert core.show("once", "ActiveState", "SubState") == {"ActiveState": "active", "SubState": "exited"}
    assert core.said("once") == ["done"]
    assert status(core, "once")["up"] is True


def test_what_is_required_comes_first_and_goes_last(core: Core) -> None:
    core.run("auroractl start leaning")
    times = core.show_all(["base-one", "leaning"], "ActiveState", "ActiveEnterTimestampMonotonic")
    assert {one["ActiveState"] for one in times.values()} == {"active"}
    entered = {name: int(one["ActiveEnterTimestampMonotonic"]) for name, one in times.items()}
    assert entered["base-one"] <= entered["leaning"]

    before = core.invocations("leaning")
    core.run("auroractl restart base-one")
    assert core.show("leaning", "ActiveState")["ActiveState"] == "active", "it is up again"
    assert core.invocations("leaning") != before, "it went down with what it requires"
    refused = core.run("auroractl remove base-one", check=False)
    assert refused.returncode == 69
    assert "leaning" in refused.stderr

    core.run("systemctl stop aurora@base-one")
    assert core.show("leaning", "ActiveState")["ActiveState"] == "inactive"


def test_modules_in_a_circle_are_refused_by_name(core: Core) -> None:
    core.put(Module(name="base-one", version="2.0", more='[order]\nafter = ["leaning"]\n'))
    done = core.run(f"auroractl install --no-start {folder('base-one')}", check=False)
    assert done.returncode == 65
    assert "base-one -> leaning -> base-one" in done.stderr or "leaning -> base-one -> leaning" in done.stderr
    assert core.listed()["base-one"]["version"] == "1.0"


def test_a_secret_reaches_its_module_and_nobody_else(core: Core) -> None:
    refused = core.run("auroractl start keyed", check=False)
    assert "auroractl credential set keyed open" in refused.stderr
    core.run(
        f"printf %s {SECRET} | auroractl credential set keyed open\n"
        f"printf %s {SECRET} | auroractl credential set keyed sealed --encrypt\n"
        "auroractl start keyed"
    )
    assert core.said("keyed")[:2] == [str(len(SECRET))] * 2
    pid = core.show("keyed", "MainPID")["MainPID"]
    core.run(
        f"""
        ! tr '\\0' '\\n' </proc/{pid}/environ | grep -q {SECRET}
        ! journalctl -q --no-pager -o export | grep -aq {SECRET}
        ! auroractl plan keyed --json | grep -q {SECRET}
        ! systemctl show aurora@keyed | grep -q {SECRET}
        ! grep -rq {SECRET} /etc/aurora/credentials/keyed/sealed.cred /run/aurora
        ! su tester -c 'cat /etc/aurora/credentials/keyed/open'
        """
    )
    listed = json.loads(core.run("auroractl credential list --json").stdout)
    assert [(one["name"], one["form"]) for one in listed] == [("open", "plain"), ("sealed", "encrypted")]


def test_a_module_is_stopped_by_the_signal_that_it_asked_for(core: Core) -> None:
    core.run("auroractl start stubborn")
    core.machine.wait_until(f"journalctl -q -o cat -u {unit('stubborn')} | grep -qx up", 60)
    core.run("systemctl stop aurora@stubborn")
    assert core.said("stubborn")[-1] == "asked"
    assert core.show("stubborn", "Result")["Result"] == "success"


def test_weights_and_bandwidth_are_the_kernels_to_enforce(core: Core) -> None:
    core.run("auroractl start weighed")
    found = core.cgroup("weighed", "cpu.weight", "io.max")
    assert found["cpu.weight"] == "50"
    assert f"wbps={2 << 20}" in found["io.max"]


def test_a_weight_that_the_disk_does_not_heed_is_refused(core: Core) -> None:
    core.put(Module(name="heavy", more="[limits]\nio_weight = 50\n"))
    done = core.run(f"auroractl install {folder('heavy')}", check=False)
    assert done.returncode == 69
    assert 'accept_unenforced = ["io-weight"]' in done.stderr
    assert "heavy" not in core.listed()


def test_what_the_owners_file_says_counts_after_a_reload_and_what_it_may_not_say_is_refused(core: Core) -> None:
    core.run(
        """
        auroractl start weighed
        printf '[limits]\\nmemory_max = "24M"\\n[environment]\\nGREETING = "salut"\\n' >/etc/aurora/modules/weighed.toml
        systemctl reload aurora-core
        """
    )
    assert core.cgroup("weighed", "memory.max")["memory.max"] == str(24 << 20)
    assert core.said("weighed")[-1] == "salut"
    core.run("printf '[sandbox]\\ngrants = []\\n' >/etc/aurora/modules/weighed.toml")
    done = core.run("auroractl restart weighed", check=False)
    assert done.returncode == 65
    assert "/etc/aurora/modules/weighed.toml, line 2, key sandbox.grants" in done.stderr
    assert core.cgroup("weighed", "memory.max")["memory.max"] == str(24 << 20), "what ran goes on"
    core.run("rm /etc/aurora/modules/weighed.toml && auroractl restart weighed")
    assert core.cgroup("weighed", "memory.max")["memory.max"] == str(32 << 20)
