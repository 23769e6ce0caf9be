"""Whatever is accepted comes out of the plan as it went in; whatever is not is refused in plain words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aurora.directives import DIRECTIVES
from aurora.emit import Property, apparmor_text, service_properties, timer_properties, timer_text, unit_text
from aurora.errors import AuroraError
from aurora.identity import foreground, installed
from aurora.manifest import KEYS, Manifest, read_manifest
from aurora.plan import Facts, Feature, Plan, Secrets, make_plan
from aurora.policy import read_catalogue, read_owner, resolve
from tests.unit.examples import EVERY, POLICIES, shipped
from tests.unit.fuzz.decode import from_bus, from_lines
from tests.unit.fuzz.manifests import fitting, owners, tables, toml
from tests.unit.fuzz.unitfile import assignments

FOLDER = "/var/lib/aurora-core/modules/hello/a"
DIRECTIONS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


# Not shrunk: hypothesis trips over its own labels with strategies that depend on one another so much.
PHASES = (Phase.explicit, Phase.generate)


def examples(count: int) -> Callable[..., object]:
    """So many examples; the time for each is not bounded, and making one may take longer than looking at it."""
    return settings(
        max_examples=count * settings().max_examples // 100, phases=PHASES, suppress_health_check=list(HealthCheck)
    )


def in_plain_words(error: AuroraError) -> None:
    """An error harms no terminal and no log, and says something."""
    assert error.problems
    for problem in error.problems:
        assert problem.what
        assert problem.why
        for part in problem:
            harmful = [c for c in part if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs") or c in DIRECTIONS]
            assert not harmful, repr(part)
            assert len(part) < 5000


def manifest_of(data: bytes, owner: bytes | None = None, *, file: str = "module.toml") -> Manifest | None:
    """What is read, or None where it is refused; nothing but an error of ours is ever raised."""
    try:
        return read_manifest(data, file=file, owner=(owner, "owner.toml") if owner is not None else None)
    except AuroraError as error:
        in_plain_words(error)
        return None


def plan_of(manifest: Manifest, facts: Facts, *, encrypted: frozenset[str], trial: bool) -> Plan | None:
    identity = foreground(manifest.name) if trial else installed(manifest.name)
    secrets = Secrets(f"/etc/aurora/credentials/{manifest.name}", encrypted)
    try:
        policy = resolve(shipped(), manifest.sandbox.policy, manifest.sandbox.grants, where="module.toml")
        return make_plan(manifest, policy, facts, identity=identity, folder=FOLDER, secrets=secrets)
    except AuroraError as error:
        in_plain_words(error)
        return None


def comes_back_from_text(planned: dict[str, object], text: str, extra: dict[str, tuple[str, ...]]) -> None:
    found = {}
    for section, names in assignments(text).items():
        for name, lines in names.items():
            assert DIRECTIVES[name].section == section
            assert name not in found
            found[name] = from_lines(DIRECTIVES[name].kind, lines, section)
    assert found == planned | extra


def comes_back_from_bus(planned: dict[str, object], properties: tuple[Property, ...]) -> None:
    sent: dict[str, list[object]] = {}
    for one in properties:
        # Two directives of a timer are one property, and carry their names.
        name = one.value[0][0] if one.name.startswith("Timers") else one.name
        sent.setdefault(name, []).append(one.value)
    for name, value in planned.items():
        row = DIRECTIVES[name]
        key = name if row.property.startswith("Timers") else row.property
        assert from_bus(row.kind, sent.pop(key), value) == value
    assert set(sent) <= {"Wants"}


def has_one_profile_with_its_rules(plan: Plan) -> None:
    head, _, rest = apparmor_text(plan).partition("profile ")
    assert "profile" not in head
    first, *rules, last, end = rest.split("\n")
    assert (first, last, end) == (f"{plan.profile} flags=(attach_disconnected) {{", "}", "")
    assert all(re.fullmatch(r"  (include <[a-z/-]+>|[^\n#\"]+,)", rule) for rule in rules)
    own = [f"{plan.folder}/ r,", f"{plan.folder}/** mrix,", *(f"{place}/{{,**}} rwkl," for place in plan.writable)]
    if plan.credentials:
        own.append(f"/run/credentials/{plan.unit}/{{,*}} r,")
    assert [rule.strip() for rule in rules] == [*plan.apparmor, *own]


FEATURES = st.frozensets(st.sampled_from(sorted(EVERY)))
FACTS = st.one_of(
    st.just(Facts(features=EVERY, accepted=frozenset())),
    st.builds(lambda lacking: Facts(features=EVERY - lacking, accepted=lacking), FEATURES),
    st.builds(lambda features, accepted: Facts(features=features, accepted=accepted), FEATURES, FEATURES),
)


def test_what_is_accepted_comes_back_from_all_that_is_made_of_it() -> None:
    outcomes: list[bool] = []

    @examples(150)
    @given(tables(), st.none() | owners(), FACTS, st.booleans(), st.booleans())
    def check(found: dict[str, object], owner: dict[str, object] | None, facts: Facts, half: bool, trial: bool) -> None:
        manifest = manifest_of(toml(found), None if owner is None else toml(owner))
        outcomes.append(manifest is not None)
        if manifest is None:
            return
        encrypted = frozenset(manifest.credentials[::2]) if half else frozenset()
        plan = plan_of(manifest, facts, encrypted=encrypted, trial=trial)
        if plan is None:
            return
        assert Plan.from_json(plan.to_json()) == plan
        assert plan.settings["Type"] in ("exec", "notify", "oneshot")
        comes_back_from_text(dict(plan.settings), unit_text(plan), {})
        comes_back_from_text(dict(plan.timer), timer_text(plan), {"Wants": (plan.slice,)} if plan.timer else {})
        comes_back_from_bus(dict(plan.settings), service_properties(plan))
        comes_back_from_bus(dict(plan.timer), timer_properties(plan))
        if plan.profile is not None:
            has_one_profile_with_its_rules(plan)

    check()
    # A check of what is accepted is none when nothing is.
    assert sum(outcomes) > len(outcomes) / 10


@examples(80)
@given(tables(wild=True), st.booleans())
def test_a_manifest_of_whatever_is_refused_in_plain_words(found: dict[str, object], older: bool) -> None:
    manifest_of(toml(found))


@examples(100)
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode(errors="surrogatepass")))
def test_bytes_of_whatever_are_refused_in_plain_words(data: bytes) -> None:
    for file in ("module.toml", "module.json"):
        manifest_of(data, file=file)
        manifest_of(b'[module]\nname = "hello"\nversion = "1"\nentry = "run.py"\n', data)
    for read in (
        lambda: read_owner(data, file="core.toml"),
        lambda: read_catalogue([("grants.toml", data)]),
        lambda: read_catalogue([("mine.toml", data)]),
    ):
        try:
            read()
        except AuroraError as error:
            in_plain_words(error)


SHIPPED = [(file.name, file.read_bytes()) for file in sorted(POLICIES.glob("*.toml"))]


@examples(100)
@given(st.sampled_from(SHIPPED), st.data())
def test_a_policy_that_is_damaged_is_refused_in_plain_words(file: tuple[str, bytes], data: st.DataObject) -> None:
    name, content = file
    start = data.draw(st.integers(0, len(content)))
    length = data.draw(st.integers(0, 20))
    signs = st.sampled_from([*'"\\[]{}=,#\n\x1b\x00%;a1', "true", "[]", '"x"', "{}", "\\u001b", "\\u202e"])
    with_what = "".join(data.draw(st.lists(signs, max_size=4)))
    try:
        read_catalogue([(name, content[:start] + with_what.encode() + content[start + length :])])
    except AuroraError as error:
        in_plain_words(error)


@pytest.mark.parametrize("row", KEYS, ids=[row.path for row in KEYS])
def test_every_key_is_tried_with_more_than_its_example(row: object) -> None:
    key = next(one for one in KEYS if one is row)
    seen = []

    @settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(fitting(key))
    def look(value: object) -> None:
        seen.append(repr(value))

    look()
    assert len(set(seen)) > 1


def test_every_feature_of_a_machine_may_be_missing() -> None:
    assert frozenset(Feature) == EVERY
