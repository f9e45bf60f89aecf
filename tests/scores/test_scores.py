"""Scores that a runner gives: by a column, by a check, by a function of the user's."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit.repository import Checkout
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.model.score_ranges import score_range

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
RATED = {
    "type": "object",
    "properties": {
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "right": {"type": "boolean"},
        "metres": {"type": "number"},
        "why": {"type": "string"},
    },
}


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def answering(**structure: Any) -> str:
    return plan(result={"structured_output": structure})


def head(session: cpr.Session) -> dict[str, Any]:
    line = (session.path / "session.json").read_text().splitlines()[0]
    fields: dict[str, Any] = json.loads(line.rstrip(",") + "}")
    return fields


def scores(session: cpr.Session) -> list[float | None]:
    column = session.results_df()["score"]
    return [None if pd.isna(score) else float(score) for score in column]


def write_module(work: Path, text: str) -> None:
    (work / "scoring.py").write_text(text)


# --- columns and checks -------------------------------------------------------------------------


def test_a_column_of_the_answer_is_the_score_of_those_that_succeeded() -> None:
    failed = plan(result={"is_error": True, "structured_output": {"stars": 5}})
    texts = [answering(stars=4), answering(stars=9), answering(why="?"), failed]
    session = cpr.launch(texts, schema=RATED, score="stars", attempts=1).wait(LIMIT_S)
    assert head(session)["score"] == {
        "kind": "column",
        "name": "stars",
        "minimum": 1.0,
        "maximum": 5.0,
    }
    table = session.results_df()
    assert scores(session) == [4.0, None, None, None]
    assert table["score_error"].isna().tolist() == [True, False, False, True]
    assert table["score_error"][1] == "9 is not from 1 to 5"


def test_a_column_called_score_is_one_column(work: Path) -> None:
    schema = {"type": "object", "properties": {"score": {"type": "number"}}}
    frame = pd.DataFrame({"n": [1]})
    template = "{n} " + answering(score=2.5)
    session = cpr.map(template, frame, schema=schema, score="score").wait(LIMIT_S)
    assert list(session.results_df().columns).count("score") == 1
    assert scores(session) == [2.5]


def test_a_check_scores_one_or_zero_and_what_it_never_saw_has_no_score() -> None:
    texts = [plan(write={"good": ""}), plan(write={"bad": ""}), plan(result={"is_error": True})]
    tasks = [
        {"prompt": text, "check": f"test -e {name}"}
        for text, name in zip(texts, ("good", "nothing", "good"), strict=True)
    ]
    session = cpr.launch(tasks, score="check", attempts=1, max_parallel=1).wait(LIMIT_S)
    assert head(session)["score"] == {"kind": "check", "minimum": 0.0, "maximum": 1.0}
    assert scores(session) == [1.0, 0.0, None]


def test_a_retry_is_scored_as_the_task_was(stub: Stub) -> None:
    text = plan(result={"is_error": True}, exit=1, mended={"structured_output": {"stars": 2}})
    session = cpr.launch([text], schema=RATED, score="stars", attempts=1).wait(LIMIT_S)
    assert scores(session) == [None]
    stub.mend()
    session.retry().wait(LIMIT_S)
    assert scores(session) == [2.0]


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"type": "integer", "minimum": 0, "maximum": 3}, {"minimum": 0.0, "maximum": 3.0}),
        ({"type": ["number", "null"], "maximum": 3}, {"maximum": 3.0}),
        ({"type": "boolean"}, {"minimum": 0.0, "maximum": 1.0}),
        ({"enum": [1, 5, 3]}, {"minimum": 1.0, "maximum": 5.0}),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, {}),
        ({"$ref": "#/$defs/N"}, {"minimum": 2.0}),
        ({"type": "string"}, None),
        ({"enum": ["a", 1]}, None),
        ({}, None),
    ],
    ids=["both", "or null", "flag", "choices", "optional", "ref", "text", "mixed", "anything"],
)
def test_only_the_schema_says_that_a_score_is_bounded(node: dict[str, Any], expected: Any) -> None:
    root = {"properties": {"n": node}, "$defs": {"N": {"type": "number", "minimum": 2}}}
    assert score_range(root, "n") == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"score": lambda row: 1}, "can't be a function of this kernel, which may be gone"),
        ({"score": "check"}, "'check' needs check="),
        ({"score": "grade"}, "'grade' needs grade="),
        ({"score": "stars"}, "without schema= an answer is a text"),
        ({"score": "why", "schema": RATED}, "its columns of numbers: 'stars', 'right', 'metres'"),
        ({"score": "a b:c"}, "is not like 'module:function'"),
        ({"score": "absent_module:f"}, "No module named 'absent_module'"),
        ({"score": "math:pi"}, "pi of math is no function, but float"),
        ({"score": "math:floor", "permissions": "sandbox"}, "runs outside of the sandbox"),
        ({"score": 3}, "must be a text, not 3"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else None,
)
def test_what_can_score_nothing_is_refused_before_anything_is_spent(
    work: Path, stub: Stub, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(cpr.InputError, match="score: ") as caught:
        cpr.launch(["a"], **options)
    assert words in str(caught.value)
    assert not list(work.glob("results/session-*")) and stub.calls() == {}


def test_a_score_of_the_notebook_gets_a_name_of_its_own_beside_that_of_the_runner() -> None:
    session = cpr.launch([answering(stars=3)], schema=RATED, score="stars").wait(LIMIT_S)
    with pytest.raises(cpr.InputError, match="give another name="):
        session.score(lambda row: 1)
    assert session.score(lambda row: row.stars * 2, name="double")["double"].tolist() == [6]


def test_another_score_is_another_launch() -> None:
    text = [answering(stars=2, metres=3)]
    first = cpr.launch(text, schema=RATED, score="stars", reuse=True).wait(LIMIT_S)
    again = cpr.launch(text, schema=RATED, score="stars", reuse=True)
    other = cpr.launch(text, schema=RATED, score="metres", reuse=True).wait(LIMIT_S)
    assert first.id == again.id != other.id
    assert scores(other) == [3.0]


# --- functions ----------------------------------------------------------------------------------


def test_a_function_gets_the_answer_the_prompt_the_row_and_the_folder(work: Path) -> None:
    write_module(
        work,
        "import json\n"
        "def points(given):\n"
        "    print('what it prints is no reply')\n"
        "    with open('given.jsonl', 'a') as file:\n"
        "        file.write(json.dumps(given) + '\\n')\n"
        "    return given['answer']['metres'] * given['row']['weight']\n",
    )
    frame = pd.DataFrame(
        {"weight": [2, 3], "at": pd.to_datetime(["2026-01-01", "2026-01-02"])},
        index=pd.Index(["x", "y"], name="place"),
    )
    frame["at"] = frame["at"].astype("string")
    template = "{weight} " + answering(metres=1.5)
    session = cpr.map(
        template, frame, schema=RATED, score="scoring:points", vary={"model": ["a", "b"]}
    ).wait(LIMIT_S)
    assert head(session)["score"] == {"kind": "function", "name": "scoring:points"}
    assert scores(session) == [3.0, 3.0, 4.5, 4.5]
    given = [json.loads(line) for line in (work / "given.jsonl").read_text().splitlines()]
    one = next(g for g in given if g["row"]["place"] == "y" and g["factors"] == {"model": "b"})
    assert one["row"] == {"place": "y", "weight": 3, "at": "2026-01-02"}
    assert one["answer"] == {"metres": 1.5} and one["prompt"].startswith("3 ")
    assert one["folder"] == str(work)
    assert len(given) == 4 and len({g["task_id"] for g in given}) == 4


def test_a_function_that_says_that_it_returns_true_or_false_is_bounded(work: Path) -> None:
    write_module(
        work,
        "from __future__ import annotations\n"
        "def long(given) -> bool: return given['answer'] > 'm'\n",
    )
    texts = [plan(result={"result": answer}) for answer in ("a", "z")]
    session = cpr.launch(texts, score="scoring:long").wait(LIMIT_S)
    spec = head(session)["score"]
    assert (spec["minimum"], spec["maximum"]) == (0.0, 1.0)
    assert scores(session) == [0.0, 1.0]


def test_a_function_that_fails_leaves_a_reason_and_the_others_their_scores(work: Path) -> None:
    write_module(
        work,
        "import os\n"
        "def points(given):\n"
        "    answer = given['answer']\n"
        "    if answer == 'raise': raise ValueError('no digits')\n"
        "    if answer == 'none': return None\n"
        "    if answer == 'text': return '7'\n"
        "    if answer == 'die': os._exit(3)\n"
        "    if answer == 'exit': raise SystemExit(1)\n"
        "    return float(answer)\n",
    )
    answers = ["1", "raise", "none", "text", "die", "exit", "nan", "2"]
    texts = [plan(result={"result": answer}) for answer in answers]
    session = cpr.launch(texts, score="scoring:points").wait(LIMIT_S)
    table = session.results_df()
    assert scores(session) == [1.0, None, None, None, None, None, None, 2.0]
    assert table["outcome"].unique().tolist() == ["succeeded"]
    reasons = dict(zip(answers, table["score_error"], strict=True))
    assert reasons["raise"] == "ValueError: no digits"
    (warning,) = session.head["warnings"]  # of the first one only
    assert warning.startswith("an answer has no score: ")
    assert "returned None, which is no number" in reasons["none"]
    assert "returned '7', which is no number" in reasons["text"]
    assert reasons["die"] == "the function ended its process"
    assert reasons["exit"] == "SystemExit: 1"


def test_a_function_that_takes_too_long_is_ended_and_the_next_task_is_scored(work: Path) -> None:
    write_module(
        work,
        "import threading\n"
        "def points(given):\n"
        "    if given['answer'] == 'hang': threading.Event().wait()\n"
        "    return 1\n",
    )
    texts = [plan(result={"result": answer}) for answer in ("hang", "fine")]
    session = cpr.launch(texts, score="scoring:points", check_timeout_s=1.0, max_parallel=1)
    table = session.wait(LIMIT_S).results_df()
    assert scores(session) == [None, 1.0]
    assert table["score_error"][0] == "the function took longer than 1 s"


def test_a_module_that_is_gone_costs_the_scores_only(work: Path, stub: Stub) -> None:
    write_module(work, "def points(given): return 1\n")
    stub.fifos("held")
    texts = [plan(here="held", gate="held"), plan()]
    session = cpr.launch(texts, score="scoring:points", max_parallel=1)
    stub.await_here("held")
    (work / "scoring.py").unlink()
    stub.release("held")
    table = session.wait(LIMIT_S).results_df()
    assert table["ok"].tolist() == [True, True] and scores(session) == [None, None]
    assert "can't use 'scoring:points': ModuleNotFoundError" in table["score_error"][0]


def test_a_cancelled_session_does_not_wait_for_its_scores(work: Path, stub: Stub) -> None:
    write_module(
        work,
        "import threading\n"
        "def points(given):\n"
        f"    open('{stub.folder}/here-scored', 'w').write('x\\n')\n"
        "    threading.Event().wait()\n",
    )
    stub.fifos("scored")
    session = cpr.launch([plan(), plan()], score="scoring:points", max_parallel=1)
    stub.await_here("scored")
    session.cancel()
    table = session.wait(LIMIT_S).results_df()
    assert session.state in ("cancelled", "completed") and scores(session) == [None, None]
    assert table["score_error"][0] == "the session was cancelled"


HANGS = """
import os, threading
def points(given):
    with open("calls", "a") as file:
        file.write(given["answer"] + "\\n")
    if given["answer"] == "second" and not os.path.exists("go"):
        with open("HERE", "w") as file:
            file.write("x\\n")
        threading.Event().wait()
    return 1
