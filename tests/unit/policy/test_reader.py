from __future__ import annotations

import time

import pytest

from aurora.errors import InputError, Problem
from aurora.plan import Feature
from aurora.policy import FILE_MAX_BYTES, OWNER_FEATURES, Catalogue, Owner, read_catalogue, read_owner
from aurora.policy.reader import RULES_MAX
from tests.unit.examples import POLICIES, shipped

POLICY = "policies/mine.toml"
GRANTS = "policies/grants.toml"
OWNER = "/etc/aurora/core.toml"


def read(text: str, file: str = POLICY) -> Catalogue:
    return read_catalogue([(file, text.encode())])


def problems_of(data: str | bytes, file: str = POLICY) -> tuple[Problem, ...]:
    octets = data.encode() if isinstance(data, str) else data
    with pytest.raises(InputError) as caught:
        read_catalogue([(file, octets)])
    return caught.value.problems


def problem_of(data: str | bytes, file: str = POLICY) -> Problem:
    (problem,) = problems_of(data, file)
    return problem


def owner_problem_of(data: str | bytes) -> Problem:
    octets = data.encode() if isinstance(data, str) else data
    with pytest.raises(InputError) as caught:
        read_owner(octets, file=OWNER)
    (problem,) = caught.value.problems
    return problem


def test_a_policy_is_named_after_its_file() -> None:
    policy = read('description = "Mine"\napparmor = ["/x r,"]\n[directives]\nPrivateTmp = true').policies["mine"]
    assert (policy.name, policy.description, policy.apparmor) == ("mine", "Mine", ("/x r,",))
    assert policy.directives == {"PrivateTmp": True}


def test_an_empty_policy_is_one_that_sets_nothing() -> None:
    policy = read("").policies["mine"]
    assert (policy.description, policy.apparmor, policy.directives) == ("", (), {})


def test_a_grant_holds_what_it_sets_adds_removes_and_allows() -> None:
    text = """
        ["a.b"]
        description = "Loosens"
        apparmor = ["/x r,"]
        set = { PrivateNetwork = false }
        add = { RestrictAddressFamilies = ["AF_INET"] }
        remove = { InaccessiblePaths = ["-/srv"] }
    """
    grant = read(text, GRANTS).grants["a.b"]
    assert (grant.name, grant.description, grant.apparmor) == ("a.b", "Loosens", ("/x r,",))
    assert grant.set == {"PrivateNetwork": False}
    assert grant.add == {"RestrictAddressFamilies": ("AF_INET",)}
    assert grant.remove == {"InaccessiblePaths": ("-/srv",)}


def test_of_two_policies_of_one_name_the_later_one_counts() -> None:
    found = read_catalogue([("/usr/mine.toml", b'description = "old"'), ("/etc/mine.toml", b'description = "new"')])
    assert found.policies["mine"].description == "new"


def test_of_two_grants_of_one_name_the_later_one_counts_and_the_others_stay() -> None:
    first = b'[a]\ndescription = "old"\n[b]\ndescription = "stays"'
    found = read_catalogue([("/usr/grants.toml", first), ("/etc/grants.toml", b'[a]\ndescription = "new"')])
    assert {name: grant.description for name, grant in found.grants.items()} == {"a": "new", "b": "stays"}


