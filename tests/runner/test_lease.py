"""What the journal says of leases: which attempt may still run on a node, and which is over."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpr_nb.runner.history import History

EVENTS = ("intent", "lease", "started", "remote_ended", "remote_lost", "attempt_ended")


def token(attempt: int) -> str:
    return f"s/f/a@{attempt}"


def lines(events: list[str]) -> list[dict[str, Any]]:
    """Lines of one task, as a runner writes them: each about the newest attempt."""
    attempt, found = 0, []
    for event in events:
        attempt += event == "intent"
        more: dict[str, Any] = {"task_id": "a", "attempt": attempt, "token": token(attempt)}
        if event == "intent":
            more["conversation_id"] = "c"
        elif event == "lease":
            more |= {"node": "n1", "life": "n1.h.b.1.x", "kind": "attempt"}
        elif event == "remote_ended":
            more |= {"status": 256, "cause": None}
        elif event == "attempt_ended":
            more |= {"outcome": "failed", "reason": "network"}
        found.append({"event": event, **more})
    return found


def history(events: list[dict[str, Any]]) -> History:
    history = History()
    for line in events:
        history.feed(line)
    return history


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_an_attempt_may_run_on_a_node_from_its_lease_to_its_end(events: list[str]) -> None:
    since_intent = (
        events[len(events) - events[::-1].index("intent") :] if "intent" in events else []
    )
    is_leased = "lease" in since_intent
    since_lease = since_intent[since_intent.index("lease") :] if is_leased else []
    last = len(since_lease) - since_lease[::-1].index("lease") if is_leased else 0
    is_over = any(event in ("remote_ended", "remote_lost") for event in since_lease[last:])
    task = history(lines(events)).tasks.get("a")
    lease = task.lease if task is not None and task.attempt else None
    assert (lease is not None) == is_leased
    if lease is not None:
        assert (lease.token, lease.is_over) == (token(events.count("intent")), is_over)


@pytest.mark.parametrize(
    ("end", "status", "interrupted"),
    [
        ({"event": "remote_ended", "status": 256, "cause": None}, 256, False),
        ({"event": "remote_ended", "status": 15, "cause": "lease"}, 15, True),
        ({"event": "remote_lost", "why": "silent"}, None, True),
    ],
)
def test_an_end_of_our_own_making_is_none_of_the_attempt(
    end: dict[str, Any], status: int | None, interrupted: bool
) -> None:
    begun = lines(["intent", "lease", "started"])
    lease = history([*begun, {**end, "token": token(1)}]).tasks["a"].lease
    assert lease is not None
    assert (lease.is_over, lease.status, lease.interrupted) == (True, status, interrupted)


def test_a_shared_process_has_a_lease_of_its_own() -> None:
    lease = {"event": "lease", "process": 3, "node": "n", "life": "l", "token": "s/f/process-3"}
    found = history(
        [{**lease, "kind": "shared"}, {"event": "remote_lost", "token": "s/f/process-3"}]
    )
    assert found.process_leases[3].is_over
    assert not found.tasks


@pytest.mark.parametrize("value", [None, 3, "", {"a": 1}])
def test_a_lease_that_names_no_node_is_none(value: Any) -> None:
    begun = lines(["intent", "lease"])
    begun[1]["life"] = value
    assert history(begun).tasks["a"].lease is None
