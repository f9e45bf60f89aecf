"""The candidates of each row of a session that looks for the best of N, and which one is chosen."""

from __future__ import annotations

import math

from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.full_mark import NOT_NEEDED, BestOf
from cpr_nb.model.grader import HIGHEST, LOWEST
from cpr_nb.model.record import task_state
from cpr_nb.model.verdict import has_verdict
from cpr_nb.store.spec_file import read_spec
from cpr_nb.views.result_rows import result_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.store.read import Snapshot

#: Scores that differ by less are the same.
_SAME = 1e-9


class Candidate:
    """One of the tasks of a row.

    Args:
        number: Its number in the row, from 1, which is the order in which they start.
        position: Its number in the table of results, from 0.
        ids: Its session and its task.
        fields: What status.json says of it.
        factors: Its levels of what varies.
        score: Its score; None if it has none.
        best_of: What solves a row.
        own_fields: What status.json says of the task that it was at first, if a retry has taken
            its place.

    Attributes:
        outcome: How it ended; None before that.
        reason: Why.
        solves: Whether it solves its row; None if that is not known.
        solves_at_first: The same without retries: how often one of k candidates solves a row is
            about the first k, not about those that somebody has tried again since.
    """

    def __init__(
        self,
        number: int,
        position: int,
        ids: tuple[str, str],
        fields: dict[str, Any],
        factors: dict[str, Any],
        score: float | None,
        best_of: BestOf,
        own_fields: dict[str, Any] | None = None,
    ) -> None:
        self.number, self.position, self.ids, self.score = number, position, ids, score
        self.factors = factors
        self.outcome: str | None = task_state(fields)[1]
        self.reason: str | None = fields.get("reason")
        cost = fields.get("cost_usd")
        self.has_started = bool(fields.get("attempts"))
        self.cost_usd = float(cost) if isinstance(cost, int | float) else None
        self.solves = self.solves_at_first = best_of.solves(self.outcome, self.reason, score)
        if own_fields is not None:
            end = task_state(own_fields)[1], own_fields.get("reason")
            if has_verdict(*end):  # else it says nothing, and the retry is the first that does
                self.solves_at_first = best_of.solves(*end, _score(own_fields.get("score")))
            first_cost = own_fields.get("cost_usd")  # what was spent before the retry is spent
            if isinstance(first_cost, int | float):
                self.cost_usd = first_cost + (self.cost_usd or 0.0)

    @property
    def is_ok(self) -> bool:
        """Whether it succeeded."""
        return self.outcome == states.SUCCEEDED

    @property
    def is_not_needed(self) -> bool:
        """Whether it was left out, or ended early, because of a sibling."""
        return self.reason == NOT_NEEDED

    @property
    def can_win(self) -> bool:
        """Whether it has an end that says something, and something to show."""
        is_known = has_verdict(self.outcome, self.reason)
        return self.is_ok or (is_known and self.score is not None)

    @property
    def rank(self) -> tuple[bool, float]:
        """The larger, the better."""
        return self.is_ok, -math.inf if self.score is None else self.score


