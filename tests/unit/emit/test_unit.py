from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.directives import DIRECTIVES, Kind, Value
from aurora.emit import service_properties, slice_properties, timer_properties, timer_text, unit_text
from aurora.emit.unit import PREREQUISITES
from aurora.plan import Plan
from tests.unit.examples import plan


def lines(made: Plan) -> list[str]:
    return unit_text(made).splitlines()


def line_for(name: str, value: Value) -> str:
    made = plan()
    settings = {**made.settings, name: value}
    text = unit_text(Plan(**{**{f: getattr(made, f) for f in Plan.__slots__}, "settings": settings}))
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}=")]
    return line.removeprefix(f"{name}=")


def test_every_setting_is_sent_under_its_name_on_the_bus() -> None:
    made = plan()
    assert {one.name for one in service_properties(made)} == {DIRECTIVES[name].property for name in made.settings}


def test_what_systemd_derives_others_from_is_sent_first() -> None:
    first = [DIRECTIVES[name].property for name in PREREQUISITES]
    names = [one.name for one in service_properties(plan())]
    assert names[: len(first)] == first
    assert not set(names[len(first) :]) & set(first)


def test_equal_plans_are_sent_alike_whatever_the_order_of_their_settings() -> None:
    made = plan()
    turned = Plan.from_json({**made.to_json(), "settings": dict(sorted(made.settings.items(), reverse=True))})
    assert service_properties(turned) == service_properties(made)
    assert unit_text(turned) == unit_text(made)


def test_the_slice_wants_the_unit_so_that_it_stays_loaded() -> None:
    found = {name: (signature, value) for name, signature, value in slice_properties(plan())}
    assert found["Wants"] == ("as", ["aurora@hello.service"])


def test_a_timer_is_sent_and_written_as_systemd_calls_its_times() -> None:
    made = plan('kind = "oneshot"\n[schedule]\ninterval = "10s"\njitter = "1s"')
    found = timer_properties(made)
    assert ("TimersMonotonic", "a(st)", [("OnActiveSec", 0)]) in found
    assert ("TimersMonotonic", "a(st)", [("OnUnitActiveSec", 10_000_000)]) in found
    assert ("RandomizedDelayUSec", "t", 1_000_000) in found
    assert "[Timer]\nAccuracySec=1000000us\nOnActiveSec=0us\nOnUnitActiveSec=10000000us\n" in timer_text(made)


def test_a_timer_and_its_slice_keep_one_another_loaded_and_the_timer_its_service() -> None:
    made = plan('kind = "oneshot"\n[schedule]\ncalendar = "daily"')
    assert ("Wants", "as", ["aurora@hello.timer"]) in slice_properties(made)
    assert ("Wants", "as", ["aurora-hello.slice"]) in timer_properties(made)
    assert ("TimersCalendar", "a(ss)", [("OnCalendar", "daily")]) in timer_properties(made)


def test_without_a_schedule_there_is_nothing_to_say_of_a_timer() -> None:
    assert (timer_properties(plan()), timer_text(plan())) == ((), "")


