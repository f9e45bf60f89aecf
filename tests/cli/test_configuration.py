"""Subagents, servers, settings and the like: read once, kept for reruns, refused where wrong."""

from __future__ import annotations

import ast
import json
import re
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub

from cpr_nb.model.cli_configuration import AGENT_FIELDS

CRITIC = {"critic": {"description": "finds faults", "prompt": "Be strict."}}
SERVER = {"command": "db", "env": {"DB_TOKEN": "${DB_TOKEN}"}}
OWN = ("add-dir", "agents", "mcp-config", "settings", "system-prompt", "fallback-model")


def given(argv: list[str]) -> dict[str, str]:
    """What the flags of these options are given; ``--settings`` comes as two words."""
    words = [f"{a}={b}" if a == "--settings" else a for a, b in pairwise([*argv, ""])]
    pairs = [word[2:].partition("=") for word in words if word.startswith("--")]
    return {flag: value for flag, _, value in pairs if flag in OWN}


def test_files_are_read_at_the_launch_and_kept_for_reruns(stub_cpr: Cpr, stub: Stub) -> None:
    files = {"agents": CRITIC, "mcp_servers": {"mcpServers": {"db": SERVER}}, "settings": {"a": 1}}
    for name, value in files.items():
        (stub_cpr.cwd / f"{name}.json").write_text(json.dumps(value))
    (stub_cpr.cwd / "more").mkdir()
    task = {"id": "a", "prompt": "p", "settings": "settings.json", "fallback_model": "haiku"}
    flags = ["--agents", "agents.json", "--mcp-servers=mcp_servers.json", "--add-dirs", "more"]
    options = (*flags, "--system-prompt=-Label.", "--env", "DB_TOKEN=s3cret")
    session = stub_cpr.launch(prompts(task), *options).wait(LIMIT_S)
    call = stub.calls()["a"]["argv"]
    first = given(call)
    assert first["add-dir"] == str(stub_cpr.cwd / "more")
    assert (first["system-prompt"], first["fallback-model"]) == ("-Label.", "haiku")
    assert json.loads(first["agents"]) == CRITIC
    assert json.loads(first["mcp-config"]) == {"mcpServers": {"db": SERVER}}
    assert json.loads(first["settings"])["a"] == 1
    stored = (session.path / "session.json").read_text()
    assert "${DB_TOKEN}" in stored and "s3cret" not in stored
    for name in files:
        (stub_cpr.cwd / f"{name}.json").unlink()
    again = stub_cpr.good("retry", session.id, "--all-tasks", "--wait", env={"DB_TOKEN": "x"})
    assert "1 succeeded" in again
    later = stub.calls()["a"]["argv"]
    assert later != call and given(later) == first


def test_the_example_of_the_docs_can_be_launched(stub_cpr: Cpr, in_env: Any) -> None:
    in_env({**stub_cpr.env, "TICKETS_TOKEN": "s3cret"})
    (stub_cpr.cwd.parent / "handbook").mkdir()
    page = (Path(__file__).parents[2] / "docs" / "agents-and-servers.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.+?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block.replace("cpr.launch(", "cpr.launch(dry_run=True, prompts="), names)
    assert len(names["s"]) == 2


def test_agents_have_the_fields_of_the_sdk() -> None:
    spec = find_spec("claude_agent_sdk")  # to import it takes 1.2 s
    if spec is None or spec.origin is None:
        pytest.skip("no claude-agent-sdk")
    tree = ast.parse(Path(spec.origin).with_name("types.py").read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    (definition,) = [node for node in classes if node.name == "AgentDefinition"]
    fields = [ast.unparse(n.target) for n in definition.body if isinstance(n, ast.AnnAssign)]
    assert set(AGENT_FIELDS) == {*fields} - {"permissionMode"}


BOTH = {"safe_mode": True, "agents": CRITIC}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "folder": ({"add_dirs": ["no"]}, "prompts[0].add_dirs: there is no folder"),
    "variable": ({"mcp_servers": {"db": SERVER}}, "names the variable DB_TOKEN, which is not set"),
    "safe mode": (BOTH, "the CLI's safe mode has no agents: leave out one of both"),
    "its flag": (
        {"claude_args": ["--safe-mode"], "mcp_servers": {"d": {"command": "d"}}},
        "no mcp",
    ),
    "twice": (
        {"claude_args": ["--add-dir=/tmp"], "add_dirs": ["."]},
        "claude_args: has --add-dir, and the option 'add_dirs' is set: use one of them",
    ),
    "worktree": (
        {"claude_args": ["--append-system-prompt", "x"], "worktree": True},
        "use the option 'system_prompt'",
    ),
    "settings": ({"claude_args": ["--settings={}"]}, "can't be passed: use the option 'settings'"),
    "type": ({"settings": {"model": 3}}, "model is not a text, so the CLI would ignore them all"),
    "secret": (
        {"mcp_servers": {"db": {"command": "db", "env": {"DB_TOKEN": "s3"}}}},
        "db: env.DB_TOKEN looks like a secret, and session.json would keep it: write ${VARIABLE}",
    ),
}


@pytest.mark.parametrize(("own", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(stub_cpr: Cpr, own: dict[str, Any], words: str) -> None:
    done = stub_cpr("run", stdin=prompts({"prompt": "p", **own}))
    assert done.returncode == 2 and words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (stub_cpr.cwd / "results").exists()


@pytest.mark.parametrize("name", ["agents", "mcp_servers", "settings"])
def test_a_repository_cannot_bring_what_runs_programs(stub_cpr: Cpr, name: str) -> None:
    (stub_cpr.cwd / "pyproject.toml").write_text(f'[tool.cpr]\n{name} = "{name}.json"\n')
    done = stub_cpr("run", stdin=prompts("p"))
    assert done.returncode == 2 and f"[tool.cpr].{name}: is not allowed here" in done.stderr
