"""What a click on a button of the live view does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cpr_nb.handles.control import SessionControl
from cpr_nb.model.errors import CprError

if TYPE_CHECKING:
    from cpr_nb.display.mounted_view import ActionResult


def on_click(
    open_session: Callable[[str], SessionControl],
    root: str,
    verb: str,
    task_id: str,
    question: str = "",
    decision: str = "",
    why: str = "",
) -> ActionResult:
    """Does the action of a button, as the command of that name does.

    Args:
        open_session: Opens a session by its folder.
        root: The session's folder.
        verb: ``answer``, ``cancel``, ``pause``, ``resume`` or ``retry``.
        task_id: The id of the task; empty for the whole session.
        question: The key of the question that is answered.
        decision: The answer: ``once``, ``session`` or ``deny``.
        why: What the agent reads if it is denied.

    Returns:
        What the view shows.
    """
    from cpr_nb.display.mounted_view import ActionResult

    session = open_session(root)
    try:
        if verb == "retry":
            retried = session.retry(fresh=True)  # a click always starts a new session
            return ActionResult(
                "Running again in a new session, below:",
                f'cpr.attach("{retried.id[:8]}")',
                str(retried.path),
            )
        if verb == "pause":
            session.pause()
            return ActionResult("Paused: running tasks continue, no more are started.")
        if verb == "resume":
            session.resume()
            return ActionResult("Resumed.")
        if verb == "answer":
            session.answer(question, decision, why)
            return ActionResult("Answered.")
        if verb == "cancel":
            target = session.task(task_id) if task_id else session
            return ActionResult("Cancelled." if target.cancel() else "It has already ended.")
    except (CprError, OSError) as error:
        return ActionResult(str(error), bad=True)
    return ActionResult(f"unknown action: {verb}", bad=True)
