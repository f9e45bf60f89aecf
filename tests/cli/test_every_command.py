"""Every sub-command, one table: help with examples, ``--json``, completion, ``--dry-run``."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import argcomplete
import pytest
from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.cli.help import DAILY, EXAMPLES
from cpr_nb.cli.main import COMMANDS, full_parser, main

#: Without ``--json``: what they print is no data.
NO_JSON = {
    "agent": "becomes the program of a node",
    "completion": "prints code for a shell",
}
#: They change files, branches, sessions or money before a person has seen what will happen.
DRY_RUN = {"run", "map", "retry", "follow-up", "diff", "merge", "pr", "clean", "mcp", "skill"}
#: What their ``--json`` prints with a session that runs, and then with one that has ended.
LIVE: list[tuple[str, type]] = [
    ("status {id}", dict),
    ("list", list),
    ("overview", dict),
    ("results {id}", list),
    ("logs {id}", object),
    ("answer {id}", list),
    ("nodes {id}", list),
    ("set {id} max-parallel=2", dict),
    ("pause {id}", dict),
    ("resume {id}", dict),
    ("cancel {id} --task two", dict),
]
ENDED: list[tuple[str, type]] = [
    ("watch {id}", dict),
    ("cancel {id}", dict),
    ("resume --all", list),
    ("report {id} -o report.html", dict),
    ("diff {id}", list),
    ("retry {id} --all-tasks --dry-run", list),
    ("run p.json --dry-run", list),
    ("run p.json --wait", dict),
    ("map {{n}} rows.csv --dry-run", list),
    ("map {{n}} rows.csv -o out.csv", dict),
    ("clean --dry-run", dict),
    ("trust {id}", dict),
    ("doctor", object),
]


@pytest.fixture(scope="module")
def parsers() -> dict[str, Any]:
    (children,) = [action for action in full_parser()._actions if action.dest == "==SUPPRESS=="]
    return dict(children.choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*COMMANDS])
def test_its_help_has_examples_json_and_a_dry_run(name: str, parsers: dict[str, Any]) -> None:
    parser = parsers[name]
    text = parser.format_help()
    assert "examples:" in text or name == "completion"
    assert f"cpr {name}" in text.partition("examples:")[2] or name == "completion"
    flags = {flag for action in parser._actions for flag in action.option_strings}
    assert ("--json" in flags) != (name in NO_JSON)
    assert "option_strings" not in text  # a % in a help that argparse has filled in
    assert "--dry-run" in flags or name not in DRY_RUN
    for action in parser._actions:  # a shell completes what names a session
        if action.metavar == "SESSION":
            assert hasattr(action, "completer"), action


def test_examples_are_of_commands_that_there_are(parsers: dict[str, Any]) -> None:
    assert set(EXAMPLES) <= set(COMMANDS)
    for name, lines in EXAMPLES.items():
        known = {flag for action in parsers[name]._actions for flag in action.option_strings}
        for line, _ in lines:
            used = {word.partition("=")[0] for word in shlex.split(line) if word[0] == "-"}
            assert used <= known, line


def words(output: str) -> str:
    return " ".join(output.split())


def test_help_shows_ten_commands_a_day_and_all_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert len(DAILY) == len(set(DAILY)) == 10
    for argv in (["--help"], ["help"]):
        assert main(argv) == 0
        daily = capsys.readouterr().out
        listed = daily.partition("the commands of a day:")[2].partition("cpr help --all")[0]
        assert [line.split()[0] for line in listed.strip().splitlines()] == [
            name for name in DAILY if name in COMMANDS
        ]
        assert all(name in daily for name in COMMANDS)  # named, though not explained
    assert main(["help", "--all"]) == 0
    full = words(capsys.readouterr().out)
    assert all(f"{name} {line}" in full for name, line in COMMANDS.items())
    assert main(["help", "merge"]) == 0
    assert capsys.readouterr().out.startswith("usage: cpr merge ")
    assert main(["help", "merg"]) == 2
    assert "did you mean merge?" in capsys.readouterr().err
    assert main(["help", "xyz"]) == 2
    assert "there is no command 'xyz'" in capsys.readouterr().err


def completions(line: str) -> list[str]:
    """What a shell offers after a line."""
    finder = argcomplete.CompletionFinder(full_parser(), always_complete_options=True)
    prequote, prefix, _, comp_words, last = argcomplete.split_line(line)
    return finder._get_completions(comp_words, prefix, prequote, last)


@pytest.fixture
def here(stub_env: dict[str, str], in_env: Callable[[dict[str, str]], None], work: Path) -> Path:
    in_env(stub_env)
    return work


def test_a_shell_completes_commands_options_and_sessions(here: Path, stub_cpr: Cpr) -> None:
    session = stub_cpr.launch(prompts(plan()), "--name", "mine").wait(LIMIT_S)
    assert {word.strip() for word in completions("cpr ")} >= {*COMMANDS, "help"}
    assert [word.strip() for word in completions("cpr help fol")] == ["follow-up"]
    for name in COMMANDS:
        flags = {word.strip() for word in completions(f"cpr {name} --")}
        assert ("--json" in flags) != (name in NO_JSON), name
    for name in ("status", "watch", "clean", "cancel", "merge", "trust"):
        assert {session.id, "mine"} <= {word.strip() for word in completions(f"cpr {name} ")}
    for name in ("results", "logs", "cancel", "follow-up", "diff", "merge", "pr", "clean"):
        offered = {word.strip() for word in completions(f"cpr {name} mine --task ")}
        assert offered == {session[0].id}, name
    for line in ("cpr run --after ", "cpr map T r.csv --after "):
        assert {session.id, "mine"} <= {word.strip() for word in completions(line)}


def test_json_of_each(
    here: Path, stub_cpr: Cpr, stub: Stub, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.fifos("one")
    (here / "p.json").write_text(prompts("a"))
    (here / "rows.csv").write_text("n\n1\n")
    held = {"id": "one", "prompt": plan(say="hi", here="one", gate="one")}
    session = stub_cpr.launch(prompts(held, {"id": "two", "prompt": "b"}), "-j1")
    stub.await_here("one")
    session.wait_until(session[0].running, LIMIT_S, "the task")

    def call(line: str, kind: type) -> Any:
        argv = [word.format(id=session.id) for word in line.split()]
        code = main([*argv, "--json"])
        said = capsys.readouterr()
        assert code in (0, 1) and said.out, (line, code, said.err)
        name = argv[0]
        lines = said.out.splitlines() if name == "logs" else [said.out]
        value = [json.loads(text) for text in lines]
        assert isinstance(value[0], kind), (line, value[0])
        if name == "pause":
            session.wait_until(lambda: session.state == "paused", LIMIT_S, "the pause")
        return value if name == "logs" else value[0]

    values = {line: call(line, kind) for line, kind in LIVE}
    assert values["logs {id}"][-1] == {"task_id": "one", "task_num": 1, "at": None, "text": "hi"}
    assert values["set {id} max-parallel=2"] == {"session_id": session.id, "max_parallel": 2}
    assert values["overview"]["states"] == {"running": 1}
    ended_task = values["cancel {id} --task two"]
    assert (ended_task["task_id"], ended_task["has_ended"]) == ("two", True)
    stub.release("one")
    session.wait(LIMIT_S)
    values = {line: call(line, kind) for line, kind in ENDED}
    assert (here / values["report {id} -o report.html"]["path"]).is_file()
    assert values["watch {id}"]["tasks"][0]["outcome"] == "succeeded"
    assert values["cancel {id}"]["was_live"] is False
    assert values["map {{n}} rows.csv -o out.csv"]["n_failed_rows"] == 0
    assert values["trust {id}"]["is_trusted"] is True
    assert cpr.sessions_df(here / "results").shape[0] == 3
