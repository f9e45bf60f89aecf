"""Options → arguments and environment: nothing is forgotten, nothing swallows what follows."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.environment import AGENT_VARIABLES, TOKEN_VARIABLE, clean_environment
from cpr_nb.model.option_values import check_options
from cpr_nb.model.options import EFFORTS, OPTIONS, PERMISSIONS
from cpr_nb.model.tools import MODE_TOOLS, READING_TOOLS
from cpr_nb.runner.command import BRANCH_PROMPT, SANDBOX_BRANCH_PROMPT, build_argv, folder_memory
from cpr_nb.runner.off_limits import OffLimits

BASE = ["claude", "-p", "--output-format", "stream-json", "--verbose"]
#: Not the business of one run of the CLI: the runner and the launch see to these.
NOT_ARGUMENTS = {
    "executor",
    "nodes",
    "slots",
    "lease_s",
    "ask_s",
    "attempts",
    "first_byte_s",
    "check",
    "check_timeout_s",
    "fail_on_denied",
    "strict_setup",
    "linger_s",
    "login_wait_s",
    "machine_wait_s",
    "not_before",
    "reserve",
    "on_done",
    "on_failed",
    "on_waiting",
    "warm_start",
    "share_process",
    "worktree",
    "base",
    "worktree_dir",
    "setup",
    "setup_timeout_s",
    "keep_worktrees",
    "max_parallel",
    "nice",
    "name",
    "cwd",
    "timeout_s",
    "silence_s",
    "budget_usd",
    "env",
}


def argv(**options: Any) -> list[str]:
    return build_argv("claude", check_options(options), "c-1")


def values(arguments: list[str], flag: str) -> list[str]:
    """What a flag is given, as ``--flag value`` or as ``--flag=value``."""
    found = [arg.removeprefix(flag + "=") for arg in arguments if arg.startswith(flag + "=")]
    return found + [b for a, b in pairwise(arguments) if a == flag]


def test_without_options_a_run_may_edit_and_has_its_conversation() -> None:
    tools = f"--tools={','.join(MODE_TOOLS['edits'])}"
    assert argv()[:-2] == [*BASE, "--session-id", "c-1", "--permission-mode", "acceptEdits", tools]


def test_a_conversation_that_exists_is_resumed() -> None:
    resumed = build_argv("/usr/bin/claude", {}, "c-2", resume=True)
    assert resumed[0] == "/usr/bin/claude"
    assert values(resumed, "--resume") == ["c-2"]
    assert "--session-id" not in resumed


@pytest.mark.parametrize(
    ("permissions", "mode"),
    [
        ("read", "dontAsk"),
        ("edits", "acceptEdits"),
        ("sandbox", "acceptEdits"),
        ("all", "bypassPermissions"),
    ],
)
def test_permissions_give_the_clis_mode(permissions: str, mode: str) -> None:
    assert values(argv(permissions=permissions), "--permission-mode") == [mode]


def test_every_kind_of_permission_has_a_mode() -> None:
    assert all(argv(permissions=permissions) for permissions in PERMISSIONS)


def test_reading_allows_the_tools_that_only_read() -> None:
    assert values(argv(permissions="read"), "--allowedTools") == list(READING_TOOLS)
    assert not {"Bash", "Write", "Edit", "NotebookEdit", "WebFetch"} & set(MODE_TOOLS["read"])


# What reaches other runs, other worktrees or the future, and what nobody has named.
BEYOND_THE_TASK = {
    "ListAgents", "SendMessage", "EnterWorktree", "ExitWorktree", "CronCreate", "CronDelete",
    "CronList", "ScheduleWakeup", "Monitor", "RemoteTrigger", "PushNotification", "Workflow",
    "TeamCreate", "AskUserQuestion", "ReportFindings", "default",
}  # fmt: skip


def tools(**options: Any) -> list[str]:
    (names,) = values(argv(**options), "--tools")
    return names.split(",") if names else []


@pytest.mark.parametrize("permissions", PERMISSIONS)
def test_every_mode_has_a_closed_list_of_tools(permissions: str) -> None:
    assert tools(permissions=permissions) == list(MODE_TOOLS[permissions])
    assert not BEYOND_THE_TASK & set(MODE_TOOLS[permissions])
    assert set(READING_TOOLS) <= set(MODE_TOOLS[permissions])


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"tools": []}, []),
        ({"tools": ["Read", "Bash", "Read"]}, ["Read", "Bash"]),
        ({"tools": [], "allow": ["Bash(git log:*)", "Bash(ls)", "Task"]}, ["Bash", "Task"]),
        ({"tools": ["Read"], "allow": ["Read(//etc/**)"]}, ["Read"]),
        ({"tools": ["Read"], "allow": ["mcp__db__query", "default", "*", "-weird"]}, ["Read"]),
        ({"tools": ["Read"], "deny": ["Read"]}, ["Read"]),
        ({"permissions": "read", "allow": ["WebFetch"]}, [*MODE_TOOLS["read"], "WebFetch"]),
        ({"allow": ["EnterWorktree"]}, [*MODE_TOOLS["edits"], "EnterWorktree"]),
    ],
)
def test_tools_names_them_exactly_and_allow_widens(
    options: dict[str, Any], names: list[str]
) -> None:
    assert tools(**options) == names


def test_reading_allows_only_what_is_there() -> None:
    without = argv(permissions="read", tools=["WebFetch", "Grep"])
    assert values(without, "--allowedTools") == ["Grep"]


def settings_of(permissions: str, **options: Any) -> dict[str, Any]:
    (text,) = values(argv(permissions=permissions, **options), "--settings")
    return dict(json.loads(text))


def test_the_settings_of_the_sandbox_leave_no_hole() -> None:
    assert settings_of("sandbox")["sandbox"] == {
        "enabled": True,
        "autoAllowBashIfSandboxed": True,
        "allowUnsandboxedCommands": False,
        "failIfUnavailable": True,
    }
    for permissions in ("read", "edits", "all"):
        assert "sandbox" not in settings_of(permissions)


def test_settings_open_the_sandbox_and_never_undo_it() -> None:
    wanted = {
        "enabled": False,
        "allowUnsandboxedCommands": True,
        "excludedCommands": ["touch:*"],
        "network": {"allowedDomains": ["example.com"]},
    }
    merged = settings_of("sandbox", settings={"model": "m", "sandbox": wanted})
    usual = settings_of("sandbox")
    opened = {"network": {"allowedDomains": ["example.com"]}}
    assert merged == {**usual, "model": "m", "sandbox": {**opened, **usual["sandbox"]}}
    assert settings_of("edits", settings={"sandbox": wanted})["sandbox"] == wanted


@pytest.mark.parametrize("permissions", PERMISSIONS)
def test_every_mode_has_the_rules_that_keep_agents_off(permissions: str) -> None:
    wanted = {"sandbox": {"filesystem": {"allowWrite": ["/out"], "disabled": True}}}
    options = check_options({"permissions": permissions, "deny": ["WebFetch"], "settings": wanted})
    off_limits = OffLimits("/w", "/w/results/session-1", "/state", git_dirs=["/w/.git"])
    arguments = build_argv("claude", options, "c-1", off_limits=off_limits)
    assert values(arguments, "--disallowedTools") == ["WebFetch", *off_limits.tool_rules()]
    (text,) = values(arguments, "--settings")
    assert json.loads(text)["sandbox"]["filesystem"] == (
        off_limits.sandbox_filesystem({"allowWrite": ["/out"]})
        if permissions == "sandbox"
        else wanted["sandbox"]["filesystem"]
    )


def test_an_agent_in_the_sandbox_is_not_asked_to_commit() -> None:
    options = check_options({"permissions": "sandbox"})
    arguments = build_argv("claude", options, "c-1", has_branch=True)
    assert values(arguments, "--append-system-prompt") == [SANDBOX_BRANCH_PROMPT]
    assert "can't commit" in SANDBOX_BRANCH_PROMPT


@pytest.mark.parametrize(
    ("prompt", "own", "appended"),
    [
        ("You label.", ["You label."], [BRANCH_PROMPT]),
        ({"append": "Be brief."}, [], ["Be brief.\n\n" + BRANCH_PROMPT]),
    ],
)
def test_a_system_prompt_and_that_of_a_worktree_are_both_there(
    prompt: Any, own: list[str], appended: list[str]
) -> None:
    options = check_options({"system_prompt": prompt})
    arguments = build_argv("claude", options, "c-1", has_branch=True)
    assert values(arguments, "--system-prompt") == own
    assert values(arguments, "--append-system-prompt") == appended


def test_agents_bring_the_tool_that_starts_them() -> None:
    agents = {"critic": {"description": "d", "prompt": "p"}}
    assert tools(tools=["Read"], agents=agents) == ["Read", "Task"]
    assert tools(tools=["Read"], agents={}) == ["Read"]


@pytest.mark.parametrize("permissions", PERMISSIONS)
def test_messages_of_other_runs_are_refused(permissions: str) -> None:
    assert settings_of(permissions)["crossSessionInbound"] == "refuse"
    own = argv(permissions=permissions, settings={"crossSessionInbound": "accept"})
    assert json.loads(values(own, "--settings")[0])["crossSessionInbound"] == "accept"


def test_every_rule_is_one_argument_with_its_flag() -> None:
    arguments = argv(
        allow=["Bash(pytest -q, x:*)", "-weird"], deny=["WebFetch"], permissions="read"
    )
    allowed = values(arguments, "--allowedTools")
    assert allowed == [*READING_TOOLS, "Bash(pytest -q, x:*)", "-weird"]
    assert values(arguments, "--disallowedTools") == ["WebFetch"]
    assert "-weird" not in arguments


@pytest.mark.parametrize(
    ("options", "flag", "value"),
    [
        ({"model": "opus"}, "--model", "opus"),
        *(({"effort": word}, "--effort", word) for word in EFFORTS),
        ({"task_budget_usd": 0.01}, "--max-budget-usd", "0.01"),
        ({"task_budget_usd": 3}, "--max-budget-usd", "3.0"),
        ({"max_turns": 3}, "--max-turns", "3"),
    ],
)
def test_an_option_becomes_a_flag_with_its_value(
    options: dict[str, Any], flag: str, value: str
) -> None:
    assert values(argv(**options), flag) == [value]
    assert flag not in argv()


def test_a_schema_is_passed_as_json_without_loss() -> None:
    schema = {"type": "object", "title": "é \u2028 \ud800 '\"\\"}
    (text,) = values(argv(schema=schema), "--json-schema")
    assert json.loads(text) == schema
    assert text.isascii(), "an argument that any locale can carry"


def test_further_arguments_are_passed_as_they_are_and_in_their_order() -> None:
    further = ["--add-dir", "/a b", "", "--betas=x"]
    arguments = argv(claude_args=further, max_turns=2)
    at = arguments.index("--add-dir")
    assert arguments[at : at + 4] == further


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_option_changes_the_arguments_or_is_not_for_the_cli(name: str) -> None:
    good = {
        "max_parallel": 3, "name": "n", "model": "m", "effort": "low", "permissions": "read",
        "nice": 3, "tools": ["Read"], "allow": ["A"], "deny": ["D"], "cwd": "/",
        "schema": {"type": "object"}, "max_turns": 1,
        "timeout_s": 1, "silence_s": 1, "task_budget_usd": 1, "budget_usd": 1, "env": {"A": "1"},
        "claude_args": ["--x"], "attempts": 3, "first_byte_s": 1, "check": "true",
        "check_timeout_s": 1, "linger_s": 1, "login_wait_s": 1, "machine_wait_s": 1,
        "fail_on_denied": True, "ask": True, "ask_s": 60,
        "warm_start": True, "share_process": True,
        "worktree": True, "base": "main", "worktree_dir": "/w", "setup": "true",
        "setup_timeout_s": 1, "keep_worktrees": True, "fallback_model": "f", "add_dirs": ["/d"],
        "system_prompt": "s", "agents": {"a": {"description": "d", "prompt": "p"}},
        "mcp_servers": {}, "settings": {"a": 1}, "safe_mode": True, "light": True,
        "strict_setup": True, "executor": "slurm", "nodes": 2, "slots": 2, "lease_s": 60,
        "not_before": "22:00", "reserve": 0.3,
        "on_done": "desktop", "on_failed": "off", "on_waiting": "desktop",
    }  # fmt: skip
    assert (argv(**{name: good[name]}) != argv()) == (name not in NOT_ARGUMENTS)


@given(st.dictionaries(st.sampled_from(["A", "SECRET"]), st.text("xyz", min_size=1)))
def test_no_value_of_a_variable_is_in_the_arguments(env: dict[str, str]) -> None:
    assert argv(env=env) == argv()


def test_a_prompt_is_never_an_argument() -> None:
    assert "prompt" not in OPTIONS
    assert argv()[-2] == "--settings"


# -- environment ------------------------------------------------------------------------------


def test_what_belongs_to_an_agent_is_not_passed_on() -> None:
    environ = dict.fromkeys(AGENT_VARIABLES, "x") | {"HOME": "/h", "PATH": "/bin"}
    assert clean_environment(environ) == {"HOME": "/h", "PATH": "/bin"}


@pytest.mark.parametrize(
    "name",
    ["CLAUDECODE", "CLAUDE_CODE_SESSION_ID", "CPR_TASK_ID", "CPR_SESSION_ID", TOKEN_VARIABLE,
     "CLAUDE_PROJECT_DIR", "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS"],
)  # fmt: skip
def test_the_variables_of_an_agents_shell_are_known(name: str) -> None:
    assert name in AGENT_VARIABLES


@pytest.mark.parametrize(
    "name",
    ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_MAX_RETRIES",
     "CLAUDE_CODE_USE_BEDROCK", "CPR_RESULTS_DIR", "CPR_CLAUDE", "IS_SANDBOX", "claudecode", ""],
)  # fmt: skip
def test_what_the_user_set_is_passed_on(name: str) -> None:
    assert clean_environment({name: "x"}) == {name: "x"}


def test_the_environment_that_was_given_is_not_changed() -> None:
    environ = {"CLAUDECODE": "1", "A": "b"}
    clean_environment(environ)
    assert environ == {"CLAUDECODE": "1", "A": "b"}


def test_all_agents_with_a_branch_get_the_same_words_about_it() -> None:
    arguments = build_argv("claude", {}, "c-1", has_branch=True)
    (words,) = values(arguments, "--append-system-prompt")
    assert "CPR_BRANCH" in words and "worktree" not in words.lower()
    assert "--exclude-dynamic-system-prompt-sections" in arguments
    assert "--append-system-prompt" not in argv()


@pytest.mark.parametrize(
    ("version", "has_it"), [("2.1.125", False), ("2.1.126", True), (None, True), ("latest", True)]
)
def test_a_flag_that_only_saves_tokens_is_left_out_where_it_would_be_refused(
    version: str | None, has_it: bool
) -> None:
    arguments = build_argv("claude", {}, "c-1", has_branch=True, claude_version=version)
    assert ("--exclude-dynamic-system-prompt-sections" in arguments) is has_it


@pytest.mark.parametrize("safe", [{"safe_mode": True}, {"claude_args": ["--safe-mode"]}, {}])
def test_in_an_untrusted_repository_only_the_users_settings_and_its_claude_md_count(
    safe: dict[str, Any],
) -> None:
    options = check_options({"add_dirs": ["/more"], **safe})
    assert values(build_argv("claude", options, "c-1"), "--setting-sources") == []
    limited = build_argv("claude", options, "c-1", user_only_in="/w")
    assert values(limited, "--setting-sources") == ["user"]
    assert values(limited, "--add-dir") == (["/more"] if safe else ["/w", "/more"])
    assert bool(folder_memory(options)) is not bool(safe)
