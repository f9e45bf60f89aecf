"""What a launch comes after, and which of its tasks count: in a prompts file and as flags."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testkit.command import LIMIT_S, Cpr
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.cli.main import main

FAILS = plan(result={"is_error": True, "result": "no"}, exit=1)
CHECK = ("--check", "true", "--attempts", "1")


def write(work: Path, prompts: list[Any], **keywords: Any) -> str:
    (work / "p.json").write_text(json.dumps({"prompts": prompts, **keywords}))
    return "p.json"


def launched(stub_cpr: Cpr, *words: str) -> cpr.Session:
    return cpr.Session(json.loads(stub_cpr.good("run", "--json", *words))["path"])


@pytest.mark.parametrize("where", ["file", "flags"])
def test_best_of(stub_cpr: Cpr, where: str) -> None:
    flags, keywords = ((), {"best_of": 2}) if where == "file" else (("--best-of", "2"), {})
    file = write(stub_cpr.cwd, [plan(), {"id": "two", "prompt": FAILS}], **keywords)
    session = launched(stub_cpr, file, *flags, *CHECK).wait(LIMIT_S)
    assert (len(session), list(session.best_df()["solved"])) == (4, [True, False])
    assert [task.id for task in session][2:] == ["two-1", "two-2"]


@pytest.mark.parametrize("where", ["file", "flags"])
def test_after(stub_cpr: Cpr, stub: Stub, where: str) -> None:
    stub.fifos("first")
    first = launched(
        stub_cpr, write(stub_cpr.cwd, [plan(here="first", gate="first")]), "--name", "first"
    )
    stub.await_here("first")
    flags, keywords = ((), {"after": ["first"]}) if where == "file" else (("--after", "first"), {})
    said = stub_cpr.good("run", write(stub_cpr.cwd, [plan()], **keywords), *flags)
    assert "🕓 Planned session: " in said
    assert f"waits for {first.id[:8]} (running, 0 of 1 tasks have ended)" in said
    (second,) = [one for one in _sessions(stub_cpr) if one.id != first.id]
    assert second.state == "planned"
    stub.release("first")
    assert [task.outcome for task in second.wait(LIMIT_S)] == ["succeeded"]


def _sessions(stub_cpr: Cpr) -> list[cpr.Session]:
    return [cpr.Session(folder) for folder in (stub_cpr.cwd / "results").glob("session-*")]


def test_flags_come_before_the_file(stub_cpr: Cpr) -> None:
    file = write(stub_cpr.cwd, [plan()], vary={"model": ["a", "b"]}, repeats=3)
    rows = json.loads(stub_cpr.good("run", file, "--repeats", "1", "--dry-run", "--json"))
    assert [row["model"] for row in rows] == ["a", "b"]
    varied = ("--vary", "max_turns=1,2", "--vary", "effort=low", "--repeats", "1")
    rows = json.loads(stub_cpr.good("run", file, *varied, "--dry-run", "--json"))
    assert [(row["max_turns"], row["effort"]) for row in rows] == [(1, "low"), (2, "low")]


def test_a_dry_run_says_which_task_has_what_and_what_decides(stub_cpr: Cpr) -> None:
    first = launched(stub_cpr, write(stub_cpr.cwd, [plan()]), "--name", "first").wait(LIMIT_S)
    file = write(stub_cpr.cwd, ["Say a.", "Say b.", "Say c."], vary={"model": ["x", "y"]})
    lines = stub_cpr.good("run", file, "--pilot", "2", "--after", "first", "--dry-run").splitlines()
    assert f"After: {first.id[:8]}" in lines and "Study: pilot=2" in lines
    shown = [line.partition(" (")[2] for line in lines[-6:]]
    assert shown == [f"model={model}): Say {word}." for word in "abc" for model in "xy"]


def test_a_pilot_and_the_rest(stub_cpr: Cpr) -> None:
    file = write(stub_cpr.cwd, [plan(), plan(), plan()], pilot=2)
    session = launched(stub_cpr, file).wait(LIMIT_S)
    assert sorted(str(task.outcome) for task in session) == ["skipped", "succeeded", "succeeded"]
    stub_cpr.good("resume", session.id, "--skipped", "--wait")
    assert [task.outcome for task in cpr.Session(session.path)] == ["succeeded"] * 3


def test_a_check_as_score(stub_cpr: Cpr) -> None:
    file = write(stub_cpr.cwd, [plan()], score="check")
    session = launched(stub_cpr, file, *CHECK).wait(LIMIT_S)
    assert list(session.results_df()["score"]) == [1.0]


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        pytest.param({"best_of": "3"}, "best_of: must be a whole number", id="type"),
        pytest.param({"best_of": 2}, "best_of: needs something that tells", id="no score"),
        pytest.param({"at_once": 2}, "at_once: means something only with best_of=", id="beside"),
        pytest.param({"after": 3}, "after: must be the id or the name", id="after"),
        pytest.param({"after": "gone"}, "gone not found", id="unknown session"),
        pytest.param({"vary": ["model"]}, "vary: must be a mapping", id="vary"),
        pytest.param({"score": "evil:score"}, "score: a prompts file can't name a", id="function"),
        pytest.param({"repeats": 0}, "repeats: must be a whole number", id="repeats"),
    ],
)
def test_a_file_is_checked_before_anything_is_spent(
    work: Path,
    stub_env: dict[str, str],
    in_env: Callable[[dict[str, str]], None],
    capsys: pytest.CaptureFixture[str],
    keywords: dict[str, Any],
    message: str,
) -> None:
    in_env(stub_env)
    (work / "evil.py").write_text("open('it-ran', 'w').close()\ndef score(row): return 1.0\n")
    assert main(["run", write(work, ["a"], **keywords)]) == 2
    assert message in capsys.readouterr().err
    assert not list((work / "results").glob("session-*")) and not (work / "it-ran").exists()


def test_a_function_that_scores_is_named_on_the_command_line(stub_cpr: Cpr) -> None:
    (stub_cpr.cwd / "mine.py").write_text("def score(row):\n    return 0.5\n")
    file = write(stub_cpr.cwd, [plan()])
    session = launched(stub_cpr, file, "--score", "mine:score").wait(LIMIT_S)
    assert list(session.results_df()["score"]) == [0.5]
