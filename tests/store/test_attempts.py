"""When attempts ran: what the journal says, and what is left without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.examples import SHARED_FIXTURES
from testkit.ran import BEGIN_S, Ran

from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views.attempts import TaskTimes, task_times


def spans(task: TaskTimes) -> list[tuple[float, float, str, float | None]]:
    return [(a.began_s - BEGIN_S, a.ended_s - BEGIN_S, a.state, a.cost_usd) for a in task.attempts]


def test_each_attempt_has_its_times_and_its_own_cost(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 3)
    ran.task(0, (1, 5, "failed", 0.25), (7, 9, "succeeded", 0.5))
    ran.task(1, (2, 4, "timed_out", None), reason="timeout")
    times = task_times(ran.write())
    assert spans(times[0]) == [(1, 5, "failed", 0.25), (7, 9, "succeeded", 0.5)]
    assert spans(times[1]) == [(2, 4, "timed_out", 0.0)]
    assert [task.state for task in times] == ["succeeded", "timed_out", "pending"]
    assert spans(times[2]) == []


def test_what_runs_runs_until_now(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 1)
    ran.task(0, (3, 0, None, None))
    found = ran.write("running")
    live = Snapshot(found.paths, found.head, found.tasks, "running")
    assert spans(task_times(live, BEGIN_S + 10)[0]) == [(3, 10, "running", None)]
    # The runner is gone: the last line of the journal is the last thing that anybody knows.
    ran.at(5, "identity")
    ran.write("running")
    gone = Snapshot(found.paths, found.head, found.tasks, "interrupted")
    (task,) = task_times(gone, BEGIN_S + 10)
    assert spans(task) == [(3, 5, "interrupted", None)] and task.state == "interrupted"


def test_an_attempt_that_was_cut_off_ends_with_its_runner(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 2)
    ran.task(0, (1, 0, None, None), (60, 70, "succeeded", 0.5))
    ran.task(1, (2, 65, "succeeded", 0.25))  # adopted by the second runner
    ran.at(6, "identity")
    ran.at(50, "runner_started")
    ran.at(51, "adopted", task_id="t2", pid=1)
    times = task_times(ran.write())
    assert spans(times[0]) == [(1, 6, "interrupted", None), (60, 70, "succeeded", 0.5)]
    assert spans(times[1]) == [(2, 65, "succeeded", 0.25)]


def test_without_a_journal_the_status_tells(tmp_path: Path) -> None:
    ran = Ran(tmp_path, 1)
    ran.task(
        0,
        (1, 5, "succeeded", 0.25),
        started_at="2023-11-14T22:13:21Z",
        ended_at="2023-11-14T22:13:25Z",
    )
    found = ran.write()
    (ran.path / "journal.jsonl").unlink()
    assert spans(task_times(found)[0]) == [(1, 5, "succeeded", 0.25)]


LINES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "at": st.sampled_from(["2023-11-14T22:13:21Z", "2023-11-14T22:13:25Z", "x", 7, None]),
            "event": st.sampled_from(["started", "ended", "attempt_ended", "runner_started", 1]),
            "task_id": st.sampled_from(["t1", "t2", 3, None, []]),
            "attempt": st.sampled_from([1, 2, True, "1", None]),
            "outcome": st.sampled_from(["succeeded", "failed", None, 5, "<b>"]),
            "cost_usd": st.sampled_from([0.5, -1, "x", None, 10**400]),
        },
    ),
    max_size=12,
)


@given(LINES, st.binary(max_size=20))
@settings(SHARED_FIXTURES, max_examples=200)
def test_any_journal_gives_attempts_that_can_be_drawn(
    tmp_path_factory: pytest.TempPathFactory, lines: list[dict[str, object]], torn: bytes
) -> None:
    ran = Ran(tmp_path_factory.mktemp("any"), 2)
    ran.write()
    whole = "".join(json.dumps(line) + "\n" for line in lines).encode()
    (ran.path / "journal.jsonl").write_bytes(whole + torn)
    for task in task_times(read_session(str(ran.path))):
        for attempt in task.attempts:
            assert attempt.began_s <= attempt.ended_s
            assert attempt.cost_usd is None or attempt.cost_usd >= 0
