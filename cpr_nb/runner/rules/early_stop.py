"""``stop_when="decided"``: tasks need not run once the comparison is decided without them.

Only the prefix counts: rows in the order that was drawn at the launch, up to the first one that has
not ended. Whatever has ended first is the easy part, and the failures that come quickly.
"""

from __future__ import annotations

import math

from cpr_nb.model import states
from cpr_nb.model.outcome import Outcome
from cpr_nb.model.sequential import THIS_TABLE, SequentialTest
from cpr_nb.model.verdict import has_verdict
from cpr_nb.runner import messages
from cpr_nb.runner.rules.rule import Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from typing import Any

    from cpr_nb.runner.messages import Event
    from cpr_nb.runner.rules.rule import TaskEnd
    from cpr_nb.runner.session_spec import SessionSpec

DECIDED = Outcome(states.SKIPPED, "decided", "not needed: what it was for is decided")
#: The interval that a reader sees is computed anew when there are so many more pairs.
_SHOWN_AGAIN = 1.05


class Level:
    """One level that is compared with the baseline.

    Args:
        number: Its number among the levels of the factor, from 0.
        value: The level.
        test: Decides about it.

    Attributes:
        at: How many rows of the order have entered, or are lost.
        shown: What status.json says of it.
    """

    def __init__(self, number: int, value: Any, test: SequentialTest) -> None:
        self.number, self.value, self.test = number, value, test
        self.at = 0
        self.shown: dict[str, Any] = {}
        self._n_shown = -1

    def fields(self, width: float, *, is_last: bool) -> dict[str, Any]:
        """What status.json says of it; computed only where there is enough that is new.

        Args:
            width: The width of the metric's range, whose unit the reader sees.
            is_last: Whether nothing more can come.
        """
        test = self.test
        is_new = test.n_pairs > max(self._n_shown * _SHOWN_AGAIN, self._n_shown)
        if is_new or ((test.verdict or is_last) and test.n_pairs != self._n_shown):
            self._n_shown = test.n_pairs
            low, high = test.interval()
            self.shown = {
                "level": self.value,
                "n_pairs": test.n_pairs,
                "difference": None if test.mean is None else test.mean * width,
                "low": low * width,
                "high": high * width,
            }
        return {**self.shown, "verdict": test.verdict or None, "n_lost": test.n_lost}


