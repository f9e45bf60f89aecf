"""The tables of a session and of a task, as methods of their handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from cpr_nb.frames.columns import DataFrame
    from cpr_nb.frames.filters import States
    from cpr_nb.frames.streams import Problem
    from cpr_nb.handles.session import Session
    from cpr_nb.store.read import Snapshot

    _Both = tuple[DataFrame, list[Problem]]
    _Yes = Literal[True]
    _No = Literal[False]


class SessionTables:
    """The tables of a session: those of `cpr_nb.tasks_df` and the like, of it alone.

    ``states``, ``full`` and ``strict`` are as there.
    """

    if TYPE_CHECKING:

        def refresh(self) -> Session: ...

    def _table(self, name: str, **how: Any) -> Any:
        import cpr_nb.pandas  # noqa: F401 - the table is a command, too
        from cpr_nb.frames.queries import build_task_table

        return build_task_table(name, [self.refresh().snapshot], **how)

    @overload
    def sessions_df(self, *, full: bool = ..., strict: _Yes = ...) -> DataFrame: ...
    @overload
    def sessions_df(self, *, full: bool = ..., strict: _No) -> _Both: ...
    def sessions_df(self, *, full: bool = False, strict: bool = True) -> Any:
        """This session as the one row of a table."""
        from cpr_nb.frames.queries import build_session_table

        return build_session_table(self.refresh().snapshot, full=full, strict=strict)

    @overload
    def tasks_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _Yes = ...
    ) -> DataFrame: ...
    @overload
    def tasks_df(self, *, states: States | None = ..., full: bool = ..., strict: _No) -> _Both: ...
    def tasks_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """A row a task; of an experiment also a column a factor (see ``vary``).

        With ``full=True`` a column of a factor's name, such as ``model``, is called
        ``model_used``.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").tasks_df(states="failed")  # doctest: +SKIP
        """
        made, problems = self._table("tasks_df", states=states, full=full, strict=False)
        if strict and problems:
            return self._table("tasks_df", states=states, full=full, strict=True)
        from cpr_nb.frames.results import add_factors

        made = add_factors(made, self.refresh().snapshot)
        return made if strict else (made, problems)

    @overload
    def events_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _Yes = ...
    ) -> DataFrame: ...
    @overload
    def events_df(self, *, states: States | None = ..., full: bool = ..., strict: _No) -> _Both: ...
    def events_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """A row a content block of its tasks' streams, or an event without any."""
        return self._table("events_df", states=states, full=full, strict=strict)

    @overload
    def tool_calls_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _Yes = ...
    ) -> DataFrame: ...
    @overload
    def tool_calls_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _No
    ) -> _Both: ...
    def tool_calls_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """A row a tool call, with its result."""
        return self._table("tool_calls_df", states=states, full=full, strict=strict)

    @overload
    def denials_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _Yes = ...
    ) -> DataFrame: ...
    @overload
    def denials_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _No
    ) -> _Both: ...
    def denials_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """A row a task and a rule that would allow what was denied."""
        return self._table("denials_df", states=states, full=full, strict=strict)

    @overload
    def usage_df(
        self, *, states: States | None = ..., full: bool = ..., strict: _Yes = ...
    ) -> DataFrame: ...
    @overload
    def usage_df(self, *, states: States | None = ..., full: bool = ..., strict: _No) -> _Both: ...
    def usage_df(
        self, *, states: States | None = None, full: bool = False, strict: bool = True
    ) -> Any:
        """A row a task and a model; costs are the CLI's own estimate."""
        return self._table("usage_df", states=states, full=full, strict=strict)


class TaskTables:
    """The tables of a task: what it did."""

    if TYPE_CHECKING:
        _session: Session
        _index: int

    def _table(self, name: str, **how: Any) -> Any:
        from cpr_nb.frames.queries import build_task_table

        snapshot: Snapshot = self._session.refresh().snapshot
        return build_task_table(name, [snapshot], index=self._index, **how)

    @overload
    def events_df(self, *, full: bool = ..., strict: _Yes = ...) -> DataFrame: ...
    @overload
    def events_df(self, *, full: bool = ..., strict: _No) -> _Both: ...
    def events_df(self, *, full: bool = False, strict: bool = True) -> Any:
        """A row a content block of its streams, or an event without any; all attempts.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a")[0].events_df()  # doctest: +SKIP
        """
        return self._table("events_df", full=full, strict=strict)

    @overload
    def tool_calls_df(self, *, full: bool = ..., strict: _Yes = ...) -> DataFrame: ...
    @overload
    def tool_calls_df(self, *, full: bool = ..., strict: _No) -> _Both: ...
    def tool_calls_df(self, *, full: bool = False, strict: bool = True) -> Any:
        """A row a tool call, with its result; all attempts."""
        return self._table("tool_calls_df", full=full, strict=strict)
