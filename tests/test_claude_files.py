"""Which files of Claude Code count for a folder, and what they could run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit.repository import Checkout

from cpr_nb.launching.claude_files import (
    claude_file,
    claude_files,
    find_project,
    is_accepted,
    summary,
)

SETTINGS = "/r/.claude/settings.json"
HOOK = {"hooks": [{"type": "command", "command": "./x\u202e.sh"}]}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    checkout = Checkout.new(tmp_path / "main")
    checkout.commit("first", {"a": "a"})
    return checkout


def parts(content: Any, path: str = SETTINGS) -> list[str]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return [text for _, text in claude_file(path, data).parts]


@pytest.mark.parametrize(
    "harmless",
    [
        b"",
        {},
        {"model": "opus", "$schema": "x", "language": "de", "includeCoAuthoredBy": False},
        {"permissions": {"deny": ["Bash"], "ask": ["Read"], "defaultMode": "plan", "allow": []}},
        {"hooks": {}, "env": {}},
    ],
)
def test_what_can_neither_run_nor_allow_anything_counts_for_nothing(harmless: Any) -> None:
    assert parts(harmless) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"hooks": {"Stop": [HOOK]}}, "hook Stop: ./x\\u202e.sh"),
        ({"hooks": [1]}, "hooks = [1]"),
        ({"hooks": {"Stop": {"a": 1}}}, "hooks = "),
        ({"apiKeyHelper": "x"}, 'apiKeyHelper = "x"'),
        ({"cleanupPeriodDays": 0}, "cleanupPeriodDays = 0"),
        ({"disableAllHooks": True}, "disableAllHooks = true"),
        ({"permissions": {"allow": ["Bash"]}}, 'permissions.allow = ["Bash"]'),
        ({"permissions": ["x"]}, 'permissions = ["x"]'),
        ({"a new key": 1}, "a new key = 1"),
        (b"{,}", "is not a JSON object"),
        (b"[]", "is not a JSON object"),
        (b"[" * 100_000, "is not a JSON object"),
    ],
)
def test_everything_else_is_shown(content: Any, words: str) -> None:
    shown = parts(content)
    assert shown and shown[0].startswith(words)


def test_servers_are_shown_with_their_commands() -> None:
    servers = {"db": {"command": "npx", "args": ["db", 1]}, "web": {"url": "http://x"}, "odd": 3}
    assert parts({"mcpServers": servers}, "/r/.mcp.json") == [
        "server db: npx db",
        'server web: {"url": "http://x"}',
        "server odd: 3",
    ]
    assert parts({"mcpServers": [1]}, "/r/.mcp.json") == ["servers = [1]"]
    assert parts({"mcpServers": {}}, "/r/.mcp.json") == []
    files = [claude_file("/r/.mcp.json", json.dumps({"mcpServers": servers}).encode())]
    assert summary(files) == "3 MCP servers"


def test_deny_rules_mean_the_same_as_an_argument() -> None:
    rules = ["Bash", "Read(/a b/**)", "Read(//abs)", "Read(./x)", 3, ""]
    data = json.dumps({"permissions": {"deny": rules}}).encode()
    file = claude_file("/r [x]/.claude/settings.json", data)
    assert file.deny == ["Bash", "Read(//r??x?/a b/**)", "Read(//abs)", "Read(./x)"]


def test_the_files_are_those_of_all_folders_that_the_cli_reads(
    tmp_path: Path, checkout: Checkout
) -> None:
    server = json.dumps({"mcpServers": {"a": {"command": "x"}}})
    worktree = tmp_path / "tree"
    checkout.git("worktree", "add", "-q", str(worktree))
    for folder in (tmp_path, checkout.path, worktree / "sub", worktree):
        Checkout(folder).write({".mcp.json": server, ".claude/settings.local.json": '{"x": 1}'})
    environ = {"HOME": str(tmp_path / "home")}
    found = {file.path for file in claude_files(str(worktree / "sub"), environ)}
    assert found == {
        *(f"{worktree}/{name}" for name in ("sub/.mcp.json", ".mcp.json")),
        *(f"{worktree}/{name}/settings.local.json" for name in ("sub/.claude", ".claude")),
        f"{tmp_path}/.mcp.json",
        f"{checkout.path}/.claude/settings.local.json",
        f"{checkout.path}/.mcp.json",
    }
    # What lies in the home folder itself is the user's own, and so is the CLI's configuration.
    environ = {"HOME": str(tmp_path), "CLAUDE_CONFIG_DIR": str(checkout.path / ".claude")}
    found = {file.path for file in claude_files(str(checkout.path), environ)}
    assert found == {f"{checkout.path}/.mcp.json"}


def test_a_project_is_the_main_checkout(tmp_path: Path, checkout: Checkout) -> None:
    worktree = tmp_path / "tree"
    checkout.git("worktree", "add", "-q", str(worktree))
    (worktree / "sub").mkdir()
    (tmp_path / "link").symlink_to(worktree)
    for folder in (worktree, worktree / "sub", tmp_path / "link"):
        project = find_project(str(folder))
        assert (project.top, project.main) == (str(worktree), str(checkout.path))
    project = find_project(str(tmp_path))
    assert (project.top, project.main) == (str(tmp_path), str(tmp_path))


def test_a_folder_that_claims_to_be_a_worktree_is_its_own_project(
    tmp_path: Path, checkout: Checkout
) -> None:
    checkout.git("worktree", "add", "-q", str(tmp_path / "tree"))
    forged = tmp_path / "forged"
    forged.mkdir()
    (forged / ".git").write_text(f"gitdir: {checkout.path}/.git/worktrees/tree\n")
    project = find_project(str(forged))
    assert (project.top, project.main) == (str(forged), str(forged))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"projects": {}}', '{"projects": {"%s": 1}}'])
def test_a_project_that_the_cli_does_not_know_is_not_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / ".claude.json").write_text(text.replace("%s", str(tmp_path)))
    environ = {"HOME": str(tmp_path)}
    project = find_project(str(tmp_path))
    assert not is_accepted(project, environ)
    entry = {str(tmp_path): {"hasTrustDialogAccepted": True}}
    (tmp_path / ".claude.json").write_text(json.dumps({"projects": entry}))
    assert is_accepted(project, environ)
    assert not is_accepted(project, {**environ, "CLAUDE_CONFIG_DIR": str(tmp_path / "c")})
