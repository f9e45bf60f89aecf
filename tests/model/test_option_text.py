"""Options as text, from a command line or a file: read by their kind, or refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpr_nb.model.errors import InputError
from cpr_nb.model.option_values import check_options, parse_text
from cpr_nb.model.options import OPTIONS


def test_an_options_flag_is_its_name_with_dashes() -> None:
    assert OPTIONS["max_parallel"].flag == "--max-parallel"


# -- from text --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_turns", "3", 3),
        ("timeout_s", "1.5", 1.5),
        ("budget_usd", "2", 2.0),
        ("model", "opus", "opus"),
        ("permissions", "read", "read"),
        ("tools", "Read,Bash", ["Read", "Bash"]),
        ("tools", "", []),
        ("tools", "[]", []),
        ("allow", "Bash(a, b:*)", ["Bash(a, b:*)"]),
        ("allow", ' ["Read", "Write"]', ["Read", "Write"]),
        ("claude_args", "--add-dir", ["--add-dir"]),
        ("env", '{"A": "1"}', {"A": "1"}),
        ("add_dirs", "/a, b", ["/a, b"]),
        ("system_prompt", "Be brief.", "Be brief."),
        ("system_prompt", '{"append": "x"}', {"append": "x"}),
        ("settings", "settings.json", "settings.json"),
        ("schema", '{"type": "object"}', {"type": "object"}),
        ("cwd", "/tmp", "/tmp"),
    ],
)
def test_text_is_read_by_the_options_kind(name: str, text: str, value: Any) -> None:
    assert parse_text(OPTIONS[name], text, "--x") == value


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("max_turns", "three", "must be a whole number, not 'three'"),
        ("max_turns", "1.5", "must be a whole number"),
        ("max_turns", "9" * 5000, "must be a whole number"),
        ("timeout_s", "1m", "must be a number, not '1m'"),
        ("timeout_s", "", "must be a number"),
        ("allow", '["Read"', "is not JSON"),
        ("system_prompt", "{role}: be brief", "is not JSON"),
        ("env", "{A: 1}", "is not JSON"),
        ("schema", "schema.json", "is not JSON"),
        ("schema", "[" * 100_000, "is not JSON"),
        ("allow", "[" * 100_000, "is not JSON"),
    ],
    ids=lambda case: ascii(case)[:40],
)
def test_text_that_cannot_be_read_is_refused(name: str, text: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_text(OPTIONS[name], text, "line 2.x")
    assert str(caught.value).startswith("line 2.x: ")
    assert words in str(caught.value)


@given(st.sampled_from(sorted(OPTIONS)), st.text())
@example("schema", "[" * 100_000)
def test_any_text_is_read_or_refused(name: str, text: str) -> None:
    try:
        value = parse_text(OPTIONS[name], text, "x")
        checked = check_options({name: value})
    except InputError as error:
        assert str(error).startswith(("x: ", f"{name}: ", f"{name}.", f"{name}["))
        return
    assert set(checked) == ({name} if value is not None else set())
