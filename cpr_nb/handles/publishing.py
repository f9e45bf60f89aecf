"""Pull requests of the branches that a session's tasks left."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cpr_nb.handles.branches import SessionBranches, save_work
from cpr_nb.model.json_values import number, text_or_none
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import read_session
from cpr_nb.views.lineage import LinkedTask, linked_tasks

if TYPE_CHECKING:
    from cpr_nb.handles.task import Task
    from cpr_nb.views.pull_request_text import PromptCost
    from cpr_nb.worktrees.pull_requests import PullRequest, RequestText

#: How far the conversation of a task is followed back.
_MOST_PARENTS = 100


class SessionPullRequests(SessionBranches):
    """The method of a `Session` that opens pull requests."""

    def open_pull_requests(
        self,
        tasks: Iterable[str] | None = None,
        *,
        base: str | None = None,
        draft: bool = False,
        dry_run: bool = False,
        redact: bool = False,
    ) -> list[PullRequest]:
        """Pushes the branches of tasks, and opens a pull request for each that never had one.

        It works through ``gh``, the GitHub CLI, and with its login.

        Args:
            tasks: The ids of tasks; default those that succeeded, or with ``best_of`` the winners.
            base: The branch that they are to be merged into; default the main checkout's.
            draft: Whether to open them as drafts.
            dry_run: Push and open nothing, and return what the pull requests would say.
            redact: Leave prompts, answers and the check's command out of title and text.

        Returns:
            One per branch, with its address, or why there is none.

        Raises:
            SessionNotUsable: If no task has left a branch.
            ForeignSession: If the session is foreign.
            WorktreeError: If ``gh`` is not installed, or nothing can be pushed from here.

        Example:
            >>> import cpr_nb as cpr
            >>> s = cpr.attach("3f2a")  # doctest: +SKIP
            >>> [one.title for one in s.open_pull_requests(dry_run=True)]  # doctest: +SKIP
        """
        from cpr_nb.worktrees.pull_requests import pull_requests

        self._require_own("open pull requests for")
        if not dry_run:
            save_work(self)
        return pull_requests(
            [self.paths.root],
            self._branch_ids(tasks),
            lambda task_id: self._request_text(task_id, redact=redact),
            base=base,
            is_draft=draft,
            dry_run=dry_run,
        )

    def _request_text(self, task_id: str, *, redact: bool) -> RequestText:
        """What the pull request of a task says."""
        from cpr_nb.views.pull_request_text import pull_request_text
        from cpr_nb.worktrees.pull_requests import RequestText

        task = self.task(task_id)
        linked = linked_tasks(self.snapshot)[task.num - 1]
        options = {**linked.options, **(linked.spec.get("options") or {})}
        name = f"session {self.snapshot.short_id}, task {task.num} ({task.id})"
        check = text_or_none(options.get("check"))
        prompts = self._prompts_so_far(linked, task)
        return RequestText(
            *pull_request_text(prompts, task.text, check, task.fields, name, redact=redact)
        )

    def _prompts_so_far(self, linked: LinkedTask, task: Task) -> list[PromptCost]:
        """The prompts of the conversation that a task has gone on with, the first one first."""
        from cpr_nb.views.pull_request_text import PromptCost

        prompts = [PromptCost(task.prompt, task.cost_usd)]
        folder = os.path.dirname(self.paths.root)
        for _ in range(_MOST_PARENTS):
            if linked.parent is None:
                break
            session_id, task_id = linked.parent
            parents = linked_tasks(read_session(f"{folder}/{SESSION_PREFIX}{session_id}"))
            earlier = next((one for one in parents if one.ids[1] == task_id), None)
            if earlier is None:
                break
            prompt, cost_usd = earlier.spec.get("prompt"), number(earlier.fields.get("cost_usd"))
            if linked.is_follow_up and isinstance(prompt, str):
                prompts.insert(0, PromptCost(prompt, cost_usd))
            linked = earlier
        return prompts
