"""Every kind of option: what is taken, in which form, and what is refused with which words."""

from __future__ import annotations

import json
import os
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpr_nb.model.destinations import Destination
from cpr_nb.model.errors import InputError, UnknownOption
from cpr_nb.model.option_values import MAX_SCHEMA_BYTES, check_options
from cpr_nb.model.options import EFFORTS, OPTIONS, PERMISSIONS
from cpr_nb.model.schemas.answer import Answer
from cpr_nb.model.states import NOTICES

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
SESSION_ONLY = (
    "ask",
    "ask_s",
    "max_parallel",
    "login_wait_s",
    "machine_wait_s",
    "not_before",
    "reserve",
    *NOTICES,
    "name",
    "nice",
    "budget_usd",
    "executor",
    "nodes",
    "slots",
    "lease_s",
    "warm_start",
    "share_process",
    "worktree_dir",
)

CRITIC: dict[str, Any] = {"description": "finds faults", "prompt": "Be strict.", "tools": ["Read"]}
SERVER: dict[str, Any] = {
    "command": "db",
    "args": ["-v"],
    "env": {"DB_TOKEN": "${DB_TOKEN}", "N": "1"},
}
REMOTE = {"type": "http", "url": "https://x.test", "headers": {"Authorization": "Bearer ${KEY}"}}
AgentDefinition = make_dataclass("AgentDefinition", [*CRITIC, ("model", Any, None)])
#: Without these checks the CLI leaves the whole part out, mostly without a word.
WRONG_AGENTS: list[dict[str, Any]] = [
    {"permissionMode": "bypassPermissions"},
    {"hooks": {}},
    {"tools": "Read"},
    {"mcpServers": [{"db": {"command": "db", "env": {"API_KEY": "sk-1"}}}]},
]
WRONG_SERVERS: list[Any] = [
    3,
    {},
    {"comand": "db"},
    {"url": "https://x.test"},
    {"type": "http", "command": "db"},
    {"type": "sdk", "instance": 1},
    {"command": "db", "args": "-v"},
    {"command": "db", "env": {"N": 1}},
    {"command": "db", "env": {"DB_PASSWORD": "x"}},
    {**REMOTE, "headers": {"Authorization": "Bearer sk-1"}},
]
WRONG_SETTINGS: list[dict[str, Any]] = [
    {"permissions": []},
    {"permissions": {"deny": "Bash"}},
    {"permissions": {"allow": [3]}},
    {"sandbox": True},
    {"sandbox": {"filesystem": []}},
    {"sandbox": {"filesystem": {"allowRead": "x"}}},
    {"env": {"A": 1}},
    {"env": {"CPR_TASK_TOKEN": "x"}},
    {"env": {"ANTHROPIC_API_KEY": "sk-1"}},
]

