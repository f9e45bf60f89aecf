"""The figures of a session: its head is the sum of its rows, and what is unknown is missing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.model.json_values import number
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot
from cpr_nb.store.times import utc_iso
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.figures import Figures, FiguresFollower, session_figures
from cpr_nb.views.task_figures import TaskFigures

RECORDINGS = Path(__file__).parents[1] / "model" / "recordings"
MODEL = "claude-opus-5-5"
ENDED = {"state": "ended", "outcome": "succeeded", "attempts": 1}


def message(number: int, model: str = MODEL, **tokens: int) -> dict[str, Any]:
    body = {"id": f"msg-{number}", "model": model, "usage": tokens, "content": []}
    return {"type": "assistant", "message": body}


class Folder:
    """A session's folder with streams, and its figures."""

    def __init__(self, root: Path, **head: Any) -> None:
        self.root = root / "session-1"
        self.root.mkdir(exist_ok=True)
        self.tasks: list[dict[str, Any]] = []
        self.head = {"schema_version": 1, "max_parallel": 4, **head}

    def task(self, stream: list[dict[str, Any]] | None = None, **fields: Any) -> None:
        task_id = f"t{len(self.tasks)}"
        self.tasks.append({"transaction_id": task_id, **fields})
        if stream is not None:
            lines = [json.dumps(event) + "\n" for event in stream]
            paths = SessionPaths(str(self.root))
            Path(paths.stream(task_id, fields["attempts"])).write_text("".join(lines))

    def running(self, stream: list[dict[str, Any]], **fields: Any) -> None:
        self.task(stream, **{"state": "running", "attempts": 1, **fields})

    def snapshot(self, state: str = "running") -> Snapshot:
        head = {**self.head, "total": len(self.tasks)}
        return Snapshot(SessionPaths(str(self.root)), head, self.tasks, state)

    def read(self) -> tuple[FiguresFollower, Figures]:
        snapshot = self.snapshot()
        follower = session_figures(snapshot)
        return follower, follower.session(snapshot)


