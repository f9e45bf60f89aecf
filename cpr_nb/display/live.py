"""The live view of a session in a notebook, and the static card where there are no widgets.

Everything happens in the ticker's thread. Messages of the browser are queued, for they may
arrive on any thread, and only after the cell that computes now.
"""

from __future__ import annotations

from typing import Any

from cpr_nb.display import cards
from cpr_nb.display.display_handle import DisplayHandle
from cpr_nb.display.mounted_view import ActionHandler, View, stopped_text
from cpr_nb.display.session_model import SessionModel
from cpr_nb.display.session_part import SessionPart
from cpr_nb.display.ticker import ticker
from cpr_nb.views import formatting


class LiveView(View):
    """A session, and below it those that its buttons have started.

    Args:
        root: The session's folder.
        handle_action: Does the actions of its buttons.
    """

    def __init__(self, root: str, handle_action: ActionHandler) -> None:
        super().__init__(handle_action)
        self._sessions: list[SessionPart] = []
        self._add(root)

    def _add(self, root: str) -> None:
        self._sessions.append(SessionPart(root))
        self.add_part(self._sessions[-1])

    @property
    def is_live(self) -> bool:
        """Whether something of what it shows may still change by itself."""
        return any(session.model.snapshot.is_live for session in self._sessions)

    def shows(self, root: str) -> bool:
        """Whether it shows the session of a folder."""
        return any(session.root == root for session in self._sessions)

    def card(self) -> dict[str, str]:
        """The static card, as HTML and as text."""
        models = [session.model for session in self._sessions]
        return {
            "text/plain": "\n".join(formatting.session_line(model.snapshot) for model in models),
            "text/html": "".join(cards.session_card(model) for model in models),
        }

    def handle_message(self, part: Any, message: dict[str, Any]) -> None:
        """Handles a message about what a part shows."""
        answer, result = part.on_message(message, self._handle_action)
        if answer is not None:
            self.send(part, answer)
        if result is not None and result.root:
            self._add(result.root)


class StaticView:
    """A session as a static card that is refreshed, where there are no widgets.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        self._model = SessionModel(root)
        self._model.refresh()
        self._display = DisplayHandle()
        self._shown: dict[str, str] = {}

    def display(self) -> None:
        """Shows it in the cell that runs, and keeps it up to date until the session ends."""
        self._shown = self._bundle()
        self._display.show(self._shown)
        if self._model.snapshot.is_live:
            ticker.add(self)

    def shows(self, root: str) -> bool:
        """Whether it shows the session of a folder."""
        return self._model.snapshot.paths.root == root

    def tick(self) -> float | None:
        """Brings the view up to date; see `cpr_nb.display.ticker.Tickable`."""
        self._model.refresh()
        bundle = self._bundle()
        if bundle != self._shown:
            self._shown = bundle
            self._display.update(bundle)
        return 1.0 if self._model.snapshot.is_live else None

    def on_error(self, error: Exception) -> None:
        """Shows why the view is no longer kept up to date."""
        self._display.update({"text/plain": stopped_text(error)})

    def _bundle(self) -> dict[str, str]:
        card = cards.session_card(self._model, opens=False)
        return {"text/plain": formatting.session_line(self._model.snapshot), "text/html": card}


def show(root: str, handle_action: ActionHandler, *, widgets: bool | None = None) -> None:
    """Shows a session in the cell that runs.

    Args:
        root: The session's folder.
        handle_action: Does the actions of its buttons.
        widgets: Whether to use widgets; None: if they are installed.
    """
    if widgets is not False:
        try:
            LiveView(root, handle_action).display()
            return
        except ImportError:
            if widgets:
                raise
    StaticView(root).display()
