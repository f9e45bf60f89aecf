"""How far the grades of a session are, as a line that every view shows."""

from __future__ import annotations

import os

from cpr_nb.model import states
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import read_session
from cpr_nb.views.formatting import cost, plural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot


def grade_lines(snapshot: Snapshot, program: str = "cpr") -> list[str]:
    """Returns how many answers of a session are graded, and by which session.

    Args:
        snapshot: The session that is graded.
        program: How the command is called here.

    Returns:
        One line; none if the session was launched without ``grade``.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> from cpr_nb.store.read import Snapshot
        >>> paths = SessionPaths("/r/session-1")
        >>> grade_lines(Snapshot(paths, {"grading_id": "2"}, [], "completed"))
        ['graded by session 2, which is not there: s.grade() starts another one']
    """
    grading_id = snapshot.head.get("grading_id")
    if not isinstance(grading_id, str) or "/" in grading_id:
        return []
    folder = os.path.dirname(snapshot.paths.root)
    grading = read_session(f"{folder}/{SESSION_PREFIX}{grading_id}", tasks=False)
    short = grading.short_id
    if grading.state == states.UNREADABLE:
        return [f"graded by session {short}, which is not there: s.grade() starts another one"]
    n_graded, spent = grading.count("n_succeeded"), cost(grading.head)
    line = f"{plural(n_graded, 'answer')} graded by session {short}"
    line += f" for {spent}, which is not in the cost of this one" if spent else ""
    if grading.state == states.INTERRUPTED:
        return [f"{line}; it is interrupted: {program} resume {short} continues it"]
    return [line if grading.state in states.ENDED_STATES else f"{line}; it is {grading.state}"]
