"""The dashboard: all sessions of a results directory, live."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from cpr_nb.display import cards, row_deltas
from cpr_nb.display.display_handle import shell
from cpr_nb.display.mounted_view import ActionHandler, View
from cpr_nb.display.session_part import SessionPart
from cpr_nb.model import states
from cpr_nb.model.text import one_line, visible_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.catalog import list_sessions
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views import formatting
from cpr_nb.views.notice import notice, warnings_of

if TYPE_CHECKING:
    from cpr_nb.display.row_deltas import Change, Row
    from cpr_nb.display.widget import LiveWidget

_MAX_LINES = 50


class SessionList:
    """Follows the sessions of a directory; those that have ended are not read again.

    Args:
        directory: The results directory; it need not exist.

    Example:
        >>> SessionList("/no/such/results").refresh()
        []
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._stamp: tuple[int, int] | None = None
        self.snapshots: list[Snapshot] = []
        self._marks = read_marks()
        self.rows: list[Row] = []

    def refresh(self) -> list[Change] | None:
        """Reads what is new.

        Returns:
            What has changed in `rows`; None if sessions were added or removed.
        """
        try:
            stat = os.stat(self._directory)  # noqa: PTH116 - plain paths, as in the store
            stamp: tuple[int, int] | None = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            stamp = None
        if stamp != self._stamp:
            self._stamp = stamp
            self.snapshots, self._marks = list_sessions(self._directory), read_marks()
            self.rows = [self._row(snapshot) for snapshot in self.snapshots]
            return None
        fresh = {}
        for index, snapshot in enumerate(self.snapshots):
            if snapshot.state not in states.ENDED_STATES:
                self.snapshots[index] = read_session(snapshot.paths.root, tasks=False)
                fresh[index] = self._row(self.snapshots[index])
        changes = row_deltas.diff_rows(self.rows, fresh)
        row_deltas.apply_changes(self.rows, changes)
        return changes

    def _row(self, snapshot: Snapshot) -> Row:
        warnings = warnings_of(snapshot)
        mark = f"⚠ {formatting.plural(len(warnings), 'warning')}" if warnings else ""
        is_foreign = self._marks.is_foreign(snapshot.head, snapshot.session_id)
        foreign = "foreign" if is_foreign else ""
        notices = [text for text in (foreign, notice(snapshot), mark) if text]
        return row_deltas.session_cells(snapshot, " · ".join(notices))


class _SessionTable:
    """The table of sessions, a part of the dashboard."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self.sessions = SessionList(directory)
        self.sessions.refresh()

    def state(self) -> dict[str, Any]:
        """All that the browser must know of it."""
        folder = one_line(formatting.short_path(self._directory), 200)
        head = {"live": True, "name": "Sessions", "folder": folder, "empty": "No sessions yet."}
        return {"kind": "sessions", "rows": self.sessions.rows, "head": head}

    def changes(self) -> dict[str, Any] | None:
        """What has changed since the last call; None if nothing has."""
        changes = self.sessions.refresh()
        if changes is None:
            return {"all": self.sessions.rows}
        return {"rows": changes} if changes else None


class _DashboardView(View):
    """The table of sessions, and below it those that were opened."""

    def __init__(self, directory: str, handle_action: ActionHandler) -> None:
        super().__init__(handle_action)
        self._directory = directory
        self._table = _SessionTable(directory)
        self._opened: dict[str, SessionPart] = {}
        self.add_part(self._table)

    @property
    def is_live(self) -> bool:
        """New sessions may appear at any time."""
        return True

    def shows(self, root: str) -> bool:
        """Whether the session of a folder is open in it."""
        return root in self._opened

    def card(self) -> dict[str, str]:
        """The static card, as HTML and as text."""
        return session_list_card(self._table.sessions, self._directory)

    def handle_message(self, part: Any, message: dict[str, Any]) -> None:
        """Handles a message to the table, or to a session that was opened."""
        if isinstance(part, SessionPart):
            answer, result = part.on_message(message, self._handle_action)
            if answer is not None:
                self.send(part, answer)
            if result is not None and result.root:
                self._open(result.root)
        elif message.get("type") == "open":
            for snapshot in self._table.sessions.snapshots:
                if snapshot.session_id == message.get("key"):
                    self._toggle(snapshot.paths.root)

    def _toggle(self, root: str) -> None:
        if part := self._opened.pop(root, None):
            self.remove_part(part)
        else:
            self._open(root)

    def _open(self, root: str) -> None:
        self._opened[root] = SessionPart(root)
        self.add_part(self._opened[root])


class Dashboard:
    """All sessions of a results directory; evaluated in a notebook, they are shown live.

    Args:
        directory: The results directory.
        handle_action: Does the actions of a session's buttons.
    """

    def __init__(self, directory: str, handle_action: ActionHandler) -> None:
        self._directory = directory
        self._handle_action = handle_action

    def widget(self) -> LiveWidget:
        """It as one anywidget, for notebooks such as marimo: ``mo.ui.anywidget(board.widget())``.

        Raises:
            ImportError: If anywidget is not installed.
        """
        return self._view().to_widget()

    def _view(self) -> View:
        return _DashboardView(self._directory, self._handle_action)

    def __repr__(self) -> str:
        return self._card()["text/plain"]

    def _repr_html_(self) -> str:
        return self._card()["text/html"]

    def _card(self) -> dict[str, str]:
        sessions = SessionList(self._directory)
        sessions.refresh()
        return session_list_card(sessions, self._directory)

    def _ipython_display_(self) -> None:
        if shell() is None:
            raise NotImplementedError  # IPython shows the text then
        try:
            view = self._view()
        except ImportError:
            raise NotImplementedError from None
        view.display()


def session_list_card(sessions: SessionList, directory: str) -> dict[str, str]:
    """Returns the sessions as static HTML and as text."""
    lines = [formatting.session_line(s) for s in sessions.snapshots[:_MAX_LINES]]
    n_more = len(sessions.snapshots) - len(lines)
    more = [f"{n_more} more: cpr.sessions_df()"] if n_more else []
    text = "\n".join([*lines, *more]) or visible_line(f"<no sessions in {directory}>")
    return {"text/plain": text, "text/html": cards.session_list_card(sessions.rows, directory)}
