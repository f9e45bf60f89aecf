"""The runner's pen: journal, status.json, answers and runner.json of one session."""

from __future__ import annotations

import os
import sys
import time

from cpr_nb.model import record, states
from cpr_nb.store.write import StatusWriter, append_line, dump, open_append, utc_iso, write_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.model.outcome import Exit, Outcome
    from cpr_nb.store.layout import SessionPaths

# status.json is rewritten as a whole, so it may take this share of the runner's time at most.
_WRITE_SHARE = 0.04
_MIN_INTERVAL_S = 0.1


class Recorder:
    """Writes down what happens to a session.

    The journal is written at once, status.json soon after (see `flush`).

    Args:
        paths: The session's paths.
        asked: The head of session.json.
        bases: The unchanging fields of each task's status.
        runner: What runner.json says of this process.
    """

    def __init__(
        self,
        paths: SessionPaths,
        asked: dict[str, Any],
        bases: Iterable[dict[str, Any]],
        runner: dict[str, Any],
    ) -> None:
        self._paths = paths
        self._journal_fd = open_append(paths.journal)
        self._status = StatusWriter(paths.status, {}, bases)
        self._n_tasks = self._status.n_tasks
        self._counts = dict.fromkeys(record.COUNTERS.values(), 0)
        self._sums: dict[str, float] = {}
        self._running: dict[int, dict[str, Any]] = {}
        self._carried: dict[int, dict[str, Any]] = {}  # figures of earlier attempts
        self._dirty = True
        self._next_write_at = 0.0
        self._started_at = time.time()
        self.runner = runner
        self.head = first_head(asked, self._n_tasks)
        self.head["state"] = states.RUNNING
        self.head["started_at"] = utc_iso(self._started_at)
        self.journal("runner_started", **runner)
        self.write_runner()

    def journal(self, event: str, **fields: Any) -> None:
        """Appends a line to the journal."""
        append_line(self._journal_fd, {"at": utc_iso(time.time()), "event": event, **fields})

    def write_runner(self, **found: Any) -> None:
        """Writes runner.json, with what was found out since."""
        self.runner.update(found)
        write_new(self._paths.runner, dump(self.runner) + b"\n")

    # -- tasks ------------------------------------------------------------------------------

    def intent(self, task_id: str, attempt: int, conversation_id: str) -> None:
        """An attempt is about to start."""
        self.journal("intent", task_id=task_id, attempt=attempt, conversation_id=conversation_id)

    def started(
        self, task: int, task_id: str, attempt: int, conversation_id: str, pid: int
    ) -> None:
        """An attempt's process runs."""
        self.journal("started", task_id=task_id, attempt=attempt, pid=pid)
        # Of a further attempt: the task itself began with the first one.
        began_at = self._running.get(task, {}).get("started_at") or utc_iso(time.time())
        fields = record.running_fields(attempt, conversation_id, began_at)
        self._running[task] = fields
        self._status.set_task(task, fields)
        self._dirty = True

    def ended(
        self,
        task: int,
        task_id: str,
        outcome: Outcome,
        exit_: Exit | None,
        facts: RunFacts | None,
        duration_s: float,
        extra: dict[str, Any],
    ) -> None:
        """A task ended: its answer, its journal line, its status."""
        running = self._running.pop(task, {})
        answer = record.answer_text(outcome, facts).encode("utf-8", "replace")
        try:
            self._write_answer(task_id, answer)
        except OSError as error:  # the stream has it too: no reason to lose the other tasks
            print(f"{self._paths.answer(task_id)}: {error}", file=sys.stderr, flush=True)
        fields = record.ended_fields(
            running,
            outcome,
            exit_,
            facts,
            ended_at=utc_iso(time.time()),
            duration_s=duration_s,
            extra=extra,
        )
        fields = record.add_figures(fields, self._carried.pop(task, {}))
        self.journal("ended", task_id=task_id, **fields)
        self._status.set_task(task, fields)
        self._count(outcome.outcome, fields)
        self._dirty = True

    def resting(
        self,
        task: int,
        task_id: str,
        outcome: Outcome,
        exit_: Exit,
        facts: RunFacts | None,
        duration_s: float,
        delay_s: float,
    ) -> None:
        """An attempt failed for a reason that passes; another one will start."""
        figures = record.facts_fields(facts) if facts else {}
        self.journal(
            "attempt_ended",
            task_id=task_id,
            outcome=outcome.outcome,
            reason=outcome.reason,
            error=outcome.error,
            exit_code=exit_.exit_code,
            signal=exit_.signal,
            duration_s=round(duration_s, 3),
            retry_in_s=round(delay_s, 3),
            **{name: figures[name] for name in record.SUMMED if figures.get(name) is not None},
        )
        self._carried[task] = record.add_figures(self._carried.get(task, {}), figures)
        retrying = {**self._running[task], "state": states.RETRYING}
        retrying |= {"reason": outcome.reason, "error": outcome.error}
        self._status.set_task(task, retrying)
        self._dirty = True

    def _write_answer(self, task_id: str, answer: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        fd = os.open(self._paths.answer(task_id), flags, 0o600)
        try:
            while answer:
                answer = answer[os.write(fd, answer) :]
        finally:
            os.close(fd)

    def _count(self, outcome: str, fields: dict[str, Any]) -> None:
        self._counts[record.COUNTERS[outcome]] += 1
        for name in record.SUMMED:
            if name in fields:
                self._sums[name] = self._sums.get(name, 0) + fields[name]

    # -- the session ------------------------------------------------------------------------

    def touch(self) -> None:
        """The head changed: write it soon."""
        self._dirty = True

    def flush_due_s(self, now: float) -> float | None:
        """In how many seconds `flush` has something to do; None if it has nothing."""
        return max(0.0, self._next_write_at - now) if self._dirty else None

    def flush(self, now: float) -> None:
        """Writes status.json if it changed and the last time is long enough ago.

        Args:
            now: Seconds of a clock that never goes back.
        """
        if self._dirty and now >= self._next_write_at:
            begin = time.monotonic()
            self._write()
            took_s = time.monotonic() - begin
            self._next_write_at = begin + max(_MIN_INTERVAL_S, took_s / _WRITE_SHARE)

    def end(self, state: str, error: str = "") -> None:
        """The session is over: the last journal line and the last status.json."""
        self.head["overall_status"] = self.head["state"] = state
        ended_at = time.time()
        if error:
            self.head["error"] = error
        self.head["end_time"] = int(ended_at)
        self.head["ended_at"] = utc_iso(ended_at)
        self.head["duration_s"] = round(ended_at - self._started_at, 3)
        self.journal("session_ended", state=state, error=error)
        self._write(durable=True)

    def _write(self, *, durable: bool = False) -> None:
        counts = self._counts
        n_ended = sum(counts.values())
        sums = {
            name: round(total, 6) if name == "cost_usd" else total
            for name, total in self._sums.items()
        }
        head = {
            **self.head,
            "completed": n_ended,
            "successful": counts["n_succeeded"],
            "n_pending": self._n_tasks - n_ended - len(self._running),
            "n_running": len(self._running),
            **counts,
            **sums,
            "updated_at": utc_iso(time.time()),
        }
        self._status.head = head
        self._status.write(durable=durable)
        self._dirty = False


def first_head(asked: dict[str, Any], n_tasks: int) -> dict[str, Any]:
    """The head of status.json before anything ran: the seed's fields first."""
    options = asked.get("options", {})
    head = {
        "session_id": asked["session_id"],
        "overall_status": "running",
        "start_time": int(asked["start_time"]),
        "total": n_tasks,
        "completed": 0,
        "successful": 0,
        "schema_version": record.SCHEMA_VERSION,
        "state": states.STARTING,
        "name": asked.get("name"),
        "created_at": asked["created_at"],
        "cwd": asked["cwd"],
        "max_parallel": asked["max_parallel"],
        "permissions": options.get("permissions", "edits"),
        "model": options.get("model"),
        "executor": asked.get("executor"),
        "parent_session_id": asked.get("parent_session_id"),
        "n_pending": n_tasks,
        "n_running": 0,
    }
    return {name: value for name, value in head.items() if value is not None}