def test_each_directive_stands_in_its_own_section() -> None:
    section = ""
    seen = set()
    for line in lines(plan("[restart]\ngive_up_after = 3")):
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            name = line.partition("=")[0]
            assert DIRECTIVES[name].section == section
            seen.add(name)
    assert seen == set(plan("[restart]\ngive_up_after = 3").settings)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("PrivateTmp", True, "yes"),
        ("PrivateTmp", False, "no"),
        ("PrivateTmp", "disconnected", "disconnected"),
        ("Description", "100% of it", "100%% of it"),
        ("TimeoutStartSec", 90_000_000, "90000000us"),
        ("CPUQuota", 200_000, "20%"),
        ("CPUQuota", 1_234_500, "123.45%"),
        ("CPUQuota", 1_024_000_000, "102400%"),
        ("MemoryMax", 64 << 20, "67108864"),
        ("TasksMax", 7, "7"),
        ("KillSignal", "SIGINT", "SIGINT"),
        ("IOReadBandwidthMax", ("/var/lib 1048576",), "/var/lib 1048576"),
        ("LoadCredential", ("key:/etc/x/key",), "key:/etc/x/key"),
        ("OnCalendar", "*-*-* 03:30", "*-*-* 03:30"),
        ("UMask", 0o077, "0077"),
        ("StateDirectoryMode", 0o700, "0700"),
        ("SystemCallErrorNumber", "EPERM", "EPERM"),
        ("AppArmorProfile", "aurora.hello", "aurora.hello"),
        ("CapabilityBoundingSet", (), ""),
        ("CapabilityBoundingSet", ("CAP_CHOWN", "CAP_KILL"), "CAP_CHOWN CAP_KILL"),
        ("RestrictNamespaces", ("uts",), "uts"),
        ("IPAddressDeny", ("any", "::1/128"), "any ::1/128"),
        ("TemporaryFileSystem", ("/run", "/var"), "/run:ro /var:ro"),
        ("TemporaryFileSystem", ("/dev/shm:size=64M",), "/dev/shm:mode=1777,nosuid,nodev,size=64M"),
        ("BindReadOnlyPaths", ("-/run/x", "/y"), "-/run/x /y"),
        ("DeviceAllow", ("/dev/gpiochip0 rw",), "/dev/gpiochip0 rw"),
        ("Environment", ("A=1", "B=two words"), 'A=1 "B=two words"'),
        ("Environment", ("A=100%", 'B="'), 'A=100%% "B=\\""'),
        ("ExecStart", ("/bin/x", "$HOME", ""), ':/bin/x "$HOME" ""'),
        ("ExecStart", ("/bin/x", ";", "a\\b", "\t"), ':/bin/x ";" "a\\\\b" "\\t"'),
        ("ExecStart", ("/bin/x", "%n"), ":/bin/x %%n"),
    ],
)
def test_a_value_is_written_as_a_unit_file_holds_it(name: str, value: Value, text: str) -> None:
    assert line_for(name, value) == text


def test_system_calls_that_are_taken_out_again_have_a_line_of_their_own() -> None:
    found = [line for line in lines(plan()) if line.startswith("SystemCallFilter=")]
    assert found[0] == "SystemCallFilter=@system-service"
    assert found[1].startswith("SystemCallFilter=~@privileged @resources")


def test_every_device_has_a_line_of_its_own() -> None:
    made = plan()
    settings = {**made.settings, "DeviceAllow": ("/dev/null rw", "/dev/zero r")}
    text = unit_text(Plan.from_json({**made.to_json(), "settings": settings}))
    assert "DeviceAllow=/dev/null rw\nDeviceAllow=/dev/zero r\n" in text


# What a manifest lets through: see aurora.manifest.faults.unfit.
PLAIN = st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"])


@given(st.lists(st.text(PLAIN, max_size=20), max_size=4))
def test_no_word_can_end_its_line_or_split_in_two(words: list[str]) -> None:
    line = line_for("ExecStart", ("/bin/x", *words))
    # systemd's rules for quotes and backslashes are those of a shell that knows no variables.
    assert shlex.split(line.removeprefix(":").replace("%%", "%")) == ["/bin/x", *words]


def test_each_kind_of_the_table_can_be_written() -> None:
    examples: dict[Kind, Value] = {
        Kind.SWITCH: True, Kind.FLAG: True,
        Kind.TEXT: "x", Kind.WORDS: ("x",), Kind.USEC: 1, Kind.BYTES: 1, Kind.COUNT: 1,
        Kind.NUMBER: 1, Kind.MODE: 1, Kind.SHARE: 10_000, Kind.SYSCALLS: ("read",), Kind.FAMILIES: ("AF_UNIX",),
        Kind.CAPABILITIES: ("CAP_CHOWN",), Kind.NAMESPACES: ("uts",), Kind.ADDRESSES: ("any",), Kind.PROFILE: "x",
        Kind.BINDS: ("/x",), Kind.EMPTIED: ("/x",), Kind.DEVICES: ("/dev/null rw",), Kind.ERRNO: "EPERM",
        Kind.COMMAND: ("/bin/x",), Kind.SIGNAL: "SIGINT", Kind.SIGNALS: ("SIGTERM",),
        Kind.RATES: ("/x 1",), Kind.CREDENTIALS: ("a:/x",), Kind.CALENDAR: "daily", Kind.ELAPSE: 1,
        Kind.GROUPS: ("video",), Kind.SOCKETS: ("80",), Kind.UNLOGGED: ("read",),
    }  # fmt: skip
    assert set(examples) == set(Kind)
    for row in DIRECTIVES.values():
        assert line_for(row.name, examples[row.kind])