def test_a_running_task_costs_what_its_tokens_cost_in_tasks_that_ended(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.task(**ENDED, cost_usd=0.4, model=MODEL, input_tokens=1000, output_tokens=300)
    folder.running([message(1, input_tokens=500), message(2, input_tokens=500)])
    follower, head = folder.read()
    assert follower.task(0) == TaskFigures(1300, 0.4, is_estimate=False)
    assert follower.task(1) == TaskFigures(1000, pytest.approx(0.4), is_estimate=True)
    assert (head.cost_usd, head.n_tokens) == (pytest.approx(0.8), 2300)
    assert head.is_estimate


@pytest.mark.parametrize(
    "ended",
    [
        None,
        {"model": "another", "cost_usd": 0.4, "input_tokens": 1000},
        {"model": MODEL, "input_tokens": 1000},
        {"model": MODEL, "cost_usd": 0.4, "input_tokens": 1000, "n_unknown_costs": 1},
    ],
)
def test_without_a_task_of_its_model_whose_cost_is_known_its_cost_is_unknown(
    tmp_path: Path, ended: dict[str, Any] | None
) -> None:
    folder = Folder(tmp_path)
    folder.running([message(1, input_tokens=500)])
    if ended:
        folder.task(**ENDED, **ended)
    follower, head = folder.read()
    assert follower.task(0) == TaskFigures(500, None, is_estimate=True)
    assert head.cost_usd == (ended or {}).get("cost_usd") and not head.is_estimate


def test_a_cost_that_the_cli_has_reported_is_exact(tmp_path: Path) -> None:
    result = {"type": "result", "is_error": False, "total_cost_usd": 0.5, "usage": {}}
    folder = Folder(tmp_path)
    folder.running([message(1, input_tokens=500), result])
    assert folder.read()[0].task(0) == TaskFigures(None, 0.5, is_estimate=False)
    folder.running([message(1, input_tokens=500), result, message(2, input_tokens=100)])
    folder.task(**ENDED, cost_usd=0.5, model=MODEL, input_tokens=500)
    assert folder.read()[0].task(1) == TaskFigures(100, pytest.approx(0.6), is_estimate=True)


def test_earlier_attempts_count(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.running([message(1, input_tokens=500)], attempts=2, cost_usd=0.3, input_tokens=700)
    folder.task(**ENDED, cost_usd=0.5, model=MODEL, input_tokens=500)
    assert folder.read()[0].task(0) == TaskFigures(1200, pytest.approx(0.8), is_estimate=True)


def test_a_task_that_only_waits_has_the_figures_of_its_record(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.running([message(1, input_tokens=500)], note="waits", cost_usd=0.3, input_tokens=500)
    assert folder.read()[0].task(0) == TaskFigures(500, 0.3, is_estimate=False)


def test_what_nobody_knows_is_missing(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.task(state="pending", attempts=0)
    folder.running([])
    folder.task(state="ended", outcome="skipped", attempts=0)
    follower, head = folder.read()
    assert {follower.task(index) for index in range(3)} == {TaskFigures()}
    assert head[3:] == (None, None, False, None, None, None)


def _recorded(name: str) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    lines = (RECORDINGS / name).read_bytes().splitlines()
    events = [json.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    results = [event for event in events if event["type"] == "result"]
    return [event for event in events if event["type"] != "result"], results[
        -1
    ] if results else None


@pytest.mark.parametrize(
    "name", ["tools.jsonl", "perm_default.jsonl", "schema_ok.jsonl", "bgtask_normal_end.jsonl"]
)
def test_the_estimate_of_a_recorded_stream_is_what_the_cli_reports_at_its_end(
    tmp_path: Path, name: str
) -> None:
    _, plain = _recorded("plain.jsonl")
    events, result = _recorded(name)
    assert plain and result
    usage = plain["modelUsage"][MODEL]
    folder = Folder(tmp_path)
    tokens = {"input_tokens": usage["inputTokens"], "output_tokens": usage["outputTokens"]}
    folder.task(**ENDED, model=MODEL, cost_usd=plain["total_cost_usd"], **tokens)
    folder.running(events)
    assert folder.read()[0].task(1).cost_usd == pytest.approx(result["total_cost_usd"])


TASKS = st.one_of(
    st.just({"state": "pending", "attempts": 0}),
    st.builds(
        lambda cost, tokens: (
            {"state": "running", "attempts": 1, "note": "waits"}
            | ({} if cost is None else {"cost_usd": cost})
            | ({} if tokens is None else {"input_tokens": tokens})
        ),
        st.none() | st.floats(0, 9),
        st.none() | st.integers(0, 9999),
    ),
    st.builds(
        lambda outcome, cost, tokens, duration_s: {
            "state": "ended",
            "outcome": outcome,
            "attempts": 1,
            "cost_usd": cost,
            "output_tokens": tokens,
            "duration_s": duration_s,
        },
        st.sampled_from(["succeeded", "failed", "cancelled", "skipped"]),
        st.none() | st.floats(0, 1e6) | st.just("much"),
        st.none() | st.integers(0, 9999) | st.just(-1),
        st.none() | st.floats(0, 1e300) | st.just("long"),
    ),
)


@given(rounds=st.lists(st.tuples(st.integers(0, 3), TASKS), min_size=4, max_size=20))
def test_the_head_is_the_sum_of_the_rows_whatever_changes(rounds: list[Any]) -> None:
    paths = SessionPaths("/no/such/session-1")
    follower, tasks = FiguresFollower(ActivityFollower(paths)), dict[int, dict[str, Any]]()
    for index in range(4):
        tasks[index] = {"state": "pending"}
        follower.update(index, tasks[index])
    for index, task in rounds:
        tasks[index] = task
        follower.update(index, task)
        head = follower.session(
            Snapshot(paths, {"max_parallel": 2}, list(tasks.values()), "running")
        )
        rows = [follower.task(index) for index in tasks]
        costs = [row.cost_usd for row in rows if row.cost_usd is not None]
        assert costs == [c for t in tasks.values() if (c := number(t.get("cost_usd"))) is not None]
        assert (head.cost_usd is None) == (not costs)
        assert (head.cost_usd or 0) == pytest.approx(sum(costs), abs=1e-6)
        assert (head.n_tokens or 0) == sum(row.n_tokens or 0 for row in rows)
        if head.left_s is not None:
            assert 0 <= head.left_s[0] <= head.left_s[1]
        if head.total_usd is not None:
            expected, low, high = head.total_usd
            assert low <= expected <= high


def test_what_is_left_begins_when_a_limit_ends(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.task(**ENDED, duration_s=60)
    folder.task(state="pending", attempts=0)
    low_s, high_s = session_figures(folder.snapshot()).session(folder.snapshot()).left_s or (0, 0)
    folder.head["waiting_until"] = utc_iso(time.time() + 3600)
    waiting = folder.snapshot("waiting")
    left_s = session_figures(waiting).session(waiting).left_s
    assert left_s == pytest.approx((low_s + 3600, high_s + 3600), abs=60)
    del folder.head["waiting_until"]
    waiting = folder.snapshot("waiting")
    assert session_figures(waiting).session(waiting).left_s is None, "nobody knows"


def test_tasks_that_ask_are_not_among_the_running_ones(tmp_path: Path) -> None:
    folder = Folder(tmp_path, n_running=2, n_pending=1, n_succeeded=3)
    folder.running([], questions=[{"tool": "Bash"}])
    folder.running([])
    counts = {"succeeded": 3, "running": 1, "asking": 1, "pending": 1}
    assert {state: n for state, n in folder.read()[1].counts.items() if n} == counts
    gone = folder.snapshot("interrupted")
    assert session_figures(gone).session(gone).counts["asking"] == 0, "nobody hears an answer"