def test_the_shipped_files_are_sound_and_each_says_what_it_is() -> None:
    catalogue = shipped()
    assert catalogue.policies.keys() == {file.stem for file in POLICIES.glob("*.toml")} - {"grants"}
    assert all(policy.description for policy in catalogue.policies.values())
    assert all(grant.description for grant in catalogue.grants.values())


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ('descripton = "x"', "descripton", "there is no such key"),
        ("description = 1", "description", "it must be one line of text"),
        ('description = "two\\nlines"', "description", "it must be one line of text"),
        ('apparmor = "/x r,"', "apparmor", f"it must be a list of at most {RULES_MAX} rules"),
        (f"apparmor = [{'"/x r,",' * (RULES_MAX + 1)}]", "apparmor", "it must be a list of at most"),
        ("apparmor = [1]", "apparmor", "must be a text"),
        ('apparmor = ["/x r"]', "apparmor", "is not one rule ending with a comma"),
        ("directives = 1", "directives", "it must be a table"),
        ("[directives]\nNoSuchThing = true", "directives.NoSuchThing", "a policy cannot set such a directive"),
        ('[directives]\nExecStart = ["/bin/sh"]', "directives.ExecStart", "a policy cannot set such a directive"),
        ('[directives]\nUser = "root"', "directives.User", "a policy cannot set such a directive"),
        ("[directives]\nPrivateTmp = 1", "directives.PrivateTmp", "must be true or false"),
        ("[directives]\nProtectSystem = true", "directives.ProtectSystem", "must be a text"),
        ('[directives]\nProtectSystem = "a b"', "directives.ProtectSystem", "is not a word"),
        ('[directives]\nUMask = "0077"', "directives.UMask", "must be a file mode"),
        ("[directives]\nUMask = true", "directives.UMask", "must be a file mode"),
        ("[directives]\nUMask = 0o10000", "directives.UMask", "must be a file mode"),
        ("[directives]\nUMask = -1", "directives.UMask", "must be a file mode"),
        ('[directives]\nLimitCORE = "many"', "directives.LimitCORE", "is not a size"),
        ("[directives]\nLimitCORE = 0", "directives.LimitCORE", "must be a text"),
        ('[directives]\nSystemCallErrorNumber = "EALL"', "directives.SystemCallErrorNumber", "name of an errno"),
        ('[directives]\nSystemCallErrorNumber = "errorcode"', "directives.SystemCallErrorNumber", "name of an errno"),
        (
            '[directives]\nSystemCallFilter = "@system-service"',
            "directives.SystemCallFilter",
            "must be a list of texts",
        ),
        ("[directives]\nSystemCallFilter = [1]", "directives.SystemCallFilter", "must be a list of texts"),
        ('[directives]\nSystemCallFilter = ["READ"]', "directives.SystemCallFilter", "is not what SystemCallFilter"),
        ('[directives]\nSystemCallFilter = ["read write"]', "directives.SystemCallFilter", "is not what"),
        (f"[directives]\nSystemCallFilter = [{'"read",' * 513}]", "directives.SystemCallFilter", "513 elements"),
        ('[directives]\nRestrictAddressFamilies = ["inet"]', "directives.RestrictAddressFamilies", "is not what"),
        ("[directives]\nRestrictAddressFamilies = []", "directives.RestrictAddressFamilies", "at least one"),
        ('[directives]\nCapabilityBoundingSet = ["chown"]', "directives.CapabilityBoundingSet", "is not what"),
        ('[directives]\nRestrictNamespaces = ["time"]', "directives.RestrictNamespaces", "is not one of cgroup"),
        ("[directives]\nRestrictNamespaces = []", "directives.RestrictNamespaces", "at least one type"),
        ('[directives]\nIPAddressDeny = ["1.2.3.4/8"]', "directives.IPAddressDeny", "host bits set"),
        ('[directives]\nIPAddressDeny = ["everyone"]', "directives.IPAddressDeny", "everyone"),
        ('[directives]\nTemporaryFileSystem = ["run"]', "directives.TemporaryFileSystem", "is not what"),
        ('[directives]\nTemporaryFileSystem = ["/run:rw"]', "directives.TemporaryFileSystem", "is not what"),
        ('[directives]\nBindReadOnlyPaths = ["/a:/b"]', "directives.BindReadOnlyPaths", "is not what"),
        ('[directives]\nBindReadOnlyPaths = ["/a/../etc"]', "directives.BindReadOnlyPaths", "is not what"),
        ('[directives]\nDeviceAllow = ["/dev/null"]', "directives.DeviceAllow", "is not what"),
        ('[directives]\nDeviceAllow = ["char-* rw"]', "directives.DeviceAllow", "is not what"),
        ('[directives]\nSupplementaryGroups = ["two words"]', "directives.SupplementaryGroups", "is not what"),
    ],
)
def test_a_bad_value_in_a_policy_is_named_with_its_file_and_key(text: str, key: str, why: str) -> None:
    problem = problem_of(text)
    assert problem.what == "read the policy"
    assert problem.where == f"{POLICY}, key {key}"
    assert why in problem.why


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("a = 1", "a", "it must be a table"),
        ("[a]\nsett = {}", "a.sett", "there is no such key"),
        ("[a]\ndescription = []", "a.description", "it must be one line of text"),
        ('[a]\napparmor = ["}"]', "a.apparmor", "is not one rule"),
        ("[a]\nset = []", "a.set", "it must be a table"),
        ("[a]\nset = { PrivateTmp = 0 }", "a.set.PrivateTmp", "must be true or false"),
        ("[a]\nset = { DynamicUser = false }", "a.set.DynamicUser", "a policy cannot set such a directive"),
        ("[a]\nadd = { PrivateTmp = true }", "a.add.PrivateTmp", "it is not a list"),
        ("[a]\nremove = { NoNewPrivileges = true }", "a.remove.NoNewPrivileges", "it is not a list"),
        ('[a]\nadd = { RestrictAddressFamilies = ["x"] }', "a.add.RestrictAddressFamilies", "is not what"),
        ('["x.y"]\nremove = { Nonsense = ["x"] }', "x.y.remove.Nonsense", "a policy cannot set such a directive"),
    ],
)
def test_a_bad_value_in_a_grant_is_named_with_its_file_and_key(text: str, key: str, why: str) -> None:
    problem = problem_of(text, GRANTS)
    assert problem.what == "read the grants"
    assert problem.where == f"{GRANTS}, key {key}"
    assert why in problem.why


