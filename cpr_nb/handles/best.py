"""The best of N: what the candidates of a session did, as methods of its handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.handles.results import SessionResults

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.display.decisions.best_page import BestRows
    from cpr_nb.display.decisions.decision_output import Decision
    from cpr_nb.views.candidates import Candidates


class SessionBest(SessionResults):
    """The methods of a `Session` that concern candidates."""

    def best_df(self) -> pd.DataFrame:
        """The best candidate of each row, of a session that was launched with ``best_of``.

        Those that succeeded come before those that failed, then the higher score counts. Of
        several that are equal, the first one is chosen; ``n_equal`` says so.

        Returns:
            One row per row of the frame (or per prompt): its columns, the answer, score and level
            of the candidate that is chosen, ``solved``, by how much it is better (``margin``), how
            the candidates ended, what all of them cost, and the ids of the one that is chosen. So
            ``.cpr.merge()`` merges those.

        Raises:
            SessionNotUsable: If it was launched without ``best_of``, or can't be read.

        Example:
            >>> import cpr_nb as cpr, cpr_nb.pandas
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.best_df().query("solved").cpr.merge()  # doctest: +SKIP
        """
        from cpr_nb.display.decisions.best_page import best_parts
        from cpr_nb.frames.best_rows import best_table

        candidates, results = self._candidates()
        best = best_table(results, candidates, self._factors())
        html = best_parts(_best_rows(candidates, results)).html()
        object.__setattr__(best, "_repr_html_", lambda: html)  # of this object, not of a part of it
        return best

    def best(self) -> Decision:
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
        from cpr_nb.display.decisions.decision_output import Decision

        return Decision(
            best_parts(_best_rows(*self._candidates())), f"The best of {self.name or self.id}"
        )

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

    def _candidates(self) -> tuple[Candidates, pd.DataFrame]:
        """The candidates, with the scores of the table of results, and that table."""
        from cpr_nb.views.candidates import read_candidates

        results = self.results_df()
        scores = None
        if self._score is not None:  # s.score(function) has replaced what the runner wrote
            from cpr_nb.frames.best_rows import scores_of

            scores = scores_of(results, self._score[0])
        return read_candidates(self.snapshot, scores), results


def _best_rows(candidates: Candidates, results: pd.DataFrame) -> BestRows:
    """What the page of the best shows."""
    from cpr_nb.display.decisions.best_page import BestRows
    from cpr_nb.frames.best_rows import row_names

    return BestRows(candidates, *row_names(results, candidates))
