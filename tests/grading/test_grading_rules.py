"""The two rules of grades, on folders as runners write them: who starts, what is handed on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cpr_nb.model.outcome import Outcome
from cpr_nb.runner import messages
from cpr_nb.runner.graded_material import GradedMaterial
from cpr_nb.runner.rules.grade_scores import GradeScores
from cpr_nb.runner.rules.grading_rule import GradingRule
from cpr_nb.runner.rules.neighbour import NeighbourSession
from cpr_nb.runner.rules.rule import TaskEnd
from cpr_nb.store.files import hold_lock
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot
from cpr_nb.views.notice import notice


class Folder:
    """The folder of a session, as its runner writes it."""

    def __init__(self, results: Path, session_id: str) -> None:
        self.path = results / f"session-{session_id}"
        self.path.mkdir()

    def journal(self, *lines: dict[str, Any], end: str = "\n") -> None:
        with (self.path / "journal.jsonl").open("a") as file:
            file.write("\n".join(json.dumps(line) for line in lines) + end)

    def ended(self, task_id: str, outcome: str = "succeeded", reason: str = "completed") -> None:
        fields = {"outcome": outcome, "reason": reason, "attempts": 1}
        self.journal({"event": "ended", "task_id": task_id, **fields})

    def graded(self, task_id: str, score: float) -> None:
        reply = {"score": score, "reason": "so"}
        line = {"type": "result", "structured_output": reply}
        (self.path / f"task-{task_id}.jsonl").write_text(json.dumps(line) + "\n")
        self.ended(task_id)


@pytest.fixture
def graded(tmp_path: Path) -> Folder:
    return Folder(tmp_path, "s")


def told(events: Iterable[messages.Event]) -> list[tuple[str, int]]:
    return [(type(event).__name__, event.task) for event in events]


# -- the session that grades --------------------------------------------------------------------


def test_a_grader_starts_when_its_answer_is_there(tmp_path: Path, graded: Folder) -> None:
    rule = GradingRule([("s", "a"), ("s", "b"), ("s", "c")], str(tmp_path))
    assert list(rule.held()) == [0, 1, 2]
    assert told(rule.events(0.0)) == []
    graded.ended("b")
    assert told(rule.events(0.1)) == [], "it looks now and then"
    assert told(rule.events(1.0)) == [("Release", 1)]
    assert told(rule.events(2.0)) == [], "once"
    graded.ended("a", "failed", "check_failed")
    graded.ended("b")  # its work was saved once more
    graded.ended("c", "skipped", "budget")
    (close,) = rule.events(3.0)
    assert isinstance(close, messages.Close) and close.task == 0
    assert isinstance(close.outcome, Outcome) and close.outcome.reason == "not_needed"
    assert "failed (check_failed)" in close.outcome.error


def test_what_was_skipped_may_still_run_until_all_else_is_over(
    tmp_path: Path, graded: Folder
) -> None:
    rule = GradingRule([("s", "a"), ("s", "b")], str(tmp_path))
    graded.ended("a")
    graded.ended("b", "skipped", "pilot")
    graded.journal({"event": "session_ended"})
    assert told(rule.events(1.0)) == [("Release", 0)]
    assert told(rule.events(2.0)) == [], "while a grader runs"
    graded.journal({"event": "reopened"})
    rule.ended(0, TaskEnd("succeeded", "completed"))
    assert told(rule.events(3.0)) == [], "the session goes on"
    graded.ended("b")
    assert told(rule.events(4.0)) == [("Release", 1)]


def test_it_ends_when_no_answer_comes_any_more(tmp_path: Path, graded: Folder) -> None:
    rule = GradingRule([("s", "a"), ("gone", "b")], str(tmp_path))
    assert told(rule.events(1.0)) == [("Close", 1)], "that session was deleted"
    rule.ended(1, TaskEnd("skipped", "not_needed"))
    graded.ended("a", "skipped", "decided")
    assert told(rule.events(2.0)) == []
    graded.journal({"event": "session_ended"})
    assert told(rule.events(3.0)) == [("Close", 0)]


def test_a_later_runner_reads_all_of_it_again(tmp_path: Path, graded: Folder) -> None:
    graded.ended("a")
    graded.ended("b")
    rule = GradingRule([("s", "a"), ("s", "b")], str(tmp_path))
    rule.ended(0, TaskEnd("succeeded", "completed"))  # under the runner before
    assert told(rule.events(1.0)) == [("Release", 1)]


def test_a_later_runner_reads_a_skipped_answer_that_was_reopened(
    tmp_path: Path, graded: Folder
) -> None:
    graded.ended("a", "skipped", "decided")
    graded.journal({"event": "session_ended"}, {"event": "reopened"})
    rule = GradingRule([("s", "a")], str(tmp_path))
    assert told(rule.events(1.0)) == []
    graded.ended("a")
    assert told(rule.events(2.0)) == [("Release", 0)]


# -- the journal of another session -------------------------------------------------------------


def test_half_a_line_is_read_once_it_is_whole(tmp_path: Path, graded: Folder) -> None:
    session = NeighbourSession("s", str(tmp_path))
    whole = {"event": "ended", "task_id": "a", "outcome": "succeeded", "reason": "completed"}
    half, rest = json.dumps(whole)[:20], json.dumps(whole)[20:]
    with (graded.path / "journal.jsonl").open("a") as file:
        file.write("torn\n" + half)
        file.flush()
        assert session.poll() == []
        file.write(rest + "\n")
    assert session.poll() == ["a"] and session.poll() == []


def test_without_a_journal_the_status_counts(tmp_path: Path, graded: Folder) -> None:
    session = NeighbourSession("s", str(tmp_path))
    assert session.poll() == []
    task = {"transaction_id": "a", "state": "ended", "outcome": "succeeded", "reason": "completed"}
    status = {"overall_status": "completed", "tasks": [task, {"transaction_id": "b"}, None]}
    (graded.path / "status.json").write_text(json.dumps(status))
    assert session.poll() == ["a"] and session.has_ended
    graded.ended("b")  # a runner has begun a new one
    assert session.poll() == ["b"]


# -- the session that is graded -----------------------------------------------------------------


def test_grades_are_handed_on_and_what_has_none_too(tmp_path: Path) -> None:
    grading = Folder(tmp_path, "g")
    rule = GradeScores("g", {"a": 0, "b": 1, "c": 2}, str(tmp_path))
    grading.graded("b", 0.25)
    grading.ended("a", "failed", "no_structure")
    grading.graded("c", 7.0)  # whatever a grader says: that is no grade
    assert list(rule.scores(1.0)) == [(1, 0.25), (0, None), (2, None)]
    assert list(rule.scores(2.0)) == []


def test_a_grader_that_never_came_is_not_waited_for(tmp_path: Path) -> None:
    rule = GradeScores("g", {"a": 0}, str(tmp_path), decides=True)
    rule.ended(0, TaskEnd("succeeded", "completed"))
    assert list(rule.scores(0.0)) == [] == list(rule.scores(30.0))
    assert list(rule.scores(100.0)) == [(0, None)]


def test_only_a_live_grader_keeps_a_session_from_its_end(tmp_path: Path) -> None:
    grading = Folder(tmp_path, "g")
    rule = GradeScores("g", {"a": 0}, str(tmp_path), decides=True)
    plain = GradeScores("g", {"a": 0}, str(tmp_path))
    for one in (rule, plain):
        one.ended(0, TaskEnd("succeeded", "completed"))
    assert not rule.is_waiting(), "no runner works on it"
    lock_fd = hold_lock(str(grading.path / "runner.lock"))
    try:
        assert rule.is_waiting() and not plain.is_waiting()
        grading.graded("a", 1.0)
        assert list(rule.scores(1.0)) == [(0, 1.0)] and not rule.is_waiting()
    finally:
        os.close(lock_fd)


def test_a_session_and_its_grader_do_not_wait_for_each_other(tmp_path: Path) -> None:
    grading = Folder(tmp_path, "g")
    rule = GradeScores("g", {"a": 0}, str(tmp_path), decides=True)
    rule.ended(0, TaskEnd("skipped", "decided"))
    lock_fd = hold_lock(str(grading.path / "runner.lock"))
    try:
        assert not rule.is_waiting(), "the grader skips it once the session has ended"
    finally:
        os.close(lock_fd)


# -- what a grader sees -------------------------------------------------------------------------


def test_the_material_is_marked_by_a_word_that_nobody_could_know(
    tmp_path: Path, graded: Folder
) -> None:
    tasks = [{"id": "a", "prompt": "Do </task-1> it."}, {"id": "b", "prompt": "no"}]
    lines = '{"session_id":"s","options":{},\n"tasks":[\n' + ",\n".join(
        json.dumps(task, separators=(",", ":")) for task in tasks
    )
    (graded.path / "session.json").write_text(lines + '\n],\n"seal":null}\n')
    (graded.path / "task-a.txt").write_text("x" * 300_000 + "\n")
    (graded.path / "task-a.patch").write_text("+new\n")
    spec = {"id": "a", "prompt": "Grade it.", "grades": {"session_id": "s", "task_id": "a"}}
    material = GradedMaterial(str(tmp_path))
    first, second = (material.add(spec)["prompt"] for _ in range(2))
    assert first != second and spec["prompt"] == "Grade it."
    word = first.partition("<task-")[2][:16]
    assert first.startswith(f"Grade it.\n\n<task-{word}>\nDo </task-1> it.\n</task-{word}>\n\n")
    assert "100000 characters are left out" in first and len(first) < 201_000
    assert first.endswith(f"<changes-{word}>\n+new\n\n</changes-{word}>")


def test_material_that_is_gone_fails_only_its_grader(tmp_path: Path, graded: Folder) -> None:
    spec = {"id": "a", "prompt": "Grade it.", "grades": {"session_id": "s", "task_id": "a"}}
    with pytest.raises(OSError, match="No such file"):
        GradedMaterial(str(tmp_path)).add(spec)
    (graded.path / "session.json").write_text('{"session_id":"s",\n"tasks":[\n]}')
    with pytest.raises(OSError, match="what it grades can't be read"):
        GradedMaterial(str(tmp_path)).add(spec)


def test_a_session_that_grades_says_what_it_waits_for(tmp_path: Path, graded: Folder) -> None:
    rule = GradingRule([("s", "a"), ("s", "b")], str(tmp_path))
    graded.ended("a")
    list(rule.events(1.0))
    head = {"schema_version": 3, "parent_session_id": "3f2a9b1c-1", **rule.fields()}
    snapshot = Snapshot(SessionPaths(str(tmp_path)), head, [], "running")
    assert notice(snapshot) == "waits for 1 answer of session 3f2a9b1c, to grade it"


def test_an_id_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match="is no id of a session"):
        NeighbourSession("s/../../other")
