"""How far a session is that someone waits for: a few figures and a bar, for one line."""

from __future__ import annotations

from typing import NamedTuple

from cpr_nb.model import states
from cpr_nb.model.text import one_line
from cpr_nb.views import formatting
from cpr_nb.views.figure_texts import ended_text, progress_pieces, range_text
from cpr_nb.views.figures import session_figures
from cpr_nb.views.followed_session import FollowedSession
from cpr_nb.views.planned_text import waits_for
from cpr_nb.views.questions import open_questions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot
    from cpr_nb.views.figures import Forecaster

#: The last word of a piece → the symbol and tone that it has in every interface.
_MARKED = {
    "failed": formatting.STATE_STYLES[states.FAILED],
    "question": ("◆", "warn"),
    "questions": ("◆", "warn"),
}


class Piece(NamedTuple):
    """One figure of the line, with the symbol and the tone of what a person must not miss."""

    text: str
    symbol: str = ""
    tone: str = ""


class WaitProgress(NamedTuple):
    """What the line of a wait shows.

    Attributes:
        symbol: That of the session's state.
        tone: That of the session's state.
        name: The session's name, or the first characters of its id.
        pieces: The figures, most important first.
        parts: The parts of the bar: tone and number of tasks.
        n_ended: How many tasks have ended.
        label: The bar in words.
    """

    symbol: str
    tone: str
    name: str
    pieces: list[Piece]
    parts: list[tuple[str, int]]
    n_ended: int
    label: str

    @property
    def text(self) -> str:
        """The figures as plain text.

        Example:
            >>> pieces = [Piece("5 of 12 ended"), Piece("1 failed", "✕", "bad")]
            >>> WaitProgress("◐", "run", "docs", pieces, [], 5, "").text
            '5 of 12 ended, 1 failed'
        """
        return ", ".join(piece.text for piece in self.pieces).replace("≈", "about")


class ProgressFollower:
    """Follows a session that someone waits for.

    Args:
        root: The session's folder.
        forecaster: As for `cpr_nb.views.figures.FiguresFollower`.

    Example:
        >>> ProgressFollower("/no/such/session-1").poll().text
        '0 of 0 ended'
    """

    def __init__(self, root: str, forecaster: Forecaster | None = None) -> None:
        self._followed = FollowedSession(root, forecaster)

    def poll(self) -> WaitProgress:
        """Reads what is new."""
        self._followed.poll()
        snapshot, figures = self._followed.snapshot, self._followed.figures
        questions = open_questions(snapshot)
        symbol, tone = formatting.STATE_STYLES[snapshot.state]
        texts = progress_pieces(figures, snapshot, len(questions))
        if snapshot.state == states.PLANNED:
            texts = [waits_for(snapshot, counts=True) or "starts now"]
        return WaitProgress(
            symbol=symbol,
            tone=tone,
            name=one_line(str(snapshot.head.get("name") or snapshot.session_id[:8]), 60),
            pieces=[Piece(text, *_MARKED.get(text.rpartition(" ")[2], ())) for text in texts],
            parts=_parts(snapshot, len({question.task_num for question in questions})),
            n_ended=figures.n_ended,
            label=f"{ended_text(figures)}: {_counts(snapshot)}",
        )


def _parts(snapshot: Snapshot, n_asking: int) -> list[tuple[str, int]]:
    parts = []
    for state in formatting.COUNTED_STATES:
        count, tone = snapshot.count(f"n_{state}"), formatting.STATE_STYLES[state][1]
        if state == states.RUNNING:
            parts += [(tone, count - n_asking), ("warn", n_asking)]
        else:
            parts.append(("rest" if state == states.PENDING else tone, count))
    return [(tone, count) for tone, count in parts if count > 0]


def _counts(snapshot: Snapshot) -> str:
    counts = {state: snapshot.count(f"n_{state}") for state in formatting.COUNTED_STATES}
    return ", ".join(f"{count} {state}" for state, count in counts.items() if count)


def timeout_text(snapshot: Snapshot, waited_s: float, subject: str = "") -> str:
    """What a wait says that has lasted too long.

    Args:
        snapshot: The session.
        waited_s: How long it has lasted.
        subject: What was waited for, if it was not the whole session.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> timeout_text(read_session("/no/such/session-1"), 60, "task docs")[:59]
        'task docs has not ended: 0 of 0 ended after 1:00 of waiting'
    """
    figures = session_figures(snapshot).session(snapshot)
    waited = formatting.clock(waited_s) if waited_s >= 60 else f"{waited_s:g} s"
    prefix = f"{subject} has not ended: " if subject else ""
    counts = f" ({counted})" if (counted := _counts(snapshot)) else ""
    left = f"; {range_text(*figures.left_s)} left" if figures.left_s else ""
    if snapshot.state == states.PLANNED:
        return (
            f"{prefix}{snapshot.session_id[:8]} is planned, and {waits_for(snapshot)} after "
            f"{waited} of waiting. It starts once that has ended: wait again"
        )
    return (
        f"{prefix}{ended_text(figures)} after {waited} of waiting{counts}{left}. The session keeps "
        f"running: wait again, or cpr watch {snapshot.short_id}"
    )
