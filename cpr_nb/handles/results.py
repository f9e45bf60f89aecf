"""The answers of a session's tasks, joined with the frame that they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.collection import SessionTasks
from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.views.result_rows import result_rows

if TYPE_CHECKING:
    import pandas as pd


class SessionResults(SessionTasks):
    """The methods of a `Session` that concern answers."""

    _score: tuple[str, Callable[[pd.Series[Any]], Any], dict[tuple[str, str], Any]] | None = None

    def results_df(self, *, flatten: bool = False) -> pd.DataFrame:
        """The frame that was mapped, joined with the answers that exist so far.

        The newest retry of a task counts, whichever session made it. A follow-up counts if it
        was given the same schema and succeeded. Rows that `cpr_nb.map` has reused are in it, with
        the answers of the sessions that ran them.

        Args:
            flatten: Whether nested objects of a schema become columns (``place.city``).

        Returns:
            The frame's columns and index (without a frame: the prompts), one column per factor,
            ``result`` or the columns of the schema (missing unless the task succeeded), then
            ``ok``, ``outcome``, ``cost_usd`` (US dollars, the CLI's own estimate), ``duration_s``,
            ``session_id`` and ``task_id``, of the run that counts. For a `launch`, a
            field with the name of one of these columns is called ``answer_<field>``.

        Raises:
            SessionNotUsable: If the session can't be read, or is gone.

        Example:
            >>> import cpr_nb as cpr
            >>> out = cpr.attach("3f2a").results_df()  # doctest: +SKIP
            >>> out[out.severity == "high"]  # doctest: +SKIP
        """
        from cpr_nb.frames.results import add_score, build_results

        snapshot = self.refresh().snapshot
        if snapshot.state == states.UNREADABLE:
            raise SessionNotUsable(f"can't read {snapshot.paths.root}: {snapshot.problem}")
        if snapshot.state == states.PLANNED:
            from cpr_nb.launching.input_plan import planned_results

            return planned_results(snapshot, self.rows_frame())
        table = build_results(snapshot, self.rows_frame(), flatten=flatten)
        return table if self._score is None else add_score(table, *self._score)

    def score(self, function: Callable[[pd.Series[Any]], Any], name: str = "score") -> pd.DataFrame:
        """Scores each row that has ended with a function of yours; `results_df` then has the score.

        Args:
            function: Called once with each row of `results_df` whose task has ended. It returns
                the row's score. It is called again for a row whose task was rerun.
            name: The column's name.

        Returns:
            `results_df` with the column, and a column ``<name>_error`` that says why the function
            failed for a row.

        Raises:
            InputError: If there is already a column of that name.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.score(lambda row: len(row.result))  # doctest: +SKIP
        """
        previous = self._score
        self._score = (name, function, {})
        try:
            return self.results_df()
        except Exception:
            self._score = previous
            raise

    def summary(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Compares groups of tasks: success, score, cost and speed.

        Args:
            by: The columns (or index levels) of `results_df` by which to group; default all
                factors.

        Returns:
            One row per group: ``n`` tasks, ``n_ended``, the share that is ``ok``, the mean score
            (if there is one, see `score`) and its standard deviation, the mean cost in US dollars
            and the mean duration in seconds of the ended tasks. Each share and mean has its 95 %
            confidence interval beside it, ``…_low`` to ``…_high``.

        Raises:
            InputError: If there is no such column.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.launch(["…"], vary={"model": ["sonnet", "opus"]})  # doctest: +SKIP
            >>> s.wait().summary(by="model")  # doctest: +SKIP
        """
        from cpr_nb.frames.summary import summarize

        score = None if self._score is None else self._score[0]
        return summarize(self.results_df(), by, self._factors(), score)

    def _factors(self) -> list[str]:
        names: dict[str, None] = {}
        for row in result_rows(self.snapshot):
            names.update(dict.fromkeys(row.task.spec.get("factors") or ()))
        return list(names)
