"""What the permissions refused, and the rule that would allow it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.denials import denial_rule, denials_of, rules_of


def bash(command: object) -> dict[str, Any]:
    return {"tool_name": "Bash", "tool_input": {"command": command}}


@pytest.mark.parametrize(
    ("denial", "rule"),
    [
        (bash("ls"), "Bash(ls:*)"),
        (bash("  pytest   -q tests"), "Bash(pytest:*)"),
        (bash("git push origin main"), "Bash(git push:*)"),
        (bash("git -C /tmp push"), "Bash(git:*)"),
        (bash("git"), "Bash(git:*)"),
        (bash("npm run-script x"), "Bash(npm run-script:*)"),
        (bash("uv Pip"), "Bash(uv:*)"),
        (bash("rm push"), "Bash(rm:*)"),
        (bash("make ../x"), "Bash(make:*)"),
        (bash(""), "Bash"),
        (bash(" \n"), "Bash"),
        (bash(None), "Bash"),
        (bash(["ls"]), "Bash"),
        ({"tool_name": "Bash"}, "Bash"),
        ({"tool_name": "Bash", "tool_input": "ls"}, "Bash"),
        ({"tool_name": "WebFetch", "tool_input": {"command": "ls"}}, "WebFetch"),
        ({"tool_name": "mcp__db__query"}, "mcp__db__query"),
        ({}, ""),
    ],
)
def test_a_denial_names_the_rule_that_would_allow_it(denial: dict[str, Any], rule: str) -> None:
    assert denial_rule(denial) == rule


def test_rules_are_reported_once_each_in_their_order() -> None:
    denials = [bash("git push"), {"tool_name": "Write"}, bash("git push -f"), bash("git pull")]
    assert rules_of(denials) == ["Bash(git push:*)", "Write", "Bash(git pull:*)"]


def test_denials_are_those_objects_that_the_result_lists() -> None:
    assert denials_of(None) == []
    assert denials_of({}) == []
    assert denials_of({"permission_denials": {"tool_name": "Bash"}}) == []
    assert denials_of({"permission_denials": ["Bash", {"a": 1}, None]}) == [{"a": 1}]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["tool_name", "tool_input", "command"]) | st.text(max_size=3), inner
        )
    ),
    max_leaves=6,
)


@given(VALUES)
def test_whatever_a_result_lists_gives_rules_without_an_error(listed: Any) -> None:
    denials = denials_of({"permission_denials": listed})
    rules = rules_of(denials)
    assert all(isinstance(rule, str) for rule in rules)
    assert len(rules) == len(set(rules)) <= len(denials)
