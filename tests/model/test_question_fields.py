"""What is stored and shown of a CLI's question, and the rules that would answer it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.question_fields import (
    TARGET_CHARS,
    question_fields,
    question_key,
    rule_update,
)

APPROVAL = {"decision_reason": "This command requires approval", "permission_suggestions": [{}]}
OUTSIDE = {"decision_reason": "Path is outside allowed working directories"}


def asked(tool: str, **more: Any) -> dict[str, Any]:
    inputs = {k: v for k, v in more.items() if k in ("command", "file_path", "url", "description")}
    rest = {k: v for k, v in more.items() if k not in inputs}
    return question_fields({"tool_name": tool, "input": inputs, **rest}, "/work")


def read_rule(content: str) -> list[dict[str, Any]]:
    return [{"type": "addRules", "rules": [{"toolName": "Read", "ruleContent": content}]}]


#: As recorded of 2.1.332 and 2.1.71 (`python tests/asking/run.py`).
@pytest.mark.parametrize(
    ("fields", "wants", "target", "rules"),
    [
        (asked("Bash", command="cd a && pytest -q", **APPROVAL), "wants to run a command",
         "cd a && pytest -q", ["Bash(pytest:*)"]),
        (asked("Bash", command="a | b\nc", **APPROVAL), "wants to run a command", "a | b\nc",
         ["Bash(a:*)", "Bash(b:*)", "Bash(c:*)"]),
        (asked("WebFetch", url="https://a.org/x", permission_suggestions=[{}]),
         "wants to fetch a page", "https://a.org/x", ["WebFetch(domain:a.org)"]),
        (asked("Write", file_path="/data/x", permission_suggestions=[
            {"type": "addDirectories", "directories": ["/data"]}], **OUTSIDE),
         "wants to write a file", "/data/x", ["Edit(//data/**)"]),
        (asked("Read", file_path="/etc/x", permission_suggestions=read_rule("//etc/**"),
               **OUTSIDE), "wants to read a file", "/etc/x", ["Read(//etc/**)"]),
        (asked("Bash", command="cat /etc/x", blocked_path="/etc/x",
               permission_suggestions=read_rule("//etc/**")),
         "wants to run a command", "cat /etc/x", ["Read(//etc/**)"]),
        (asked("mcp__db__query", permission_suggestions=[{}]), "wants to use mcp__db__query",
         "{}", ["mcp__db__query"]),
        # A hook, a rule of the user's, and what the CLI can't check: they ask each time.
        (asked("Bash", command="x", decision_reason="h", decision_reason_type="hook"),
         "wants to run a command", "x", []),
        (asked("Bash", command="x"), "wants to run a command", "x", []),
        (asked("Bash", command="x", decision_reason_type="rule", permission_suggestions=[{}]),
         "wants to run a command", "x", []),
    ],
)  # fmt: skip
def test_a_question_says_what_is_wanted_and_which_rules_allow_it(
    fields: dict[str, Any], wants: str, target: str, rules: list[str]
) -> None:
    assert (fields["wants"], fields["target"], fields["rules"]) == (wants, target, rules)
    assert fields["runs_in"] == "/work"


def test_whoever_allows_a_very_long_command_is_shown_how_much_is_missing() -> None:
    fields = asked("Bash", command="a" * TARGET_CHARS + "; rm -rf /", **APPROVAL)
    assert fields["target"].endswith("\n… 10 more characters are not shown")


def test_nothing_in_a_question_drives_a_terminal() -> None:
    fields = asked("Bash", command="a\x1b[2Jb", description="x\n\u202ey", **APPROVAL)
    assert fields["target"] == "a\\x1b[2Jb" and fields["says"] == "x \\u202ey"


def test_a_rule_that_allows_more_says_so() -> None:
    assert asked("Bash", command="python3 x", **APPROVAL)["rule_warning"] == "allows any command"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
NAMES = ("tool_name", "input", "description", "decision_reason", "permission_suggestions")


@given(st.dictionaries(st.sampled_from((*NAMES, "blocked_path", "decision_reason_type")), JSON))
def test_any_request_can_be_shown_and_its_key_survives_the_file(request: dict[str, Any]) -> None:
    fields = question_fields(request, "/w")
    again = json.loads(json.dumps(fields))
    assert question_key("t", again) == question_key("t", fields) != question_key("u", fields)


@pytest.mark.parametrize(
    ("rule", "update"),
    [
        ("Bash(a (b):*)", {"toolName": "Bash", "ruleContent": "a (b):*"}),
        ("WebSearch", {"toolName": "WebSearch"}),
    ],
)
def test_a_rule_is_told_to_the_process_that_asked(rule: str, update: dict[str, Any]) -> None:
    assert rule_update([rule])["rules"] == [update]
