"""What ``cpr status`` says of a session that still works: what it has used, what is left."""

from __future__ import annotations

import time

from cpr_nb.cli.question_lines import question_lines
from cpr_nb.model import states
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line
from cpr_nb.stats.live_forecast import live_forecast
from cpr_nb.views.figure_texts import left_text, spent_text
from cpr_nb.views.figures import session_figures
from cpr_nb.views.formatting import usd_amount
from cpr_nb.views.node_line import nodes_text
from cpr_nb.views.questions import open_questions, questions_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.read import Snapshot


class LiveStatus:
    """The figures of a session that is read once.

    Args:
        session: The session.

    Example:
        >>> from cpr_nb.store.read import read_session
        >>> LiveStatus(read_session("/no/such/session-1")).lines()
        []
    """

    def __init__(self, session: Snapshot) -> None:
        self._session = session
        self._figures = session_figures(session, live_forecast)

    def task(self, index: int) -> str:
        """What a running task asks, or what it has used so far, in parentheses; may be empty.

        Args:
            index: Its number, from 0.
        """
        task, figures = (self._session.tasks or [])[index], self._figures.task(index)
        if task_state(task)[0] != states.RUNNING:
            return ""
        if questions := questions_of(task):
            return f" (asks: {one_line(questions[0].target, 160)})"
        tokens, cost_usd = figures.tokens_text, figures.cost_usd
        parts = [tokens and f"{tokens} tokens", "" if cost_usd is None else usd_amount(cost_usd)]
        return f" ({', '.join(filter(None, parts))})" if any(parts) else ""

    def lines(self) -> list[str]:
        """What the session has used, what is left, and what its agents ask."""
        figures, lines = self._figures.session(self._session), []
        if spent := spent_text(figures, self._session):
            lines.append(f"Cost: {spent}, {figures.n_tokens or 0} tokens")
        if left := left_text(figures, self._session):
            lines.append(f"Left: {left}")
        if nodes := nodes_text(self._session, time.time()):
            lines.append(f"Nodes: {nodes}")
        return lines + question_lines(open_questions(self._session), self._session.short_id)
