"""The branches that a session's tasks left: tables, conflicts, merging, cleaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cpr_nb.handles.collection import SessionTasks
from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable

if TYPE_CHECKING:
    import pandas as pd

    from cpr_nb.worktrees.cleaning import CleanReport
    from cpr_nb.worktrees.merge_report import MergeReport


class SessionBranches(SessionTasks):
    """The methods of a `Session` that concern the branches of its tasks."""

    def worktrees_df(self, into: str | None = None) -> pd.DataFrame:
        """The branches and worktrees of the tasks.

        Args:
            into: The branch to compare them with; default the main checkout's.

        Returns:
            One row per branch: its worktree and that worktree's size, whether it is dirty, how far
            the branch is ahead and behind, whether it is merged. Of a foreign session it shows
            what is written down: git is not run for it.

        Raises:
            WorktreeError: If there is no such branch.
        """
        from cpr_nb.frames.columns import WORKTREES, table
        from cpr_nb.worktrees.listing import worktrees

        rows = worktrees([self.paths.root], into=into)
        return table((row._asdict() for row in rows), WORKTREES)

    def conflicts_df(
        self, tasks: Iterable[str] | None = None, into: str | None = None
    ) -> pd.DataFrame:
        """The pairs of branches that would conflict, with each other or with the target.

        Changes nothing.

        Args:
            tasks: The ids of tasks; default those that succeeded.
            into: The target; default the main checkout's current branch.

        Returns:
            One row per conflict; none if everything can be merged.

        Raises:
            SessionNotUsable: If no task has left a branch.
            ForeignSession: If the session is foreign: git is not run for it.
            WorktreeError: If git is older than 2.38.
        """
        from cpr_nb.frames.columns import CONFLICTS, table
        from cpr_nb.worktrees.conflicts import conflicts

        self._require_own("compare the branches of")
        forecast = conflicts([self.paths.root], self._branch_ids(tasks), into=into)
        rows = [
            {
                "branch": conflict.left,
                "other": conflict.right,
                "other_is_target": conflict.right == forecast.into,
                "n_files": len(conflict.files),
                "files": list(conflict.files),
            }
            for conflict in (*forecast.against_target, *forecast.between)
        ]
        return table(rows, CONFLICTS)

    def merge(
        self,
        tasks: Iterable[str] | None = None,
        *,
        into: str | None = None,
        order: str = "fewest-conflicts",
        dry_run: bool = False,
        with_nested: bool = False,
        push: bool = False,
    ) -> MergeReport:
        """Merges the branches of tasks one at a time, until one conflicts.

        Each is merged in a temporary worktree. The target, and the checkout that it is in, move
        only when a merge is complete.

        Args:
            tasks: The ids of tasks; default those that succeeded, or with ``best_of`` the winners.
            into: The target; default the main checkout's current branch.
            order: ``fewest-conflicts`` or ``task``.
            dry_run: Do everything but move the target.
            with_nested: Also merge branches that add a repository which ``.gitmodules`` does not
                name: the target gets an empty folder for it. Others are skipped and reported.
            push: Push the target to its remote afterwards, unless merging stopped; never by force.

        Returns:
            What was merged, skipped and pushed, where it stopped and what to do then.

        Raises:
            SessionNotUsable: If no task has left a branch.
            ForeignSession: If the session is foreign.
            WorktreeError: If the target can't be merged into, for example because its checkout has
                changes.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").merge(dry_run=True).stopped  # doctest: +SKIP
        """
        from cpr_nb.worktrees.merging import merge

        self._require_own("merge")
        if not dry_run:
            save_work(self)
        task_ids = self._branch_ids(tasks)
        report = merge(
            [self.paths.root],
            task_ids,
            into=into,
            order=order,
            dry_run=dry_run,
            with_nested=with_nested,
            push=push,
        )
        if tasks is None and not dry_run:
            self._merged(report)
        return report

    def _merged(self, report: MergeReport) -> None:
        """What follows once all that is to be merged by default was merged."""

    def clean(
        self,
        tasks: Iterable[str] | None = None,
        *,
        into: str | None = None,
        dry_run: bool = False,
    ) -> CleanReport:
        """Removes worktrees and merged branches. What would be lost stays, and is reported.

        Args:
            tasks: The ids of tasks: only theirs are removed, even if that loses work. Default: all,
                without loss.
            into: The branch that the others must be merged into; default the main checkout's.
            dry_run: Only report what would be removed.

        Returns:
            What was removed, what stays, and why.

        Raises:
            ForeignSession: If the session is foreign, unless it is a dry run.
            WorktreeError: If a given task never had a worktree.
        """
        from cpr_nb.worktrees.cleaning import clean

        if not dry_run:
            self._require_own("clean")
            save_work(self)
        task_ids = None if tasks is None else [self.task(task).id for task in tasks]
        return clean([self.paths.root], task_ids, into=into, dry_run=dry_run)

    def _branch_ids(self, tasks: Iterable[str] | None) -> list[str]:
        """The ids of the given tasks, or else of those that succeeded."""
        if tasks is not None:
            return [self.task(task).id for task in tasks]
        ids = [task.id for task in self.refresh() if task.ok and task.fields.get("branch")]
        if not ids:
            raise SessionNotUsable(self._why_no_branch())
        return ids

    def _why_no_branch(self) -> str:
        """Why no task that succeeded has a branch."""
        from cpr_nb.store.spec_file import read_spec

        options = read_spec(self.paths).get("options")
        is_asked = isinstance(options, dict) and options.get("worktree")
        if not is_asked and not any(task.fields.get("base_commit") for task in self):
            return (
                f"no task of {self.id} has succeeded on a branch of its own: "
                "launch with --worktree (worktree=True)"
            )
        if self.snapshot.state in states.ENDED_STATES:
            return f"no task of {self.id} that succeeded has changed anything"
        return f"no task of {self.id} has succeeded and changed anything yet: wait until it ends"

    def _require_own(self, verb: str) -> None:
        """Refuses a foreign session."""
        from cpr_nb.launching.stored import read_own  # 8 ms that looking does not need

        read_own(self.snapshot, verb)


def save_work(session: SessionTasks) -> None:
    """Saves the work of tasks that could not be saved when they ended, and waits for that.

    It does nothing while the session runs.

    Args:
        session: The session.

    Raises:
        ForeignSession: If there is such work, and the session is foreign.
    """
    from cpr_nb.launching.resume import await_last_moment, has_unsaved, resume

    if has_unsaved(session.refresh().snapshot):
        resume(session.snapshot, {})
        session.wait()
        await_last_moment(session.snapshot)
