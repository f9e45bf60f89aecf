"""The answers of a session's tasks, joined with the frame that they are about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.collection import SessionTasks
from cpr_nb.model import states
from cpr_nb.model.decision import read_decision
from cpr_nb.model.errors import InputError, SessionNotUsable
from cpr_nb.views.result_rows import result_rows

if TYPE_CHECKING:
    import pandas as pd

#: The column of scores that the runner has written.
SCORE = "score"
#: What every summary averages.
TASK_METRICS = ("ok", "cost_usd", "duration_s")


class SessionResults(SessionTasks):
    """The methods of a `Session` that concern answers."""

    #: Column of a score → its least and its most, as the user has stated them.
    _score_ranges: Mapping[str, tuple[float, float]] = {}
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

    def score(
        self,
        function: Callable[[pd.Series[Any]], Any],
        name: str = SCORE,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> pd.DataFrame:
        """Scores each row that has ended with a function of yours; `results_df` then has the score.

        Args:
            function: Called once with each row of `results_df` whose task has ended. It returns
                the row's score. It is called again for a row whose task was rerun.
            name: The column's name.
            minimum: The worst score that there can be. With both ends known, intervals are better
                in few rows, and a task that has failed without a score counts as the worst.
            maximum: The best score that there can be.

        Returns:
            `results_df` with the column, and a column ``<name>_error`` that says why the function
            failed for a row.

        Raises:
            InputError: If there is already a column of that name, or the range is none.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.score(lambda row: len(row.result))  # doctest: +SKIP
        """
        if name == SCORE and SCORE in self.snapshot.head:
            raise InputError("the runner has scored the answers: give another name=", "name")
        ranges: dict[str, tuple[float, float]] = {}
        if minimum is not None and maximum is not None and minimum < maximum:
            ranges[name] = (minimum, maximum)
        elif minimum is not None or maximum is not None:
            raise InputError("takes both ends of the range, the smaller one first", "minimum")
        previous = self._score, self._score_ranges
        self._score, self._score_ranges = (name, function, {}), ranges
        try:
            return self.results_df()
        except Exception:
            self._score, self._score_ranges = previous
            raise

    def summary(
        self,
        by: str | Sequence[str] | None = None,
        *,
        metric: str | None = None,
        cluster: str | None = None,
    ) -> pd.DataFrame:
        """Compares groups of tasks: success, score, cost and speed.

        Repeats of a row are averaged first, and rows weigh equally. A failure counts: as not ok,
        and as the worst score of a known range. What the network, an account or a machine has ended
        is missing, as is what was cancelled or skipped.

        Args:
            by: The columns (or index levels) of `results_df` by which to group; default all
                factors.
            metric: A further column of numbers to average, such as a field of the schema.
            cluster: The column (or index level) whose rows of one value resemble each other, such
                as the repository that each row is about.

        Returns:
            One row per group: ``n`` tasks, ``n_ended``, ``n_rows`` that say something, the share
            that is ``ok``, the mean score (if there is one, see `score`) with the standard
            deviation between rows, the mean cost in US dollars and the mean duration in seconds.
            Each has its 95 % confidence interval beside it, ``…_low`` to ``…_high`` (this needs
            SciPy: ``pip install 'cpr_nb[stats]'``), and scores, costs and durations their means
            ``…_without_failures``. ``uncertain`` says which intervals may be too narrow, and why.
            ``attrs`` has ``n``, ``n_rows``, the ``method`` of each interval, and why tasks are
            ``missing``. A session with ``stop_when`` has the interval of each level's difference,
            ``…_difference``, instead of those of its means. See docs/statistics.md.

        Raises:
            InputError: If there is no such column, or a row has several clusters.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.launch(["…"], vary={"model": ["sonnet", "opus"]})  # doctest: +SKIP
            >>> s.wait().summary(by="model")  # doctest: +SKIP
        """
        from cpr_nb.frames.row_metrics import session_metric, task_facts
        from cpr_nb.frames.summary import summarize

        results = self.results_df()
        names = self._averaged(results, metric)
        ranges = self._score_ranges
        scores = [session_metric(self.snapshot, name, ranges) for name in names]
        facts = task_facts(self.snapshot)
        decision = read_decision(self.snapshot.head)
        return summarize(results, facts, by, self._factors(), scores, cluster, decision)

    def _averaged(self, results: pd.DataFrame, metric: str | None) -> list[str]:
        """The columns that a summary averages beside those that each has."""
        names = self._score_names(results)
        names += [name for name in self._score_ranges if name in results.columns]
        if metric is not None:
            check_metric(results, metric)
            names += [metric] if metric not in TASK_METRICS else []
        return list(dict.fromkeys(names))

    def _score_names(self, results: pd.DataFrame) -> list[str]:
        """The columns that are scores, that of `score` first."""
        frame = self.rows_frame()
        is_input = frame is not None and SCORE in frame.columns
        names = [SCORE] if SCORE in results.columns and not is_input else []
        return names if self._score is None else [self._score[0], *names]

    def _factors(self) -> list[str]:
        names: dict[str, None] = {}
        for row in result_rows(self.snapshot):
            names.update(dict.fromkeys(row.task.spec.get("factors") or ()))
        return list(names)


def check_metric(results: pd.DataFrame, metric: str) -> None:
    """Refuses the name of a column that is not there.

    Args:
        results: The table of results.
        metric: What the caller asked for.

    Raises:
        InputError: Naming the columns that are there.
    """
    if metric not in results.columns:
        existing = ", ".join(map(str, results.columns))
        raise InputError(f"the results have no column {metric!r}; they have {existing}", "metric")
