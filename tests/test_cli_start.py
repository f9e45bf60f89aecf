"""A CLI that can't start is refused at the launch, and `cpr doctor` says why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faults.quick_stub import QuickStub
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

from cpr_nb.launching.cli_start import configuration_problem

DAMAGED = '{"numStartups": 3, "projects'


def configuration(command: Cpr) -> Path:
    """The file of the CLI in the environment of a command."""
    folder = Path(command.env.get("CLAUDE_CONFIG_DIR") or command.env["HOME"])
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ".claude.json"


def test_a_damaged_file_of_the_cli_is_an_error_of_the_launch(stub_cpr: Cpr, stub: Stub) -> None:
    file = configuration(stub_cpr)
    file.write_text(DAMAGED)
    done = stub_cpr("run", stdin=prompts(plan()))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert str(file) in line and "move it aside" in line
    assert not list(stub_cpr.cwd.glob("results/session-*")) and not stub.calls()
    findings = json.loads(stub_cpr("doctor", "--json").stdout)
    assert [one["good"] for one in findings if str(file) in one["text"]] == [False]


def test_a_whole_one_is_not(stub_cpr: Cpr) -> None:
    configuration(stub_cpr).write_text("{}")
    session = stub_cpr.launch(prompts(plan())).wait(LIMIT_S)
    assert session[0].ok


@pytest.mark.parametrize(
    ("text", "version", "is_good"),
    [
        ("", (2, 1, 332), True),
        ("\0\0\0", (2, 1, 332), True),
        ("", (2, 1, 316), False),
        ("", None, True),
        ("[]", (2, 1, 316), True),
        ('\ufeff{"a": 1}', (2, 1, 332), True),
        ('{"a": 1,}', (2, 1, 332), False),
        ("<<<<<<< HEAD", (2, 0, 45), False),
    ],
)
def test_what_the_cli_starts_with(
    text: str, version: tuple[int, int, int] | None, is_good: bool, tmp_path: Path
) -> None:
    (tmp_path / ".claude.json").write_text(text, "utf-8")
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    assert (configuration_problem(environ, version) == "") is is_good


def test_what_waited_too_long_for_the_machine_is_skipped_and_can_be_resumed(
    stub_cpr: Cpr, tmp_path: Path
) -> None:
    quick = QuickStub(tmp_path / "quick")
    quick.has("a", f"mv {quick.path} {quick.folder}/away")
    tasks = json.dumps({"prompts": [{"id": name, "prompt": "do it"} for name in "abc"]})
    options = ("-j", "1", "--machine-wait-s", "0.3", "--claude-path", str(quick.path))
    session = stub_cpr.launch(tasks, *options).wait(LIMIT_S)
    ends = [(task.outcome, task.reason, task.attempts) for task in session]
    assert ends[0] == ("succeeded", "completed", 1)
    assert [end[:2] for end in ends[1:]] == [("skipped", "machine")] * 2
    assert f"No such file or directory: {quick.path}" in (session[1].error or "")
    assert not list(session.path.glob("task-[bc].jsonl"))
    quick.mend()
    stub_cpr.good("resume", session.id, "--skipped")
    session.wait(LIMIT_S)
    assert [task.ok for task in session] == [True] * 3
    assert quick.calls() == {"a": 1, "b": 1, "c": 1}


def test_a_check_waits_for_its_folder(stub_cpr: Cpr, tmp_path: Path) -> None:
    quick, work, away = QuickStub(tmp_path / "quick"), tmp_path / "here", tmp_path / "away"
    work.mkdir()
    quick.has("a", f"mv {work} {away}")
    task = {"id": "a", "prompt": "do it", "check": "true", "cwd": str(work)}
    session = stub_cpr.launch(json.dumps({"prompts": [task]}), "--claude-path", str(quick.path))
    session.wait_until(lambda: session.head.get("waiting_for") == "folder", LIMIT_S, "to wait")
    away.rename(work)
    session.wait(LIMIT_S)
    assert (session[0].ok, session[0].attempts) == (True, 1)


def test_a_program_that_cannot_be_executed_is_an_error_of_the_launch(
    stub_cpr: Cpr, tmp_path: Path
) -> None:
    program = tmp_path / "claude"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    done = stub_cpr("run", "--claude-path", str(program), stdin=prompts(plan()))
    assert done.returncode == 2 and f"{program} can't be started" in done.stderr
    assert not list(stub_cpr.cwd.glob("results/session-*"))
