"""The demo, the doctor and the completion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub

# --- demo ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.real_cli
def test_the_demo_works_twice_in_the_same_folder(work: Path, offline_env: dict[str, str]) -> None:
    # It brings its own API: nothing of this environment is needed but the CLI and PATH.
    kept = ("PATH", "HOME", "CPR_CLAUDE", "CPR_TEST_TOKEN")
    command = Cpr(work, {name: offline_env[name] for name in kept})
    for _ in range(2):
        done = command("demo")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert "🚀 Started session: " in done.stdout
        assert "✅ Four tasks succeeded and the fifth failed, as they should." in done.stdout
    assert "Hello, parallel world" in (work / "results" / "demo" / "hello.py").read_text()
    home = {path.name for path in Path(offline_env["HOME"]).iterdir()}
    assert home <= {".local"}, "the demo touched more of the user's home than the state directory"
    listed = command.good("list")
    assert listed.count("5/5 tasks (4 successful)") == 2
    match = re.search(r"cpr results (\w{8})", done.stdout)
    assert match
    assert "Hello! I am the real Claude Code CLI" in command.good("results", match[1])
    refused = command("retry", match[1])
    assert refused.returncode == 2 and "ran in an environment of its own" in refused.stderr


def test_a_demo_that_goes_wrong_says_so(stub_cpr: Cpr) -> None:
    done = stub_cpr("demo")
    assert done.returncode == 1
    assert "❌ The demo did not go as it should:" in done.stdout
    assert "task fails: succeeded, completed" in done.stdout


def test_a_demo_without_a_cli_says_so(stub_cpr: Cpr) -> None:
    done = stub_cpr("demo", "--claude-path", "/nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cpr: --claude-path: /nope is not a program that can be run\n"
    assert not any(stub_cpr.cwd.iterdir())


# --- doctor -------------------------------------------------------------------------------------


def test_the_doctor_finds_a_machine_that_works(stub_cpr: Cpr, stub: Stub) -> None:
    output = stub_cpr.good("doctor")
    assert "✕" not in output
    assert f"✓ Claude Code CLI   9.9.9 (stub), {stub}\n" in output
    for name in ("cpr_nb", "results directory", "git", "memory", "detaching", "sandbox"):
        assert f"✓ {name:<18}" in output
    assert not any(stub_cpr.cwd.iterdir())


@pytest.mark.parametrize("wrong", ["no CLI", "a CLI that fails", "no results directory"])
def test_the_doctor_finds_what_does_not_work(stub_cpr: Cpr, stub: Stub, wrong: str) -> None:
    env, name = {"CPR_CLAUDE": "/nope"}, "Claude Code CLI"
    if wrong == "a CLI that fails":
        env = {"CPR_CLAUDE": shutil.which("false", path=os.defpath) or ""}
    elif wrong == "no results directory":
        env, name = {"CPR_RESULTS_DIR": f"{stub}/below-a-file"}, "results directory"
    done = stub_cpr("doctor", env=env)
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("✕")]
    assert line.startswith(f"✕ {name}")


def test_the_doctor_knows_what_ends_a_detached_runner(stub_cpr: Cpr) -> None:
    output = stub_cpr.good("doctor", env={"SLURM_JOB_ID": "7"})
    assert "inside a batch job (SLURM_JOB_ID=7): runners end with it" in output


@pytest.mark.real_cli
def test_the_doctor_knows_the_real_cli(real_cpr: Cpr, claude: str) -> None:
    output = real_cpr.good("doctor")
    assert re.search(rf"✓ Claude Code CLI   \d+\.\d+\.\d+ .*, {re.escape(claude)}\n", output)


# --- completion ---------------------------------------------------------------------------------

_COMPLETE = """
eval "$(cpr completion bash)"
IFS=' ' read -r -a COMP_WORDS <<< "$LINE"
[ "${LINE: -1}" = " " ] && COMP_WORDS+=("")
COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
how=$(complete -p cpr); how=${how#*-F }
"${how%% *}" cpr "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completed(cpr_: Cpr, line: str) -> set[str]:
    """What bash offers after a line."""
    done = subprocess.run(
        ["bash", "--norc", "-c", _COMPLETE],
        env={**cpr_.env, "LINE": line},
        cwd=cpr_.cwd,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done
    return {word.strip() for word in done.stdout.splitlines()} - {""}


def test_bash_completes_commands_options_and_sessions(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts("a"), "--name", "my-work").wait(LIMIT_S)
    assert completed(stub_cpr, "cpr st") == {"status"}
    assert {"run", "list", "retry", "doctor"} <= completed(stub_cpr, "cpr ")
    assert completed(stub_cpr, f"cpr status {session.id[:5]}") == {session.id}
    assert completed(stub_cpr, "cpr results my") == {"my-work"}
    assert completed(stub_cpr, "cpr run --max-p") == {"--max-parallel"}
    assert completed(stub_cpr, "cpr run --permissions ") == {"read", "edits", "sandbox", "all"}


def test_the_completion_of_other_shells_is_printed(stub_cpr: Cpr) -> None:
    for shell in ("zsh", "fish"):
        assert "cpr" in stub_cpr.good("completion", shell)
    done = stub_cpr("completion", "tcsh")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


# --- where the results are ----------------------------------------------------------------------


def test_a_subfolder_and_the_root_share_their_sessions(stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts("a")).wait(LIMIT_S)
    below = stub_cpr.cwd / "notebooks" / "deep"
    below.mkdir(parents=True)
    assert session.id[:8] in stub_cpr.good("list", cwd=below)
    other = stub_cpr.launch(prompts("b"), cwd=below).wait(LIMIT_S)
    assert other.path.parent == session.path.parent
    assert other.head["cwd"] == str(below)


def test_the_places_of_results_go_in_order(stub_cpr: Cpr) -> None:
    work = stub_cpr.cwd
    (work / "pyproject.toml").write_text('[tool.cpr]\nresults_dir = "from-file"\nmodel = "opus"\n')
    below = work / "below"
    below.mkdir()

    def place(*args: str, **env: str) -> Path:
        session = stub_cpr.launch(prompts("a"), *args, cwd=below, env=env)
        assert session.wait(LIMIT_S).head["model"] == "opus"
        return session.path.parent

    assert place() == work / "from-file"
    assert place(CPR_RESULTS_DIR="from-env") == below / "from-env"
    assert place("--results-dir", "given", CPR_RESULTS_DIR="from-env") == below / "given"
    assert (work / "from-file" / ".gitignore").read_text() == "*\n"
