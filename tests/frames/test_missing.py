"""What never was is missing in the tables: it is not zero."""

from __future__ import annotations

import json
from pathlib import Path

from testkit.command import LIMIT_S, Cpr, prompts
from testkit.stub import plan

import cpr_nb as cpr


def test_what_never_started_has_no_figures(stub_cpr: Cpr, work: Path) -> None:
    session = stub_cpr.launch(prompts(plan(), plan(), plan()), "-j1", "--budget-usd", "0.1")
    session.wait(LIMIT_S)
    results = work / "results"
    figures = ["duration_s", "n_denials", "cost_usd", "wait_s", "input_tokens", "n_tool_calls"]
    tasks = session.tasks_df(full=True).set_index("task_num")
    assert tasks["outcome"].tolist() == ["succeeded", "skipped", "skipped"]
    assert tasks.loc[1, figures[:4]].notna().all()
    assert tasks.loc[[2, 3], figures].isna().all(axis=None)
    ran_s = tasks.loc[1, "duration_s"]
    assert session.results_df()["duration_s"].mean() == ran_s
    assert session.summary()["duration_s"].tolist() == [ran_s]
    # claude-parallel-runner.pl's own field is as it always was; an earlier version wrote ours.
    status = results / f"session-{session.id}" / "status.json"
    fields = json.loads(status.read_bytes())
    assert [task["duration"] for task in fields["tasks"]][1:] == [0, 0]
    for task in fields["tasks"]:
        task.setdefault("duration_s", 0.0)
    status.write_text(json.dumps(fields))
    assert cpr.tasks_df(results)["duration_s"].isna().tolist() == [False, True, True]
