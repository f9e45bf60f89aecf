"""Session folders of rows whose costs and durations are drawn, as they are at any moment."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cpr_nb.model.record import base_fields
from cpr_nb.store.times import utc_iso

BEGIN_S = 1_700_000_000.0


def play_session(
    results: Path,
    durations_s: Sequence[float],
    *,
    costs_usd: Sequence[float] | None = None,
    n_pilot: int | None = None,
    n_slots: int = 4,
    until_end_of: int | None = None,
    failed: Sequence[int] = (),
    number: int = 1,
    **head: Any,
) -> Path:
    """Writes the folder of a session whose tasks run in order, one a row.

    Args:
        results: The results directory.
        durations_s: How long each task takes.
        costs_usd: What each costs; None: a cent a second.
        n_pilot: How many of the first are a pilot after which nothing else ran.
        n_slots: How many run at once.
        until_end_of: It is seen when so many have ended; None: all of them.
        failed: The numbers of those that fail, from 0.
        number: Tells sessions apart.
        **head: Fields of the head of status.json.
    """
    costs = [one / 100 for one in durations_s] if costs_usd is None else costs_usd
    n_all, n_run = len(durations_s), n_pilot or len(durations_s)
    slots, spans = [BEGIN_S] * n_slots, []
    for duration_s in durations_s[:n_run]:
        begin_s = heapq.heappop(slots)
        spans.append((begin_s, begin_s + duration_s))
        heapq.heappush(slots, begin_s + duration_s)
    now_s = sorted(end_s for _, end_s in spans)[(until_end_of or n_run) - 1]
    tasks = []
    for index in range(n_all):
        fields = base_fields(index + 1, f"t{index}", f"prompt {index}")
        span = spans[index] if index < n_run else None
        tasks.append({**fields, **_state(span, now_s, costs[index], index in failed)})
    is_over = until_end_of in (None, n_run)
    states = [task.get("outcome") for task in tasks]
    usual = {
        "schema_version": 3 if n_pilot else 1,
        "overall_status": "completed" if is_over else "running",
        "start_time": int(BEGIN_S),
        "total": n_all,
        "completed": sum(outcome is not None for outcome in states),
        "max_parallel": n_slots,
    }
    if n_pilot:
        usual["pilot"] = {"state": "ended", "n_tasks": n_pilot, "n_held": n_all - n_pilot}
    folder = results / f"session-00000000-0000-4000-8000-{number:012}"
    folder.mkdir(parents=True)
    (folder / "status.json").write_text(json.dumps({**usual, **head, "tasks": tasks}))
    spec = {"tasks": [{"id": f"t{index}", "row": index} for index in range(n_all)]}
    (folder / "session.json").write_text(json.dumps(spec))
    return folder


def _state(
    span: tuple[float, float] | None, now_s: float, cost_usd: float, is_failed: bool
) -> dict[str, Any]:
    if span is None:
        return {"state": "ended", "outcome": "skipped", "reason": "pilot", "attempts": 0}
    if span[0] > now_s:
        return {"state": "pending", "attempts": 0}
    began = {"attempts": 1, "started_at": utc_iso(span[0])}
    if span[1] > now_s:
        return {**began, "state": "running"}
    outcome, reason = ("failed", "check_failed") if is_failed else ("succeeded", "completed")
    return {
        **began,
        "state": "ended",
        "outcome": outcome,
        "reason": reason,
        "ended_at": utc_iso(span[1]),
        "duration_s": span[1] - span[0],
        "cost_usd": cost_usd,
        "input_tokens": int(1000 * cost_usd),
    }
