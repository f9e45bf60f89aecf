"""What the tools of ``cpr mcp`` do: launch, status, wait, results, cancel."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from cpr_nb.cli import mcp_pages
from cpr_nb.cli.mcp_launcher import Launcher
from cpr_nb.handles import waiting
from cpr_nb.handles.session import Session
from cpr_nb.launching.plan import LaunchPlan, plan_launch
from cpr_nb.launching.reuse import launch_lock
from cpr_nb.launching.settings import read_user_settings
from cpr_nb.launching.start import start
from cpr_nb.model import states
from cpr_nb.model.errors import InputError, SessionNotFound
from cpr_nb.model.inputs import slash_warnings
from cpr_nb.model.text import one_line
from cpr_nb.store import catalog

#: The longest that one call waits: MCP clients commonly give up after 60 seconds.
MAX_WAIT_S = 50.0
#: How long a cancellation waits for the end.
_CANCEL_WAIT_S = 15.0
_MAX_PROMPTS = 1000
_WARNING_CHARS = 300
#: States in which nothing happens any more unless a person acts.
_STUCK_STATES = (states.INTERRUPTED, states.STALE, states.UNREADABLE)


class SessionTools:
    """The tools, for one launcher.

    Args:
        launcher: Who calls them.
        folder: The folder that its sessions may work in.
    """

    def __init__(self, launcher: Launcher, folder: str) -> None:
        self._launcher = launcher
        self._folder = os.path.realpath(folder)

    def launch(
        self, prompts: Sequence[str], options: dict[str, Any], *, fresh: bool
    ) -> dict[str, Any]:
        """Starts a session, or finds the one that this launcher has started for the same.

        Args:
            prompts: One a task.
            options: The options that the call names.
            fresh: Whether to start a new one in any case.

        Raises:
            InputError: If it may not be started.
        """
        if self._launcher.problem:
            raise InputError(self._launcher.problem)
        if not 1 <= len(prompts) <= _MAX_PROMPTS:
            raise InputError(f"must be 1 to {_MAX_PROMPTS} texts", "prompts")
        plan = plan_launch(list(prompts), self._checked(options))
        plan.launched_by = self._launcher.record
        plan.warnings += slash_warnings(plan.tasks)
        with launch_lock(os.path.dirname(plan.results_dir)):
            same = None if fresh else self._same(plan)
            if same is None:
                self._limit_cost(plan)
                root, is_new = start(plan).root, True
            else:
                root, is_new = same, False
        facts = mcp_pages.session_facts(Session(root).snapshot)
        return {
            **facts,
            "is_new": is_new,
            **({"budget_usd": limit} if (limit := plan.options.get("budget_usd")) else {}),
            **(
                {"warnings": [one_line(w, _WARNING_CHARS) for w in plan.warnings]} if is_new else {}
            ),
        }

    def list_sessions(self) -> dict[str, Any]:
        """The newest sessions that the launcher may see."""
        if self._launcher.is_agent:
            snapshots = [snapshot for snapshot, _ in self._launcher.sessions()]
        else:
            snapshots = catalog.list_sessions(self._launcher.results_dir)
        shown = snapshots[: mcp_pages.MAX_LISTED]
        more = len(snapshots) - len(shown)
        return {
            "sessions": [mcp_pages.session_facts(one, full=False) for one in shown],
            **({"n_sessions_not_listed": more} if more else {}),
        }

    def status(self, session: str | None) -> dict[str, Any]:
        """One session, with its tasks that have not succeeded."""
        return mcp_pages.session_status(self._session(session))

    async def wait(self, session: str | None, timeout_s: float) -> dict[str, Any]:
        """Waits until a session has ended, but not longer than a call may last."""
        opened = self._session(session)
        end = waiting.Deadline(min(max(timeout_s, 0.0), MAX_WAIT_S))

        def is_over() -> bool:
            state = opened.refresh().snapshot.state
            return state in (*states.ENDED_STATES, *_STUCK_STATES) or end.is_over

        await waiting.until_async(is_over)
        status = mcp_pages.session_status(opened)
        if not status["has_ended"] and status["state"] not in _STUCK_STATES:
            status["next"] = "it goes on: call wait again"
        return status

    def results(
        self, session: str | None, first_task: int, task: str | int | None, offset: int
    ) -> dict[str, Any]:
        """A page of answers, or a part of one."""
        opened = self._session(session)
        if task is None:
            return mcp_pages.result_page(opened, first_task)
        return mcp_pages.answer_page(opened, task, offset)

    async def cancel(self, session: str, task: str | int | None) -> dict[str, Any]:
        """Cancels a session or one of its tasks, and waits a little for its end."""
        opened = self._session(session)
        chosen = None if task is None else opened.task(task)
        was_live = opened.cancel() if chosen is None else chosen.cancel()
        end = waiting.Deadline(_CANCEL_WAIT_S)

        def is_over() -> bool:
            opened.refresh()
            has_ended = opened.has_ended() if chosen is None else chosen.done()
            return has_ended or end.is_over

        if was_live:
            await waiting.until_async(is_over)
        return {**mcp_pages.session_status(opened), "had_ended_before": not was_live}

    def _checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options of a session: those of the call, within what the launcher may do."""
        launcher, own = self._launcher, read_user_settings()
        chosen = {name: value for name, value in options.items() if value is not None}
        default = str(own.get("permissions", "edits"))
        chosen["permissions"] = launcher.permissions_for(chosen.get("permissions"), default)
        chosen["cwd"] = self._work_folder(chosen.pop("folder", None))
        if "budget_usd" in own:
            limit = own["budget_usd"]
            chosen["budget_usd"] = min(chosen.get("budget_usd", limit), limit)
        return {
            **chosen,
            **launcher.inherited_options(),
            "results_dir": launcher.results_dir,
        }

    def _work_folder(self, folder: str | None) -> str:
        """The folder of a session: the launcher's, or one in it, wherever links lead."""
        path = os.path.realpath(os.path.join(self._folder, folder or "."))
        if path != self._folder and not path.startswith(self._folder.rstrip("/") + "/"):
            raise InputError(f"must be in {self._folder}", "folder")
        if not os.path.isdir(path):
            raise InputError(f"there is no folder {path}", "folder")
        return path

    def _limit_cost(self, plan: LaunchPlan) -> None:
        """Gives a session what it may cost: as much as it asks for, and no more than is left."""
        left_usd = self._launcher.left_usd()
        if left_usd is None:
            return
        if left_usd <= 0:
            raise InputError(
                f"nothing is left of the USD {self._launcher.limits.budget_usd:g} that sessions "
                "started here may cost; until it has ended, one that runs counts as its whole "
                "budget_usd, and one without a budget_usd leaves nothing: wait for it or cancel "
                "it, and give each a smaller budget_usd",
                "budget_usd",
            )
        wanted_usd = plan.options.get("budget_usd", left_usd)
        plan.options["budget_usd"] = min(wanted_usd, left_usd)

    def _same(self, plan: LaunchPlan) -> str | None:
        """The folder of the launcher's newest session that does the same; None without one.

        Those of others are not its to read, and who asks again tomorrow wants it done again.
        """
        for snapshot, spec in self._launcher.sessions():
            if spec.get("identity") == plan.identity:
                return snapshot.paths.root
        return None

    def _session(self, reference: str | None) -> Session:
        """A session that the launcher may see; without a reference its newest."""
        if reference is None:
            for snapshot, _ in self._launcher.sessions():
                return Session(snapshot.paths.root)
            raise SessionNotFound("no session was started here yet: name one, or launch one")
        root = catalog.find_session(self._launcher.results_dir, _no_path(reference))
        if self._launcher.is_agent and root not in self._own_roots():
            raise SessionNotFound(f"no session that was started here is called {reference!r}")
        return Session(root)

    def _own_roots(self) -> set[str]:
        return {snapshot.paths.root for snapshot, _ in self._launcher.sessions()}


def _no_path(reference: str) -> str:
    """A session's id, the first characters of it, or its name; a path could lead anywhere."""
    if "/" in reference:
        raise InputError("must be an id, the first characters of it, or a name", "session")
    return reference