class StoppingRule(Rule):
    """Decides about each level, and closes what has not started of those that are decided.

    Args:
        rule: The field ``stop_rule`` of session.json (see `cpr_nb.launching.stopping`).
        order: The tasks in the order in which they start.
        late_scores: Whether a score comes some time after the end of its task.

    Example:
        >>> from cpr_nb.runner.rules.rule import TaskEnd
        >>> rule = {"metric": "ok", "factor": "model", "levels": ["a", "b"], "baseline": 0}
        >>> rule |= {"n_repeats": 1, "alpha": 0.05, "over": "rows like these", "range": [0, 1]}
        >>> stopping = StoppingRule(rule, range(60))
        >>> for task in range(24):
        ...     stopping.ended(task, TaskEnd("succeeded" if task % 2 else "failed", "completed"))
        >>> stopping.fields()["decision"]["levels"][0]["verdict"]
        'better'
        >>> [event.task for event in stopping.events(0.0)] == list(range(24, 60))
        True
    """

    def __init__(
        self, rule: Mapping[str, Any], order: Sequence[int], *, late_scores: bool = False
    ) -> None:
        self._rule = rule
        self._n_repeats: int = rule["n_repeats"]
        self._base: int = rule["baseline"]
        n_levels = len(rule["levels"])
        self._per_row: int = n_levels * self._n_repeats
        self._rows = list(dict.fromkeys(task // self._per_row for task in order))
        self._low: float = rule["range"][0]
        self._high: float = rule["range"][1]
        self._late_scores = late_scores and rule["metric"] == "score"
        self._levels = [self._level(number) for number in range(n_levels) if number != self._base]
        self._values: dict[int, float | None] = {}  # of a task; None: it will never be known
        self._unscored: set[int] = set()
        self._open = set(order)
        self._reopened: Collection[int] = ()
        self._has_begun = False
        self._closed: set[int] = set()  # the numbers of levels of which nothing more starts
        self._closing: set[int] = set()
        self._fields: dict[str, Any] | None = None

    def _level(self, number: int) -> Level:
        rule = self._rule
        delta = rule.get("delta")
        test = SequentialTest(
            len(self._rows),
            rule["alpha"] / (len(rule["levels"]) - 1),
            None if delta is None else delta / (self._high - self._low),
            rule["over"],
        )
        return Level(number, rule["levels"][number], test)

    # -- what it is told --------------------------------------------------------------------

    def reopened(self, tasks: Collection[int]) -> None:
        """The session had ended, and these tasks that it had skipped were to run after all."""
        self._reopened = tasks

    def ended(self, task: int, end: TaskEnd) -> None:
        """A task has ended; a later retry of it changes nothing here."""
        self._open.discard(task)
        self._fields = None
        if end.outcome == states.SKIPPED:
            return  # it may run later
        if end.outcome == states.CANCELLED and self._rule["over"] == THIS_TABLE:
            return  # what somebody did not want to see is still in the table
        if not has_verdict(end.outcome, end.reason):
            self._set(task, None)
        elif end.outcome != states.SUCCEEDED:
            self._set(task, 0.0)
        elif self._rule["metric"] == "ok":
            self._set(task, 1.0)
        elif end.score is None and self._late_scores:
            self._unscored.add(task)
        else:
            self._set(task, self._share(end.score))

    def scored(self, task: int, score: float | None) -> None:
        """A task got its score after its end; None: it will never get one."""
        if task in self._unscored:
            self._unscored.discard(task)
            self._fields = None
            self._set(task, self._share(score))

    def _share(self, score: float | None) -> float | None:
        """A score as a part of its range."""
        if score is None or math.isnan(score):
            return None
        return min(max((score - self._low) / (self._high - self._low), 0.0), 1.0)

    def _set(self, task: int, value: float | None) -> None:
        self._values[task] = value
        number = self._number(task)
        for level in self._levels:
            if number in (level.number, self._base):
                self._advance(level)

    def _advance(self, level: Level) -> None:
        """Lets the rows enter that have ended, as far as all before them have, too."""
        while level.at < len(self._rows) and not level.test.verdict:
            row = self._rows[level.at]
            values, base = self._values_of(row, level.number), self._values_of(row, self._base)
            if values is None or base is None:
                return
            level.at += 1
            if values and base:
                level.test.add(sum(values) / len(values) - sum(base) / len(base))
            else:
                level.test.lose()

    def _values_of(self, row: int, level: int) -> list[float] | None:
        """What the repeats of a row have under a level; None if one of them has not ended."""
        first = row * self._per_row + level * self._n_repeats
        tasks = range(first, first + self._n_repeats)
        if any(task not in self._values for task in tasks):
            return None
        return [value for task in tasks if (value := self._values[task]) is not None]

    # -- what follows -----------------------------------------------------------------------

    def events(self, now: float) -> Iterator[Event]:
        """Closes what waits to start of the levels that are decided.

        What runs goes on, so it is closed as well if it should wait for another attempt.
        """
        numbers = {level.number for level in self._levels if level.test.verdict}
        if len(numbers) == len(self._levels):
            numbers.add(self._base)
        if numbers != self._closed:
            new, self._closed = numbers - self._closed, numbers
            more = {task for task in self._open if self._number(task) in new}
            # Somebody knew the decision, and wants to see the rest all the same.
            self._closing |= more if self._has_begun else more.difference(self._reopened)
        self._has_begun = True
        self._closing &= self._open
        for task in sorted(self._closing):
            yield messages.Close(now, task, DECIDED)

    def _number(self, task: int) -> int:
        """The number of a task's level."""
        return task % self._per_row // self._n_repeats

    def fields(self) -> dict[str, Any]:
        """What the head of status.json says of it (see `cpr_nb.model.decision`)."""
        if self._fields is None:
            width, is_last = self._high - self._low, not (self._open or self._unscored)
            self._fields = {
                "metric": self._rule["metric"],
                "factor": self._rule["factor"],
                "baseline": self._rule["levels"][self._base],
                "alpha": self._rule["alpha"],
                "delta": self._rule.get("delta"),
                "over": self._rule["over"],
                "n_rows": len(self._rows),
                "levels": [level.fields(width, is_last=is_last) for level in self._levels],
            }
        return {"decision": self._fields}


def make_stopping(spec: SessionSpec) -> StoppingRule:
    """The rule of a session that has one.

    Args:
        spec: The session.
    """
    session = spec.session
    is_graded = (session.get("score") or {}).get("kind") == "grade"
    return StoppingRule(session["stop_rule"], session["order"], late_scores=is_graded)
