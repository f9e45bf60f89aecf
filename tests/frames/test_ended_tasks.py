"""Tasks that have ended are read column by column: the rows are those of any other task."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from testkit.comparison import Clock, everything_is_kept

import cpr_nb as cpr
from cpr_nb.frames import gather
from cpr_nb.frames.queries import build_task_table
from cpr_nb.model import record
from cpr_nb.model.outcome import Exit, Outcome
from cpr_nb.store.read import read_session

_ODD: list[Any] = [
    *(None, "", 0, -1, True, 7, 2.5, 10**400, float("nan"), float("inf")),
    *("a/b", "a\0b", "pending", [], {}),
]
_FIELDS = (
    *("transaction_id", "task_num", "prompt", "status", "state", "outcome", "success", "reason"),
    *("attempts", "n_denials", "duration_s", "duration", "started_at", "cost_usd", "answered_at"),
)
_REMOVED = object()
_CHANGES = st.dictionaries(st.sampled_from(_FIELDS), st.sampled_from([*_ODD, _REMOVED]), max_size=2)
_ANSWERS = st.none() | st.sampled_from(
    [b"", b"yes\n", "\u00e9\u2713".encode(), b"\xff\xed\xa0\x80"]
)


def ended_task(number: int, outcome: str, **figures: Any) -> dict[str, Any]:
    """A task as the runner writes it."""
    running = record.running_fields(1, f"conversation-{number}", "2025-11-28T10:00:00.000Z")
    ended = record.ended_fields(
        running,
        Outcome(outcome, "completed"),
        Exit(0),
        None,
        ended_at="2025-11-28T10:00:05.000Z",
        duration_s=5.0,
        extra=figures,
    )
    return {**record.base_fields(number, f"t{number}", f"prompt {number}"), **ended}


def write(
    results: Path, tasks: list[Any], spec: Any, answers: list[bytes | None], number: int = 1
) -> Path:
    folder = results / f"session-00000000-0000-4000-8000-{number:012}"
    folder.mkdir(parents=True)
    head = {"schema_version": 1, "overall_status": "completed", "start_time": number}
    status = {**head, "created_at": "2025-11-28T10:00:00.000Z", "duration_s": 5.0}
    (folder / "status.json").write_text(json.dumps({**status, "tasks": tasks}))
    (folder / "session.json").write_text(json.dumps(spec))
    for task_num, answer in enumerate(answers, 1):
        if answer is not None:
            (folder / f"task-t{task_num}.txt").write_bytes(answer)
    Clock().settle_session(folder)
    return folder


def changed(task: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    task = {**task, **changes}
    return {name: value for name, value in task.items() if value is not _REMOVED}


def test_each_odd_value_is_that_of_any_task(tmp_path: Path) -> None:
    changes = [{name: value} for name in _FIELDS for value in [*_ODD, _REMOVED]]
    spec = {"tasks": [{"prompt": "the prompt"}]}
    for number, change in enumerate(changes, 1):
        write(tmp_path, [changed(ended_task(1, "succeeded"), change)], spec, [b"yes"], number)
    snapshots = [read_session(str(root)) for root in sorted(tmp_path.iterdir(), reverse=True)]
    compare(build_task_table("tasks_df", snapshots, strict=False), tmp_path)


def compare(expected: tuple[pd.DataFrame, list[Any]], results: Path) -> None:
    """Compares with a first and a second reading of the directory."""
    one, problems = expected
    with everything_is_kept():
        for _ in ("read", "from the cache"):
            many, same_problems = cpr.tasks_df(results, strict=False)
            assert same_problems == problems
            for rows in (one, many):  # what has no usual duration may count on
                rows.loc[rows.duration_s > 1e6, "duration_s"] = 1e6
            pd.testing.assert_frame_equal(one, many)


@settings(max_examples=25)
@given(
    changes=st.lists(st.just({}) | _CHANGES, min_size=1, max_size=3),
    outcomes=st.lists(st.sampled_from(["succeeded", "failed", "cancelled"]), min_size=3),
    prompts=st.lists(st.just("the prompt") | st.sampled_from(_ODD), max_size=3),
    answers=st.lists(_ANSWERS, max_size=3),
    spec=st.none() | st.just([]) | st.just({"tasks": {"prompt": "x"}}) | st.just({"tasks": "xyz"}),
)
def test_the_rows_are_those_of_any_task(
    changes: list[dict[str, Any]],
    outcomes: list[str],
    prompts: list[Any],
    answers: list[bytes | None],
    spec: Any,
) -> None:
    tasks = [
        changed(ended_task(number, outcomes[number - 1], cost_usd=0.25, n_denials=number), change)
        for number, change in enumerate(changes, 1)
    ]
    spec = {"tasks": [{"prompt": prompt} for prompt in prompts]} if spec is None else spec
    with tempfile.TemporaryDirectory() as folder:
        root = write(Path(folder, "results"), tasks, spec, answers)
        snapshots = [read_session(str(root))]
        compare(build_task_table("tasks_df", snapshots, strict=False), root.parent)


def test_tasks_that_have_ended_are_read_in_the_fast_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [ended_task(1, "succeeded", cost_usd=0.5), ended_task(2, "failed")]
    spec = {"tasks": [{"prompt": "one"}, {"prompt": "two"}]}
    root = write(tmp_path, tasks, spec, [b"yes", None])
    expected = build_task_table("tasks_df", [read_session(str(root))])

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("it is read in the slow way")

    monkeypatch.setattr(gather, "read_session", refuse)
    pd.testing.assert_frame_equal(cpr.tasks_df(tmp_path), expected)
    assert expected.result.tolist() == ["yes", pd.NA]
    assert expected.n_denials.tolist() == [0, 0]
