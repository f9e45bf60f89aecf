"""What a session has decided, as lines that every view shows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot


def decision_lines(snapshot: Snapshot) -> list[str]:
    """Returns one sentence for each level that is compared; none without ``stop_when``.

    Args:
        snapshot: The session.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> decision_lines(Snapshot(SessionPaths("/r/session-1"), {}, [], "running"))
        []
    """
    if "decision" not in snapshot.head:
        return []
    from cpr_nb.model.decision import read_decision  # few sessions have one

    decision = read_decision(snapshot.head)
    return [] if decision is None else str(decision).split("\n")
