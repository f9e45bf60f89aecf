"""Forty rows, the real CLI, typed columns; then retry, follow-up, comparison: a line each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from testkit.repository import Checkout

import cpr_nb as cpr
import cpr_nb.pandas
from cpr_nb.offline.scripted_api import ScriptedApi

pytestmark = [pytest.mark.slow, pytest.mark.real_cli]
LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
SEVERITY = ["low", "medium", "high"]


@pytest.fixture
def real(in_env: EnterEnv, offline_env: dict[str, str], work: Path) -> Checkout:
    """The library finds the real CLI; the folder is a repository."""
    work.rmdir()
    repo = Checkout.new(work)
    repo.write({"a.txt": "one\n", ".gitignore": "results/\n"})
    repo.commit("first")
    in_env(offline_env)
    return repo


def script(*steps: dict[str, Any]) -> str:
    return "SCRIPT=" + json.dumps(list(steps))


def answer(number: int) -> str:
    """Three rows lack the structure at first, two fail for good."""
    so = {"so": {"severity": SEVERITY[number % 3], "bugs": number}}
    if number in (5, 15, 25):
        return script({"text": "no"}, {"text": "no again"}, so, {"text": "there"})
    if number in (7, 17):
        return script({"fail": {"status": 400, "message": "no"}})
    return script(so, {"text": "there"})


def test_forty_rows(real: Checkout, api: ScriptedApi) -> None:
    numbers = range(40)
    df = pd.DataFrame({"path": [f"m{n}.py" for n in numbers], "do": [answer(n) for n in numbers]})
    df.index = pd.Index([f"row {n}" for n in numbers], name="row")
    schema = {"severity": Literal["low", "medium", "high"], "bugs": int}

    s = cpr.map("Review {path}. {do}", df, schema=schema, permissions="read", max_parallel=8)
    out = s.wait(LIMIT_S).results_df()

    assert out.index.equals(df.index) and out[["path", "do"]].equals(df)
    failed = ["row 7", "row 17"]
    good = out.drop(failed)
    assert good["ok"].all() and out.loc[failed, "ok"].tolist() == [False, False]
    assert str(out["bugs"].dtype) == "Int64" and good["bugs"].tolist() == [
        n for n in numbers if n not in (7, 17)
    ]
    assert out["severity"].cat.categories.tolist() == SEVERITY
    assert good["severity"].tolist() == [SEVERITY[n % 3] for n in numbers if n not in (7, 17)]
    assert out.loc[failed, ["bugs", "severity"]].isna().all(axis=None)
    tasks = s.tasks_df(full=True).set_index("task_num")
    assert tasks.loc[[6, 16, 26], "attempts"].tolist() == [2, 2, 2]
    events = s.events_df()
    assert events[events["task_id"] == s[5].id]["attempt"].nunique() == 2
    # The first attempt has cost something, too, and counts.
    lines = [json.loads(line) for line in Path(s.paths.journal).read_text().splitlines()]
    first = {x["task_id"]: x["cost_usd"] for x in lines if x["event"] == "attempt_ended"}
    assert set(first) == {s[n].id for n in (5, 15, 25)} and min(first.values()) > 0
    for n in (5, 15, 25):
        last = s[n].facts().cost_usd
        assert last and s[n].cost_usd == pytest.approx(first[s[n].id] + last)
    usage = s.usage_df().groupby("task_id")["cost_usd"].sum()
    told = tasks.set_index("task_id")["cost_usd"].dropna()
    pd.testing.assert_series_equal(usage[told.index], told, check_names=False, check_dtype=False)

    again = out[~out.ok].cpr.retry(attempts=1)
    newest = again.wait(LIMIT_S) and s.results_df()

    assert set(newest.loc[failed, "session_id"]) == {again.id}
    assert set(newest["session_id"]) == {again.id, s.id}

    fix = {"tool": "Write", "input": {"file_path": "{cwd}/fix.txt", "content": "fixed\n"}}
    say = script(fix, {"text": "there"})
    high = out[(out.severity == "high") & (out.bugs < 9)].assign(say=say)
    f = high.cpr.follow_up("Fix the {bugs} bugs. {say}", worktree=True, permissions="edits")

    assert f.wait(LIMIT_S).results_df().index.tolist() == ["row 2", "row 5", "row 8"]
    assert [task.outcome for task in f] == ["succeeded"] * 3
    assert f.results_df()["bugs"].tolist() == [2, 5, 8]
    said = [
        request for request in api.requests if "Fix the 8 bugs." in str(request.last_user_blocks)
    ]
    assert said and all(r.conversation_id != s[8].conversation_id for r in said)
    for task in f:
        assert real.git("show", f"{task.fields['branch']}:fix.txt") == "fixed"
        result = task.facts().result
        assert result is not None and task.cost_usd is not None
        past_usd = result["total_cost_usd"] - task.cost_usd  # the CLI's figure has it in it
        assert past_usd == pytest.approx(tasks["cost_usd"][[3, 6, 9]].tolist()[task.num - 1])
    further = f.results_df().assign(say=say.replace("fixed", "better"))[:1].cpr.follow_up("{say}")
    assert further.wait(LIMIT_S)[0].ok
    assert further[0].fields["branch"] == f[0].fields["branch"]
    assert real.git("show", f"{f[0].fields['branch']}:fix.txt") == "better"
    merged = further.tasks_df().cpr.merge()
    assert [m.task_id for m in merged.merged] == [further[0].id]
    assert (real.path / "fix.txt").read_text() == "better\n"


def test_two_models_are_compared_in_a_line(real: Checkout, api: ScriptedApi) -> None:
    df = pd.DataFrame({"do": [script({"text": "A"}), script({"text": "BB"})]})
    vary = {"model": ["claude-sonnet-5", "claude-opus-5-5"]}
    s = cpr.map("{do}", df, vary=vary, max_parallel=4).wait(LIMIT_S)
    s.score(lambda row: len(row.result))
    table = s.summary(by="model")
    assert table.index.tolist() == vary["model"]
    assert table["n"].tolist() == [2, 2] and table["ok"].tolist() == [1.0, 1.0]
    assert table["score"].tolist() == [1.5, 1.5]
    asked = sorted(request.model for request in api.requests if request.model)
    assert set(asked) >= set(vary["model"])
    assert s.tasks_df(full=True)["model_used"].tolist() == vary["model"] * 2
