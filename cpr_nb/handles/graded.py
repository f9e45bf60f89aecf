"""The grades of a session's answers, which another session gives."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Self

from cpr_nb.handles import waiting
from cpr_nb.handles.results import SessionResults
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.grader import HIGHEST, LOWEST, REASON_COLUMN, score_column
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.views.grades import counting_graders, grade_of, gradings
from cpr_nb.views.result_rows import result_rows

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.stats.agreement import Agreement
    from cpr_nb.views.lineage import LinkedTask


class SessionGrades(SessionResults):
    """The methods of a `Session` that concern grades."""

    def results_df(self, *, flatten: bool = False) -> pd.DataFrame:  # noqa: D102 - inherited
        table = super().results_df(flatten=flatten)
        if REASON_COLUMN in table:  # their range is known, also if somebody asked for them later
            column = score_column(table)
            self._score_ranges = {column: (LOWEST, HIGHEST), **self._score_ranges}
        return table

    def grade(
        self,
        rubric: str | None = None,
        *,
        model: str | None = None,
        regrade: bool = False,
        only: Collection[tuple[str, str]] | None = None,
        **options: Any,
    ) -> Self:
        """Has an agent grade each answer by a rubric, as a session of its own.

        An answer that has a grade by the same rubric and model is not graded again, so calling it
        twice costs nothing. Answers that are still to come are graded as soon as they are there.
        The grader has no tools and sees the rubric, the prompt, the answer, and the patch of the
        task's branch. Both are shown to it as material, not as instructions. What did not succeed
        has no answer, and gets no grade.

        Args:
            rubric: What a good answer is, in words. None takes the rubric of the launch, or that of
                the newest grades.
            model: The model that grades; default ``haiku``, or the one that has graded by this
                rubric.
            regrade: Whether to get a second opinion. It sees neither the first one nor other
                answers, and does not replace it: `regrades` returns them.
            only: The ids (session, task) of the answers to grade; None for all.
            **options: Options of `cpr_nb.launch` for the session that grades, such as
                ``max_parallel`` or ``budget_usd``.

        Returns:
            The session that grades. `results_df` of this one has the columns ``score`` (0 to 1),
            ``grade_reason`` and ``grade_cost_usd`` from then on.

        Raises:
            InputError: If there is no rubric, or an option can't be right.
            SessionNotUsable: If there is nothing to grade.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.grade("Is every claim backed by a line of the code?").wait()  # doctest: +SKIP
            >>> s.results_df()[["score", "grade_reason"]]  # doctest: +SKIP
        """
        from cpr_nb.launching.grade_later import GradeRequest, grade

        request = GradeRequest(rubric, model, regrade=regrade, only=only, options=options)
        return type(self)(grade(self.refresh().snapshot, request))

    @property
    def grading(self) -> Self | None:
        """The session that grades this one's answers, the newest if there are several; else None.

        Its ``cost_usd`` is what the grades cost; the cost of this session does not include it.
        """
        found = gradings(os.path.dirname(self.paths.root), {self.id})
        roots = [one.snapshot.paths.root for one in found if not one.is_regrade]
        return type(self)(roots[0]) if roots else None

    def regrades(self) -> dict[tuple[str, str], float | None]:
        """The second opinions: the ids of an answer (session, task) → its second score.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").regrades()  # doctest: +SKIP
            {('3f2a…', 'docs'): 0.5}
        """
        snapshot = self.refresh().snapshot
        ids = [row.answer.ids for row in result_rows(snapshot)]
        found = gradings(os.path.dirname(self.paths.root), {self.id, *(one[0] for one in ids)})
        graders = counting_graders(found, regrades=True)
        return {one: grade_of(graders[one]).score for one in ids if one in graders}

    def agreement(
        self,
        labels: str | Sequence[Any] | pd.Series[Any],
        *,
        threshold: float = 0.5,
        confidence: float = 0.95,
    ) -> Agreement:
        """How well the grades agree with labels that people have given.

        Args:
            labels: The name of a column of `results_df`, or one label a row. Labels are True and
                False, or numbers from 0 to 1 of few distinct values; missing ones are left out.
            threshold: With labels that are True or False, a grade from here on counts as True.
            confidence: That of the intervals.

        Returns:
            Cohen's kappa, the share of rows in agreement, and how many rows these rest on. It
            prints itself as a sentence.

        Raises:
            InputError: If the labels don't fit the rows or the grades.
            SessionNotUsable: If there are no grades.
            StatsMissing: If the extra ``stats`` is not installed.

        Example:
            >>> import cpr_nb as cpr
            >>> print(cpr.attach("3f2a").agreement("is_good"))  # doctest: +SKIP
        """
        from cpr_nb.frames.label_pairs import label_pairs
        from cpr_nb.stats.agreement import agreement

        results = self.results_df()
        if REASON_COLUMN not in results:
            raise SessionNotUsable(f"session {self.id} has no grades: s.grade('…') gets them")
        grades, known = label_pairs(results, labels)
        rows = [task.spec.get("row", number) for number, task in enumerate(self._linked())]
        return agreement(grades, known, rows=rows, threshold=threshold, confidence=confidence)

    def _linked(self) -> list[LinkedTask]:
        """The tasks of the rows of `results_df`."""
        return [row.task for row in result_rows(self.snapshot)]

    # -- waiting ----------------------------------------------------------------------------

    def wait(self, timeout: float | None = None) -> Self:
        """Waits until every task has ended, and has its grade if the launch asked for grades.

        Ctrl-C ends the wait, not the work.

        Args:
            timeout: The longest wait, in seconds; None waits as long as it takes.

        Returns:
            This session.

        Raises:
            WaitTimeout: If it has not ended in time. It continues.
            SessionInterrupted: If its runner is gone, or that of the session that grades it.
        """
        end = waiting.deadline(timeout)
        super().wait(timeout)
        if (grading := self._awaited()) is not None:
            waiting.until(lambda: grading.poll(grading.has_ended, end, ""), grading.paths.root)
        return self

    async def _wait_async(self) -> Self:
        await super()._wait_async()
        if (grading := self._awaited()) is not None:
            await waiting.until_async(
                lambda: grading.poll(grading.has_ended, None), grading.paths.root
            )
        return self

    def _awaited(self) -> Self | None:
        """The session that was launched with this one to grade it; None if there is none."""
        grading_id = self.snapshot.head.get("grading_id")
        if not isinstance(grading_id, str) or "/" in grading_id:
            return None
        root = f"{os.path.dirname(self.paths.root)}/{SESSION_PREFIX}{grading_id}"
        return type(self)(root) if os.path.isdir(root) else None
