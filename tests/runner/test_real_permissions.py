"""What each permission mode lets the real CLI do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr, prompts, script

import cpr_nb as cpr

pytestmark = pytest.mark.real_cli
SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'


def bash(command: str) -> dict[str, Any]:
    return {"tool": "Bash", "input": {"command": command, "description": "run it"}}


def write(path: str) -> dict[str, Any]:
    return {"tool": "Write", "input": {"file_path": path, "content": "written\n"}}


def run(real_cpr: Cpr, *steps: dict[str, Any], options: tuple[str, ...]) -> cpr.Session:
    text = prompts({"id": "one", "prompt": script(*steps, {"text": "over"})})
    return real_cpr.launch(text, *options).wait(LIMIT_S)


def test_read_reads_and_writes_nothing(real_cpr: Cpr) -> None:
    (real_cpr.cwd / "there.txt").write_text("what was there")
    read = {"tool": "Read", "input": {"file_path": "{cwd}/there.txt"}}
    steps = (read, write("{cwd}/new.txt"), bash("touch {cwd}/touched"))
    (task,) = run(real_cpr, *steps, options=("--permissions", "read"))
    assert (task.outcome, task.denials) == ("succeeded", []), "what is not there is not denied"
    assert task.stream_path.read_text().count("No such tool available") >= 2
    assert {path.name for path in real_cpr.cwd.iterdir()} == {"there.txt", "results"}
    session = run(real_cpr, *steps, options=("--permissions", "read", "--tools", "Read,Write,Bash"))
    (task,) = session
    assert (task.outcome, task.fields["n_denials"]) == ("succeeded", 2)
    assert {denial["tool_name"] for denial in task.denials} == {"Write", "Bash"}
    assert {path.name for path in real_cpr.cwd.iterdir()} == {"there.txt", "results"}
    assert "what was there" in task.stream_path.read_text()
    status = real_cpr.good("status", session.id)
    assert "✅ Task 1 (ID: one): completed (succeeded, 2 denied)" in status
    results = real_cpr.good("results", session.id)
    assert "[2 denied; to allow: --allow Write --allow 'Bash(touch:*)']" in results


def test_read_answers_by_a_schema(real_cpr: Cpr) -> None:
    session = run(real_cpr, {"so": {"n": 7}}, options=("--permissions", "read", "--schema", SCHEMA))
    (task,) = session
    assert (task.outcome, task.result(), task.fields.get("n_denials")) == (
        "succeeded",
        {"n": 7},
        None,
    )


def test_edits_edits_and_denies_commands_until_they_are_allowed(real_cpr: Cpr) -> None:
    command = 'python3 -c \'open("made.txt", "w")\''
    steps = (write("{cwd}/new.txt"), bash(command))
    session = run(real_cpr, *steps, options=())
    (task,) = session
    assert (real_cpr.cwd / "new.txt").read_text() == "written\n"
    assert not (real_cpr.cwd / "made.txt").exists()
    assert (task.ok, task.fields["n_denials"], session.head["n_denials"]) == (True, 1, 1)
    assert "completed (succeeded, 1 denied)" in real_cpr.good("status", session.id)
    rule = "--allow 'Bash(python3:*)'"
    assert f"[1 denied; to allow: {rule}]" in real_cpr.good("results", session.id)
    (real_cpr.cwd / "new.txt").unlink()
    session = run(real_cpr, *steps, options=("--allow", "Bash(python3:*)"))
    assert session[0].ok and "n_denials" not in session[0].fields
    assert (real_cpr.cwd / "made.txt").exists()


def test_a_denied_rule_goes_before_everything(real_cpr: Cpr) -> None:
    session = run(
        real_cpr, bash("touch {cwd}/touched"), options=("--permissions", "all", "--deny", "Bash")
    )
    assert session[0].ok and not (real_cpr.cwd / "touched").exists()


def test_all_does_anything(real_cpr: Cpr, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    session = run(
        real_cpr, bash(f"touch {outside}"), write("{cwd}/new.txt"), options=("--permissions", "all")
    )
    assert session[0].ok and outside.exists() and (real_cpr.cwd / "new.txt").exists()


@pytest.mark.skipif(
    not (shutil.which("bwrap") and shutil.which("socat")),
    reason="the sandbox needs bubblewrap and socat, which are not installed here",
)
def test_the_sandbox_runs_commands_and_refuses_to_write_outside(
    real_cpr: Cpr, tmp_path: Path
) -> None:
    outside = tmp_path / "outside.txt"
    session = run(
        real_cpr,
        bash('python3 -c \'open("{cwd}/inside.txt", "w").write("x")\''),
        bash(f"touch {outside}"),
        options=("--permissions", "sandbox"),
    )
    (task,) = session
    assert task.ok and "n_denials" not in task.fields
    assert (real_cpr.cwd / "inside.txt").read_text() == "x"
    assert not outside.exists()
    assert "Read-only file system" in task.stream_path.read_text()
