"""How far each row of a session is, as of now or as of an earlier moment."""

from __future__ import annotations

from functools import lru_cache

from cpr_nb.model import states
from cpr_nb.model.json_values import integer
from cpr_nb.model.prompt_rows import prompt_rows
from cpr_nb.model.record import task_state
from cpr_nb.model.row_progress import RowProgress, SessionProgress
from cpr_nb.model.verdict import has_verdict
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.spec_file import read_spec, task_of
from cpr_nb.store.times import parse_iso
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.figures import session_figures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.figures import FiguresFollower

#: Why a task that was skipped does not come any more, or may.
_MAY_COME = ("pilot",)
_NOT_NEEDED = "not_needed"


class _TaskProgress:
    """One task at a moment."""

    __slots__ = ("cost_usd", "has_begun", "has_ended", "may_come", "n_tokens", "ran_s", "span")

    def __init__(
        self, task: dict[str, Any], cost_usd: float | None, n_tokens: int | None, at_s: float | None
    ) -> None:
        state, outcome = task_state(task)
        self.ran_s = task_duration_s(task) or 0.0
        self.has_begun = state in (states.RUNNING, states.RETRYING) or bool(task.get("attempts"))
        self.has_ended = state == states.ENDED
        self.may_come = outcome != states.SKIPPED or task.get("reason") in _MAY_COME
        self.cost_usd, self.n_tokens = cost_usd, n_tokens
        begin_s = parse_iso(task.get("started_at"))
        self.span: tuple[float, float] | None = None
        if begin_s is not None and self.has_begun:
            end_s = parse_iso(task.get("ended_at")) if self.has_ended else None
            self.span = (begin_s, begin_s + self.ran_s if end_s is None else end_s)
        if at_s is not None:
            self._go_back(at_s)

    def _go_back(self, at_s: float) -> None:
        """As it was at an earlier moment; costs came in as evenly as time."""
        if self.span is None or self.span[0] > at_s:
            self.has_begun = self.has_ended = False
            self.ran_s, self.cost_usd, self.n_tokens, self.span = 0.0, None, None, None
        elif self.span[1] > at_s:
            share = (at_s - self.span[0]) / (self.span[1] - self.span[0])
            self.has_ended = False
            self.ran_s *= share
            self.cost_usd = None if self.cost_usd is None else self.cost_usd * share
            self.n_tokens = None if self.n_tokens is None else int(self.n_tokens * share)
            self.span = (self.span[0], at_s)


@lru_cache(maxsize=8)
def _row_numbers(root: str, n_tasks: int) -> list[int]:
    """The row of each task; what a session is to do never changes."""
    raw = read_spec(SessionPaths(root)).get("tasks")
    return prompt_rows([task_of(raw, index) for index in range(n_tasks)])


class RowsSoFar:
    """The rows of a session, read once.

    Args:
        snapshot: The session, with its tasks.
        figures: Its figures, if they are known already.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> RowsSoFar(read_session("/no/such/session-1")).progress().n_rows
        0
    """

    def __init__(self, snapshot: Snapshot, figures: FiguresFollower | None = None) -> None:
        self._snapshot = snapshot
        self._fields = snapshot.tasks or []
        self._members: dict[int, list[int]] = {}
        for index, row in enumerate(_row_numbers(snapshot.paths.root, len(self._fields))):
            self._members.setdefault(row, []).append(index)
        figures = figures or session_figures(snapshot)
        self._used = [figures.task(index) for index in range(len(self._fields))]

    @property
    def tasks_per_row(self) -> int:
        """How many tasks a row has."""
        return max((len(members) for members in self._members.values()), default=1)

    def progress(self, at_s: float | None = None) -> SessionProgress:
        """How far the rows are.

        Args:
            at_s: An earlier moment, in seconds since the epoch; None for now.
        """
        snapshot = self._snapshot
        tasks = [
            _TaskProgress(task, used.cost_usd, used.n_tokens, at_s)
            for task, used in zip(self._fields, self._used, strict=True)
        ]
        rows, n_more = [], 0
        for members in self._members.values():
            parts = [tasks[index] for index in members]
            if any(part.has_begun for part in parts):
                first_s = min((part.span[0] for part in parts if part.span), default=0.0)
                rows.append((first_s, _row([self._fields[index] for index in members], parts)))
            elif any(part.may_come for part in parts):
                n_more += 1
        rows.sort(key=lambda pair: pair[0])
        return SessionProgress(
            rows=[row for _, row in rows],
            n_more=n_more if _may_go_on(snapshot) or at_s is not None else 0,
            tasks_per_row=self.tasks_per_row,
            n_slots=_n_slots(snapshot, len(tasks)),
            spent_usd=sum(task.cost_usd or 0.0 for task in tasks),
            n_tokens=sum(task.n_tokens or 0 for task in tasks),
            elapsed_s=_covered_s([task.span for task in tasks if task.span is not None]),
            is_held=_is_held(snapshot),
        )

    def ends_s(self) -> list[float]:
        """When each row that has ended did so, in seconds since the epoch, the earliest first."""
        ends = []
        for members in self._members.values():
            tasks = [self._fields[index] for index in members]
            ran = [task for task in tasks if task.get("attempts")]
            times = [parse_iso(task.get("ended_at")) for task in ran]
            others = [task for task in tasks if not task.get("attempts")]
            if ran and None not in times and all(t.get("reason") == _NOT_NEEDED for t in others):
                ends.append(max(time for time in times if time is not None))
        return sorted(ends)


def _may_go_on(snapshot: Snapshot) -> bool:
    return snapshot.state not in states.ENDED_STATES or _is_held(snapshot)


def _is_held(snapshot: Snapshot) -> bool:
    pilot = snapshot.head.get("pilot")
    return isinstance(pilot, dict) and bool(pilot.get("n_held"))


def _n_slots(snapshot: Snapshot, n_tasks: int) -> int:
    n_slots = snapshot.count("max_parallel")
    if snapshot.is_live:
        n_slots = snapshot.count("parallel_now") or n_slots
    return n_slots or max(n_tasks, 1)


def _row(fields: Sequence[dict[str, Any]], parts: Sequence[_TaskProgress]) -> RowProgress:
    costs = [part.cost_usd for part in parts if part.has_begun]
    counts = [part.n_tokens for part in parts if part.has_begun]
    is_missing = is_failed = is_denied = False
    for task, part in zip(fields, parts, strict=True):
        is_denied |= bool(integer(task.get("n_denials"))) and part.has_begun
        if part.has_ended:
            outcome, reason = task_state(task)[1], task.get("reason")
            counts_for_row = has_verdict(outcome, reason)
            is_missing |= not counts_for_row and reason != _NOT_NEEDED
            is_failed |= counts_for_row and outcome != states.SUCCEEDED
    return RowProgress(
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        n_tokens=None if None in counts else sum(count for count in counts if count is not None),
        task_s=[part.ran_s for part in parts if part.has_begun],
        n_running=sum(part.has_begun and not part.has_ended for part in parts),
        n_waiting=sum(not part.has_begun and not part.has_ended for part in parts),
        is_failed=is_failed,
        is_denied=is_denied,
        is_missing=is_missing,
    )


def _covered_s(spans: Sequence[tuple[float, float]]) -> float:
    """How long at least one of these spans went on.

    Example:
        >>> _covered_s([(0.0, 2.0), (1.0, 3.0), (10.0, 11.0)])
        4.0
    """
    covered_s, until_s = 0.0, float("-inf")
    for begin_s, end_s in sorted(spans):
        covered_s += max(0.0, end_s - max(begin_s, until_s))
        until_s = max(until_s, end_s)
    return covered_s
