"""Writes the journal, status.json, answers and runner.json of one session."""

from __future__ import annotations

import os
import time

from cpr_nb.model import record, states
from cpr_nb.runner.journal import JournalWriter
from cpr_nb.store.times import parse_iso, utc_iso
from cpr_nb.store.write import StatusWriter, dump, write_new

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.model.outcome import Outcome
    from cpr_nb.runner.history import History, TaskHistory
    from cpr_nb.runner.instructions import Harvest, ReportParallel, ReportState, Rest
    from cpr_nb.runner.task_run import TaskRun
    from cpr_nb.store.layout import SessionPaths

# status.json is rewritten as a whole; that may take at most this share of the runner's time.
_WRITE_SHARE = 0.04
_MIN_INTERVAL_S = 0.1
# How often writing is tried again when nothing can be written.
_TRY_AGAIN_S = 1.0


class Recorder:
    """Records what happens to a session.

    The journal is written at once, status.json soon after (see `flush`).

    Args:
        paths: The session's paths.
        session: What session.json says of the session as a whole.
        bases: The unchanging fields of each task's status.
        runner: What runner.json says about this process.
        history: What earlier runners of the session wrote.
        keeps_end: Whether the session had ended, and its end stays as it was.
    """

    def __init__(
        self,
        paths: SessionPaths,
        session: dict[str, Any],
        bases: Iterable[dict[str, Any]],
        runner: dict[str, Any],
        history: History,
        *,
        keeps_end: bool = False,
    ) -> None:
        self._paths = paths
        self._old_end = history.end if keeps_end else {}
        self._writer = JournalWriter(paths.journal)
        self._status = StatusWriter(paths.status, {}, bases)
        self._n_tasks = self._status.n_tasks
        self._counts = dict.fromkeys(record.COUNTERS.values(), 0)
        self._sums: dict[str, float] = {}
        self._n_unsaved = self._n_kept = 0
        self._running: dict[int, dict[str, Any]] = {}
        self._carried: dict[int, dict[str, Any]] = {}  # figures of earlier attempts
        self._dirty = True
        self._next_write_at = 0.0
        self._status_trouble = ""
        self._started_at = time.time()
        self.runner = runner
        self.head = record.first_head(session, self._n_tasks)
        self.head["state"] = states.RUNNING
        self.head["started_at"] = history.started_at or utc_iso(self._started_at)
        if history.n_runners:
            self.head["n_resumes"] = history.n_runners
            self._started_at = parse_iso(history.started_at) or self._started_at
        if history.max_parallel is not None:
            self.set_parallel(history.max_parallel)
        warnings = list(dict.fromkeys([*self.head.get("warnings", ()), *history.warnings]))
        if warnings:
            self.head["warnings"] = warnings
        self.journal("runner_started", **runner)
        self.write_runner()

    def task_id(self, task: int) -> str:
        """The id of task number ``task`` (from 0)."""
        return str(self._status.base(task)["transaction_id"])

    def number(self, task_id: str) -> int | None:
        """The number of a task (from 0); None if there is no such task."""
        # Ids are not kept: 5,000 of them would take half a megabyte for a rare request.
        numbers = range(self._n_tasks)
        return next((number for number in numbers if self.task_id(number) == task_id), None)

    def journal(self, event: str, **fields: Any) -> None:
        """Appends a line to the journal."""
        self._writer.journal(dump({"at": utc_iso(time.time()), "event": event, **fields}))

    def write_runner(self, **fields: Any) -> None:
        """Writes runner.json with these further fields."""
        self.runner.update(fields)
        try:
            write_new(self._paths.runner, dump(self.runner) + b"\n")
        except OSError as error:
            self._writer.failed(error)

    @property
    def trouble(self) -> str:
        """Why nothing can be written just now; empty if all is well."""
        return self._writer.trouble or self._status_trouble

    # -- what earlier runners did -----------------------------------------------------------

    def restore_task(self, task: int, past: TaskHistory) -> None:
        """Restores what an earlier runner knew of a task."""
        if past.ended is not None:
            self._status.set_task(task, past.ended)
            self._count(past.ended["outcome"], past.ended)
            return
        fields = record.running_fields(
            past.attempt, past.conversation_id, past.began_at or utc_iso(time.time())
        )
        if past.rested is not None:
            fields |= {"state": states.RETRYING, "reason": past.rested.reason}
        self._running[task] = fields
        self._carried[task] = past.figures
        self._show_running(task)

    # -- tasks ------------------------------------------------------------------------------

    def intent(self, task_id: str, attempt: int, conversation_id: str, **place: int) -> None:
        """Records that an attempt is about to start.

        Args:
            task_id: The task's id.
            attempt: Which attempt it is, from 1.
            conversation_id: Its conversation.
            place: The process that serves it, and the offset in its stream, if it is shared.
        """
        known = {"task_id": task_id, "attempt": attempt, "conversation_id": conversation_id}
        self.journal("intent", **known, **place)

    def started(self, task: int, task_run: TaskRun, pid: int, **place: str) -> None:
        """Records that an attempt's process runs.

        Args:
            task: The task's number, from 0.
            task_run: The attempt.
            pid: The process.
            place: The node that it runs on, if it is not this machine.
        """
        known = {"task_id": task_run.task_id, "attempt": task_run.number}
        self.journal("started", **known, pid=pid, **place)
        # A task with further attempts began with the first one.
        began_at = self._running.get(task, {}).get("started_at") or utc_iso(time.time())
        fields = record.running_fields(task_run.number, task_run.conversation_id, began_at)
        self._running[task] = {**fields, **place}
        self._show_running(task)

    def _show_running(self, task: int, **fields: str) -> None:
        """Shows a task that runs, with what its earlier attempts used."""
        shown = {**self._running.get(task, {}), **fields}
        self._status.set_task(task, record.add_figures(shown, self._carried.get(task, {})))
        self._dirty = True

    def answered(
        self, task: int, task_run: TaskRun, facts: RunFacts, outcome: Outcome, note: str
    ) -> None:
        """Records a good answer of a task whose process still runs: its figures and its text."""
        answer = record.answer_text(outcome, facts).encode("utf-8", "replace")
        self._writer.answer(self._paths.answer(task_run.task_id), answer)
        self.waits(task, facts, note, answered_at=utc_iso(time.time()))

    def waits(self, task: int, facts: RunFacts, note: str, **fields: str) -> None:
        """Records what the process of a task waits for, whose turn has ended."""
        figures = record.safe_figures(record.facts_fields(facts))
        figures = {name: figure for name, figure in figures.items() if figure is not None}
        figures = record.add_figures(self._carried.get(task, {}), figures)
        shown = {**self._running.get(task, {}), **figures, **fields, "note": note}
        self._status.set_task(task, shown)
        self._dirty = True

    def asks(self, task: int, questions: list[dict[str, Any]]) -> None:
        """Records which questions of a task are open."""
        running = {k: v for k, v in self._running.get(task, {}).items() if k != "questions"}
        if task in self._running:
            self._running[task] = {**running, "questions": questions} if questions else running
            self._show_running(task)

    def works_again(self, task: int) -> None:
        """Records that a task's process no longer only waits."""
        self._show_running(task)

    def ended(self, task: int, task_run: TaskRun, outcome: Outcome) -> dict[str, Any] | None:
        """Records the end of a task; returns its fields, None if only its work was saved again."""
        if task_run.recorded:
            self._saved_again(task, task_run)
            return None
        running = self._running.pop(task, {})
        answer = record.answer_text(outcome, task_run.facts).encode("utf-8", "replace")
        self._writer.answer(self._paths.answer(task_run.task_id), answer)
        fields = record.ended_fields(
            running,
            outcome,
            task_run.exit,
            task_run.facts,
            ended_at=utc_iso(time.time()),
            duration_s=task_run.duration_s if running else None,
            extra={**task_run.extra, "note": "; ".join(task_run.notes) or None},
        )
        fields = record.add_figures(fields, self._carried.pop(task, {}))
        self.journal("ended", task_id=task_run.task_id, **fields)
        self._status.set_task(task, fields)
        self._count(outcome.outcome, fields)
        self._dirty = True
        return fields

    def _saved_again(self, task: int, task_run: TaskRun) -> None:
        """Records another harvest of a task that has ended before."""
        recorded = task_run.recorded
        fields = record.saved_again(recorded, task_run.extra, task_run.notes)
        self.journal("ended", task_id=task_run.task_id, **fields)
        self._status.set_task(task, fields)
        self._n_unsaved += record.is_unsaved(fields) - record.is_unsaved(recorded)
        self._n_kept += record.is_kept(fields) - record.is_kept(recorded)
        self._dirty = True

    def harvest(self, harvest: Harvest, task_run: TaskRun) -> None:
        """Records how a task ended whose worktree is about to be harvested."""
        outcome = harvest.outcome
        self.journal(
            "harvest",
            task_id=task_run.task_id,
            outcome=outcome.outcome,
            reason=outcome.reason,
            error=outcome.error,
        )

    def resting(self, rest: Rest, task_run: TaskRun) -> None:
        """Records the end of an attempt that another one will follow."""
        task, outcome, exit_ = rest.task, rest.outcome, task_run.exit
        figures = record.facts_fields(task_run.facts) if task_run.facts else {}
        self.journal(
            "attempt_ended",
            task_id=task_run.task_id,
            outcome=outcome.outcome,
            reason=outcome.reason,
            error=outcome.error,
            exit_code=exit_.exit_code if exit_ else None,
            signal=exit_.signal if exit_ else None,
            duration_s=round(task_run.duration_s, 3),
            retry_in_s=round(rest.delay_s, 3),
            counted=rest.counted,
            **{name: figures[name] for name in record.SUMMED if figures.get(name) is not None},
        )
        self._carried[task] = record.add_figures(self._carried.get(task, {}), figures)
        reason = {"reason": outcome.reason, "error": outcome.error}
        self._show_running(task, state=states.RETRYING, **reason)

    def _count(self, outcome: str, fields: dict[str, Any]) -> None:
        self._counts[record.COUNTERS[outcome]] += 1
        self._n_unsaved += record.is_unsaved(fields)
        self._n_kept += record.is_kept(fields)
        for name in record.SUMMED:
            if fields.get(name) is not None:
                self._sums[name] = self._sums.get(name, 0) + fields[name]

    # -- the session ------------------------------------------------------------------------

    def report_state(self, report: ReportState, until_s: float | None) -> None:
        """Records the session's own state.

        Args:
            report: The state.
            until_s: Until when it waits, in seconds since the epoch, if that is known.
        """
        until = utc_iso(until_s) if until_s is not None else None
        new = {"waiting_for": report.reason, "waiting_until": until, "notice": report.notice}
        for name, value in new.items():
            if value:
                self.head[name] = value
            else:
                self.head.pop(name, None)
        self.head["state"] = report.state
        self.journal("state", state=report.state, **{k: v for k, v in new.items() if v})
        self._dirty = True

    def check_files(self) -> None:
        """Has status.json written again if someone removed it, even while nothing happens."""
        if not os.path.exists(self._paths.status):
            self._dirty = True

    def warn(self, *warnings: str) -> None:
        """Records what concerns the whole session, once each."""
        known = self.head.get("warnings", [])
        for warning in warnings:
            if warning not in known:
                known.append(warning)
                self.head["warnings"] = known
                self.journal("warning", text=warning)
                self._dirty = True

    def set_parallel(self, max_parallel: int) -> None:
        """Records how many tasks may run at once now, as someone has set it."""
        for name in record.PARALLEL_NOW:
            self.head.pop(name, None)
        self.head["max_parallel"] = max_parallel
        self._dirty = True

    def show(self, **fields: Any) -> None:
        """Shows fields of the session as a whole, such as its nodes."""
        self.head |= fields
        self._dirty = True

    def report_parallel(self, report: ReportParallel) -> None:
        """Records how many tasks may run at once by default now, and why."""
        self.journal("parallel", n=report.level, why=report.why)
        self.head |= {"parallel_now": report.level, "parallel_why": report.why}
        self._dirty = True

    def flush_due_s(self, now: float) -> float | None:
        """The seconds until `flush` has something to do; None if it has nothing."""
        if self._dirty or self.trouble:
            return max(0.0, self._next_write_at - now)
        return None

    def flush(self, now: float) -> None:
        """Writes status.json if it changed and was last written long enough ago.

        Args:
            now: Seconds of a clock that never goes back.
        """
        if (self._dirty or self.trouble) and now >= self._next_write_at:
            begin = time.monotonic()
            self._writer.renew()
            if self._writer.trouble:
                self._writer.retry()
            self._write()
            took_s = time.monotonic() - begin
            pause_s = _TRY_AGAIN_S if self.trouble else _MIN_INTERVAL_S
            self._next_write_at = now + max(pause_s, took_s / _WRITE_SHARE)

    def end(self, state: str, error: str = "") -> None:
        """Records the end of the session: the last journal line and the last status.json."""
        for name in ("waiting_for", "waiting_until", "notice", *record.PARALLEL_NOW):
            self.head.pop(name, None)  # it waits for nothing any more
        self.head["overall_status"] = self.head["state"] = state
        ended_at = time.time()
        if error:
            self.head["error"] = error
        self.head["end_time"] = int(ended_at)
        self.head["ended_at"] = utc_iso(ended_at)
        self.head["duration_s"] = round(max(0.0, ended_at - self._started_at), 3)
        if not error:
            self.head |= self._old_end
        self.journal("session_ended", state=state, error=error)
        self.write_durably()

    def leave(self, signal: int) -> None:
        """Records that this runner leaves before the end; the next one continues from here."""
        if signal:
            self.head["notice"] = f"its runner was stopped (signal {signal})"
        self.journal("runner_ended", signal=signal)
        self.write_durably()

    def write_durably(self) -> bool:
        """Writes everything durably; returns whether that succeeded."""
        if self._writer.trouble:
            self._writer.retry()
        self._write(durable=True)
        return not self.trouble

    def _write(self, *, durable: bool = False) -> None:
        counts = self._counts
        n_ended = sum(counts.values())
        n_questions = sum(len(task.get("questions", ())) for task in self._running.values())
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
            **({"n_unsaved": self._n_unsaved} if self._n_unsaved else {}),
            **({"n_kept": self._n_kept} if self._n_kept else {}),
            **({"n_questions": n_questions} if n_questions else {}),
            "updated_at": utc_iso(time.time()),
        }
        self._status.head = head
        try:
            self._status.write(durable=durable)
            self._dirty, self._status_trouble = False, ""
        except OSError as error:
            self._status_trouble = error.strerror or str(error)