class CandidateRow:
    """A row with its candidates.

    Args:
        candidates: All of them, in the order in which they start.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self.candidates = list(candidates)
        self._able = [candidate for candidate in candidates if candidate.can_win]
        #: The one that is chosen: of several that are equal, the first; None if none can be.
        self.best = max(self._able, key=lambda one: (one.rank, -one.number), default=None)

    @property
    def solved(self) -> bool | None:
        """Whether one of them solves the row; None if that is not known (yet)."""
        every = [candidate.solves for candidate in self.candidates]
        return True if True in every else None if None in every else False

    @property
    def n_equal(self) -> int:
        """How many are as good as the best one, which is one of them."""
        best = self.best
        return 0 if best is None else sum(_are_equal(one, best) for one in self._able)

    @property
    def margin(self) -> float | None:
        """By how much the best one's score is above the next one's; 0 for a tie.

        None if no second one succeeded (or failed) as the best one did, and has a score.
        """
        best = self.best
        if best is None or best.score is None:
            return None
        others = [
            one.score
            for one in self._able
            if one is not best and one.is_ok == best.is_ok and one.score is not None
        ]
        return best.score - max(others) if others else None

    @property
    def cost_usd(self) -> float | None:
        """What all of them cost; None if that is not known of any."""
        costs = [one.cost_usd for one in self.candidates if one.cost_usd is not None]
        return math.fsum(costs) if costs else None

    @property
    def n_unknown_costs(self) -> int:
        """How many have cost something that nobody knows, such as those that were cancelled."""
        return sum(one.has_started and one.cost_usd is None for one in self.candidates)

    def count(self, kind: str) -> int:
        """How many candidates ended in one way: ``ended``, ``failed``, ``not_needed`` or ``open``.

        Those that nothing is known of, because the machine or the network let them down, are none
        of these.
        """
        return sum(_kind(candidate) == kind for candidate in self.candidates)


def _kind(one: Candidate) -> str:
    if one.outcome is None:
        return "open"
    if one.is_not_needed:
        return "not_needed"
    if one.is_ok:
        return "ended"
    return "failed" if has_verdict(one.outcome, one.reason) else "lost"


def _are_equal(one: Candidate, other: Candidate) -> bool:
    if one.is_ok != other.is_ok or (one.score is None) != (other.score is None):
        return False
    return one.score is None or other.score is None or abs(one.score - other.score) < _SAME


class Candidates:
    """All rows of a session that looks for the best of N.

    Args:
        best_of: What the session was launched with.
        rows: The rows, in order.
        score_range: The smallest and the largest score that there can be, as far as known.
        is_graded: Whether an agent gives the scores, which would not be the same a second time.
    """

    def __init__(
        self,
        best_of: BestOf,
        rows: Sequence[CandidateRow],
        score_range: tuple[float | None, float | None] = (None, None),
        *,
        is_graded: bool = False,
    ) -> None:
        self.best_of = best_of
        self.is_graded = is_graded
        self.rows = list(rows)
        self.score_range = score_range

    @property
    def n_solved(self) -> int:
        """How many rows are solved."""
        return sum(row.solved is True for row in self.rows)

    @property
    def n_solved_by_retry(self) -> int:
        """How many rows are solved, but were not before somebody retried them."""
        return sum(
            row.solved is True and all(one.solves_at_first is False for one in row.candidates)
            for row in self.rows
        )

    @property
    def n_open(self) -> int:
        """Of how many rows it is not known (yet) whether they are solved."""
        return sum(row.solved is None for row in self.rows)

    @property
    def cost_usd(self) -> float:
        """What is known to have been spent on all rows, solved or not."""
        return math.fsum(row.cost_usd or 0.0 for row in self.rows)

    @property
    def cost_per_solved_usd(self) -> float | None:
        """All that was spent, by solved row; None if no row is solved, or nothing is known."""
        is_known = any(row.cost_usd is not None for row in self.rows)
        return self.cost_usd / self.n_solved if self.n_solved and is_known else None

    @property
    def n_unknown_costs(self) -> int:
        """How many candidates have cost something that nobody knows."""
        return sum(row.n_unknown_costs for row in self.rows)

    @property
    def has_left_out(self) -> bool:
        """Whether candidates were left out, or ended early, because of a sibling."""
        return any(one.is_not_needed for row in self.rows for one in row.candidates)

    def solutions(self) -> list[list[bool | None]]:
        """For each row, whether each candidate solves it at first, in the order of their start."""
        return [[one.solves_at_first for one in row.candidates] for row in self.rows]


def read_candidates(
    snapshot: Snapshot,
    scores: Sequence[float | None] | None = None,
    *,
    is_graded: bool = False,
) -> Candidates:
    """Reads the candidates of a session.

    Args:
        snapshot: The session.
        scores: The score of each task, if it is not the one that the runner has written.
        is_graded: Whether these scores are grades.

    Raises:
        SessionNotUsable: If it was launched without ``best_of``.
    """
    spec = read_spec(snapshot.paths)
    fields = spec.get("best_of")
    if not isinstance(fields, dict):
        raise SessionNotUsable(
            f"{snapshot.session_id} has no candidates to choose from: launch with best_of="
        )
    best_of = BestOf.of_json(fields)
    if scores is not None:
        best_of.is_scored = True
    candidates = [
        Candidate(
            position % best_of.n + 1,
            position,
            row.answer.ids,
            row.answer.fields,
            row.task.spec.get("factors") or {},
            _score(row.answer.fields.get("score") if scores is None else scores[position]),
            best_of,
            None if row.answer.ids == row.task.ids else row.task.fields,
        )
        for position, row in enumerate(result_rows(snapshot))
    ]
    starts = range(0, len(candidates), best_of.n)
    rows = [CandidateRow(candidates[start : start + best_of.n]) for start in starts]
    if scores is not None:
        bounds = (LOWEST, HIGHEST) if is_graded else (None, None)
        return Candidates(best_of, rows, bounds, is_graded=is_graded)
    score = spec.get("score")
    score = score if isinstance(score, dict) else {}
    return Candidates(best_of, rows, (_score(score.get("minimum")), _score(score.get("maximum"))))


def _score(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not math.isnan(value)
    return float(value) if is_number else None
