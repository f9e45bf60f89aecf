"""What a session's tasks have left on their branches: tables, conflicts, merging, cleaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cpr_nb.model.errors import SessionNotUsable

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.handles.session import Session
    from cpr_nb.worktrees.cleaning import CleanReport
    from cpr_nb.worktrees.merge_report import MergeReport


class Branches:
    """The methods of a `Session` that concern the branches of its tasks."""

    @property
    def _me(self) -> Session:
        return self  # type: ignore[return-value]  # it is never anything else

    def worktrees_df(self, into: str | None = None) -> pd.DataFrame:
        """The branches and worktrees of the tasks.

        Args:
            into: The branch that they are compared with; default the main checkout's.

        Returns:
            A row a branch: its worktree, what that takes, whether it is dirty, how far the
            branch is ahead and behind, whether it is merged.

        Raises:
            WorktreeError: If there is no such branch.
        """
        from cpr_nb.frames.columns import WORKTREES, table
        from cpr_nb.worktrees.listing import worktrees

        rows = worktrees([self._me.paths.root], into=into)
        return table((row._asdict() for row in rows), WORKTREES)

    def conflicts_df(
        self, tasks: Iterable[str] | None = None, into: str | None = None
    ) -> pd.DataFrame:
        """Which pairs of branches, and which against the target, would conflict.

        Nothing is touched.

        Args:
            tasks: The ids of tasks; default those that succeeded.
            into: The target; default the main checkout's current branch.

        Returns:
            A row a conflict; none if everything can be merged.

        Raises:
            SessionNotUsable: If no task has left a branch.
            WorktreeError: If git is older than 2.38.
        """
        from cpr_nb.frames.columns import CONFLICTS, table
        from cpr_nb.worktrees.conflicts import conflicts

        told = conflicts([self._me.paths.root], self._branch_ids(tasks), into=into)
        rows = [
            {
                "branch": conflict.left,
                "other": conflict.right,
                "other_is_target": conflict.right == told.into,
                "n_files": len(conflict.files),
                "files": list(conflict.files),
            }
            for conflict in (*told.against_target, *told.between)
        ]
        return table(rows, CONFLICTS)

    def merge(
        self,
        tasks: Iterable[str] | None = None,
        *,
        into: str | None = None,
        order: str = "fewest-conflicts",
        dry_run: bool = False,
    ) -> MergeReport:
        """Merges the branches of tasks, one at a time, until one conflicts.

        Each is merged in a temporary worktree: the target, and the checkout that it is in, move
        only when a merge is complete.

        Args:
            tasks: The ids of tasks; default those that succeeded.
            into: The target; default the main checkout's current branch.
            order: ``fewest-conflicts`` or ``task``.
            dry_run: Do everything but move the target.

        Returns:
            What was merged, what was left aside, where it stopped and what to do then.

        Raises:
            SessionNotUsable: If no task has left a branch.
            WorktreeError: If the target can't be merged into, for its checkout has changes, say.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").merge(dry_run=True).stopped  # doctest: +SKIP
        """
        from cpr_nb.worktrees.merging import merge

        wanted = self._branch_ids(tasks)
        return merge([self._me.paths.root], wanted, into=into, order=order, dry_run=dry_run)

    def clean(
        self,
        tasks: Iterable[str] | None = None,
        *,
        into: str | None = None,
        dry_run: bool = False,
    ) -> CleanReport:
        """Removes worktrees and merged branches; what would be lost stays, and is told.

        Args:
            tasks: The ids of tasks: only theirs, and these also if that loses something; default
                all, without loss.
            into: The branch that the others must be merged into; default the main checkout's.
            dry_run: Only tell.

        Returns:
            What was removed, and what stays and why.

        Raises:
            WorktreeError: If a task that is named never had a worktree.
        """
        from cpr_nb.worktrees.cleaning import clean

        named = None if tasks is None else [self._me.task(task).id for task in tasks]
        return clean([self._me.paths.root], named, into=into, dry_run=dry_run)

    def _branch_ids(self, tasks: Iterable[str] | None) -> list[str]:
        """The tasks whose branches are meant: those that are named, else those that succeeded."""
        if tasks is not None:
            return [self._me.task(task).id for task in tasks]
        ids = [task.id for task in self._me.refresh() if task.ok and task.fields.get("branch")]
        if not ids:
            raise SessionNotUsable(
                f"no task of {self._me.id} has succeeded on a branch of its own (worktree=True)"
            )
        return ids
