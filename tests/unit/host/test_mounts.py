from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora.host.mounts import mount_of, parse_mounts
from tests.unit.runtime.observed import MOUNTS


@pytest.mark.parametrize(
    ("path", "point", "root"),
    [
        ("/", "/", "/"),
        ("/etc/passwd", "/", "/"),
        ("/etc/shadow", "/etc/shadow", "/systemd/inaccessible/reg"),
        ("/etc/shadow-", "/", "/"),
        # Mounted over another mount at the same place.
        ("/tmp/x", "/tmp", "/tmp"),
        ("/var/lib", "/var", "/"),
        ("/var/lib/private/aurora/hello/file", "/var/lib/private/aurora/hello", "/var/lib/private/aurora/hello"),
    ],
)
def test_a_path_is_shown_by_the_mount_that_the_kernel_would_reach(path: str, point: str, root: str) -> None:
    found = mount_of(parse_mounts(MOUNTS), path)
    assert found is not None
    assert (found.point, found.root) == (point, root)


def test_a_mount_that_is_covered_by_a_later_one_above_it_is_not_reached() -> None:
    mounts = parse_mounts("1 0 8:1 / / rw - ext4 x rw\n2 1 0:5 / /a/b rw - tmpfs x rw\n3 1 0:6 / /a ro - tmpfs x rw")
    found = mount_of(mounts, "/a/b")
    assert found is not None
    assert found.point == "/a"


def test_what_is_read_only_in_either_way_is_not_writable() -> None:
    lines = "1 0 8:1 / / ro - ext4 x rw\n2 1 8:1 / /a rw - ext4 x ro\n3 1 8:1 / /b rw - ext4 x rw"
    assert [mount.writable for mount in parse_mounts(lines)] == [False, False, True]


def test_blanks_in_a_path_are_read_as_the_kernel_writes_them() -> None:
    (mount,) = parse_mounts(r"1 0 8:1 / /a\040b\134c rw - ext4 x rw")
    assert mount.point == "/a b\\c"


@given(st.text(), st.text())
def test_any_text_is_read_without_a_fault(text: str, path: str) -> None:
    mount_of(parse_mounts(text), "/" + path)


ROW = st.tuples(st.integers(0, 4), st.integers(0, 4), st.sampled_from(["/", "/a", "/a/b", "/b"]))


@given(st.lists(ROW, max_size=6))
def test_mounts_in_a_circle_come_to_an_end(rows: list[tuple[int, int, str]]) -> None:
    lines = "\n".join(f"{number} {parent} 8:1 / {point} rw - ext4 x rw" for number, parent, point in rows)
    mount_of(parse_mounts(lines), "/a/b")
