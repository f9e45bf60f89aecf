"""What a session's tasks have answered, as a table beside the frame that they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.handles.session import Session


class Results:
    """The methods of a `Session` that concern answers.

    Attributes:
        frame: The frame that `cpr_nb.map` was given, in the process that called it.
    """

    frame: pd.DataFrame | None = None
    _score: tuple[str, Callable[[pd.Series[Any]], Any], dict[tuple[str, str], Any]] | None = None

    @property
    def _me(self) -> Session:
        return self  # type: ignore[return-value]  # it is never anything else

    def rows_frame(self) -> pd.DataFrame | None:
        """The frame whose rows the tasks are about; None if there is none.

        What JSON can't hold is text in it, unless this process has made the session.
        """
        if self.frame is None:
            from cpr_nb.frames.frame_json import read_frame

            self.frame = read_frame(self._me.paths.frame)
        return self.frame

    def results_df(self, *, flatten: bool = False) -> pd.DataFrame:
        """The frame that was mapped, joined with the answers: now, as far as they are there.

        Of a task that was retried the newest attempt counts, whichever session made it; so
        does a follow-up that was given the same schema and succeeded.

        Args:
            flatten: Nested objects of a schema as columns of their own (``place.city``).

        Returns:
            The frame's columns and index (without a frame: the prompts), a column a factor,
            ``result`` or the columns of the schema (missing unless the task succeeded), then
            ``session_id``, ``task_id``, ``ok``, ``outcome``, ``cost_usd`` (US dollars, the
            CLI's own estimate) and ``duration_s``, of the attempt that counts. Of a `launch`, a
            field that is called like one of these is ``answer_<field>``.

        Raises:
            SessionNotUsable: If the session can't be read, or is gone.

        Example:
            >>> import cpr_nb as cpr
            >>> out = cpr.attach("3f2a").results_df()  # doctest: +SKIP
            >>> out[out.severity == "high"]  # doctest: +SKIP
        """
        import cpr_nb.pandas  # noqa: F401 - the table is a command, too
        from cpr_nb.frames.results import add_score, build_results

        snapshot = self._me.refresh().snapshot
        if snapshot.state == states.UNREADABLE:
            raise SessionNotUsable(f"can't read {snapshot.paths.root}: {snapshot.problem}")
        table = build_results(snapshot, self.rows_frame(), flatten=flatten)
        return table if self._score is None else add_score(table, *self._score)

    def score(self, function: Callable[[pd.Series[Any]], Any], name: str = "score") -> pd.DataFrame:
        """Gives each row that has ended a score of your own; `results_df` has it from then on.

        Args:
            function: Called once with each row of `results_df` whose task has ended; what it
                returns is the row's score. It is called again for a row whose attempt changes.
            name: The column's name.

        Returns:
            `results_df` with the column, and one called ``<name>_error`` that says for which
            rows the function failed, and why.

        Raises:
            InputError: If there is such a column already.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.score(lambda row: len(row.result))  # doctest: +SKIP
        """
        before = self._score
        self._score = (name, function, {})
        try:
            return self.results_df()
        except Exception:
            self._score = before
            raise

    def summary(self, by: str | Sequence[str] | None = None) -> pd.DataFrame:
        """Compares groups of tasks: how many succeeded, how well, at what cost, how fast.

        Args:
            by: The columns (or levels of the index) of `results_df` that make the groups;
                default all factors.

        Returns:
            A row a group: ``n`` tasks, ``n_ended``, the share that is ``ok``, the mean score (if
            there is one, see `score`) and its standard deviation, mean cost in US dollars and
            mean duration in seconds of the ended tasks. Each share and mean has its 95 %
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
        for index in range(len(self._me)):
            names.update(dict.fromkeys(self._me.asked_task(index).get("factors") or ()))
        return list(names)
