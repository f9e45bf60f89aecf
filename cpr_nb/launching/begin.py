"""Begins a planned launch: as a new session, or attached to one that did the same.

A new session, the usual case, does without the modules that find earlier ones.
"""

from __future__ import annotations

from cpr_nb.launching import defaults
from cpr_nb.launching.branch_check import check_branches
from cpr_nb.launching.start import StartedSession, start
from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.store.read import Snapshot


def pop_reuse(options: dict[str, Any]) -> bool:
    """Removes ``reuse`` and ``fresh`` from the keywords of a launch.

    Args:
        options: The keywords.

    Returns:
        Whether to attach to a session that did the same.

    Raises:
        InputError: If one of them is neither True nor False.

    Example:
        >>> pop_reuse({"fresh": True}), pop_reuse({"reuse": True})
        (False, True)
    """
    return resolve_reuse(options.pop("reuse", None), options.pop("fresh", None))


def resolve_reuse(reuse: bool | None, fresh: bool | None) -> bool:
    """Whether to attach to a session that did the same.

    Args:
        reuse: The option of that name; None if it was not given.
        fresh: Likewise; it comes first.

    Raises:
        InputError: If one of them is neither True, False nor None.
    """
    for name, value in (("reuse", reuse), ("fresh", fresh)):
        if value not in (None, True, False):
            raise InputError(f"must be True or False, not {value!r}", name)
    return not fresh and (defaults.attaches() if reuse is None else bool(reuse))


def start_or_attach(plan: LaunchPlan, *, reuse: bool) -> StartedSession:
    """Starts a plan, or attaches to the session that did the same. Of a map, it starts new rows.

    Args:
        plan: The plan; what has an answer already is left out of it.
        reuse: Whether to look for what was done before.

    Returns:
        The session.

    Raises:
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up; no session is left behind.
    """
    if not reuse:
        return start(plan)
    from cpr_nb.launching.reuse import attach_or_start

    return attach_or_start(plan)


def check_start(plan: LaunchPlan, *, reuse: bool) -> None:
    """Checks what a new session needs beyond its plan, for a dry run.

    Args:
        plan: The plan.
        reuse: Whether to look for what was done before: that needs no branch.

    Raises:
        InputError: If a task can't get its branch.
    """
    if not reuse:
        check_branches(plan)
        return
    from cpr_nb.launching.reuse import check_new_tasks

    check_new_tasks(plan)


def reuse_message(
    started: StartedSession, snapshot: Snapshot, plan: LaunchPlan, run_again: str = "fresh=True"
) -> str:
    """One line: what is reused, and what has changed since. Empty if nothing is reused.

    Args:
        started: What became of the plan.
        snapshot: The session.
        plan: The plan.
        run_again: What would run it again.
    """
    if started.is_new and not plan.reused:
        return ""
    from cpr_nb.launching.reuse import reuse_line

    return reuse_line(started, snapshot, plan, run_again)