"""


@pytest.fixture
def killed(work: Path, stub: Stub) -> cpr.Session:
    """A session whose runner was killed while the function was at its second answer."""
    write_module(work, HANGS.replace("HERE", f"{stub.folder}/here-scored"))
    stub.fifos("scored")
    texts = [plan(result={"result": answer}) for answer in ("first", "second")]
    session = cpr.launch(texts, score="scoring:points", max_parallel=1)
    stub.await_here("scored")
    session.wait_until(session[0].done, LIMIT_S, "the first score")
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    (work / "go").touch()
    session.wait_until(lambda: session.refresh().state == "interrupted", LIMIT_S, "the end")
    return session


def test_the_runner_after_one_that_died_asks_again_for_what_it_had_no_reply_to(
    killed: cpr.Session, work: Path, stub: Stub
) -> None:
    assert killed.resume().wait(LIMIT_S).state == "completed"
    assert scores(killed) == [1.0, 1.0]
    assert (work / "calls").read_text().split() == ["first", "second", "second"]
    assert len(stub.calls()) == 2


def test_a_reply_that_came_before_the_runner_died_is_not_asked_for_again(
    killed: cpr.Session, work: Path
) -> None:
    scored = {"event": "scored", "task_id": killed[1].id, "attempt": 1, "score": 42.0}
    with (killed.path / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps(scored) + "\n")
    killed.resume().wait(LIMIT_S)
    assert scores(killed) == [1.0, 42.0]
    assert (work / "calls").read_text().split() == ["first", "second"]


def test_a_function_sees_the_worktree_before_it_is_harvested(work: Path) -> None:
    checkout = Checkout.new(work / "repo")
    (checkout.path / "scoring.py").write_text(
        "def size(given): return len(open(given['folder'] + '/new').read())\n"
    )
    checkout.commit("first")
    texts = [plan(write={"new": "abc"}), plan(write={"new": "abcde"})]
    session = cpr.launch(texts, cwd=checkout.path, worktree=True, score="scoring:size")
    table = session.wait(LIMIT_S).results_df()
    assert scores(session) == [3.0, 5.0], table["score_error"].tolist()
    assert all(task.fields["branch"] and not task.fields.get("harvest_error") for task in session)
