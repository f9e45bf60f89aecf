"""What people see of planned sessions, and where an answer comes from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from testkit.command import Cpr
from testkit.stub import Stub

import cpr_nb as cpr
from after.stages import LIMIT_S, SCHEMA, held_input, rated
from cpr_nb.display.session_part import SessionPart

EnterEnv = Callable[[dict[str, str]], None]


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def test_a_planned_session_is_cancelled(stub: Stub, stub_cpr: Cpr) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first)
    third = cpr.launch(["x"], after=second)
    assert "planned" in stub_cpr("list").stdout
    status = stub_cpr("status", second.id).stdout
    assert "Status: planned" in status and f"waits for {first.id[:8]} (running" in status
    with pytest.raises(cpr.SessionNotUsable, match="it is planned"):
        second.pause()
    with pytest.raises(cpr.SessionNotUsable, match="it is planned, and waits for"):
        second.resume()
    assert stub_cpr("cancel", second.id).returncode == 0
    assert second.state == third.state == "cancelled"
    assert not second.cancel()
    with pytest.raises(cpr.SessionNotUsable, match="it has ended before it started, and has no"):
        second.retry()
    stub.release("held")
    assert first.wait(LIMIT_S).state == "completed"
    assert second.state == "cancelled" and len(stub.calls()) == 3


def test_lineage_goes_back_to_the_first_session(work: Path) -> None:
    df = pd.DataFrame({"do": [rated(1, "one")]}, index=["r"])
    first = cpr.map("{do}", df, schema=SCHEMA).wait(LIMIT_S)
    second = cpr.map(rated(7, "seven") + "{reason}", after=first, schema=SCHEMA).wait(LIMIT_S)
    third = cpr.map("{reason} {reason_1}", after=second).wait(LIMIT_S)
    made = third.lineage_df()
    assert made["row"].tolist() == ["r"] * 5
    steps = dict(zip(made["column"], made["steps_back"], strict=True))
    assert steps == {"score_1": 2, "reason_1": 2, "score": 1, "reason": 1, "result": 0}
    by_column = made.set_index("column")
    assert by_column.loc["score_1", "session_id"] == first.id
    assert by_column.loc["reason", "task_id"] == second[0].id
    assert by_column.loc["reason", "prompt"].endswith("one")
    assert by_column.loc["result", "prompt"] == "seven one"
    assert by_column["n_tool_calls"].tolist() == [0] * 5
    retried = first.retry(all_tasks=True).wait(LIMIT_S)
    assert first.lineage_df()["session_id"].tolist() == [retried.id] * 2


def test_what_people_see_of_a_planned_session(stub: Stub, stub_cpr: Cpr) -> None:
    first = held_input(stub)
    second = cpr.map("{path}", after=first, name="later")
    third = cpr.launch(["x"], after=second)
    part = SessionPart(second.paths.root)
    head = part.state()["head"]
    assert head["state"] == "planned" and head["commands"] == {
        "cancel": f"cpr cancel {head['short']}"
    }
    assert f"waits for {first.id[:8]} (running)" in str(head["notices"])
    assert f"waits for {first.id[:8]} (running, " in stub_cpr.good("list")
    assert "Planned: 2" in stub_cpr.good("overview")
    assert set(cpr.sessions_df(states="planned")["session_id"]) == {second.id, third.id}
    assert cpr.sessions_df()["state"].tolist().count("planned") == 2
    assert "it is planned, and has no tasks" in stub_cpr("retry", second.id).stderr
    assert stub_cpr("report", second.id).returncode == 0
    with pytest.raises(cpr.WaitTimeout, match=f"planned, and waits for {first.id[:8]} .running."):
        second.wait(0.01)
    watching = stub_cpr.start("watch", third.id, stdout=subprocess.PIPE)
    assert watching.stdout is not None
    assert f"waits for {second.id[:8]} (planned)".encode() in watching.stdout.readline()
    stub.release("held")
    third.wait(LIMIT_S)
    assert b"[1/1]" in watching.communicate()[0]
    assert part.changes()["all"] and part.state()["head"]["state"] == "completed"  # type: ignore[index]
    assert f"After: {first.id}" in stub_cpr.good("status", second.id)
