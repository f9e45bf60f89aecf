"""Tasks that are followed: the same order as of all tasks, whatever changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from testkit.session_folders import write_session

from cpr_nb.views.followed_tasks import FollowedTasks

N_TASKS = 6
_ENDS = ["succeeded", "failed", "timed_out", "cancelled", "skipped"]
_TIMES = ["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", None]
TASKS = st.one_of(
    st.just({"state": "pending", "attempts": 0}),
    st.just({"state": "running", "attempts": 1, "started_at": _TIMES[0]}),
    st.builds(
        lambda outcome, ended_at, duration_s: {
            "state": "ended",
            "outcome": outcome,
            "attempts": 1,
            "duration_s": duration_s,
            **({"ended_at": ended_at} if ended_at else {}),
        },
        st.sampled_from(_ENDS),
        st.sampled_from(_TIMES),
        st.integers(0, 9),
    ),
)
CHANGES = st.lists(st.tuples(st.integers(0, N_TASKS - 1), TASKS), max_size=4)


def write(folder: Path, tasks: list[dict[str, Any]]) -> None:
    head = {"schema_version": 1, "overall_status": "completed", "total": len(tasks)}
    lines = ",\n".join(json.dumps({"transaction_id": f"t{n}", **t}) for n, t in enumerate(tasks))
    text = json.dumps(head)[:-1] + ',\n"tasks":[\n' + lines + "\n]}\n"
    new = folder / "status.new"
    new.write_text(text)
    new.rename(folder / "status.json")


def expected(tasks: list[dict[str, Any]], n: int) -> list[int]:
    """The most urgent tasks, in words: running, failed, otherwise ended (latest first), pending."""

    def rank(index: int) -> tuple[int, str, int]:
        task = tasks[index]
        place = {"running": 0, "pending": 3}.get(task["state"], 2)
        if task.get("outcome") in ("failed", "timed_out"):
            place = 1
        latest_first = str(9 - int((task.get("ended_at") or "0")[-2:-1] or 0))
        return place, latest_first, index

    return sorted(sorted(range(len(tasks)), key=rank)[:n])


@given(
    first=st.lists(TASKS, min_size=N_TASKS, max_size=N_TASKS),
    rounds=st.lists(CHANGES, max_size=4),
    n=st.integers(1, N_TASKS),
)
def test_what_is_kept_up_to_date_is_what_all_tasks_say(
    tmp_path_factory: Any, first: list[dict[str, Any]], rounds: list[Any], n: int
) -> None:
    folder = write_session(tmp_path_factory.mktemp("results"), {})
    tasks = list(first)
    write(folder, tasks)
    followed = FollowedTasks(str(folder))
    assert followed.poll() == list(range(N_TASKS))
    for changes in [[], *rounds]:
        before = list(tasks)
        for index, task in changes:
            tasks[index] = task
        write(folder, tasks)
        assert followed.poll() == [i for i in range(N_TASKS) if tasks[i] != before[i]]
        assert followed.most_urgent(n) == expected(tasks, n)


def test_a_session_that_is_replaced_by_a_shorter_one_is_read_anew(tmp_path: Path) -> None:
    folder = write_session(tmp_path, {})
    write(folder, [{"state": "running", "attempts": 1}] * 3)
    followed = FollowedTasks(str(folder))
    followed.poll()
    write(folder, [{"state": "pending", "attempts": 0}])
    assert (followed.poll(), followed.most_urgent(9)) == ([0], [0])
