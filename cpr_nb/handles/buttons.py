"""What a click on a button of the live view does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cpr_nb.handles.control import SessionControl
from cpr_nb.model.errors import CprError

if TYPE_CHECKING:
    from cpr_nb.display.session_widget import Asked


def on_click(
    open_session: Callable[[str], SessionControl], root: str, verb: str, task_id: str
) -> Asked:
    """Does what a button says, as the command of that name does.

    Args:
        open_session: Opens a session by its folder.
        root: The session's folder.
        verb: ``cancel``, ``pause``, ``resume`` or ``retry``.
        task_id: The id of the task; empty for the whole session.

    Returns:
        What the view says of it.
    """
    from cpr_nb.display.session_widget import Asked

    session = open_session(root)
    try:
        if verb == "retry":
            retried = session.retry(fresh=True)  # a click always starts a new session
            return Asked(
                "Runs again as a new session, below:",
                f'cpr.attach("{retried.id[:8]}")',
                str(retried.path),
            )
        if verb == "pause":
            session.pause()
            return Asked("Paused: running tasks continue, no more are started.")
        if verb == "resume":
            session.resume()
            return Asked("Resumed.")
        if verb == "cancel":
            target = session.task(task_id) if task_id else session
            return Asked("Cancelled." if target.cancel() else "It had ended already.")
    except (CprError, OSError) as error:
        return Asked(str(error), bad=True)
    return Asked(f"unknown action: {verb}", bad=True)
