"""The tables of a session, as methods of its handle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from cpr_nb.handles.collection import SessionTasks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.frames.filters import States
    from cpr_nb.frames.streams import Problem

    _WithProblems = tuple[DataFrame, list[Problem]]


class SessionTables(SessionTasks):
    """The tables of one session: `cpr_nb.tasks_df` and the like, restricted to it.

    Their arguments have the meaning that they have there.
    """

    def _table(self, name: str, **options: Any) -> Any:
        from cpr_nb.frames.queries import build_task_table

        return build_task_table(name, [self.refresh().snapshot], **options)

    @overload
    def sessions_df(self, *, full: bool = ..., strict: Literal[True] = ...) -> DataFrame: ...
    @overload
    def sessions_df(self, *, full: bool = ..., strict: Literal[False]) -> _WithProblems: ...
    def sessions_df(self, *, full: bool = False, strict: bool = True) -> Any:
        """This session as a table of one row."""
        from cpr_nb.frames.queries import build_session_table

        return build_session_table(self.refresh().snapshot, full=full, strict=strict)

    @overload
    def tasks_df(
        self, *, states: States | None = ..., full: bool = ..., strict: Literal[True] = ...
    ) -> DataFrame: ...
    @overload
    def tasks_df(
        self, *, states: States | None = ..., full: bool = ..., strict: Literal[False]
    ) -> _WithProblems: ...
    def tasks_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """One row per task; in an experiment also one column per factor (see ``vary``).

        With ``full=True``, a column with the name of a factor, such as ``model``, is called
        ``model_used``.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").tasks_df(states="failed")  # doctest: +SKIP
        """
        table, problems = self._table("tasks_df", states=states, full=full, strict=False)
        if strict and any(not problem.is_minor for problem in problems):
            return self._table("tasks_df", states=states, full=full, strict=True)
        from cpr_nb.frames.results import add_factors

        table = add_factors(table, self.refresh().snapshot)
        return table if strict else (table, problems)

    @overload
    def events_df(
        self,
        *,
        states: States | None = ...,
        columns: str | Iterable[str] | None = ...,
        types: str | Iterable[str] | None = ...,
        tail: int | None = ...,
        full: bool = ...,
        strict: Literal[True] = ...,
    ) -> DataFrame: ...
    @overload
    def events_df(
        self,
        *,
        states: States | None = ...,
        columns: str | Iterable[str] | None = ...,
        types: str | Iterable[str] | None = ...,
        tail: int | None = ...,
        full: bool = ...,
        strict: Literal[False],
    ) -> _WithProblems: ...
    def events_df(
        self,
        *,
        states: States | None = None,
        columns: str | Iterable[str] | None = None,
        types: str | Iterable[str] | None = None,
        tail: int | None = None,
        full: bool = False,
        strict: bool = True,
    ) -> Any:
        """One row per content block of its tasks' streams, or per event without one.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").events_df(columns="text", tail=3)  # doctest: +SKIP
        """
        from cpr_nb.frames.event_filter import parse_event_filter

        return self._table(
            "events_df",
            states=states,
            full=full,
            strict=strict,
            event_filter=parse_event_filter(columns, types, tail),
        )

    @overload
    def tool_calls_df(
        self, *, states: States | None = ..., full: bool = ..., strict: Literal[True] = ...
    ) -> DataFrame: ...
    @overload
    def tool_calls_df(
        self, *, states: States | None = ..., full: bool = ..., strict: Literal[False]
    ) -> _WithProblems: ...
    def tool_calls_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """One row per tool call, with its result."""
        return self._table("tool_calls_df", states=states, full=full, strict=strict)

    @overload
    def denials_df(
        self, *, states: States | None = ..., full: bool = ..., strict: Literal[True] = ...
    ) -> DataFrame: ...
    @overload
    def denials_df(
        self, *, states: States | None = ..., full: bool = ..., strict: Literal[False]
    ) -> _WithProblems: ...
    def denials_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """One row per task and rule that would allow what was denied."""
        return self._table("denials_df", states=states, full=full, strict=strict)

    @overload
    def usage_df(
        self,
        *,
        by: str | Iterable[str] | None = ...,
        states: States | None = ...,
        full: bool = ...,
        strict: Literal[True] = ...,
    ) -> DataFrame: ...
    @overload
    def usage_df(
        self,
        *,
        by: str | Iterable[str] | None = ...,
        states: States | None = ...,
        full: bool = ...,
        strict: Literal[False],
    ) -> _WithProblems: ...
    def usage_df(
        self,
        *,
        by: str | Iterable[str] | None = None,
        states: States | None = None,
        full: bool = False,
        strict: bool = True,
    ) -> Any:
        """One row per task and model, or per group of ``by``; costs are the CLI's own estimate.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").usage_df(by="model")  # doctest: +SKIP
        """
        if by is None:
            return self._table("usage_df", states=states, full=full, strict=strict)
        from cpr_nb.frames.session_usage import build_usage_groups

        return build_usage_groups(self.refresh().snapshot, by, states=states, strict=strict)

    def lineage_df(self) -> DataFrame:
        """One row per answer in `results_df`: what made it.

        Where the rows are answers of a session before this one (``after=``), those have rows, too,
        and so on back to the first.

        Example:
            >>> import cpr_nb as cpr
            >>> made = cpr.attach("3f2a").lineage_df()  # doctest: +SKIP
            >>> made[["row", "column", "prompt", "model", "git_commit"]]  # doctest: +SKIP
        """
        from cpr_nb.frames.cell_lineage import build_lineage

        return build_lineage(self.refresh().snapshot)

    def nodes_df(self) -> DataFrame:
        """One row per node that has joined the session; empty where its tasks ran beside it.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").nodes_df()[["name", "state", "n_running"]]  # doctest: +SKIP
        """
        from cpr_nb.frames.queries import build_node_table

        return build_node_table(self.refresh().snapshot)
