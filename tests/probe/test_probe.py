"""The probe: green for what the real CLI keeps, red for exactly the promise that is broken."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

from cpr_nb.launching.cli_cache import SMALLEST_PROGRAM_BYTES, read_version
from cpr_nb.model.cli_versions import NEWEST_TESTED, OLDEST_SUPPORTED, show
from cpr_nb.probe.scenarios import SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
NEWER = show((NEWEST_TESTED[0], NEWEST_TESTED[1] + 1, 0))


def probe(claude: str, env: dict[str, str], *names: str) -> dict[str, dict[str, Any]]:
    """Runs scenarios; returns what was found, by name."""
    done = subprocess.run(
        [sys.executable, "-m", "cpr_nb.probe", claude, *names],
        env=env,
        capture_output=True,
        timeout=3 * LIMIT_S,
        check=True,
    )
    findings = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(findings) == len(names)
    return {finding["name"]: finding for finding in findings}


def wrapped(claude: str, folder: Path, edit: str) -> str:
    """A CLI that says what the real one says, but for an edit of its lines, and exits with 0."""
    path = folder / "claude"
    path.write_text(f"#!/bin/sh\n'{claude}' \"$@\" | sed -u '{edit}'\n")
    path.chmod(0o755)
    return str(path)


def test_the_scenarios_have_names_and_follow_earlier_ones() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    for number, scenario in enumerate(SCENARIOS):
        assert not scenario.follows or scenario.follows in names[:number]
    groups = [scenario.group for scenario in SCENARIOS]
    assert groups == sorted(groups, key=groups.index), "the scenarios of a group are together"


@pytest.mark.slow
@pytest.mark.real_cli
def test_the_real_cli_keeps_what_a_changed_line_breaks(
    claude: str, offline_env: dict[str, str], tmp_path: Path
) -> None:
    names = ("answer", "max turns", "follow-up")
    kept = probe(claude, offline_env, *names)
    assert [finding["verdict"] for finding in kept.values()] == ["kept"] * 3, kept
    assert kept["follow-up"]["seen"]["cost"] == 1.0
    edit = 's/"subtype":"error_max_turns"/"subtype":"success"/; s/"is_error":true/"is_error":false/'
    broken = probe(wrapped(claude, tmp_path, edit), offline_env, *names[:2])
    assert {name: finding["verdict"] for name, finding in broken.items()} == {
        "answer": "kept",
        "max turns": "broken",
    }
    assert broken["max turns"]["seen"]["outcome"] == "succeeded"


@pytest.mark.slow
@pytest.mark.real_cli
def test_the_probe_tries_shared_processes(
    claude: str, offline_env: dict[str, str], tmp_path: Path
) -> None:
    name = "shared process"
    kept = probe(claude, offline_env, name)[name]
    assert kept["verdict"] == "kept", kept
    without = tmp_path / "claude"  # like the CLIs whose /clear begins no conversation
    without.write_text(f"#!/bin/sh\nexec '{claude}' --disable-slash-commands \"$@\"\n")
    without.chmod(0o755)
    refused = probe(str(without), offline_env, name)[name]
    assert refused["verdict"] == "not tried"
    assert "each task has its own process" in refused["refusal"]


@pytest.mark.real_cli
def test_the_installed_cli_is_supported(claude: str, offline_env: dict[str, str]) -> None:
    # It may be newer than NEWEST_TESTED: then CI's probe says whether it keeps the promises.
    version = read_version(claude, offline_env)
    assert version is not None and version >= OLDEST_SUPPORTED


def test_the_extra_installs_a_supported_cli() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    (requirement,) = project["optional-dependencies"]["claude"]
    wheel = runpy.run_path(str(ROOT / "tests" / "battery.py"))["WHEELS"][show(OLDEST_SUPPORTED)]
    assert requirement == f"claude-agent-sdk>={wheel}"


@pytest.mark.slow
def test_the_doctor_shows_each_broken_promise_and_a_launch_repeats_it(
    stub_cpr: Cpr, stub: Stub
) -> None:
    with stub.path.open("a") as file:
        file.write("#" * SMALLEST_PROGRAM_BYTES)  # not just a script in front of a program
    stub.set_version(f"{NEWER} (Claude Code)")
    done = stub_cpr("doctor", "--probe")
    assert done.returncode == 1
    assert f"Claude Code {NEWER}, {stub}\n" in done.stdout
    assert "✕ max turns           outcome failed, reason max_turns\n" in done.stdout
    assert "but was: outcome succeeded, reason completed\n" in done.stdout
    assert "the promise: a run that max_turns stopped is no success\n" in done.stdout
    launched = stub_cpr("run", "--dry-run", stdin=prompts(plan()))
    assert f"warning: Claude Code {NEWER} ({stub}) breaks what cpr promises: " in launched.stderr
    assert "max turns" in launched.stderr


def test_a_launch_says_once_that_a_new_cli_was_never_tried(stub_cpr: Cpr, stub: Stub) -> None:
    with stub.path.open("a") as file:
        file.write("#" * SMALLEST_PROGRAM_BYTES)
    stub.set_version(f"{NEWER} (Claude Code)")
    warned = [stub_cpr("run", "--dry-run", stdin=prompts(plan())).stderr for _ in range(2)]
    assert f"is newer than {show(NEWEST_TESTED)}" in warned[0]
    assert "cpr doctor --probe" in warned[0]
    assert warned[1] == ""
