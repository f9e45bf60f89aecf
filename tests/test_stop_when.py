"""``stop_when="decided"`` from outside: what runs, what is said at the launch and afterwards."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from testkit import processes
from testkit.command import Cpr
from testkit.node_agents import NodeAgents
from testkit.stub import Stub, plan

import cpr_nb as cpr
from cpr_nb.store.read import read_session

LIMIT_S = 120.0
EnterEnv = Callable[[dict[str, str]], None]
N_ROWS = 24
#: Every row succeeds under "good" and fails under "bad".
LEVELS = {"do": [plan(result={"is_error": True}), plan()]}
BAD, GOOD = LEVELS["do"]
ROWS = pd.DataFrame({"n": range(N_ROWS)})


@pytest.fixture(autouse=True)
def here(in_env: EnterEnv, stub_env: dict[str, str]) -> None:
    in_env(stub_env)


def decide(**options: Any) -> cpr.Session:
    """A session that is decided after a few rows."""
    usual = {"vary": LEVELS, "stop_when": "decided", "max_parallel": 2, "attempts": 1}
    template, n_rows = options.pop("template", "{do} {n}"), options.pop("n_rows", N_ROWS)
    with warnings.catch_warnings(record=True):
        return cpr.map(template, ROWS[:n_rows], **{**usual, **options})


def reasons(session: cpr.Session) -> dict[str | None, int]:
    return pd.Series([task.reason for task in session.refresh()]).value_counts().to_dict()


def test_tasks_of_a_decided_comparison_do_not_start(stub: Stub) -> None:
    session = decide().wait(LIMIT_S)
    decision = session.decision
    assert decision is not None and decision.is_decided and session.state == "completed"
    (level,) = decision.levels
    assert (level.level, level.verdict, level.difference) == (GOOD, "better", 1.0)
    n_ran = len(stub.calls())
    assert 2 * level.n_pairs <= n_ran < 2 * N_ROWS - 8
    assert reasons(session)["decided"] == 2 * N_ROWS - n_ran


def test_rows_start_in_a_drawn_order_with_their_levels_side_by_side(stub: Stub) -> None:
    vary = {"do": [plan(), plan(say="b")]}
    session = decide(n_rows=12, max_parallel=1, vary=vary, repeats=2).wait(LIMIT_S)
    started = sorted(session, key=lambda task: str(task.fields["started_at"]))
    rows = [int(task.prompt.rpartition(" ")[2]) for task in started]
    assert [rows[at : at + 4] for at in range(0, 48, 4)] == [[n] * 4 for n in rows[::4]]
    assert rows[::4] != sorted(rows[::4]), "one in 12! orders is this one"
    assert ["say" in task.prompt for task in started] == [False, True] * 24
    assert session.decision is not None and not session.decision.is_decided
    assert session.decision.levels[0].n_pairs == 12, "the last one, too"
    assert str(session.decision).startswith("Do it. STUB=")
    assert "not decided: +0 points (" in str(session.decision)


def test_what_was_not_needed_can_run_later(stub: Stub) -> None:
    session = decide().wait(LIMIT_S)
    before = session.decision
    session.resume(skipped=True).wait(LIMIT_S)
    assert len(stub.calls()) == 2 * N_ROWS and "decided" not in reasons(session)
    assert session.decision == before, "and they do not enter"


def test_another_runner_goes_on_where_a_killed_one_was(stub: Stub, token: str) -> None:
    """Nothing runs twice, and the decision needs no more rows than without the kill."""
    held = stub.folder / "lock-held"
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        failing = plan(result={"is_error": True}, lock="held")
        session = decide(vary={"do": [failing, GOOD]}, max_parallel=2)
        session.wait_until(lambda: session.snapshot.count("n_running") == 2, LIMIT_S, "two tasks")
        os.kill(json.loads((session.path / "runner.json").read_text())["pid"], signal.SIGKILL)
        processes.await_lock(session.path / "runner.lock")
    decision = session.resume().wait(LIMIT_S).decision
    assert decision is not None and decision.is_decided
    calls = [file.name.rpartition(".")[0] for file in (stub.folder / "calls").iterdir()]
    assert len(calls) == len(set(calls)) < 2 * N_ROWS - 8


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stop_when": "done"}, "stop_when: must be 'decided', not 'done'"),
        (
            {"vary": None, "template": "{n}"},
            "stop_when: compares the levels of one factor, and nothing varies here",
        ),
        (
            {"vary": {**LEVELS, "model": ["sonnet", "opus"]}},
            "stop_when: compares the levels of one factor, and here 2 things vary",
        ),
        ({"vary": {"do": ["a"]}}, "vary['do']: needs at least two levels"),
        ({"metric": "cost_usd"}, "metric: 'cost_usd' has no known range"),
        ({"metric": "score"}, "metric: there is no score: say what it is"),
        ({"metric": len}, "metric: a function lives in this kernel, and the runner"),
        ({"alpha": 5}, "alpha: must be between 0 and 0.5"),
        ({"delta": 0}, "delta: must be the smallest difference that matters, above 0"),
        ({"delta": 3}, "delta: must be the smallest difference that matters, above 0"),
        ({"over": "all"}, "over: must be 'rows like these' or 'this table', not 'all'"),
        ({"baseline": "x"}, "baseline: 'x' is not a level: there are"),
        ({"stop_when": None, "delta": 0.1}, "delta: means something only with stop_when="),
    ],
    ids=[
        *("word", "nothing", "two factors", "one level", "cost", "no score", "function", "alpha"),
        *("no delta", "wide delta", "scope", "baseline", "alone"),
    ],
)
def test_what_can_not_be_decided_is_refused(
    stub: Stub, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(cpr.InputError) as caught:
        decide(**{"vary": LEVELS, **options})
    assert str(caught.value).startswith(words)
    assert stub.calls() == {}


def said(rows: pd.DataFrame | None = None, **options: Any) -> str:
    """What the launch says."""
    usual: dict[str, Any] = {"vary": LEVELS, "stop_when": "decided", "max_parallel": 2}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cpr.map("{do} {n}", ROWS if rows is None else rows, dry_run=True, **{**usual, **options})
    return "\n".join(str(one.message) for one in caught)


def test_the_launch_says_what_can_be_decided() -> None:
    assert "24 rows can show only a difference of about 36 points or more" in said()
    assert "delta: to show that no difference of 0.1 or more is there takes" in said(delta=0.1)
    assert "a verdict will be about these 24 rows, as run once" in said(over="this table")
    said_of_8 = said(rows=ROWS.head(8))
    assert "8 rows can't show a difference, however large; all of them will run" in said_of_8
    assert "at once" not in said() and "24 of 48 tasks at once" in said(max_parallel=24)


@pytest.mark.parametrize(
    ("field", "size"),
    [
        ({"type": "number"}, "0.29"),
        ({"type": "integer"}, "0.36"),
        ({"type": "boolean"}, "0.36"),
    ],
    ids=["number", "integer", "boolean"],
)
def test_a_score_of_0_or_1_decides_no_more_than_a_share(field: dict[str, str], size: str) -> None:
    bounds = {} if field["type"] == "boolean" else {"minimum": 0, "maximum": 1}
    schema = {"type": "object", "properties": {"x": {**field, **bounds}}, "required": ["x"]}
    words = said(score="x", schema=schema)
    assert f"24 rows can show only a difference of about {size} or more" in words


def test_on_nodes_it_stops_as_well(stub: Stub, stub_cpr: Cpr, tmp_path: Path) -> None:
    with NodeAgents(stub_cpr, tmp_path / "nodes") as nodes:
        session = decide(executor="agents", max_parallel=2)
        nodes.join(session, "n1", slots=2)
        decision = session.wait(LIMIT_S).decision
        processes.await_lock(session.path / "runner.lock")
        nodes.await_left(session)
    assert decision is not None and decision.is_decided
    assert reasons(session)["decided"] == 2 * N_ROWS - len(stub.calls()) > 8


def test_every_view_says_what_is_decided(stub_cpr: Cpr) -> None:
    session = decide().wait(LIMIT_S)
    assert session.decision is not None
    (line,) = str(session.decision).split("\n")
    assert "better" in line
    assert line in stub_cpr.good("status", session.id)
    assert line[:60] in stub_cpr.good("watch", session.id)
    assert "decision" in read_session(str(session.path)).head
