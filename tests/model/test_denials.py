"""What the permissions refused, why, and the rules that would allow it."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.denial_reasons import DenialReasons, denials_of
from cpr_nb.model.denial_summary import DenialSummary
from cpr_nb.model.denials import UNKNOWN_REASON, advise
from cpr_nb.model.events import RunFacts
from cpr_nb.model.shell import simple_commands

APPROVAL = "This command requires approval"
ANY = "allows any command"


def bash(command: object, message: str | None = None, **fields: Any) -> dict[str, Any]:
    reason = {} if message is None else {"message": message}
    return {"tool_name": "Bash", "tool_input": {"command": command}, **reason, **fields}


def parts(*commands: str) -> str:
    s, verb = ("s", "require") if len(commands) > 1 else ("", "requires")
    return (
        "This Bash command contains multiple operations. "
        f"The following part{s} {verb} approval: {', '.join(commands)}"
    )


@pytest.mark.parametrize(
    ("denial", "rules"),
    [
        (bash("ls"), ["Bash(ls:*)"]),
        (bash("  pytest   -q tests"), ["Bash(pytest:*)"]),
        (bash("git push origin main"), ["Bash(git push:*)"]),
        (bash("git -C /tmp push"), ["Bash(git -C /tmp push:*)"]),
        (bash("git"), ["Bash(git:*)"]),
        (bash("npm run-script x"), ["Bash(npm run-script:*)"]),
        (bash("npm run test:unit -- -q"), ["Bash(npm run test:unit:*)"]),
        (bash("docker compose up -d"), ["Bash(docker compose up:*)"]),
        (bash("uv Pip"), ["Bash(uv:*)"]),
        (bash("uv run pytest -q"), ["Bash(uv run pytest:*)"]),
        (bash("python3 -m pytest -q"), ["Bash(python3 -m pytest:*)"]),
        (bash("rm push"), ["Bash(rm:*)"]),
        (bash("make ../x"), ["Bash(make:*)"]),
        (bash("make run"), ["Bash(make run:*)"]),
        (bash("time timeout -k 3 5s nice -n 5 pytest -q", APPROVAL), ["Bash(pytest:*)"]),
        (bash("timeout 5", APPROVAL), ["Bash(timeout:*)"]),
        (bash("FOO=1 pytest -q", APPROVAL), ["Bash(FOO=1 pytest:*)"]),
        (bash("'/opt/my tools/x' -q", APPROVAL), ["Bash('/opt/my tools/x':*)"]),
        (bash(""), ["Bash"]),
        (bash(" \n"), ["Bash"]),
        (bash(None), ["Bash"]),
        (bash(["ls"]), ["Bash"]),
        ({"tool_name": "Bash"}, ["Bash"]),
        ({"tool_name": "Bash", "tool_input": "ls"}, ["Bash"]),
        ({"tool_name": "WebFetch", "tool_input": {"command": "ls"}}, ["WebFetch"]),
        ({"tool_name": "WebFetch", "tool_input": {"url": "https://me@a.org:80/b"}},
         ["WebFetch(domain:a.org)"]),
        ({"tool_name": "mcp__db__query"}, ["mcp__db__query"]),
        ({}, []),
        # without the CLI's words: what does more than read
        (bash("cd sub && pytest -q | tail -3"), ["Bash(pytest:*)"]),
        (bash("ls | grep x"), ["Bash(ls:*)", "Bash(grep:*)"]),
        # the part that the CLI names
        (bash("cd sub && pytest -q", parts("pytest -q")), ["Bash(pytest:*)"]),
        (bash("cat a | xargs -n1 rm; rm b", parts("xargs -n1 rm")), ["Bash(xargs:*)"]),
        (bash("cd sub && pytest -q 2>&1 | tail -5", parts("cd sub && pytest -q 2>&1")),
         ["Bash(pytest:*)"]),
        (bash("pytest -k 'a, b' > out && tee x", parts("pytest -k 'a, b'", "tee x")),
         ["Bash(pytest:*)", "Bash(tee:*)"]),
        (bash("cd /out && pytest", parts("cd /out", "pytest")),
         ["Read(//out/**)", "Bash(pytest:*)"]),
        # paths outside the folder
        (bash("ls /out/x", "ls in '/out/x' was blocked. For security, Claude Code may only list "
              "files in the allowed working directories for this session: '/w'."),
         ["Read(//out/x/**)"]),
        (bash("cd /out", "cd in '/out' was blocked. For security, Claude Code may only change "
              "directories to the allowed working directories for this session: '/w'."),
         ["Read(//out/**)"]),
        (bash("cat /out/x", "cat in '/out/x' was blocked. For security, Claude Code may only "
              "concatenate files from the allowed working directories for this session: '/w'."),
         ["Read(//out/**)"]),
        (bash("echo > /out/x", "Output redirection to '/out/x' was blocked. For security, Claude "
              "Code may only write to files in the allowed working directories for this "
              "session: '/w'."),
         ["Edit(//out/**)"]),
        (bash("touch /out/x", "touch in '/out/x' needs approval. The path is outside the working "
              "directories for this session ('/w'). Allowing runs the command as written."),
         ["Edit(//out/**)"]),
        (bash("touch x", "touch in '/w/x' needs approval. The path is inside the working "
              "directories for this session ('/w'), and Claude Code asks before …"),
         ["Bash(touch:*)"]),
        (bash("echo > x", "Output redirection to '/w/x' needs approval. The path is inside the "
              "working directories for this session ('/w'), and Claude Code asks before …"),
         ["Edit(//w/**)"]),
        ({"tool_name": "Write", "message": "Claude requested permissions to write to /out/a b, but "
          "you haven't granted it yet.", "decision_reason_type": "workingDir"},
         ["Edit(//out/**)"]),
        ({"tool_name": "Read", "message": "Claude requested permissions to read from /etc/x, but "
          "you haven't granted it yet."},
         ["Read(//etc/**)"]),
        ({"tool_name": "WebSearch", "message": "Claude requested permissions to use WebSearch, but "
          "you haven't granted it yet."},
         ["WebSearch"]),
        ({"tool_name": "Write", "message": "Permission to use Write has been denied because Claude "
          "Code is running in don't ask mode. IMPORTANT: You *may* attempt …",
          "decision_reason_type": "mode"},
         ["Write"]),
    ],
)  # fmt: skip
def test_a_denial_names_the_rules_that_would_allow_it(
    denial: dict[str, Any], rules: list[str]
) -> None:
    assert advise(denial).rules == rules


@pytest.mark.parametrize(
    "denial",
    [
        bash("rm x", "PreToolUse:Bash hook error: [grep]: the hook says no\n"),
        bash("pytest x", "ask first", decision_reason_type="hook"),
        bash("pytest x", "Permission to use Bash with command pytest x has been denied."),
        bash("pytest x", "Claude requested permissions to use Bash, but you haven't granted it "
             "yet.", decision_reason_type="rule"),
        bash("rm -rf /", "Dangerous rm operation detected: '/'\n\nThis command would remove a "
             "critical system directory.", decision_reason_type="safetyCheck"),
        {"tool_name": "Read", "message": "<tool_use_error>File is in a directory that is denied by "
         "your permission settings.</tool_use_error>"},
        {"tool_name": "Write", "message": "Claude requested permissions to write to "
         "/w/.claude/settings.json, but you haven't granted it yet."},
        {"tool_name": "Write", "message": "Claude requested permissions to edit /w/.bashrc which "
         "is a sensitive file."},
    ],
)  # fmt: skip
def test_where_no_rule_helps_the_reason_is_shown(denial: dict[str, Any]) -> None:
    advice = advise(denial)
    assert advice.rules == []
    assert advice.reason == " ".join(denial["message"].split())
    note = f"No rule to advise. {denial['tool_name']}: {advice.reason}"
    assert DenialSummary([denial]).notes() == [note]


@pytest.mark.parametrize(
    "message",
    [
        "A variable in this command can't be checked before it runs",
        "Contains simple_expansion",
        "Command contains $() command substitution",
        "'eval' evaluates arguments as shell code",
        "Brace expansion",
        "This command uses shell operators that require approval for safety",
        "This command uses the `&` background operator, which defers execution past …",
        "Commands that change directories and write via output redirection require explicit …",
        "find with '-exec' executes commands or modifies files",
    ],
)
def test_what_cannot_be_checked_passes_only_with_every_command(message: str) -> None:
    advice = advise(bash("x", message))
    assert advice.rules == []
    assert advice.reason == f"{message} (only the rule Bash would help: it {ANY})"


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        ("bash -c 'pytest -q'", "Bash(bash:*)"), ("sh x.sh", "Bash(sh:*)"),
        ("sudo pytest", "Bash(sudo:*)"), ("env A=1 pytest", "Bash(env:*)"),
        ("python3.12 -c 1", "Bash(python3.12:*)"), ("ls | xargs rm", "Bash(xargs:*)"),
        ("/usr/bin/env pytest", "Bash(/usr/bin/env:*)"), ("A=1 bash x", "Bash(A=1 bash:*)"),
        ("uv run python x.py", "Bash(uv run python:*)"), ("npx bash", "Bash(npx bash:*)"),
        ("docker run -it x", "Bash(docker run:*)"), ("eval x", "Bash(eval:*)"),
        ("node -e 1", "Bash(node:*)"), ("ssh host ls", "Bash(ssh:*)"),
    ],
)  # fmt: skip
def test_a_rule_that_allows_any_command_says_so(command: str, rule: str) -> None:
    words = simple_commands(command)[-1]
    advice = advise(bash(command, parts(" ".join(words))))
    assert (advice.rules, advice.warnings) == ([rule], {rule: ANY})
    assert DenialSummary([bash(command, APPROVAL)]).notes()[-1] == f"{rule} {ANY}."


@pytest.mark.parametrize(
    "command", ["pytest -q", "python3 -m pytest", "npm run build", "make test", "uv run ruff check"]
)
def test_a_rule_for_one_purpose_comes_without_a_warning(command: str) -> None:
    assert advise(bash(command, APPROVAL)).warnings == {}


def test_rules_are_reported_once_each_in_their_order() -> None:
    denials = [bash("git push"), {"tool_name": "Write"}, bash("git push -f"), bash("git pull")]
    assert DenialSummary(denials).rules == ["Bash(git push:*)", "Write", "Bash(git pull:*)"]
    assert advise(denials[0]).reason == UNKNOWN_REASON


def test_denials_are_those_objects_that_the_result_lists() -> None:
    assert denials_of(None) == []
    assert denials_of({}) == []
    assert denials_of({"permission_denials": {"tool_name": "Bash"}}) == []
    assert denials_of({"permission_denials": ["Bash", {"a": 1}, None]}) == [{"a": 1}]


# -- the reasons in a stream ----------------------------------------------------------------------


def refused(call_id: str, content: object) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": call_id, "is_error": True, "content": content}
    return {"type": "user", "message": {"content": [block]}}


def test_the_facts_of_a_run_tell_why_something_was_denied() -> None:
    lines = [
        {"type": "system", "subtype": "permission_denied", "tool_use_id": "a",
         "message": "the event", "decision_reason_type": "hook"},
        refused("a", "the result"),
        refused("b", [{"type": "text", "text": "only the result"}]),
        refused("c", "Exit code 1\nit ran"),
        {"type": "result", "is_error": False,
         "permission_denials": [{"tool_use_id": call_id} for call_id in "abc"]},
    ]  # fmt: skip
    facts = RunFacts()
    for line in lines:
        facts.feed(json.dumps(line, separators=(",", ":")).encode())
    a, b, c = denials_of(facts.result)
    assert (a["message"], a["decision_reason_type"]) == ("the event", "hook")
    assert b["message"] == "only the result"
    assert "message" not in c


# -- anything -------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["tool_name", "tool_input", "command", "message", "content", "tool_use_id", "url"]
            )
            | st.text(max_size=3),
            inner,
        )
    ),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_whatever_a_result_lists_gives_rules_without_an_error(listed: Any, event: Any) -> None:
    result = {"permission_denials": listed}
    reasons = DenialReasons()
    reasons.feed({"type": "user", "message": {"content": [event]}})
    reasons.feed({"type": "system", "subtype": "permission_denied", "message": event})
    reasons.explain(result)
    denials = denials_of(result)
    rules = DenialSummary(denials).rules
    assert all(isinstance(rule, str) and rule for rule in rules)
    assert len(rules) == len(set(rules))
    assert isinstance(DenialSummary(denials).words(), str)


# -- the splitter ---------------------------------------------------------------------------------

SHELL = st.lists(
    st.sampled_from(
        ["a", "'x y'", '"x;y"', "&&", ";", "|", "\n", " ", "$(", ")", "(", "`", "<<E\n", "E", ">",
         "2>&1", "\\", "#", "'", '"', "if", "done", "$x", "\\\n"]
    ),
    max_size=14,
).map("".join)  # fmt: skip


@given(SHELL | st.text(max_size=30))
def test_any_text_is_split_and_nothing_is_made_up(command: str) -> None:
    for words in simple_commands(command):
        assert words
        assert all(word and word in command for word in words)
    assert isinstance(advise(bash(command)).rules, list)


WORDS = st.lists(st.text("ab'\" ;|&$\n#", min_size=1, max_size=4), min_size=1, max_size=4)


@given(st.lists(WORDS, min_size=1, max_size=4), st.sampled_from([" && ", ";", " | ", "\n", "||"]))
def test_quoted_words_come_back_whole(commands: list[list[str]], separator: str) -> None:
    quoted = [["x", *map(shlex.quote, words)] for words in commands]
    assert simple_commands(separator.join(map(" ".join, quoted))) == quoted


@pytest.mark.parametrize("text", ["'", '"', "`", "$(", "(", "<<a ", "a\\", "a;", "\\\n", "a='$("])
def test_a_long_command_is_split_in_linear_time(text: str) -> None:
    assert sum(len(words) for words in simple_commands(text * 20_000)) <= 40_000
