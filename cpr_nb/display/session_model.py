"""One session as a notebook shows it, without any widget: rows, figures, what can be asked."""

from __future__ import annotations

import time

from cpr_nb.display import row_deltas as rows_of
from cpr_nb.model import states
from cpr_nb.model.denials import denial_rule, denials_of
from cpr_nb.model.events import RunFacts
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, strip_controls
from cpr_nb.store.files import open_regular
from cpr_nb.store.read import Snapshot
from cpr_nb.store.spec_file import read_spec
from cpr_nb.store.watcher import Watcher
from cpr_nb.views.current_activity import Doing
from cpr_nb.views.notice import PROGRAM, notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.display.row_deltas import Row

#: How much of a stream is read in one look, so that a long one does not keep the others waiting.
LIMIT_BYTES = 1_000_000
_DOING_EVERY_S = 0.25
_MAX_RULES = 4


class Pane:
    """Follows one session.

    Args:
        root: The session's folder.

    Example:
        >>> pane = Pane("/no/such/session-1")
        >>> pane.look(), pane.rows, pane.snapshot.state
        (None, [], 'unreadable')
    """

    def __init__(self, root: str) -> None:
        self._watcher = Watcher(root)
        self.rows: list[Row] = []
        self._titles: list[str] | None = None
        self._running: set[int] = set()
        self._looked_at = 0.0
        self._doing = Doing(self._watcher.paths)
        self._is_new = True
        self._denied: dict[str, list[str]] = {}

    @property
    def snapshot(self) -> Snapshot:
        """The session as it was seen last."""
        return self._watcher.snapshot

    @property
    def short(self) -> str:
        """The first characters of its id, as a person types it."""
        return self.snapshot.session_id[:8]

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change unless somebody resumes it."""
        return not self.snapshot.is_live and self.snapshot.state != states.INTERRUPTED

    def look(self) -> list[rows_of.Change] | None:
        """Reads what is new.

        Returns:
            What has changed in `rows`; None if they are new as a whole.
        """
        changed = self._watcher.look()
        tasks = self.snapshot.tasks or []
        if self._is_new or len(tasks) != len(self.rows):
            self._is_new = False
            self._running = set()
            self._doing = Doing(self._watcher.paths, str(self.snapshot.head.get("cwd", "")))
            self.rows = [self._row(number) for number in range(len(tasks))]
            return None
        fresh = {number: self._row(number) for number in sorted(changed)}
        for number in self._running - changed if self._is_time() else ():
            row = list(self.rows[number])
            row[4:6] = rows_of.doing_now(tasks[number], self._doing, LIMIT_BYTES)
            fresh[number] = row
        told = rows_of.changes(self.rows, fresh)
        rows_of.apply(self.rows, told)
        return told

    def _is_time(self) -> bool:
        """Whether to look at what running tasks do: nobody reads it faster than this."""
        now = time.monotonic()
        is_time = now - self._looked_at >= _DOING_EVERY_S
        if is_time:
            self._looked_at = now
        return is_time

    def _row(self, number: int) -> Row:
        task = (self.snapshot.tasks or [])[number]
        row = rows_of.task_row(number, task, self._title(number), self._doing, LIMIT_BYTES)
        (self._running.add if row[2] == states.RUNNING else self._running.discard)(number)
        return row

    def _title(self, number: int) -> str:
        """The beginning of a prompt; of status.json's 50 characters if nothing else is known."""
        if self._titles is None:
            asked = read_spec(self._watcher.paths).get("tasks")
            tasks = asked if isinstance(asked, list) else []
            self._titles = [
                rows_of.title_of(str(task.get("prompt", ""))) if isinstance(task, dict) else ""
                for task in tasks
            ]
        told = self._titles[number] if number < len(self._titles) else ""
        return told or rows_of.title_of(str((self.snapshot.tasks or [])[number].get("prompt", "")))

    # -- what a person should know ----------------------------------------------------------

    def notice(self) -> str:
        """What it waits for, or why it does not go on; empty if there is nothing to say."""
        return one_line(strip_controls(notice(self.snapshot)))

    def denied_rules(self) -> list[str]:
        """The rules that would allow what was denied, each once."""
        found: dict[str, None] = {}
        for task in self.snapshot.tasks or ():
            if task.get("n_denials") and task_state(task)[0] == states.ENDED:
                found.update(dict.fromkeys(self._rules_of(task)))
        return list(found)

    def _rules_of(self, task: dict[str, Any]) -> list[str]:
        attempt = task.get("attempts")
        path = self._watcher.paths.stream(
            str(task.get("transaction_id", "")), attempt if isinstance(attempt, int) else 1
        )
        if path not in self._denied:
            facts = RunFacts()
            try:
                with open_regular(path) as stream:
                    for line in stream:
                        if b'"permission_denials"' in line:
                            facts.feed(line)
            except (OSError, ValueError):
                pass
            denials = denials_of(facts.result)
            self._denied[path] = [one_line(denial_rule(d), 80) for d in denials]
        return self._denied[path]

    def denial_notice(self) -> tuple[str, str]:
        """That tool calls were denied, and the call that allows them; empty if none were."""
        count = self.snapshot.count("n_denials")
        if not count:
            return "", ""
        n_tasks = sum(1 for row in self.rows if row[9])
        told = (
            f"{count} tool call{'s' * (count != 1)} denied in {n_tasks} task{'s' * (n_tasks != 1)}."
        )
        rules = self.denied_rules()[:_MAX_RULES]
        if not rules or self.snapshot.is_legacy:
            return told, ""
        return f"{told} Allow them:", f"s.retry(all_tasks=True, allow={rules!r})"

    # -- what can be asked ------------------------------------------------------------------

    def commands(self) -> dict[str, str]:
        """What can be asked of it now: the verb, and the command that does the same."""
        snapshot = self.snapshot
        if snapshot.is_legacy or snapshot.state == states.UNREADABLE:
            return {}
        verbs = []
        ended = (states.FAILED, states.CANCELLED, states.SKIPPED)
        if any(snapshot.count(f"n_{word}") for word in ended):
            verbs.append("retry")
        if snapshot.state in (states.PAUSED, states.WAITING, states.INTERRUPTED):
            verbs.append("resume")
        if snapshot.state in (states.STARTING, states.RUNNING, states.WAITING):
            verbs.append("pause")
        if snapshot.is_live or snapshot.state == states.INTERRUPTED:
            verbs.append("cancel")
        return {verb: f"{PROGRAM} {verb} {self.short}" for verb in verbs}
