from __future__ import annotations

import sys

from aurora.manifest.faults import unfit
from aurora.text import is_harmful, visible


def test_what_a_terminal_would_obey_is_shown_in_its_place() -> None:
    assert visible("a\x1b[2Jb\x07\x9bc\u202ed\ud800\u2028") == "a\\x1b[2Jb\\x07\\x9bc\\u202ed\\ud800\\u2028"
    assert visible("two\nlines\t!") == "two\\nlines\\t!"
    assert visible("two\nlines\t!", keep="\n\t") == "two\nlines\t!"


def test_text_of_any_language_stays_as_it_is() -> None:
    for text in ("", "plain", "Gr\u00f6\u00dfe \u4e16\u754c", "\U0001f468\u200d\U0001f469", "a\u00a0b"):
        assert visible(text) == text


def test_it_is_what_a_manifest_may_not_hold() -> None:
    differing = [hex(code) for code in range(sys.maxunicode + 1) if is_harmful(chr(code)) != bool(unfit(chr(code)))]
    assert differing == []
