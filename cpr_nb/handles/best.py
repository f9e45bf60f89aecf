"""The best of N: what the candidates of a session did, as methods of its handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.handles.branches import SessionBranches
from cpr_nb.handles.core import print_line
from cpr_nb.handles.graded import SessionGrades
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.store.spec_file import read_spec

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from cpr_nb.display.decisions.best_page import BestRows
    from cpr_nb.display.decisions.decision_output import DecisionOutput
    from cpr_nb.views.candidates import Candidates
    from cpr_nb.worktrees.merge_report import MergeReport


class SessionBest(SessionGrades, SessionBranches):
    """The methods of a `Session` that concern candidates."""

    def best_df(self, *, regrade: bool = False) -> pd.DataFrame:
        """The best candidate of each row, of a session that was launched with ``best_of``.

        Those that succeeded come before those that failed, then the higher score counts. Of
        several that are equal, the first one is chosen; ``n_equal`` says so.

        Args:
            regrade: Whether to have the winners graded anew, and to wait for that: a grade by which
                one was picked is too good on average. It sees neither the first grade nor the
                other candidates, and does not change who has won. Each winner is paid for once.

        Returns:
            One row per row of the frame (or per prompt): its columns, the answer, score and level
            of the candidate that is chosen, ``solved``, by how much it is better (``margin``), how
            the candidates ended, what all of them cost, and the ids of the one that is chosen. So
            ``.cpr.merge()`` merges those. With second grades also ``rescored``.

        Raises:
            SessionNotUsable: If it was launched without ``best_of``, or can't be read.
            InputError: If winners without grades are to be graded anew.

        Example:
            >>> import cpr_nb as cpr, cpr_nb.pandas
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.best_df().query("solved").cpr.merge()  # doctest: +SKIP
        """
        from cpr_nb.display.decisions.best_page import best_parts
        from cpr_nb.frames.best_rows import best_table

        candidates, results = self._candidates()
        rescored = self._rescored(candidates, regrade=regrade)
        best = best_table(results, candidates, self._factors(), rescored)
        html = best_parts(_best_rows(candidates, results, rescored)).html()
        object.__setattr__(best, "_repr_html_", lambda: html)  # of this object, not of a part of it
        return best

    def best(self) -> DecisionOutput:
        """The best candidate of each row in words and as a table to read, not to compute with.

        Returns:
            What a notebook shows, and `print`; ``save("best.html")`` writes it into a file.

        Raises:
            SessionNotUsable: If it was launched without ``best_of``, or can't be read.

        Example:
            >>> import cpr_nb as cpr
            >>> print(cpr.attach("3f2a").best())  # doctest: +SKIP
        """
        from cpr_nb.display.decisions.best_page import best_parts
        from cpr_nb.display.decisions.decision_output import DecisionOutput

        candidates, results = self._candidates()
        rows = _best_rows(candidates, results, self._rescored(candidates))
        return DecisionOutput(best_parts(rows), f"The best of {self.name or self.id}")

    def pass_at_k(self) -> pd.DataFrame:
        """How often one of k candidates solves a row, and how often all k do, for each k.

        Where candidates were left out because a sibling had a full mark, it is about the first k
        in the order of their start. If several ran at once, that is known only within bounds, and
        how often all k do is not known: launch with ``at_once=1`` for figures.

        Returns:
            One row per ``k``: ``pass_at_k`` (missing where there are only bounds) between
            ``at_least`` and ``at_most`` in these rows, its 95 % interval for rows like these,
            ``pass_all_k`` with its interval, and ``n_rows``. The last row is how many rows are
            solved within N candidates. Intervals need SciPy: ``pip install 'cpr_nb[stats]'``.

        Raises:
            SessionNotUsable: If it was launched without ``best_of``.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").pass_at_k()[["k", "at_least", "at_most"]]  # doctest: +SKIP
        """
        from cpr_nb.frames.pass_table import pass_table

        return pass_table(self._candidates()[0])

    def remove_losers(self, report: MergeReport) -> None:
        """Removes the branches of the candidates that lost against those that were merged.

        Their patches stay in the session's folder (``task-….patch``). A branch that holds more than
        its patch stays, too.

        Args:
            report: What was merged.
        """
        from cpr_nb.worktrees.losers import remove_losers

        merged = {(one.session_id, one.task_id) for one in report.merged}
        losers = [
            one.ids[1]
            for row in self._candidates()[0].rows
            if row.best and row.best.ids in merged
            for one in row.candidates
            if one is not row.best and one.ids[0] == self.id
        ]
        n_removed = len(remove_losers({self.paths.root: losers}))
        if n_removed:
            print_line(
                f"removed {n_removed} branch{'es' * (n_removed != 1)} of candidates that were not "
                "chosen; their patches stay: task-….patch in the session's folder"
            )

    def _merged(self, report: MergeReport) -> None:
        if self._has_candidates():
            self.remove_losers(report)

    def _branch_ids(self, tasks: Iterable[str] | None) -> list[str]:
        if tasks is not None or not self._has_candidates():
            return super()._branch_ids(tasks)
        rows = self._candidates()[0].rows
        ids = [row.best.ids[1] for row in rows if row.best and row.best.is_ok]
        if not ids:
            raise SessionNotUsable(f"no candidate of {self.id} has succeeded: nothing to merge")
        return ids

    def _has_candidates(self) -> bool:
        return "best_of" in read_spec(self.paths)

    def _rescored(
        self, candidates: Candidates, *, regrade: bool = False
    ) -> dict[tuple[str, str], float] | None:
        """The second grades of the winners; None if there are none."""
        if not candidates.is_graded:
            if regrade:
                raise InputError(
                    "has no grades to give anew: launch with grade='…', or call s.grade('…')",
                    "regrade",
                )
            return None
        winners = {row.best.ids for row in candidates.rows if row.best and row.best.is_ok}
        if regrade and (missing := winners - self.regrades().keys()):
            self.grade(regrade=True, only=missing).wait()
        scores = {ids: score for ids, score in self.regrades().items() if ids in winners}
        known = {ids: score for ids, score in scores.items() if score is not None}
        return known or None

    def _candidates(self) -> tuple[Candidates, pd.DataFrame]:
        """The candidates, with the scores of the table of results, and that table."""
        from cpr_nb.frames.best_rows import session_candidates

        results = self.results_df()
        own_score = self._score[0] if self._score else None
        return session_candidates(self.snapshot, results, own_score), results


def _best_rows(
    candidates: Candidates, results: pd.DataFrame, rescored: dict[tuple[str, str], float] | None
) -> BestRows:
    """What the page of the best shows."""
    from cpr_nb.display.decisions.best_page import BestRows
    from cpr_nb.frames.best_rows import row_names

    return BestRows(candidates, *row_names(results, candidates), rescored)
