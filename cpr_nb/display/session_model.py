"""One session as a notebook shows it, without any widget: rows, notices, possible actions."""

from __future__ import annotations

import time

from cpr_nb.display import row_deltas
from cpr_nb.display.reused_cells import ReusedCells
from cpr_nb.display.row_deltas import Column
from cpr_nb.model import states
from cpr_nb.model.denial_summary import DenialSummary
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.stats.live_forecast import live_forecast
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.current_activity import ActivityFollower
from cpr_nb.views.figures import FiguresFollower
from cpr_nb.views.followed_tasks import FollowedTasks
from cpr_nb.views.formatting import plural
from cpr_nb.views.notice import PROGRAM, notice, warnings_of
from cpr_nb.views.questions import questions_of
from cpr_nb.views.stream_denials import read_denials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.display.row_deltas import Row
    from cpr_nb.views.figures import Figures

#: How much of a stream is read in one poll, so that a long one does not keep the others waiting.
LIMIT_BYTES = 1_000_000
# How often it is read again what running tasks do: this many streams a second, but in this range.
_STREAMS_PER_S = 15
_ACTIVITY_EVERY_S = (0.25, 2.0)
_MAX_RULES = 4
_MAX_NOTES = 2


class SessionModel:
    """Follows one session.

    Args:
        root: The session's folder.

    Example:
        >>> model = SessionModel("/no/such/session-1")
        >>> model.refresh(), model.rows, model.snapshot.state
        (None, [], 'unreadable')
    """

    def __init__(self, root: str) -> None:
        self._followed = FollowedTasks(root)
        self.rows: list[Row] = []
        self._titles: list[str] | None = None
        self._n_tasks = 0
        self._running: set[int] = set()
        self._activity_read_at = 0.0
        self._activity = ActivityFollower(self.snapshot.paths)
        self._figures = FiguresFollower(self._activity, live_forecast)
        self._reused: ReusedCells | None = None
        self._denials: dict[str, list[dict[str, Any]]] = {}  # stream → its denials

    @property
    def snapshot(self) -> Snapshot:
        """The session as of the last refresh."""
        return self._followed.snapshot

    @property
    def figures(self) -> Figures:
        """Its figures as of the last refresh: the sum of its rows, and a forecast."""
        return self._figures.session(self.snapshot)

    @property
    def short(self) -> str:
        """The first characters of its id, as a person types it."""
        return self.snapshot.session_id[:8]

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change unless someone resumes it."""
        return not self.snapshot.is_live and self.snapshot.state != states.INTERRUPTED

    def refresh(self) -> list[row_deltas.Change] | None:
        """Reads what is new.

        Returns:
            What has changed in `rows`; None if they are new as a whole.
        """
        changed = set(self._followed.poll())
        tasks = self.snapshot.tasks or []
        if self._reused is None or len(tasks) != self._n_tasks:
            self._reused, self._n_tasks = ReusedCells(self.snapshot), len(tasks)
            self._running = set()
            cwd = str(self.snapshot.head.get("cwd", ""))
            self._activity = ActivityFollower(self.snapshot.paths, cwd)
            self._figures = FiguresFollower(self._activity, live_forecast)
            self.rows = [self._row(index) for index in range(len(tasks))]
            self.rows += self._reused.cells()
            return None
        fresh = {index: self._row(index) for index in sorted(changed)} | self._reused.poll()
        for index in self._running - changed if self._is_activity_due() else ():
            row = list(self.rows[index])
            row[Column.NOW], row[Column.SINCE] = row_deltas.activity_cells(
                tasks[index], self._activity, LIMIT_BYTES
            )
            self._fill_in_use(index, row)
            fresh[index] = row
        changes = row_deltas.diff_rows(self.rows, fresh)
        row_deltas.apply_changes(self.rows, changes)
        return changes

    def source(self, key: str) -> tuple[Snapshot, int]:
        """The session of a row as it is now, and the number of the row's task in it, from 0.

        Args:
            key: The row's key.

        Raises:
            LookupError: If there is no such row, or its session is gone.
        """
        keys = [row[Column.KEY] for row in self.rows]
        if key not in keys:
            raise LookupError(key)
        index = keys.index(key)
        if self._reused is not None and index >= self._n_tasks:
            return self._reused.source(index)
        return self.snapshot, index

    def _is_activity_due(self) -> bool:
        """Whether to read again what running tasks do: nobody reads it faster than this."""
        now, (fastest_s, slowest_s) = time.monotonic(), _ACTIVITY_EVERY_S
        every_s = min(slowest_s, max(fastest_s, len(self._running) / _STREAMS_PER_S))
        is_due = now - self._activity_read_at >= every_s
        if is_due:
            self._activity_read_at = now
        return is_due

    def _row(self, index: int) -> Row:
        task = (self.snapshot.tasks or [])[index]
        self._figures.update(index, task)
        row = row_deltas.task_cells(index, task, self._title(index), self._activity, LIMIT_BYTES)
        self._fill_in_use(index, row)
        if questions := questions_of(task):
            row[Column.STATE] = states.ASKING
            row[Column.NOW], row[Column.SINCE] = f"asks: {one_line(questions[0].target, 160)}", None
        is_running = row[Column.STATE] == states.RUNNING
        (self._running.add if is_running else self._running.discard)(index)
        return row

    def _fill_in_use(self, index: int, row: Row) -> None:
        row[Column.COST], row[Column.TOKENS], row[Column.ESTIMATED] = row_deltas.use_cells(
            self._figures.task(index)
        )

    def _title(self, index: int) -> str:
        """Returns the beginning of a prompt: session.json's, else status.json's 50 characters."""
        if self._titles is None:
            tasks = read_spec(self.snapshot.paths).get("tasks")
            self._titles = [
                row_deltas.title_of(str(task.get("prompt", ""))) if isinstance(task, dict) else ""
                for task in (tasks if isinstance(tasks, list) else ())
            ]
        title = self._titles[index] if index < len(self._titles) else ""
        prompt = (self.snapshot.tasks or [])[index].get("prompt", "")
        return title or row_deltas.title_of(str(prompt))

    # -- what a person should know ----------------------------------------------------------

    def notice(self) -> str:
        """Returns what it waits for or why it stopped; empty if there is nothing to say."""
        return one_line(notice(self.snapshot))

    def warnings(self) -> list[str]:
        """Returns what its runner warned of, one line each."""
        return warnings_of(self.snapshot)

    def denial_summary(self) -> DenialSummary:
        """Returns what helps against the denials of the tasks that have ended."""
        return DenialSummary(
            denial
            for task in self.snapshot.tasks or ()
            if task.get("n_denials") and task_state(task)[0] == states.ENDED
            for denial in self._denials_of(task)
        )

    def _denials_of(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        path = self.snapshot.paths.newest_stream(task)
        if path not in self._denials:
            self._denials[path] = read_denials(path)
        return self._denials[path]

    def denial_notice(self) -> tuple[str, str]:
        """Returns that tool calls were denied, and the call that allows them; empty if none.

        Where no rule would allow them, the text says why.
        """
        count = self.snapshot.count("n_denials")
        if not count:
            return "", ""
        n_tasks = sum(1 for row in self.rows if row[Column.DENIED])
        text = f"{plural(count, 'tool call')} denied in {plural(n_tasks, 'task')}."
        if self.snapshot.is_legacy:
            return text, ""
        summary = self.denial_summary()
        text = " ".join([text, *(one_line(note, 160) for note in summary.notes()[:_MAX_NOTES])])
        rules = [one_line(rule, 400) for rule in summary.rules[:_MAX_RULES]]
        if not rules:
            return text, ""
        return f"{text} To allow {'it' if count == 1 else 'them'}:", (
            f"s.retry(all_tasks=True, allow={rules!r})"
        )

    # -- possible actions -------------------------------------------------------------------

    def commands(self) -> dict[str, str]:
        """Returns the actions possible now: the verb, and the command that does the same."""
        snapshot = self.snapshot
        if snapshot.is_legacy or snapshot.state == states.UNREADABLE:
            return {}
        verbs = []
        retryable = (states.FAILED, states.CANCELLED, states.SKIPPED)
        if any(snapshot.count(f"n_{state}") for state in retryable):
            verbs.append("retry")
        if snapshot.state in (
            states.PAUSED,
            states.WAITING,
            states.UNREACHABLE,
            states.INTERRUPTED,
        ) or (snapshot.state in states.ENDED_STATES and snapshot.count("n_unsaved")):
            verbs.append("resume")
        if snapshot.state in (states.STARTING, states.RUNNING, states.WAITING):
            verbs.append("pause")
        if snapshot.is_live or snapshot.state == states.INTERRUPTED:
            verbs.append("cancel")
        return {verb: f"{PROGRAM} {verb} {self.short}" for verb in verbs}