@pytest.mark.parametrize("data", [b"\xff", b"description = ", b"a = " + b"[" * 5000, b'a = "1"\na = "2"'])
def test_what_is_not_toml_is_named_with_its_file(data: bytes) -> None:
    problem = problem_of(data)
    assert problem.where == POLICY
    assert "it is not TOML in UTF-8" in problem.why


def test_a_file_beyond_the_bound_is_not_looked_at() -> None:
    problem = problem_of(b"#" * (FILE_MAX_BYTES + 1))
    assert f"more than {FILE_MAX_BYTES}" in problem.why
    assert read_catalogue([(POLICY, b"#" * FILE_MAX_BYTES)]).policies


def test_all_problems_of_all_files_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        read_catalogue(
            [
                ("one.toml", b"apparmor = [1, '/x r']\nfoo = 1\n[directives]\nUMask = -1\nPrivateTmp = 2"),
                ("two.toml", b"bar = 1"),
                ("grants.toml", b"[a]\nset = { PrivateTmp = 2 }\n[b]\nbaz = 1"),
            ]
        )
    assert sorted(problem.where for problem in caught.value.problems) == [
        "grants.toml, key a.set.PrivateTmp",
        "grants.toml, key b.baz",
        "one.toml, key apparmor",
        "one.toml, key apparmor",
        "one.toml, key directives.PrivateTmp",
        "one.toml, key directives.UMask",
        "one.toml, key foo",
        "two.toml, key bar",
    ]


# The owner's core.toml


def test_an_owner_who_says_nothing_accepts_nothing() -> None:
    assert read_owner(b"", file=OWNER) == Owner(accept_unenforced=frozenset())


def test_an_owner_accepts_what_is_listed() -> None:
    owner = read_owner(b'accept_unenforced = ["apparmor", "memory"]', file=OWNER)
    assert owner == Owner(accept_unenforced=frozenset({"apparmor", "memory"}))


def test_an_owner_can_accept_every_feature_that_a_plan_relies_on_and_nothing_else() -> None:
    assert {feature.value for feature in Feature} == OWNER_FEATURES


