"""``import cpr_nb.pandas`` gives every DataFrame the accessor ``.cpr``.

A DataFrame is mapped with it, and a table of tasks or results becomes a command: what is done is
done to the tasks of its rows, of however many sessions.

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

from cpr_nb.frames.columns import RESULTS_DIR_ATTR
from cpr_nb.handles.empty import NoSession
from cpr_nb.model.errors import InputError, TaskNotFound

if TYPE_CHECKING:
    from cpr_nb.frames.mapping import Template
    from cpr_nb.handles.session import Session
    from cpr_nb.handles.task import Task
    from cpr_nb.launching.rerun_tasks import RerunTask
    from cpr_nb.worktrees.merge_report import MergeReport

    Folder = str | os.PathLike[str]


@pd.api.extensions.register_dataframe_accessor("cpr")
class CprAccessor:
    """What can be done to the rows of a DataFrame; get it as ``df.cpr``.

    Args:
        frame: The frame.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def map(self, template: Template, **options: Any) -> Any:
        """Starts a task a row: `cpr_nb.map` with this frame."""
        from cpr_nb.handles.launch import map as map_rows

        return map_rows(template, self._frame, **options)

    def retry(self, *, results_dir: Folder | None = None, **options: Any) -> Session | NoSession:
        """Runs the tasks of these rows again, as one new session that points to the old ones.

        Args:
            results_dir: Where their sessions are, if it isn't where the table comes from.
            **options: Options of `cpr_nb.launch` that go before the old ones; ``reuse`` and
                ``fresh`` as there.

        Returns:
            The new session; without rows a `NoSession`, and a warning.

        Raises:
            InputError: If the table does not say whose rows they are, or an option can't be
                right.
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
        """Ends the tasks of these rows with their process trees; what is written stays.

        Args:
            results_dir: Where their sessions are, if it isn't where the table comes from.

        Returns:
            How many of them had not ended yet.

        Raises:
            InputError: If the table does not say whose rows they are.
        """
        return sum(task.cancel() for task in self._tasks(results_dir, "cancelled"))

    def follow_up(
        self, template: Template, *, results_dir: Folder | None = None, **options: Any
    ) -> Session | NoSession:
        """Says something more to the agent of each row, which knows what it did.

        Each conversation is gone on with in the same folder or on the same branch; the earlier
        one stays as it is. The new session has the old options, but for ``schema``.

        Args:
            template: What to say, with ``{column}`` places; or a function of a row.
            results_dir: Where the sessions are, if it isn't where the table comes from.
            **options: Options of `cpr_nb.launch` that go before the old ones; ``reuse`` and
                ``fresh`` as there.

        Returns:
            The new session, which points to those of the rows; its frame is this table without
            the columns of the results. Without rows a `NoSession`, and a warning.

        Raises:
            InputError: If a row is there twice, or a place of the template has no value.
            SessionNotUsable: If a task has not ended, or has no conversation to go on with.

        Example:
            >>> import cpr_nb as cpr, cpr_nb.pandas
            >>> out = cpr.attach("3f2a").results_df()  # doctest: +SKIP
            >>> high = out[out.severity == "high"]  # doctest: +SKIP
            >>> high.cpr.follow_up("Fix the {bugs} bugs", worktree=True)  # doctest: +SKIP
        """
        from cpr_nb.frames import mapping

        tasks = self._tasks(results_dir, "followed up", once=True)
        if not tasks:
            return NoSession(self._frame)
        made = mapping.build_elements(template, self._frame, {}, [{}], "the table's")
        for warning in mapping.place_warnings(template, self._frame):
            warnings.warn(warning, stacklevel=2)
        words = mapping.prompts_without_answers(template, self._frame)
        wanted = [
            task.to_rerun(element["prompt"], said)
            for task, (element, _, _), said in zip(tasks, made, words, strict=True)
        ]
        return _rerun(wanted, options, mapping.drop_results(self._frame))

    def merge(
        self,
        *,
        into: str | None = None,
        order: str = "fewest-conflicts",
        dry_run: bool = False,
        results_dir: Folder | None = None,
    ) -> MergeReport | None:
        """Merges the branches of these rows' tasks, one at a time, until one conflicts.

        Args:
            into: The target; default the main checkout's current branch.
            order: ``fewest-conflicts``, or ``task`` for the order of the rows.
            dry_run: Do everything but move the target.
            results_dir: Where the sessions are, if it isn't where the table comes from.

        Returns:
            What was merged, what was left aside, where it stopped and what to do then; None, and
            a warning, if there are no rows.

        Raises:
            InputError: If the table does not say whose rows they are.
            WorktreeError: If a task has no branch, or the target can't be merged into.
        """
        from cpr_nb.worktrees.merging import merge

        tasks = self._tasks(results_dir, "merged")
        if not tasks:
            return None
        folders = list(dict.fromkeys(task.session.paths.root for task in tasks))
        ids = [task.id for task in tasks]
        return merge(folders, ids, into=into, order=order, dry_run=dry_run)

    # -- whose rows they are ----------------------------------------------------------------

    def _tasks(self, results_dir: Folder | None, done: str, *, once: bool = False) -> list[Task]:
        """The tasks of the rows, each once."""
        from cpr_nb.handles.session import attach

        frame = self._frame
        for name in ("session_id", "task_id"):
            n_columns = list(frame.columns).count(name)
            if n_columns != 1:
                raise InputError(
                    f"has {n_columns or 'no'} column{'s' * (n_columns > 1)} {name!r}: only the "
                    f"rows of a table of tasks or results can be {done}",
                    "the table",
                )
        if frame.empty:
            warnings.warn(f"the table has no rows: nothing is {done}", stacklevel=3)
            return []
        ids = list(zip(frame["session_id"], frame["task_id"], strict=True))
        if any(pd.isna(session_id) or pd.isna(task_id) for session_id, task_id in ids):
            raise InputError("has rows without session_id or task_id", "the table")
        if once and len(set(ids)) < len(ids):
            (_, twice), _ = Counter(ids).most_common(1)[0]
            raise InputError(f"has several rows of the task {twice}", "the table")
        place = results_dir or frame.attrs.get(RESULTS_DIR_ATTR)
        sessions = {name: attach(str(name), place) for name in dict.fromkeys(n for n, _ in ids)}
        tasks = {(name, task.id): task for name, session in sessions.items() for task in session}
        for name, task_id in ids:
            if (name, str(task_id)) not in tasks:
                raise TaskNotFound(f"session {name} has no task {task_id!r}")
        return [tasks[name, str(task_id)] for name, task_id in dict.fromkeys(ids)]


def _rerun(tasks: list[RerunTask], options: dict[str, Any], frame: Any = None) -> Session:
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.rerun import plan_rerun
    from cpr_nb.launching.reuse import pop_reuse

    reuse = pop_reuse(options)
    return Session.from_plan(plan_rerun(tasks, options, frame), reuse=reuse)
