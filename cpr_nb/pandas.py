"""``import cpr_nb.pandas`` gives every DataFrame the accessor ``.cpr``.

With it a DataFrame is mapped, and a table of tasks or results is a command: a verb applies to the
tasks of its rows, from any number of sessions.

Example:
    >>> import cpr_nb.pandas
    >>> import pandas as pd
    >>> df = pd.DataFrame({"path": ["a.py"]})
    >>> df.cpr.map("Review {path}", dry_run=True, claude_path="sh")[0]["prompt"]
    'Review a.py'
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from cpr_nb.frames.best_rows import BEST_ATTR
from cpr_nb.frames.columns import RESULTS_DIR_ATTR
from cpr_nb.handles.empty import NoSession
from cpr_nb.model.errors import InputError, TaskNotFound
from cpr_nb.model.text import visible_line

if TYPE_CHECKING:
    from cpr_nb.frames.mapping import Template
    from cpr_nb.handles.session import Session
    from cpr_nb.handles.task import Task
    from cpr_nb.launching.rerun_tasks import RerunTask
    from cpr_nb.worktrees.merge_report import MergeReport

    Folder = str | os.PathLike[str]


@pd.api.extensions.register_dataframe_accessor("cpr")
class CprAccessor:
    """The verbs for the rows of a DataFrame; available as ``df.cpr``.

    Args:
        frame: The frame.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def map(self, template: Template, **options: Any) -> Any:
        """Starts one task per row: `cpr_nb.map` with this frame."""
        from cpr_nb.handles.launch import map as map_rows

        return map_rows(template, self._frame, **options)

    def retry(self, *, results_dir: Folder | None = None, **options: Any) -> Session | NoSession:
        """Reruns the tasks of these rows as one new session that points to the old ones.

        Args:
            results_dir: Where the sessions are, if not where the table comes from.
            **options: Options of `cpr_nb.launch` that override the old ones; ``reuse`` and
                ``fresh`` have the meaning that they have there.

        Returns:
            The new session; a `NoSession` and a warning if there are no rows.

        Raises:
            InputError: If the rows have no unique task, or an option is not valid.
            SessionNotUsable: If a task has not ended, or can't be retried.

        Example:
            >>> import cpr_nb as cpr, cpr_nb.pandas
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> s.tasks_df().query("not ok").cpr.retry(model="opus")  # doctest: +SKIP
        """
        tasks = self._tasks(results_dir, "retried")
        if not tasks:
            return NoSession(self._frame)
        return _rerun([task.to_rerun() for task in tasks], options)

    def cancel(self, *, results_dir: Folder | None = None) -> int:
        """Ends the tasks of these rows with their process trees; their output stays.

        Args:
            results_dir: Where the sessions are, if not where the table comes from.

        Returns:
            How many of them had not ended.

        Raises:
            InputError: If the rows have no unique task.
        """
        return sum(task.cancel() for task in self._tasks(results_dir, "cancelled"))

    def follow_up(
        self, template: Template, *, results_dir: Folder | None = None, **options: Any
    ) -> Session | NoSession:
        """Continues the conversation of each row with a new prompt: the agent knows what it did.

        A copy of each conversation is continued, in the same folder or on the same branch. The new
        session has the old options, except ``schema``.

        Args:
            template: The prompt with ``{column}`` placeholders, or a function of a row.
            results_dir: Where the sessions are, if not where the table comes from.
            **options: Options of `cpr_nb.launch` that override the old ones; ``reuse`` and
                ``fresh`` have the meaning that they have there.

        Returns:
            The new session, which points to the old ones; its frame is this table without the
            columns of the results. A `NoSession` and a warning if there are no rows.

        Raises:
            InputError: If a task has several rows, or a placeholder of the template has no value.
            SessionNotUsable: If a task has not ended, or has no conversation to continue.

        Example:
            >>> import cpr_nb as cpr, cpr_nb.pandas
            >>> out = cpr.attach("3f2a").results_df()  # doctest: +SKIP
            >>> high = out[out.severity == "high"]  # doctest: +SKIP
            >>> high.cpr.follow_up("Fix the {bugs} bugs", worktree=True)  # doctest: +SKIP
        """
        from cpr_nb.frames import mapping

        tasks = self._tasks(results_dir, "followed up", unique=True)
        if not tasks:
            return NoSession(self._frame)
        elements = mapping.build_elements(template, self._frame, {}, [{}], "the table's")
        for warning in mapping.placeholder_warnings(template, self._frame):
            warnings.warn(visible_line(warning), stacklevel=2)
        identities = mapping.prompts_without_answers(template, self._frame)
        reruns = [
            task.to_rerun(element["prompt"], identity)
            for task, (element, _, _), identity in zip(tasks, elements, identities, strict=True)
        ]
        return _rerun(reruns, options, mapping.drop_results(self._frame))

    def merge(
        self,
        *,
        into: str | None = None,
        order: str = "fewest-conflicts",
        dry_run: bool = False,
        with_nested: bool = False,
        push: bool = False,
        results_dir: Folder | None = None,
    ) -> MergeReport | None:
        """Merges the branches of these rows' tasks, one at a time, until one conflicts.

        Of a table of the best (`Session.best_df`), only rows whose winner succeeded are merged.
        The other candidates of those rows stay as patches in their session's folder
        (``task-….patch``): their branches are removed, unless they hold more than that.

        Args:
            into: The target; default the main checkout's current branch.
            order: ``fewest-conflicts``, or ``task`` for the order of the rows.
            dry_run: Do everything except moving the target.
            with_nested: Also merge branches that add a repository which ``.gitmodules`` does not
                name: the target gets an empty folder for it. Others are skipped and reported.
            push: Push the target to its remote afterwards, unless merging stopped; never by force.
            results_dir: Where the sessions are, if not where the table comes from.

        Returns:
            What was merged, what was left out, where it stopped and what to do then; None and a
            warning if there are no rows.

        Raises:
            InputError: If the rows have no unique task.
            ForeignSession: If one of the sessions is foreign.
            WorktreeError: If a task has no branch, or the target can't be merged into.
        """
        from cpr_nb.launching.stored import read_own
        from cpr_nb.worktrees.merging import merge

        rows = self._winners()
        tasks = rows._tasks(results_dir, "merged")
        if not tasks:
            return None
        sessions = {task.session.paths.root: task.session for task in tasks}
        for session in sessions.values():
            read_own(session.snapshot, "merge")
        ids = [task.id for task in tasks]
        report = merge(
            sessions,
            ids,
            into=into,
            order=order,
            dry_run=dry_run,
            with_nested=with_nested,
            push=push,
        )
        if BEST_ATTR in self._frame.attrs and not dry_run:
            for session in sessions.values():
                session.remove_losers(report)
        return report

    def _winners(self) -> CprAccessor:
        """Of a table of the best, the rows that have a winner to merge; else all rows."""
        if BEST_ATTR not in self._frame.attrs or "ok" not in self._frame.columns:
            return self
        is_good = self._frame["ok"].fillna(False).astype(bool)
        n_left_out = int((~is_good).sum())
        if n_left_out:
            which = f"{n_left_out} row{'s' * (n_left_out != 1)} without a candidate that succeeded"
            warnings.warn(visible_line(f"not merged: {which}"), stacklevel=3)
        return CprAccessor(self._frame[is_good])

    # -- the tasks of the rows --------------------------------------------------------------

    def _tasks(self, results_dir: Folder | None, done: str, *, unique: bool = False) -> list[Task]:
        """The tasks of the rows, each once; ``done`` says in messages what is done to them."""
        self._check_id_columns(done)
        if self._frame.empty:
            warnings.warn(visible_line(f"the table has no rows: nothing is {done}"), stacklevel=3)
            return []
        return self._find_tasks(self._task_ids(unique=unique), results_dir)

    def _check_id_columns(self, done: str) -> None:
        for name in ("session_id", "task_id"):
            n_columns = list(self._frame.columns).count(name)
            if n_columns != 1:
                raise InputError(
                    f"has {n_columns or 'no'} column{'s' * (n_columns > 1)} {name!r}: only the "
                    f"rows of a table of tasks or results can be {done}",
                    "the table",
                )

    def _task_ids(self, *, unique: bool) -> list[tuple[Any, Any]]:
        """Session and task of each row."""
        ids = list(zip(self._frame["session_id"], self._frame["task_id"], strict=True))
        if any(pd.isna(session_id) or pd.isna(task_id) for session_id, task_id in ids):
            raise InputError("has rows without session_id or task_id", "the table")
        if unique and len(set(ids)) < len(ids):
            (_, task_id), _ = Counter(ids).most_common(1)[0]
            raise InputError(f"has several rows of the task {task_id}", "the table")
        return ids

    def _find_tasks(self, ids: list[tuple[Any, Any]], results_dir: Folder | None) -> list[Task]:
        from cpr_nb.handles.session import attach

        folder = results_dir or self._frame.attrs.get(RESULTS_DIR_ATTR)
        session_ids = dict.fromkeys(session_id for session_id, _ in ids)
        tasks = {
            (session_id, task.id): task
            for session_id in session_ids
            for task in attach(str(session_id), folder)
        }
        for session_id, task_id in ids:
            if (session_id, str(task_id)) not in tasks:
                raise TaskNotFound(f"session {session_id} has no task {task_id!r}")
        return [tasks[session_id, str(task_id)] for session_id, task_id in dict.fromkeys(ids)]


def _rerun(tasks: list[RerunTask], options: dict[str, Any], frame: Any = None) -> Session:
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.begin import pop_reuse
    from cpr_nb.launching.rerun import plan_rerun

    reuse = pop_reuse(options)
    return Session.from_plan(plan_rerun(tasks, options, frame), reuse=reuse)