@pytest.mark.parametrize(
    "value", ['"apparmor"', "true", '["selinux"]', '["apparmor", 1]', '[["apparmor"]]', "[{ apparmor = true }]"]
)
def test_what_an_owner_cannot_accept_is_named_with_what_can_be(value: str) -> None:
    problem = owner_problem_of(f"accept_unenforced = {value}")
    assert problem.what == "read the owner's settings"
    assert problem.where == f"{OWNER}, key accept_unenforced"
    assert "apparmor, cpu, io, io-weight, ip-filter" in problem.remedy


def test_an_unknown_setting_of_the_owner_is_named() -> None:
    problem = owner_problem_of("accept = []")
    assert problem.where == f"{OWNER}, key accept"
    known = "accept_unenforced, exposure_max, grants_never, link, policies_never, signatures, update"
    assert problem.remedy == f"one of {known}"


def test_an_owner_lists_the_web_pages_that_may_talk_to_the_hub() -> None:
    listed = ("https://panel.example", "http://localhost:8080", "http://[::1]:80", "moz-extension://0a-b")
    owner = read_owner(f"[link]\norigins = {list(listed)}".encode(), file=OWNER)
    assert owner.origins == listed


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "panel.example", "https://panel.example/", "https://panel.example/page", "https://Panel.example",
     "https://", "https://a b", "https://user@panel.example", "http://localhost:0", "https://*.example"],
)  # fmt: skip
def test_what_no_browser_names_as_an_origin_is_refused(origin: str) -> None:
    problem = owner_problem_of(f'[link]\norigins = ["{origin}"]')
    assert problem.where == f"{OWNER}, key link.origins"
    assert "https://panel.example" in problem.remedy


def test_an_owner_names_the_topics_where_modules_need_an_approval() -> None:
    owner = read_owner(b'[link]\napprove = ["actuator/#", "door/+/open"]', file=OWNER)
    assert owner.approve == ("actuator/#", "door/+/open")
    for pattern in ("", "#/a", "$sys/#", "a" * 257):
        problem = owner_problem_of(f'[link]\napprove = ["{pattern}"]')
        assert problem.where == f"{OWNER}, key link.approve"
        assert "actuator/#" in problem.remedy


@pytest.mark.parametrize(
    ("text", "key"),
    [(f"[link]\napprove = {[f'a{n}' for n in range(65)]}", "link.approve"),
     ("link = 1", "link"), ("[link]\norigin = []", "link.origin"), ('[link]\norigins = "https://a"', "link.origins"),
     (f"[link]\norigins = {['https://a'] * 33}", "link.origins")],
)  # fmt: skip
def test_a_table_of_the_hub_that_is_wrong_is_named(text: str, key: str) -> None:
    assert owner_problem_of(text).where == f"{OWNER}, key {key}"


def test_an_owners_file_that_is_not_toml_is_named() -> None:
    assert owner_problem_of(b"\xff").where == OWNER


# Policies made from others, and grants that take an argument


