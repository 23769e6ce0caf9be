"""apt's list of what it is about to install."""

from __future__ import annotations

import pytest

from aurora.update.incoming import BrokenList, Incoming, incoming

CONFIGURATION = "VERSION 3\nAPT::Architecture=amd64\nDPkg::Pre-Install-Pkgs::=/usr/sbin/dpkg-preconfigure%20--apt\n\n"
NEW = "aurora-module-hello - - none < 1.2 all none /var/cache/apt/archives/aurora-module-hello_1.2_all.deb\n"
OLDER = "aurora-core 0.2 all none > 0.1 all none /home/me/my packages/core.deb\n"
CONFIGURED = "aurora-module-hello - - none < 1.2 all none **CONFIGURE**\n"
REMOVED = "aurora-module-old 1.0 all none > - - none **REMOVE**\n"


def test_what_is_to_be_unpacked_is_found_among_all_that_apt_says() -> None:
    said = (CONFIGURATION + REMOVED + NEW + OLDER + CONFIGURED).encode()
    assert incoming(said) == [
        Incoming("aurora-module-hello", "1.2", "/var/cache/apt/archives/aurora-module-hello_1.2_all.deb"),
        Incoming("aurora-core", "0.1", "/home/me/my packages/core.deb"),
    ]


def test_a_file_name_of_any_bytes_comes_through() -> None:
    (one,) = incoming(CONFIGURATION.encode() + NEW.replace("/var", "/v\u2028r\x0b").encode() + b"")
    assert one.file.startswith("/v\u2028r\x0b/cache")
    (one,) = incoming(CONFIGURATION.encode() + NEW.encode().replace(b"/var", b"/v\xffr"))
    assert one.file.startswith("/v\udcffr/cache")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "first line"),
        ("/var/cache/apt/archives/aurora-module-hello_1.2_all.deb\n", "first line"),
        ("VERSION 2\n\naurora-module-hello - < 1.2 /x.deb\n", "first line"),
        (CONFIGURATION + "aurora-module-hello - < 1.2 /x.deb\n", "has 5 fields, not 9"),
    ],
)
def test_a_list_in_another_form_is_not_taken_for_an_empty_one(said: str, why: str) -> None:
    with pytest.raises(BrokenList, match=why):
        incoming(said.encode())


def test_nothing_to_install_is_nothing() -> None:
    assert incoming(CONFIGURATION.encode()) == []
    assert incoming(CONFIGURATION.encode() + REMOVED.encode()) == []
