"""What a session has decided, as lines that every view shows."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.read import Snapshot


def decision_lines(snapshot: Snapshot) -> list[str]:
    """Returns what the rules of a session have found out; nothing of a session without rules.

    Args:
        snapshot: The session.

    Returns:
        With ``stop_when`` one sentence for each level that is compared, with ``best_of`` how many
        rows are solved.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> from cpr_nb.store.read import Snapshot
        >>> head = {"candidates": {"n": 5, "n_rows": 40, "n_solved": 31, "n_ended": 40}}
        >>> decision_lines(Snapshot(SessionPaths("/r/session-1"), head, [], "completed"))
        ['31 of 40 rows are solved by the best of 5']
        >>> head["candidates"]["n_unknown"] = 2
        >>> decision_lines(Snapshot(SessionPaths("/r/session-1"), head, [], "completed"))
        ['31 of 40 rows are solved by the best of 5; of 2 nobody knows: a grade is missing']
        >>> head["candidates"] = {"n": 5, "n_rows": 40, "n_solved": 1, "n_ended": 0}
        >>> decision_lines(Snapshot(SessionPaths("/r/session-1"), head, [], "running"))
        ['1 of 40 rows is solved so far by the best of 5']
    """
    lines = []
    if "decision" in snapshot.head:
        from cpr_nb.model.decision import read_decision  # few sessions have one

        decision = read_decision(snapshot.head)
        lines += [] if decision is None else str(decision).split("\n")
    candidates = snapshot.head.get("candidates")
    return [*lines, *(_solved_lines(candidates) if isinstance(candidates, dict) else [])]


def _solved_lines(candidates: dict[str, Any]) -> list[str]:
    """How many rows are solved, as the runner has counted them."""
    names = ("n", "n_rows", "n_solved", "n_ended")
    n, n_rows, n_solved, n_ended = (candidates.get(name) for name in names)
    if not all(isinstance(count, int) for count in (n, n_rows, n_solved, n_ended)):
        return []
    verb = "is" if n_solved == 1 else "are"
    rows = f"{n_rows} row{'s' * (n_rows != 1)}"
    so_far = "" if n_ended == n_rows else " so far"
    n_unknown = candidates.get("n_unknown")
    is_open = isinstance(n_unknown, int)
    more = f"; of {n_unknown} nobody knows: a grade is missing" if is_open else ""
    return [f"{n_solved} of {rows} {verb} solved{so_far} by the best of {n}{more}"]
