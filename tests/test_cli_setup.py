"""What the real CLI says about its set-up: in every interface once, and `strict_setup`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = pytest.mark.real_cli

TWO = prompts(script({"text": "one"}), script({"text": "two"}))
ONE = prompts(script({"text": "one"}))
NO_BYPASSING = {"permissions": {"disableBypassPermissionsMode": "disable"}}
NO_SERVER = json.dumps({"db": {"command": "/no/such/program"}})
MODE = "the permission mode is default, not bypassPermissions"
SERVER = "MCP server db can't be used: its tools are missing"
TRUST = ".claude/settings.json: the CLI ignores permissions.allow, for the folder is not trusted"


def write(path: Path, settings: dict[str, Any] | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))


@pytest.fixture
def user_settings(offline_env: dict[str, str]) -> Path:
    """The user's settings file of the CLI, in the test's own folder."""
    return Path(offline_env["CLAUDE_CONFIG_DIR"]) / "settings.json"


@pytest.fixture
def project_settings(work: Path) -> Path:
    """The settings file of the folder in which the tasks run."""
    return work / ".claude" / "settings.json"


def ended(session: cpr.Session) -> cpr.Session:
    session.wait(LIMIT_S)
    return session


def test_a_policy_a_server_and_an_untrusted_folder_are_reported_once_for_all_tasks(
    real_cpr: Cpr, user_settings: Path, project_settings: Path
) -> None:
    write(user_settings, NO_BYPASSING)
    write(project_settings, {"permissions": {"allow": ["Bash(ls:*)", "WebFetch"]}})
    options = ("--permissions", "all", "--mcp-servers", NO_SERVER)
    session = ended(real_cpr.launch(TWO, *options))
    assert [task.outcome for task in session] == ["succeeded"] * 2
    found = sorted(warning.partition(":")[0] for warning in session.warnings)
    assert found == sorted(text.partition(":")[0] for text in (MODE, SERVER, TRUST))
    assert all(
        any(warning.startswith(text) for warning in session.warnings)
        for text in (MODE, SERVER, TRUST)
    )
    status = real_cpr.good("status", session.id)
    assert status.count("Warning: ") == 3 and f"Warning: {MODE}" in status


@pytest.mark.parametrize("cause", ["policy", "server", "trust"])
def test_with_strict_setup_such_a_task_fails_and_nothing_is_paid(
    real_cpr: Cpr, api: ScriptedApi, user_settings: Path, project_settings: Path, cause: str
) -> None:
    options = ["--strict-setup", "--attempts", "3"]
    if cause == "policy":
        write(user_settings, NO_BYPASSING)
        options += ["--permissions", "all"]
    elif cause == "server":
        options += ["--mcp-servers", NO_SERVER]
    else:
        write(project_settings, {"permissions": {"allow": ["Bash(ls:*)"]}})
    session = ended(real_cpr.launch(ONE, *options))
    (task,) = session
    assert (task.outcome, task.reason, task.attempts) == ("failed", "setup_refused", 1)
    assert task.error == session.warnings[0]
    asked = [record for record in api.requests if record.model]  # older CLIs send a ping, too
    assert asked == [], "it was ended before its first request"


def test_with_strict_setup_a_task_with_a_good_setup_succeeds(real_cpr: Cpr) -> None:
    session = ended(real_cpr.launch(ONE, "--strict-setup", "--permissions", "all"))
    assert ([task.outcome for task in session], session.warnings) == (["succeeded"], [])
