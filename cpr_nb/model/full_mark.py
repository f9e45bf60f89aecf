"""Best of N: which of a row's candidates solve it, and when no better one can come.

A candidate is one of the N tasks that a row has. Candidates of a row have consecutive numbers.
"""

from __future__ import annotations

from cpr_nb.model import states
from cpr_nb.model.verdict import has_verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

#: A candidate solves its row if it succeeds (its check passed), or if its score is a full mark.
BY_SUCCESS, BY_SCORE, UNKNOWN = "success", "score", ""
#: Why a candidate did not run, or not to its end: another one of its row had a full mark.
NOT_NEEDED = "not_needed"


class BestOf:
    """What session.json says of the candidates.

    Args:
        n: How many candidates a row has.
        at_once: How many of them may run at the same time.
        solved_by: Which ends solve a row: one of the constants above; empty if nothing tells.
        is_scored: Whether candidates get scores; the highest is the best.
        full_mark: The score from which no better candidate is needed; None if there is none.

    Example:
        >>> best_of = BestOf(5, 5, BY_SCORE, True, 1.0)
        >>> best_of.is_full_mark("succeeded", 1.0), best_of.is_full_mark("succeeded", 0.9)
        (True, False)
        >>> best_of.solves("succeeded", "completed", 0.9), best_of.solves(None, None, None)
        (False, None)
    """

    __slots__ = ("at_once", "full_mark", "is_scored", "n", "solved_by")

    def __init__(
        self,
        n: int,
        at_once: int,
        solved_by: str = BY_SUCCESS,
        is_scored: bool = False,
        full_mark: float | None = None,
    ) -> None:
        self.n = n
        self.at_once = at_once
        self.solved_by = solved_by
        self.is_scored = is_scored
        self.full_mark = full_mark

    @classmethod
    def of_json(cls, fields: Mapping[str, Any]) -> BestOf:
        """Reads what `as_json` has made."""
        return cls(*(fields.get(name) for name in _NAMES))  # type: ignore[arg-type]

    def as_json(self) -> dict[str, Any]:
        """As session.json keeps it."""
        return {name: getattr(self, name) for name in _NAMES}

    def is_full_mark(self, outcome: str | None, score: float | None) -> bool:
        """Whether no better candidate can come, so that the others of the row are not needed."""
        if outcome != states.SUCCEEDED:
            return False
        if not self.is_scored:
            return True
        return self.full_mark is not None and score is not None and score >= self.full_mark

    def solves(self, outcome: str | None, reason: str | None, score: float | None) -> bool | None:
        """Whether a candidate solves its row; None if that is not known.

        Args:
            outcome: How it ended; None before that.
            reason: Why.
            score: Its score; None if it has none.
        """
        if not self.solved_by or not has_verdict(outcome, reason):
            return None
        if self.solved_by == BY_SUCCESS or outcome != states.SUCCEEDED:
            return outcome == states.SUCCEEDED
        return None if score is None else self.is_full_mark(outcome, score)


def rows_without_success(outcomes: Sequence[str | None], n: int) -> list[int]:
    """The numbers of the rows, from 0, whose candidates have all ended, and none with success.

    Args:
        outcomes: How each candidate has ended, in order; None before that.
        n: How many candidates a row has.

    Example:
        >>> rows_without_success(["failed", "succeeded", "failed", "cancelled", "failed", None], 2)
        [1]
    """
    rows = [outcomes[start : start + n] for start in range(0, len(outcomes), n)]
    return [
        number for number, row in enumerate(rows) if None not in row and states.SUCCEEDED not in row
    ]


_NAMES = ("n", "at_once", "solved_by", "is_scored", "full_mark")
