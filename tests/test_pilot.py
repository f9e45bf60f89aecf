"""A pilot: a random sample of the rows runs; the others run when somebody says so, and once."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest
from testkit import processes
from testkit.command import Cpr
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.model.record import first_head
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.notice import notice

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
ROWS = pd.DataFrame({"id": list("abcdefghij"), "kind": list("xxxxxxxxyy")})


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def pilot(n_rows: int = 3, template: str = "label {kind}", **options: Any) -> cpr.Session:
    return cpr.map(template, ROWS, id_col="id", pilot=n_rows, **options)


def reasons(session: cpr.Session) -> Counter[str | None]:
    return Counter(task.reason for task in session.refresh())


def calls(stub: Stub) -> Counter[str]:
    return Counter(name.partition(".")[0] for name in stub.calls())


def test_only_the_sample_runs_and_then_the_rest_and_nothing_twice(stub: Stub) -> None:
    session = pilot().wait(LIMIT_S)
    assert reasons(session) == {"completed": 3, "pilot": 7}
    sample = set(calls(stub))
    assert len(sample) == 3
    session.run_rest().wait(LIMIT_S)
    assert reasons(session) == {"completed": 10}
    assert calls(stub) == dict.fromkeys("abcdefghij", 1)
    assert session.head["cost_usd"] == pytest.approx(2.5)
    with pytest.raises(cpr.SessionNotUsable, match="nothing is held back any more"):
        session.run_rest()


def test_the_rest_may_be_asked_for_before_the_runner_is_up(stub: Stub) -> None:
    session = pilot()
    first = first_head(read_spec(session.snapshot.paths), 10)  # what the launch writes
    session.run_rest().wait(LIMIT_S)
    assert reasons(session) == {"completed": 10}
    assert calls(stub) == dict.fromkeys("abcdefghij", 1)
    assert first["pilot"] == {"state": "runs", "n_tasks": 3, "n_held": 7}


def test_all_levels_of_a_row_run_in_the_pilot(stub: Stub) -> None:
    session = pilot(2, vary={"model": ["opus", "haiku"]}, repeats=2).wait(LIMIT_S)
    ran = [task.id for task in session if task.reason == "completed"]
    assert len(ran) == 8 and len({name.partition("-")[0] for name in ran}) == 2


def test_each_group_has_its_share(stub: Stub) -> None:
    session = pilot(5, pilot_by="kind").wait(LIMIT_S)
    kinds = session.results_df().query("outcome == 'succeeded'").kind
    assert kinds.value_counts().to_dict() == {"x": 4, "y": 1}


def test_the_rest_can_be_asked_for_while_the_pilot_runs(stub: Stub) -> None:
    stub.fifos("held")
    frame = pd.DataFrame({"do": [plan(here="held", gate="held")] * 3})
    session = cpr.map("{do}", frame, pilot=2, max_parallel=1)
    stub.await_here("held")
    session.run_rest()
    assert session.refresh().head["pilot"]["state"] == "rest"
    for _ in range(2):
        stub.release("held")
        stub.await_here("held")
    stub.release("held")
    assert reasons(session.wait(LIMIT_S)) == {"completed": 3}


def kill_runner(session: cpr.Session) -> None:
    os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
    processes.await_lock(session.path / "runner.lock")


@pytest.mark.parametrize("is_asked", [False, True], ids=["pilot", "rest asked"])
def test_a_runner_that_is_killed_goes_on_where_it_was(stub: Stub, is_asked: bool) -> None:
    stub.fifos("held")
    frame = pd.DataFrame({"do": [plan(here="held", gate="held")] * 3})
    session = cpr.map("{do}", frame, pilot=2, max_parallel=1)
    stub.await_here("held")
    if is_asked:
        session.run_rest()
    kill_runner(session)
    session.refresh().resume()
    n_left = 3 if is_asked else 2
    for number in range(n_left):
        if number:
            stub.await_here("held")
        stub.release("held")
    session.wait(LIMIT_S)
    expected = {"completed": 3} if is_asked else {"completed": 2, "pilot": 1}
    assert reasons(session) == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pilot": 1}, "pilot: must be how many rows to run first"),
        ({"pilot": True}, "pilot: must be how many rows to run first"),
        ({"pilot": 10}, "pilot: must be fewer than the 10 rows there are, not 10"),
        ({"pilot_by": "kind"}, "pilot_by: means something only with pilot="),
        ({"pilot": 3, "pilot_by": "size"}, "pilot_by: has no column 'size'; it has id, kind"),
        ({"pilot": 3, "pilot_by": 5}, "pilot_by: must be the name of a column"),
        ({"pilot": 3, "pilot_by": "id"}, "pilot_by: makes 10 groups, but only 3 rows run first"),
        ({"pilot": 3, "best_of": 2, "check": "true"}, "be combined with"),
    ],
    ids=["one", "bool", "all", "alone", "no column", "no name", "many groups", "best of"],
)
def test_what_can_not_be_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(cpr.InputError, match=words):
        cpr.map("label {kind}", ROWS, dry_run=True, **options)


def test_a_launch_without_a_frame_has_no_columns(stub: Stub) -> None:
    with pytest.raises(cpr.InputError, match="pilot_by: needs the columns of a frame"):
        cpr.launch(["a", "b", "c"], pilot=2, pilot_by="kind")
    session = cpr.launch(["a", "b", "c"], pilot=2).wait(LIMIT_S)
    assert reasons(session) == {"completed": 2, "pilot": 1}


def test_a_session_without_a_pilot_has_no_rest(stub: Stub) -> None:
    with pytest.raises(cpr.SessionNotUsable, match="it has no pilot; launch with pilot="):
        cpr.launch(["a"]).wait(LIMIT_S).run_rest()


def test_a_forecast_is_kept_beside_what_came_true(stub: Stub) -> None:
    session = pilot(4).wait(LIMIT_S)
    session.forecast()
    session.forecast()  # of as many rows: kept once
    kept = cpr.forecasts_df()
    assert len(kept) == 1 and kept.actual_cost_usd.isna().all()
    session.run_rest().wait(LIMIT_S)
    (row,) = cpr.forecasts_df().to_dict("records")
    assert (row["session_id"], row["n_ended"], row["n_rows"]) == (session.id, 4, 10)
    assert row["actual_cost_usd"] == pytest.approx(2.5)
    assert row["is_cost_held"] is True and pd.isna(row["cost_high_usd"])
    assert str(session.forecast()).startswith("USD 2.50 and")
    assert len(cpr.forecasts_df()) == 1


def test_while_the_pilot_runs_there_is_no_forecast(stub: Stub) -> None:
    stub.fifos("held")
    frame = pd.DataFrame({"do": [plan(here="held", gate="held")] * 3})
    session = cpr.map("{do}", frame, pilot=2, max_parallel=1)
    stub.await_here("held")
    with pytest.raises(cpr.SessionNotUsable, match="its pilot still runs"):
        session.forecast()
    stub.release("held")
    stub.await_here("held")
    stub.release("held")
    session.wait(LIMIT_S)


def test_every_view_says_what_waits(stub: Stub, stub_cpr: Cpr) -> None:
    session = pilot().wait(LIMIT_S)
    assert "the pilot has ended: s.forecast() says what the other 7 tasks will cost" in notice(
        session.snapshot
    )
    assert f"cpr resume {session.id[:8]} --skipped" in stub_cpr.good("status", session.id)
    assert "7 outside the pilot" in stub_cpr.good("watch", session.id)
    stub_cpr.good("resume", session.id, "--skipped")
    assert reasons(session.wait(LIMIT_S)) == {"completed": 10}
    assert "pilot" not in notice(session.refresh().snapshot)


def test_a_cancelled_pilot_and_its_retry_never_run_what_is_outside(stub: Stub) -> None:
    stub.fifos("held")
    rows = pd.DataFrame({"id": list("abcdef")})
    session = cpr.map(plan(here="held", gate="held"), rows, id_col="id", pilot=2, max_parallel=1)
    stub.await_here("held")
    session.cancel()
    assert session.wait(LIMIT_S).state == "cancelled"
    assert reasons(session) == {"cancelled": 2, "pilot": 4}
    for all_tasks in (False, True):
        again = session.retry(all_tasks=all_tasks)
        assert len(again) == 2
        again.cancel()
        again.wait(LIMIT_S)
    assert len(set(calls(stub))) <= 2
