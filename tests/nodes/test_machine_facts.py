"""What a node agent says of its machine when it joins; real CLI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from testkit.stub import Stub

_PROGRAM = "import json; from cpr_nb.nodes import machine_facts as m; print(json.dumps(m.{}))"
_KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


def facts(env: dict[str, str], probes: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """What the machine would say of itself to a hub, in this environment."""
    program = _PROGRAM.format(f"machine_facts({probes or []})")
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, check=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.real_cli
def test_a_real_cli_tells_its_version_and_whether_it_is_logged_in(
    offline_env: dict[str, str], claude: str
) -> None:
    env = {**offline_env, "CPR_CLAUDE": claude}
    found = facts(env)
    assert found["login"] is True and found["claude_path"] == claude
    assert found["claude_version"].count(".") == 2
    without = facts({name: value for name, value in env.items() if name not in _KEYS})
    assert without["login"] is False


def test_an_old_cli_is_not_asked_since_it_would_be_a_prompt(
    stub: Stub, stub_env: dict[str, str]
) -> None:
    stub.set_version("2.1.32 (Claude Code)")
    assert (found := facts(stub_env))["login"] is None
    assert found["claude_version"] == "2.1.32"
    stub.set_version("2.1.71 (Claude Code)")
    assert facts(stub_env)["login"] is True


def test_a_machine_without_a_cli_says_so(stub_env: dict[str, str], tmp_path: Path) -> None:
    found = facts({**stub_env, "CPR_CLAUDE": str(tmp_path / "none"), "PATH": str(tmp_path)})
    assert {found[name] for name in ("claude_path", "claude_version", "login")} == {None}
    assert found["git_version"] is None, "and there is no git"
    assert found["free_memory_bytes"] > 0


def test_it_sees_what_the_runners_machine_sees(stub_env: dict[str, str], tmp_path: Path) -> None:
    nonce = tmp_path / "nonce"
    nonce.write_text("n1\n")
    probes = [
        {"name": "same", "path": str(nonce), "nonce": "n1"},
        {"name": "other", "path": str(nonce), "nonce": "n2"},
        {"name": "cwd", "path": str(tmp_path)},
        {"name": "gone", "path": str(tmp_path / "gone")},
    ]
    sees = facts(stub_env, probes)["sees"]
    assert sees == {"same": True, "other": False, "cwd": True, "gone": False}
