"""What an earlier runner wrote down: read as far as it can be, and never more than that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from testkit.examples import SHARED_FIXTURES

from cpr_nb.model import states
from cpr_nb.model.outcome import TERMINATION_CAUSES, Outcome
from cpr_nb.runner.history import History, TaskHistory, read_history
from cpr_nb.store.layout import SessionPaths

relaxed = settings(SHARED_FIXTURES, max_examples=150)

STARTED = {"event": "runner_started", "at": "2026-01-01T00:00:00.000Z"}


def intent(task_id: str = "a", attempt: int = 1, **fields: Any) -> dict[str, Any]:
    line = {"event": "intent", "task_id": task_id, "attempt": attempt, "conversation_id": "c-1"}
    return {**line, **fields}


def line(event: str, task_id: str = "a", **fields: Any) -> dict[str, Any]:
    return {"event": event, "task_id": task_id, **fields}


def rested(attempt: int = 1, **fields: Any) -> dict[str, Any]:
    told = {"outcome": "failed", "reason": "network", "error": "it broke off", "attempt": attempt}
    return line("attempt_ended", **{**told, **fields})


def read(root: Path, journal: Any = (), status: Any = None) -> History:
    if not isinstance(journal, bytes):
        journal = b"".join(json.dumps(one).encode() + b"\n" for one in journal)
    (root / "journal.jsonl").write_bytes(journal)
    if status is not None:
        data = status if isinstance(status, bytes) else json.dumps(status).encode()
        (root / "status.json").write_bytes(data)
    return read_history(SessionPaths(str(root)))


def task(root: Path, *journal: dict[str, Any]) -> TaskHistory:
    return read(root, journal).tasks["a"]


# -- the journal ------------------------------------------------------------------------------


def test_a_session_that_never_had_a_runner_has_no_history(tmp_path: Path) -> None:
    history = read_history(SessionPaths(str(tmp_path / "nowhere")))
    assert (history.tasks, history.n_runners, history.started_at) == ({}, 0, None)


def test_runners_are_counted_and_the_first_one_began(tmp_path: Path) -> None:
    history = read(tmp_path, [STARTED, {**STARTED, "at": "2026-02-02T00:00:00.000Z"}])
    assert (history.n_runners, history.started_at) == (2, STARTED["at"])


def test_an_attempt_is_known_from_its_intent_to_its_process(tmp_path: Path) -> None:
    known = task(tmp_path, intent())
    assert (known.attempt, known.conversation_id, known.pid) == (1, "c-1", None)
    known = task(tmp_path, intent(), line("started", pid=77, at="t1"))
    assert (known.pid, known.began_at, known.started_at) == (77, "t1", "t1")
    assert (known.cause, known.rested, known.ended, known.n_free) == (None, None, None, 0)


def test_the_namespace_of_an_attempt_is_that_of_its_runner(tmp_path: Path) -> None:
    first, second = ({**STARTED, "pid_namespace": f"pid:[{number}]"} for number in (1, 2))
    assert task(tmp_path, first, intent(), second).pid_namespace == "pid:[1]"
    assert task(tmp_path, first, intent(), second, intent(attempt=2)).pid_namespace == "pid:[2]"
    assert task(tmp_path, {**STARTED, "pid_namespace": 7}, intent()).pid_namespace == ""
    (tmp_path / "task-a@3.jsonl").touch()
    assert task(tmp_path, first, intent()).pid_namespace == "", "only its stream tells of it"


def test_of_several_attempts_the_last_one_counts_and_the_first_one_began(tmp_path: Path) -> None:
    journal = [
        intent(),
        line("started", pid=77, at="t1"),
        line("stop", cause="throttled"),
        rested(counted=False, cost_usd=0.5, input_tokens=3),
        intent(attempt=2, conversation_id="c-2"),
    ]
    known = task(tmp_path, *journal)
    assert (known.attempt, known.conversation_id, known.n_free) == (2, "c-2", 1)
    assert (known.pid, known.cause, known.rested, known.started_at) == (None, None, None, None)
    assert known.began_at == "t1"
    known = task(tmp_path, *journal, line("started", pid=78, at="t2"))
    assert (known.pid, known.began_at, known.started_at) == (78, "t1", "t2")
    known = task(tmp_path, *journal, rested(2, counted=True, cost_usd=0.25, n_denials=1))
    assert known.n_free == 1
    assert known.figures == {"cost_usd": 0.75, "input_tokens": 3, "n_denials": 1}
    assert known.rested is not None
    told = (known.rested.outcome, known.rested.reason, known.rested.error)
    assert told == ("failed", "network", "it broke off")


def test_an_attempt_of_which_nobody_says_that_it_does_not_count_counts(tmp_path: Path) -> None:
    assert task(tmp_path, intent(), rested()).n_free == 0
    assert task(tmp_path, intent(), rested(counted=None)).n_free == 0


def test_a_figure_that_is_none_adds_nothing(tmp_path: Path) -> None:
    odd = rested(cost_usd="much", input_tokens=-1, n_denials=[2], output_tokens=True)
    assert task(tmp_path, intent(), rested(cost_usd=0.5), odd).figures == {"cost_usd": 0.5}


@pytest.mark.parametrize("cause", sorted(TERMINATION_CAUSES))
def test_why_an_attempt_was_to_be_stopped_is_known(tmp_path: Path, cause: str) -> None:
    assert task(tmp_path, intent(), line("stop", cause=cause)).cause == cause


@pytest.mark.parametrize("cause", ["check_timeout", "whim", None, 7, ["timeout"]])
def test_what_is_no_cause_of_a_stopped_attempt_is_none(tmp_path: Path, cause: Any) -> None:
    assert task(tmp_path, intent(), line("stop", cause=cause)).cause is None


def test_a_task_that_ended_keeps_what_was_said_of_it_but_no_figure_that_is_none(
    tmp_path: Path,
) -> None:
    fields = {"outcome": "failed", "reason": "api_error", "cost_usd": "much", "n_denials": 2}
    known = task(tmp_path, intent(), line("ended", at="t9", **fields), intent(attempt=2))
    assert known.ended == {**fields, "cost_usd": None}


@pytest.mark.parametrize(
    "fields",
    [{}, {"outcome": None}, {"outcome": "fine"}, {"outcome": ["failed"]}, {"outcome": "completed"}],
    ids=str,
)
def test_an_end_without_an_outcome_is_none(tmp_path: Path, fields: dict[str, Any]) -> None:
    assert task(tmp_path, intent(), line("ended", **fields)).ended is None


@pytest.mark.parametrize(
    "fields", [{"reason": "bad luck"}, {"outcome": "fine"}, {"reason": None}], ids=str
)
def test_an_attempt_that_ended_in_no_known_way_still_runs(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    known = task(tmp_path, intent(), rested(**fields, cost_usd=1.0, counted=False))
    assert (known.rested, known.n_free, known.figures) == (None, 0, {})


@pytest.mark.parametrize(
    "fields",
    [{"attempt": 0}, {"attempt": -1}, {"attempt": True}, {"attempt": "1"}, {"conversation_id": 5},
     {"conversation_id": ""}],
    ids=str,
)  # fmt: skip
def test_an_intent_that_lacks_something_is_none(tmp_path: Path, fields: dict[str, Any]) -> None:
    known = task(tmp_path, intent(**fields))
    assert (known.attempt, known.conversation_id) == (0, "")


def test_requests_are_known_in_their_order(tmp_path: Path) -> None:
    names = ["cancel-b", "pause", "cancel", "cancel-b"]
    journal = [{"event": "request", "name": name} for name in names]
    journal += [{"event": "request", "name": "max-parallel", "value": n} for n in (4, 0, -1, "9")]
    journal += [{"event": "request"}, {"event": "request", "name": ["cancel"]}]
    history = read(tmp_path, journal)
    assert history.cancels == ["cancel-b", "cancel", "cancel-b"]
    assert history.max_parallel == 0


def test_a_torn_last_line_is_nothing(tmp_path: Path) -> None:
    whole = json.dumps(intent()).encode() + b"\n"
    torn = json.dumps(line("ended", outcome="failed", reason="unknown")).encode()[:-1]
    known = read(tmp_path, whole + torn).tasks["a"]
    assert known.attempt == 1 and known.ended is None
    rest = json.dumps(intent(attempt=2)).encode()
    assert read(tmp_path, whole + torn + b"\n" + rest).tasks["a"].attempt == 2


def test_a_journal_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(json.dumps(intent()))
    (tmp_path / "journal.jsonl").symlink_to(other)
    assert read_history(SessionPaths(str(tmp_path))).tasks == {}


# -- status.json, where there is no journal ---------------------------------------------------

BASE = {"task_num": 1, "transaction_id": "a", "prompt": "p"}
RUNNING = {**BASE, "state": "running", "attempts": 2, "conversation_id": "c", "started_at": "t"}
ENDED = {**BASE, "state": "ended", "outcome": "failed", "reason": "signal", "cost_usd": 0.5}


def from_status(root: Path, *tasks: Any, journal: Any = ()) -> History:
    return read(root, journal, {"tasks": list(tasks)})


def test_without_a_journal_the_status_says_what_had_begun(tmp_path: Path) -> None:
    pending = {**BASE, "transaction_id": "p", "state": "pending", "attempts": 0}
    ended = {**ENDED, "transaction_id": "e"}
    history = from_status(tmp_path, RUNNING, pending, ended)
    assert set(history.tasks) == {"a", "e"}
    known = history.tasks["a"]
    assert (known.attempt, known.conversation_id) == (2, "c")
    assert known.began_at == known.started_at == "t"
    told = history.tasks["e"].ended
    assert told == {"state": "ended", "outcome": "failed", "reason": "signal", "cost_usd": 0.5}


@pytest.mark.parametrize(
    "told", [{**ENDED, "outcome": "fine"}, {**RUNNING, "attempts": 0}, {**RUNNING, "attempts": "2"}]
)
def test_what_a_status_does_not_tell_in_full_has_not_begun(
    tmp_path: Path, told: dict[str, Any]
) -> None:
    assert from_status(tmp_path, told).tasks == {}


def test_the_journal_knows_better_than_the_status(tmp_path: Path) -> None:
    history = from_status(tmp_path, ENDED, journal=[intent(attempt=5)])
    assert (history.tasks["a"].attempt, history.tasks["a"].ended) == (5, None)
    end = line("ended", outcome="succeeded", reason="completed")
    known = from_status(tmp_path, RUNNING, journal=[end]).tasks["a"]
    assert known.ended is not None and known.attempt == 0


@pytest.mark.parametrize(
    "late", [line("stop", cause="timeout"), line("started", pid=5), rested()], ids=str
)
def test_a_journal_whose_beginning_was_removed_leaves_it_to_the_status(
    tmp_path: Path, late: dict[str, Any]
) -> None:
    known = from_status(tmp_path, RUNNING, journal=[late]).tasks["a"]
    assert (known.attempt, known.conversation_id, known.ended) == (2, "c", None)


# -- any bytes at all -------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["intent", "started", "stop", "attempt_ended", "ended", "request", "runner_started", "a", "b",
     "cancel", "cancel-a", "max-parallel", "failed", "succeeded", "network", "completed", "timeout",
     "running", "state"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
NAMES = ("event", "task_id", "attempt", "conversation_id", "pid", "at", "cause", "outcome",
         "reason", "error", "counted", "cost_usd", "n_denials", "name", "value", "state",
         "transaction_id", "attempts", "started_at")  # fmt: skip
LINES = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, WORDS | VALUES))


def assert_sound(history: History) -> None:
    """What comes out can be worked with, whatever went in."""
    assert history.n_runners >= 0
    assert history.max_parallel is None or history.max_parallel >= 0
    assert all(name.startswith("cancel") for name in history.cancels)
    for known in history.tasks.values():
        assert known.ended is None or known.ended["outcome"] in states.OUTCOMES
        assert isinstance(known.attempt, int) and known.attempt >= 0
        assert known.cause is None or known.cause in TERMINATION_CAUSES
        assert known.rested is None or isinstance(known.rested, Outcome)
        assert known.n_free >= 0
        for figures in (known.figures, known.ended or {}):
            cost_usd = figures.get("cost_usd")
            assert cost_usd is None or 0 <= cost_usd < float("inf")


@relaxed
@given(st.binary(max_size=80), st.binary(max_size=80))
@example(b"[" * 100_000, b"[" * 100_000)
@example(b'5\n[]\nnull\n"intent"\n', b"5")
@example(b"9" * 5000 + b"\n", b'{"tasks":[' + b"9" * 5000 + b"]}")
@example(b"\xff\xfe\n\x00", b"\xff\xfe{}")
def test_any_bytes_are_read_without_an_error_and_end_no_task(
    tmp_path: Path, journal: bytes, status: bytes
) -> None:
    history = read(tmp_path, journal, status)
    assert not any(known.ended for known in history.tasks.values())
    assert_sound(history)


@pytest.mark.slow
@relaxed
@given(st.lists(LINES, max_size=8), st.lists(LINES | VALUES, max_size=4))
def test_any_lines_are_read_without_an_error_and_end_only_what_they_say_has_ended(
    tmp_path: Path, journal: list[dict[str, Any]], tasks: list[Any]
) -> None:
    history = read(tmp_path, journal, {"tasks": tasks})
    assert_sound(history)
    told = {
        one["task_id"]
        for one in journal
        if one.get("event") == "ended" and isinstance(one.get("task_id"), str)
    } | {
        one["transaction_id"]
        for one in tasks
        if isinstance(one, dict)
        and one.get("state") == "ended"
        and isinstance(one.get("transaction_id"), str)
    }
    assert {name for name, known in history.tasks.items() if known.ended is not None} <= told


@pytest.mark.slow
@relaxed
@given(st.lists(LINES, max_size=8), st.data())
def test_a_journal_cut_at_any_byte_is_one_of_its_beginnings(
    tmp_path: Path, journal: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = b"".join(json.dumps(one).encode() + b"\n" for one in journal)
    cut = data.draw(st.integers(0, len(whole)), label="cut")
    torn = read(tmp_path, whole[:cut])
    n_whole = whole[:cut].count(b"\n") + whole[: cut + 1].endswith(b"}\n")
    expected = read(tmp_path, journal[:n_whole])
    assert set(torn.tasks) == set(expected.tasks)
    for name, known in torn.tasks.items():
        for field in TaskHistory.__slots__:
            other = getattr(expected.tasks[name], field)
            assert repr(getattr(known, field)) == repr(other), "(NaN is not what it is)"


def test_warnings_are_restored_once_each_also_without_the_journal(tmp_path: Path) -> None:
    journal = [{"event": "warning", "text": t} for t in ("a policy", "a server", "a policy", 7)]
    status = {"warnings": ["a server", "another", None], "tasks": [7]}
    assert read(tmp_path, journal, status).warnings == ["a policy", "a server", "another"]
    assert read(tmp_path, [], {"warnings": "no list"}).warnings == []