GOOD: list[tuple[str, Any, Any]] = [
    ("max_parallel", 0, 0),
    ("max_parallel", 8, 8),
    ("name", "nightly run é", "nightly run é"),
    ("name", "👩\u200d💻 \xa0東京", "👩\u200d💻 \xa0東京"),
    ("name", "x" * 4096, "x" * 4096),
    ("model", "opus", "opus"),
    ("fallback_model", "haiku", "haiku"),
    *(("effort", word, word) for word in EFFORTS),
    *(("permissions", word, word) for word in PERMISSIONS),
    ("tools", [], []),
    ("tools", "", []),
    ("tools", "Read, Grep,WebFetch", ["Read", "Grep", "WebFetch"]),
    ("tools", ("Read", "NewTool2"), ["Read", "NewTool2"]),
    ("allow", ["Bash(pytest:*)", "Write"], ["Bash(pytest:*)", "Write"]),
    ("allow", ("Write",), ["Write"]),
    ("allow", "Bash(a, b:*)", ["Bash(a, b:*)"]),
    ("allow", [], []),
    ("ask", "yes", True),
    ("ask_s", 60, 60.0),
    ("deny", ["WebFetch"], ["WebFetch"]),
    ("cwd", "/tmp", "/tmp"),
    ("cwd", Path("/tmp"), "/tmp"),
    ("add_dirs", ["/a", Path("b")], ["/a", "b"]),
    ("add_dirs", "/a, b", ["/a, b"]),
    ("system_prompt", "-x\nBe brief.", "-x\nBe brief."),
    ("system_prompt", {"append": "Be brief."}, {"append": "Be brief."}),
    (
        "system_prompt",
        {"type": "preset", "preset": "claude_code", "append": "é"},
        {"append": "é"},
    ),
    ("agents", {}, {}),
    ("agents", {"critic": CRITIC}, {"critic": CRITIC}),
    ("agents", {"critic": AgentDefinition(**CRITIC)}, {"critic": CRITIC}),
    ("mcp_servers", {}, {}),
    ("mcp_servers", {"db": SERVER}, {"db": SERVER}),
    ("mcp_servers", {"mcpServers": {"db": SERVER}}, {"db": SERVER}),
    ("mcp_servers", json.dumps({"db": REMOTE}), {"db": REMOTE}),
    (
        "settings",
        {"permissions": {"deny": ("Read(.env)",)}},
        {"permissions": {"deny": ["Read(.env)"]}},
    ),
    (
        "settings",
        {"env": {"MAX_TOKENS": "3", "TOKEN": "${MINE}"}},
        {"env": {"MAX_TOKENS": "3", "TOKEN": "${MINE}"}},
    ),
    ("settings", '{"new": null}', {"new": None}),
    ("safe_mode", "yes", True),
    ("light", "yes", True),
    ("schema", SCHEMA, Answer(SCHEMA)),
    ("max_turns", 1, 1),
    ("nice", 0, 0),
    ("nice", 19, 19),
    ("executor", "ssh:h1,h2", "ssh:h1,h2"),
    ("nodes", 3, 3),
    ("slots", 1, 1),
    ("lease_s", 60, 60.0),
    ("timeout_s", 60, 60.0),
    ("timeout_s", 0.5, 0.5),
    ("silence_s", 1, 1.0),
    ("attempts", 3, 3),
    ("first_byte_s", 1, 1.0),
    ("check", "pytest -q", "pytest -q"),
    ("check", "-x\nmake", "-x\nmake"),
    ("check_timeout_s", 5, 5.0),
    ("fail_on_denied", True, True),
    ("strict_setup", "yes", True),
    ("linger_s", 900, 900.0),
    ("login_wait_s", 60, 60.0),
    ("login_wait_s", 600, 600.0),
    ("machine_wait_s", 60, 60.0),
    ("reserve", 0.3, 0.3),
    ("not_before", "2026-12-24T22:00+01:00", "2026-12-24T22:00:00+01:00"),
    *((name, "desktop", Destination("desktop", "desktop")) for name in NOTICES),
    ("fail_on_denied", "no", False),
    ("warm_start", "true", True),
    ("share_process", "true", True),
    ("worktree", True, True),
    ("base", "origin/main", "origin/main"),
    ("worktree_dir", "/w", "/w"),
    ("setup", "npm ci", "npm ci"),
    ("setup_timeout_s", 5, 5.0),
    ("keep_worktrees", False, False),
    ("task_budget_usd", 0.01, 0.01),
    ("budget_usd", 3, 3.0),
    ("env", {}, {}),
    ("env", {"A": "", "B": "x=y\n"}, {"A": "", "B": "x=y\n"}),
    ("claude_args", ["--add-dir", "/tmp"], ["--add-dir", "/tmp"]),
    ("claude_args", "--add-dir=/tmp", ["--add-dir=/tmp"]),
    ("claude_args", [""], [""]),
]
BAD: list[tuple[str, Any]] = [
    *(("max_parallel", value) for value in (-1, True, 1.0, "4", [4])),
    *(("executor", value) for value in ("", "dask", 3)),
    *((name, value) for name in ("nodes", "slots") for value in (0, -1, True, 1.5, "4")),
    *(("lease_s", value) for value in (0, -1, "1")),
    *(("nice", value) for value in (-1, 20, True, 1.0, "4", [4])),
    *(
        ("name", value)
        for value in ("", " ", "a\nb", "a\x1bb", "a\0b", "\ud800", "a\u202eb", "x" * 4097, 3)
    ),
    *(("model", value) for value in ("", "-opus", "--model", "a\tb", b"opus", ["opus"])),
    *(("fallback_model", value) for value in ("", "-opus", ["opus"])),
    *(("effort", value) for value in ("", "HIGH", "huge", 1, ["high"], {})),
    *(("permissions", value) for value in ("", "bypassPermissions", "Read", True, ["read"])),
    *(("tools", value) for value in ([""], "Read,", ["Read,Grep"], 5, [5], ["a\0"], {"Read": 1})),
    *(("tools", [name]) for name in ("default", "Bash(ls:*)", "mcp__db__query", "*", "-x")),
    *(("allow", value) for value in ([""], [" "], ["a\0"], [1], [None], 5, {"a": 1}, {"a"})),
    *(("deny", value) for value in ([""], [["WebFetch"]], 5)),
    *(("cwd", value) for value in ("", "a\0b", 3, ["/tmp"], b"/tmp")),
    *(("schema", value) for value in ({}, [], "{}", {"type": "array"}, {"type": ["object"]}, True)),
    *(("add_dirs", value) for value in (3, [3], [""], ["a\0"], b"/tmp", {"a": 1}, {"a"})),
    *(("system_prompt", value) for value in ("", " ", "a\0b", "\ud800", 3, {}, {"append": ""})),
    *(("system_prompt", value) for value in ({"append": 3}, {"type": "file", "path": "x"}, ["a"])),
    ("system_prompt", "x" * 100_001),
    *(("agents", value) for value in (3, "no/such/file", "{", {1: CRITIC}, {"a b": CRITIC})),
    *(
        ("agents", {"a": value})
        for value in (3, {}, {"prompt": "x"}, {**CRITIC, "description": ""})
    ),
    *(("agents", {"a": {**CRITIC, **more}}) for more in WRONG_AGENTS),
    *(("mcp_servers", value) for value in (3, "no/such/file", "[]", {"a b": SERVER}, [SERVER])),
    *(("mcp_servers", {"a": value}) for value in WRONG_SERVERS),
    *(("settings", value) for value in (3, "no/such/file", "{]", [], {1: 2}, {"a": float("nan")})),
    *(("settings", value) for value in WRONG_SETTINGS),
    ("settings", {"a": "x" * 100_001}),
    *((name, value) for name in ("safe_mode", "light", "ask") for value in ("perhaps", 2)),
    ("schema", {"type": "object", "default": float("nan")}),
    ("schema", {"type": "object", "default": {1, 2}}),
    ("schema", {"type": "object", "description": "x" * MAX_SCHEMA_BYTES}),
    *(("max_turns", value) for value in (0, -1, True, 2.5, "3")),
    *(("timeout_s", value) for value in (0, -1, True, "60", float("nan"), float("inf"), [60])),
    *(("ask_s", value) for value in (0, -1, "60", float("inf"))),
    *(("silence_s", value) for value in (0, -0.1, float("inf"), "1")),
    *(("attempts", value) for value in (0, -1, 1.5, "2")),
    *(("first_byte_s", value) for value in (0, -1, "1")),
    *(("check", value) for value in ("", " \n", "a\0b", "\ud800", 3, ["a"], "x" * 100_001)),
    *(("check_timeout_s", value) for value in (0, float("nan"))),
    *(("fail_on_denied", value) for value in ("maybe", 1, [])),
    *(("strict_setup", value) for value in ("maybe", 1, [])),
    *(("linger_s", value) for value in (0, -1, "1")),
    *(("login_wait_s", value) for value in (0, "1h")),
    *(("machine_wait_s", value) for value in (0, "1h")),
    *(("reserve", value) for value in (0, 1, 30, "0.3", True)),
    *(("not_before", value) for value in ("25:00", "tonight", 22, "22:00+01:00")),
    *((name, value) for name in NOTICES for value in ("", 3, [""], ["a", 3], {"a": 1}, "a\0")),
    *(("login_wait_s", value) for value in (0, -1, "1", float("inf"))),
    *(("warm_start", value) for value in ("", 0, {})),
    *(("share_process", value) for value in ("", 0, {})),
    *(("worktree", value) for value in ("perhaps", 2)),
    *(("base", value) for value in ("", "-x", "a\nb", 3)),
    *(("worktree_dir", value) for value in ("", 3)),
    *(("setup", value) for value in ("", " ", 3)),
    *(("setup_timeout_s", value) for value in (0, "1")),
    *(("keep_worktrees", value) for value in ("x", [])),
    *(("task_budget_usd", value) for value in (0, -1, float("nan"), "$1")),
    *(("budget_usd", value) for value in (0, -1, float("inf"), False)),
    *(("env", value) for value in ("A=1", ["A=1"], {"": "x"}, {"A=B": "x"}, {"A\0": "x"})),
    *(("env", value) for value in ({"A": 1}, {"A": None}, {"A": "x\0"}, {1: "x"})),
    *(("claude_args", value) for value in (5, [5], ["a\0"], {"a": 1})),
    *(("claude_args", [flag]) for flag in ("-p", "--print", "--resume", "--output-format=text")),
    *(("claude_args", [flag]) for flag in ("--permission-mode=plan", "-h", "--max-turns", "-w")),
    *(("claude_args", [flag]) for flag in ("--tools", "--allowed-tools=A", "--disallowedTools")),
]
# What Python's own types can't hold must be refused like everything else.
TOO_LARGE: list[tuple[str, Any]] = [
    ("timeout_s", 10**400),
    ("budget_usd", 10**400),
]
# A lone surrogate can't become an argument or a variable: every start would fail.
NO_UNICODE: list[tuple[str, Any]] = [
    ("allow", ["Bash(\ud800)"]),
    ("deny", ["\ud800"]),
    ("claude_args", ["\ud800"]),
    ("add_dirs", ["\ud800"]),
    ("settings", {"a": "\ud800"}),
    ("mcp_servers", {"a": {**SERVER, "args": ["\ud800"]}}),
    ("agents", {"a": {**CRITIC, "model": "\ud800"}}),
    ("env", {"A": "\ud800"}),
    ("env", {"\ud800": "a"}),
]


