"""Two stages with the real CLI; kernel and runners are killed between, and nothing runs twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testkit import processes
from testkit.command import Cpr, script

import cpr_nb as cpr
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = [pytest.mark.slow, pytest.mark.real_cli]
LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
#: A notebook that plans two stages, and whose kernel is killed as soon as it has.
NOTEBOOK = """
import json, os, signal, sys
import pandas as pd
import cpr_nb as cpr

rows = json.load(sys.stdin)
first = cpr.map("Rate {path}. {rate}", pd.DataFrame(rows), schema={"score": int}, max_parallel=3)
second = cpr.map("Fix {path}: {score}. {fix}", after=first.where("score < 3"), allow=["Bash"])
print(first.id, second.id, second.state, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


#: The grader's answers come last: it is held until the graded session has ended.
RULES = [
    {
        "match": "^Grade .* task rude",
        "steps": [{"so": {"reason": "Rude.", "score": 0}, "wait": "grade"}],
    },
    {"match": "^Grade ", "steps": [{"so": {"reason": "It greets.", "score": 1}}]},
    {"match": "^Greet", "steps": [{"text": "Good morning."}]},
]


@pytest.fixture
def api() -> Iterator[ScriptedApi]:
    with ScriptedApi({"rules": RULES}) as server:
        yield server


def rows() -> dict[str, list[str]]:
    """Three rows of which two are bad; one is at work when its runner is killed, in each stage."""
    rate, fix = [], []
    for name, score in (("a", 1), ("b", 5), ("c", 2)):
        held = {"wait": f"rated-{name}"} if name == "c" else {}
        rate.append(script({"so": {"score": score}, **held}, {"text": "rated"}, say=name))
        effect = {"tool": "Bash", "input": {"command": f"echo x >> ran-{name}", "description": "x"}}
        held = {"wait": f"fixed-{name}"} if name == "a" else {}
        fix.append(script(effect, {"text": f"fixed {name}", **held}, say=name))
    return {"path": ["a", "b", "c"], "rate": rate, "fix": fix}


def kill_runner(session: cpr.Session) -> None:
    pid = json.loads((session.path / "runner.json").read_text())["pid"]
    processes.end(pid)


def played(api: ScriptedApi) -> Counter[tuple[str, int]]:
    """How often each step of each conversation was asked for."""
    return Counter((r.conversation_id, r.step) for r in api.requests if r.step >= 0)


def test_two_stages_without_a_kernel_and_with_two_crashes(
    in_env: EnterEnv, offline_env: dict[str, str], api: ScriptedApi, real_cpr: Cpr, work: Path
) -> None:
    in_env(offline_env)
    kernel = subprocess.run(
        [sys.executable, "-c", NOTEBOOK],
        input=json.dumps(rows()),
        capture_output=True,
        text=True,
        cwd=work,
        check=False,
    )
    assert kernel.stdout, kernel.stderr
    first_id, second_id, state = kernel.stdout.split()
    first, second = cpr.attach(first_id), cpr.attach(second_id)
    assert state == "planned"

    api.wait_for(lambda record: "rated-c" in record.last_user_text, LIMIT_S)
    first.wait_until(lambda: first.snapshot.count("completed") == 2, LIMIT_S, "two rows")
    kill_runner(first)
    assert first.state == "interrupted" and second.state == "planned"
    assert f"cpr resume {first_id[:8]}" in real_cpr.good("status", second_id)
    real_cpr.good("resume", first_id)
    api.release("rated-c")

    second.wait_until(lambda: len(second) == 2 and second[0].running(), LIMIT_S, "the first fix")
    held = second[0].conversation_id
    api.wait_for(lambda record: record.step == 1 and record.conversation_id == held, LIMIT_S)
    second.wait_until(lambda: second.snapshot.count("completed") == 1, LIMIT_S, "a row")
    kill_runner(second)
    assert first.state == "completed" and second.state == "interrupted"
    real_cpr.good("resume", second_id)
    api.release("fixed-a")

    out = second.wait(LIMIT_S).results_df()
    assert out["path"].tolist() == ["a", "c"] and out["score"].tolist() == [1, 2]
    assert out["result"].tolist() == ["fixed a", "fixed c"]
    assert set(played(api).values()) == {1}
    assert len({r.conversation_id for r in api.requests if r.step >= 0}) == 5
    assert [(work / f"ran-{name}").read_text() for name in ("a", "c")] == ["x\n", "x\n"]
    made = second.lineage_df().set_index(["row_num", "column"])
    assert made.loc[(0, "result"), "tools"] == "Bash"
    assert made.loc[(1, "score"), "session_id"] == first_id
    assert made["claude_version"].nunique() == 1


def test_a_later_session_waits_for_the_grades(
    in_env: EnterEnv, offline_env: dict[str, str], api: ScriptedApi
) -> None:
    in_env(offline_env)
    prompts = [{"id": name, "prompt": f"Greet {name}"} for name in ("polite", "rude")]
    first = cpr.launch(prompts, light=True, grade="Is it polite?")
    second = cpr.map("Greet {prompt}: {grade_reason}", after=first.where("score > 0.5"), light=True)
    first.wait_until(first.has_ended, LIMIT_S, "the answers")
    assert first.grading is not None and second.state == "planned"
    api.release("grade")
    assert [task.prompt for task in second.wait(LIMIT_S)] == ["Greet Greet polite: It greets."]
    assert first.grading.state == "completed"
