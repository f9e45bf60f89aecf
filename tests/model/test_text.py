"""Text from anywhere, as it is shown: nothing drives a terminal or hides, and all else stays."""

from __future__ import annotations

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from testkit.hostile_text import ALL, SAMPLES, TEXTS, forbidden

from cpr_nb.model.text import one_line, visible, visible_line

READABLE = [
    "plain, with\na newline and\ta tab",
    "👩\u200d💻 👩🏽\u200d🚀 ❤\ufe0f\u200d🔥 🏳\ufe0f\u200d🌈 1\ufe0f\u20e3 ⚠\ufe0f 👍🏽 ☎\ufe0e",
    "من می\u200cخواهم; क\u094d\u200dष; 葛\U000e0100飾区; \u0600\u0661",
    "שלום, see main.py; مرحبا 123",
    "e\u0301 ﬁ \xa0 \u3000 € ✅ ▌",
    "C:\\x1b\\new",
]


@pytest.mark.parametrize("text", READABLE)
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize("text", [*SAMPLES, ALL])
def test_what_drives_or_hides_is_shown_by_its_code(text: str) -> None:
    shown = visible(f"a{text}b")
    assert forbidden(shown) == set()
    assert shown.startswith("a") and "\\" in shown
    bad = forbidden(f"a{text}b")
    assert all(c.encode("unicode_escape").decode() in shown for c in bad)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ad\u200dmin", "ad\\u200dmin"),
        ("\u200d", "\\u200d"),
        ("x\ufe0f", "x\\ufe0f"),
        ("👍\ufe0f\ufe0f", "👍\\ufe0f\\ufe0f"),
        ("👩\u200d\u200d", "👩\\u200d\\u200d"),
        ("\u202e\u200da", "\\u202e\\u200da"),
        ("a\r\nb\rc", "a\nb\\rc"),
    ],
)
def test_a_joiner_is_shown_where_nothing_needs_it(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_every_character_is_either_shown_or_known_to_be_visible() -> None:
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if visible(f"a{character}") == f"a{character}":
            assert forbidden(f"a{character}") == set(), hex(code)


@given(TEXTS | st.text())
@example(ALL)
def test_what_is_shown_once_is_shown_so_again(text: str) -> None:
    for show in (visible, visible_line, one_line):
        shown = show(text)
        assert forbidden(shown) == set()
        assert show(shown) == shown
    assert not {*visible_line(text)} & {"\n", "\t"}


@given(TEXTS | st.text(), st.integers(1, 400))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert forbidden(line) == set() and len(line.splitlines()) <= 1 and "\t" not in line