def ids(case: Any) -> str:
    return ascii(case)[:40]


def circular() -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    schema["properties"] = schema
    return schema


def test_the_tables_below_name_every_option() -> None:
    assert {name for name, *_ in GOOD} == set(OPTIONS)
    assert {name for name, _ in BAD} == set(OPTIONS)


@pytest.mark.parametrize(("name", "value", "checked"), GOOD, ids=ids)
def test_a_good_value_is_taken_in_its_form(name: str, value: Any, checked: Any) -> None:
    found = check_options({name: value})
    assert found == {name: checked}
    assert type(found[name]) is type(checked)


@pytest.mark.parametrize(("name", "value"), [*BAD, *TOO_LARGE, *NO_UNICODE], ids=ids)
def test_a_bad_value_is_refused_and_its_option_named(name: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        check_options({name: value}, "prompts[2]", per_task=OPTIONS[name].per_task)
    assert caught.value.where == f"prompts[2].{name}"
    assert str(caught.value).startswith(f"prompts[2].{name}: ")


@pytest.mark.parametrize("name", ["allow", "effort", "model", "max_turns", "schema", "env", "cwd"])
def test_a_value_without_end_is_refused_like_any_other(name: str) -> None:
    with pytest.raises(InputError):
        check_options({name: circular()})


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_none_means_not_given(name: str) -> None:
    assert check_options({name: None}) == {}


def test_what_is_checked_is_a_copy() -> None:
    given_ = {"allow": ["Read"], "env": {"A": "1"}, "schema": dict(SCHEMA)}
    checked = check_options(given_)
    checked["allow"].append("Write")
    checked["env"]["B"] = "2"
    checked["schema"]["x"] = 1
    assert given_ == {"allow": ["Read"], "env": {"A": "1"}, "schema": SCHEMA}


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("timeout", "timeout_s"),
        ("max_turn", "max_turns"),
        ("Model", "model"),
        ("permission", "permissions"),
        ("alow", "allow"),
    ],
)
def test_an_unknown_option_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownOption) as caught:
        check_options({name: 1}, "prompts[0]", per_task=True)
    assert caught.value.name == name
    assert caught.value.nearest[0] == nearest
    assert f"unknown option {name!r}; did you mean {nearest}" in str(caught.value)
    assert str(caught.value).startswith("prompts[0]: ")


