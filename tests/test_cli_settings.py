"""Settings files that the CLI ignores as a whole: found before anything is spent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.launching.cli_settings import settings_files, settings_problem
from cpr_nb.offline.scripted_api import ScriptedApi

DENY: dict[str, Any] = {"deny": ["Bash(rm:*)"]}
GOOD = json.dumps({"permissions": DENY, "nobodyKnows": 1})
#: The content of a settings file → what is wrong with it; empty if the CLI reads it.
FILES = {
    "good": (GOOD, ""),
    "mark": ("\ufeff" + GOOD, ""),
    "comma": (GOOD[:-1] + ",}", "Expecting property name"),
    "comment": (GOOD + " // mine", "Extra data"),
    "model": (json.dumps({"permissions": DENY, "model": 7}), "model is not a text"),
    "rules": (
        json.dumps({"permissions": {**DENY, "allow": "Bash"}}),
        "permissions.allow is not a list",
    ),
}
MORE = {
    "empty": (" \n", ""),
    "list": ("[]", "it is not an object"),
    "deep": ("[" * 100_000, "it is nested too deeply"),
    "days": ('{"cleanupPeriodDays": true}', "cleanupPeriodDays is not a number"),
    "permissions": ('{"permissions": []}', "permissions is not an object"),
    "flag": ('{"includeCoAuthoredBy": 1}', "includeCoAuthoredBy is not true or false"),
}


def write_settings(folder: Path, text: str, name: str = "settings.json") -> Path:
    path = folder / ".claude" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", [*FILES, *MORE])
def test_a_file_that_the_cli_ignores_is_named_with_its_fault(tmp_path: Path, name: str) -> None:
    text, fault = {**FILES, **MORE}[name]
    path = write_settings(tmp_path, text)
    problem = settings_problem(str(path))
    assert problem.startswith(f"{path}: the CLI ignores all of it") if fault else problem == ""
    assert fault in problem


def test_the_files_are_those_that_the_cli_reads() -> None:
    environ = {"HOME": "/home/me"}
    files = settings_files(environ, "/w")[1:]
    project = ["/w/.claude/settings.json", "/w/.claude/settings.local.json"]
    assert files == ["/home/me/.claude/settings.json", *project, "/w/.mcp.json"]
    environ["CLAUDE_CONFIG_DIR"] = "/c"
    for arguments in (["--setting-sources=user"], ["--setting-sources", "user"]):
        files = settings_files(environ, "/w", arguments)[1:]
        assert files == ["/c/settings.json", "/w/.mcp.json"]


@pytest.mark.real_cli
def test_the_real_cli_ignores_exactly_these_files(
    real_cpr: Cpr, api: ScriptedApi, work: Path
) -> None:
    tasks = []
    for name, (text, _) in FILES.items():
        write_settings(work / name, text)
        remove = {"tool": "Bash", "input": {"command": "rm nothing", "description": "remove"}}
        prompt = script(remove, {"text": "done"})
        tasks.append({"id": name, "prompt": prompt, "cwd": str(work / name)})
    session = real_cpr.launch(prompts(*tasks), "--permissions", "all")
    session.wait(LIMIT_S)
    denied = {task.id for task in session if task.fields.get("n_denials")}
    assert denied == {name for name, (_, fault) in FILES.items() if not fault}
    n_bad = len(FILES) - len(denied)
    assert len(session.warnings) == n_bad, "one for each file"


def test_a_launch_warns_of_them_and_strict_setup_refuses(stub_cpr: Cpr, work: Path) -> None:
    path = write_settings(work, "{", "settings.local.json")
    done = stub_cpr("run", "--json", stdin=prompts("a"))
    assert done.returncode == 0
    assert f"warning: {path}: the CLI ignores all of it, its deny rules too" in done.stderr
    session = json.loads(done.stdout)["session_id"]
    cpr.attach(session, results_dir=work / "results").wait(LIMIT_S)
    assert f"Warning: {path}: the CLI ignores" in stub_cpr.good("status", session)
    n_sessions = len(list((work / "results").glob("session-*")))
    refused = stub_cpr("run", "--strict-setup", stdin=prompts("a"))
    assert refused.returncode == 2 and str(path) in refused.stderr
    assert len(list((work / "results").glob("session-*"))) == n_sessions


def test_a_broken_list_of_mcp_servers_is_named(stub_cpr: Cpr, work: Path) -> None:
    (work / ".mcp.json").write_text('{"mcpServers": {')
    dry = stub_cpr("run", "--dry-run", stdin=prompts("a"))
    assert ".mcp.json: the CLI ignores all of it, its MCP servers" in dry.stderr
    for unread in (["--mcp-servers", "{}"], ["--safe-mode"]):
        dry = stub_cpr("run", "--dry-run", *unread, stdin=prompts("a"))
        assert dry.returncode == 0 and ".mcp.json" not in dry.stderr


def test_the_doctor_reads_the_settings_of_this_folder(stub_cpr: Cpr, work: Path) -> None:
    rules = {"allow": ["Bash(ls:*)"], "disableBypassPermissionsMode": "disable"}
    path = write_settings(work, json.dumps({"permissions": rules}))
    output = stub_cpr.good("doctor")
    assert f"{path} forbids --permissions all" in output
    assert "this folder is not trusted, so the CLI (2.1.224 and newer) ignores" in output
    config = Path(stub_cpr.env["CLAUDE_CONFIG_DIR"])
    config.mkdir(exist_ok=True)
    for folder, is_accepted in ((work.parent, False), (work, True)):
        accepted = {"projects": {str(folder): {"hasTrustDialogAccepted": True}}}
        (config / ".claude.json").write_text(json.dumps(accepted))
        assert ("not trusted" not in stub_cpr.good("doctor")) is is_accepted
    path.write_text("{")
    broken = stub_cpr("doctor")
    assert broken.returncode == 1 and f"✕ CLI settings      {path}:" in broken.stdout