def test_a_policy_made_from_another_has_all_of_it_but_what_it_changes() -> None:
    catalogue = read_catalogue(
        [
            ("b.toml", b'base = "a"\n[directives]\nPrivateTmp = false\n[add]\nInaccessiblePaths = ["/y"]\n'),
            ("a.toml", b'apparmor = ["/x r,"]\n[directives]\nPrivateTmp = true\nInaccessiblePaths = ["/x"]\n'),
        ]
    )
    made = catalogue.policies["b"]
    assert made.base == "a"
    assert made.directives == {"PrivateTmp": False, "InaccessiblePaths": ("/x", "/y")}
    assert made.apparmor == ("/x r,",)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"a.toml": 'base = "nobody"'}, "there is no policy 'nobody'"),
        ({"a.toml": 'base = "b"', "b.toml": 'base = "a"'}, "its bases lead back to itself"),
        ({"a.toml": 'base = "a"'}, "its bases lead back to itself"),
        ({"a.toml": "[add]\nInaccessiblePaths = []"}, "there is no such key"),
    ],
)
def test_a_base_that_leads_nowhere_is_named(files: dict[str, str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_catalogue((name, text.encode()) for name, text in files.items())


@pytest.mark.parametrize(
    "grant",
    [
        '["listen:PORT"]\nadd = { SocketBindAllow = ["$PATH"] }',
        '["x"]\nadd = { BindPaths = ["$PATH"] }',
        '["listen:PORT"]\napparmor = ["/x$PROT r,"]',
        '["listen:PORT"]\ndescription = "On $NAME"',
    ],
)
def test_a_placeholder_that_stands_for_nothing_is_named(grant: str) -> None:
    with pytest.raises(InputError, match=r"is not what|stands for nothing here"):
        read_catalogue([("grants.toml", grant.encode())])


@pytest.mark.parametrize("name", ["Listen", "listen:", "a b", "a:b c", "", "a\\u007F"])
def test_what_cannot_name_a_grant_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="it is not the name of a grant"):
        read_catalogue([("grants.toml", f'["{name}"]\n'.encode())])


@pytest.mark.parametrize(
    "line", ['exposure_max = "11"', "exposure_max = true", 'grants_never = "cap:*"', 'grants_never = ["cap:"]',
             'grants_never = ["*"]', "policies_never = [1]"]
)  # fmt: skip
def test_a_ceiling_that_is_none_is_named(line: str) -> None:
    assert owner_problem_of(line).where == f"{OWNER}, key {line.partition(' ')[0]}"


def test_a_ceiling_is_read() -> None:
    owner = read_owner(b'exposure_max = "3.0"\ngrants_never = ["cap:*"]\npolicies_never = ["trusted"]', file=OWNER)
    assert owner == Owner(exposure_max_tenths=30, grants_never=("cap:*",), policies_never=("trusted",))


@pytest.mark.parametrize("word", ["required", "warn", "off"])
def test_the_owners_word_on_signatures_is_read(word: str) -> None:
    assert read_owner(f'signatures = "{word}"'.encode(), file=OWNER).signatures == word
    assert read_owner(b"", file=OWNER).signatures == "off"


@pytest.mark.parametrize("line", ['signatures = "Required"', "signatures = true", "signatures = []", 'signatures = ""'])
def test_a_word_on_signatures_that_is_none_is_named_with_those_that_are(line: str) -> None:
    problem = owner_problem_of(line)
    assert problem.where == f"{OWNER}, key signatures"
    assert problem.remedy == '"required", "warn", "off"'


def test_an_error_is_short_and_commands_no_terminal() -> None:
    text = '"a\\u001B[2J" = 1\n[directives]\n"\\u009B" = 1\nProtectHome = "' + "x y" * 9000 + '"\n'
    with pytest.raises(InputError) as caught:
        read_catalogue([("own.toml", text.encode())])
    assert len(caught.value.problems) == 3
    for problem in caught.value.problems:
        assert all(part.isprintable() and len(part) < 400 for part in problem.to_json().values())
    assert "key a\\x1b[2J" in caught.value.problems[0].where


def test_more_problems_than_can_be_read_are_not_told() -> None:
    text = "".join(f"k{number} = 1\n" for number in range(500))
    with pytest.raises(InputError) as caught:
        read_catalogue((f"{name}.toml", text.encode()) for name in "ab")
    assert len(caught.value.problems) == 50


@pytest.mark.parametrize("joined", [".", " . ", "\t.", '."x".', ".'y'."])
def test_a_key_of_too_many_parts_is_refused_before_it_takes_time(joined: str) -> None:
    start = time.process_time()
    with pytest.raises(InputError, match="more than 16 parts"):
        read_catalogue([("own.toml", (joined.join("a" * 20_000) + " = 1").encode())])
    assert time.process_time() - start < 2