def test_an_option_like_no_other_has_no_nearest() -> None:
    with pytest.raises(UnknownOption) as caught:
        check_options({"zzzzzz": 1})
    assert caught.value.nearest == ()
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", SESSION_ONLY)
def test_an_option_of_the_session_is_refused_in_a_task_and_not_proposed_there(name: str) -> None:
    assert not OPTIONS[name].per_task
    with pytest.raises(InputError, match="is an option of the session, not of a task"):
        check_options({name: 1}, per_task=True)
    with pytest.raises(UnknownOption) as caught:
        check_options({name + "x": 1}, per_task=True)
    assert name not in caught.value.nearest


def test_all_other_options_may_be_a_tasks_own() -> None:
    assert {n for n, option in OPTIONS.items() if not option.per_task} == set(SESSION_ONLY)


def test_a_schema_of_exactly_the_largest_size_is_taken() -> None:
    room = MAX_SCHEMA_BYTES - len(json.dumps({"type": "object", "title": ""}))
    check_options({"schema": {"type": "object", "title": "x" * room}})
    with pytest.raises(InputError, match="larger than"):
        check_options({"schema": {"type": "object", "title": "x" * (room + 1)}})


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**400)
    | st.floats()
    | st.text()
    | st.binary()
    | st.sampled_from(["read", "high", "object", "-p", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=5) | st.just("type"), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(OPTIONS)) | st.text(), ANYTHING, max_size=3))
def test_anything_is_checked_or_refused(options: dict[str, Any]) -> None:
    try:
        checked = check_options(options)
    except InputError:
        return
    assert set(checked) == {name for name, value in options.items() if value is not None}
    # Everything that was taken can be written to session.json and handed to a process.
    json.dumps(checked, allow_nan=False).encode()
    texts = [checked.get("model", ""), checked.get("name", "")]
    for name in ("tools", "allow", "deny", "claude_args"):
        texts += checked.get(name, [])
    for name, text in checked.get("env", {}).items():
        texts += [name, text]
    assert not any(b"\0" in os.fsencode(text) for text in texts)
    assert check_options(checked) == checked, "checking again changes nothing"
