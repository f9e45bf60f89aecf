"""What the state machine's test draws: plans, ends, limits, and what an earlier runner left."""

from __future__ import annotations

from hypothesis import strategies as st

from cpr_nb.model.limits import ACCESS, LOGIN, USAGE
from cpr_nb.model.outcome import Outcome
from cpr_nb.runner.task_state import AttemptState, RestoredTask, TaskPlan
from testkit import task_book as books
from testkit.task_book import Book

# Whole and half seconds, so that sums are exact and a moment is met to the point.
SECONDS = st.integers(1, 40).map(lambda halves: halves / 2)
MAYBE_SECONDS = SECONDS | st.just(0.0)
LIMITS_S = st.none() | st.sampled_from([0.5, 2.0, 7.0, 30.0])
PLANS = st.builds(
    TaskPlan,
    LIMITS_S,
    LIMITS_S,
    first_byte_s=LIMITS_S,
    linger_s=LIMITS_S,
    schema=st.booleans(),
    attempts=st.sampled_from([1, 2, 4]),
    check=st.booleans(),
    check_timeout_s=LIMITS_S,
    fail_on_denied=st.booleans(),
    task_budget_usd=st.sampled_from([None, 0.25, 0.5]),
)
GOOD = {"is_error": False, "structured_output": {"n": 1}}
RESULTS = st.sampled_from(
    [
        None,
        {"is_error": False},
        GOOD,
        GOOD,
        {**GOOD, "permission_denials": [{"tool_name": "Bash"}]},
        {"is_error": True, "terminal_reason": "api_error"},
        {"is_error": True, "api_error_status": 529},
        {"is_error": True, "subtype": "error_during_execution"},
        {},
    ]
)
EXITS = st.sampled_from([(0, None), (1, None), (143, None), (None, 9), (None, 15), (None, None)])
COSTS = st.none() | st.sampled_from([0.0, 0.25, 0.5, 1.0, 5.0])
KINDS = st.sampled_from([USAGE, LOGIN, LOGIN, ACCESS])
LOGIN_WAITS_S = st.sampled_from([2.0, 100.0, 43_200.0])
RESETS_S = st.none() | st.sampled_from([-5.0, 3.0, 90.0, 4000.0])
CAUSES = st.sampled_from(["cancelled", "timeout", "silence", "throttled", "refused", "lingered"])
FOR_EVER = float("inf")
ENDS = [Outcome("succeeded", "completed"), Outcome("cancelled", "cancelled")]


def draw_past(data: st.DataObject, tasks: list[Book]) -> dict[int, RestoredTask]:
    """Tasks as an earlier runner may have left them."""
    past: dict[int, RestoredTask] = {}
    for task, book in enumerate(tasks):
        kind = data.draw(st.sampled_from(["new", "ended", "rests", "ran"]), label="past")
        if kind == "new":
            continue
        n_before = data.draw(st.integers(0, book.plan.attempts - 1), label="counted")
        book.n_free = data.draw(st.integers(0, 2), label="free")
        book.attempt = n_before + book.n_free + 1
        book.conversation_id = f"p-{task}"
        if kind == "ended":
            outcome = data.draw(st.sampled_from(ENDS), label="end")
            book.state, book.outcome, book.n_finished = books.ENDED, outcome, 1
            past[task] = RestoredTask(outcome, None)
            continue
        if kind == "rests" and book.attempt > 1:
            book.attempt -= 1  # the last one; the next one counts on
            book.state, book.outcome = books.RESTING, Outcome("failed", "network", "gone")
            active = AttemptState(book.attempt + 1, f"p-{task}", "go_on", book.n_free)
            active.outcome = book.outcome
            past[task] = RestoredTask(book.outcome, active)
        else:
            active = AttemptState(book.attempt, f"p-{task}", "", book.n_free)
            book.cause = active.cause = data.draw(st.none() | CAUSES, label="stopped for")
            book.state = books.STARTING
            past[task] = RestoredTask(None, active)
    return past
