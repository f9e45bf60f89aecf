"""The widgets of the dashboard: all sessions of a results directory, live."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from cpr_nb.display import cards, row_deltas
from cpr_nb.display.display_handle import DisplayHandle, shell
from cpr_nb.display.live import View, stopped_text
from cpr_nb.display.session_widget import ActionHandler, SessionWidget
from cpr_nb.display.ticker import pace, ticker
from cpr_nb.model import states
from cpr_nb.model.text import visible_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.catalog import list_sessions
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views import formatting
from cpr_nb.views.notice import notice, warnings_of

if TYPE_CHECKING:
    from cpr_nb.display.row_deltas import Change, Row
    from cpr_nb.display.widget import Table

_GROUPS = [
    [states.RUNNING, [states.STARTING, states.RUNNING], True],
    [states.WAITING, [states.WAITING], False],
    [states.PAUSED, [states.PAUSED], False],
    [states.UNREACHABLE, [states.UNREACHABLE], False],
    [states.INTERRUPTED, [states.INTERRUPTED, states.STALE], False],
    [states.COMPLETED, [states.COMPLETED], True],
    [states.CANCELLED, [states.CANCELLED], False],
    [states.ERROR, [states.ERROR, states.UNREADABLE], False],
]
_IDLE_S = 2.0
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

    def __init__(self, sessions: SessionList) -> None:
        from cpr_nb.display import widget

        self._sessions = sessions
        self.table: Table = widget.Table()
        self.table.meta = {
            "kind": "sessions",
            "short": "",
            "commands": {},
            "styles": formatting.STATE_STYLES,
            "groups": _GROUPS,
            "empty": "No sessions yet.",
        }
        self.send_rows()

    def send_rows(self, *, is_loaded: bool = False) -> None:
        """Sends all rows."""
        if self.table.rows is self._sessions.rows:
            self.table.send_state("rows")
        else:
            self.table.rows = self._sessions.rows

    def tick(self) -> bool:
        """Brings the table up to date; returns whether anything has changed."""
        changes = self._sessions.refresh()
        if changes is None:
            self.send_rows()
        elif changes:
            self.table.send({"rows": changes, "now": time.time()})
        return changes is None or bool(changes)


class Dashboard(View):
    """All sessions of a results directory; evaluated in a notebook, they are shown live.

    Args:
        directory: The results directory.
        handle_action: Does the actions of a session's buttons.
    """

    def __init__(self, directory: str, handle_action: ActionHandler) -> None:
        super().__init__(handle_action)
        self._directory = directory
        self._sessions = SessionList(directory)
        self._table: _SessionTable | None = None
        self._opened: dict[str, SessionWidget] = {}
        self._box: Any = None

    def __repr__(self) -> str:
        self._sessions.refresh()
        lines = [formatting.session_line(s) for s in self._sessions.snapshots[:_MAX_LINES]]
        n_more = len(self._sessions.snapshots) - len(lines)
        more = [f"{n_more} more: cpr.sessions_df()"] if n_more else []
        return "\n".join([*lines, *more]) or visible_line(f"<no sessions in {self._directory}>")

    def _repr_html_(self) -> str:
        self._sessions.refresh()
        return cards.session_list_card(self._sessions.rows, self._directory)

    def _ipython_display_(self) -> None:
        if shell() is None:
            raise NotImplementedError  # IPython shows the text then
        try:
            from cpr_nb.display import widget
        except ImportError:
            raise NotImplementedError from None
        self._sessions.refresh()
        self._table = _SessionTable(self._sessions)
        self.listen(self._table)
        self._box = widget.box(self._table.table)
        bundle = self._box._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        texts = {"text/plain": repr(self), "text/html": self._repr_html_()}
        DisplayHandle().show({**bundle, **texts})
        ticker.add(self)

    def shows(self, root: str) -> bool:
        """Whether the session of a folder is open in it."""
        return root in self._opened

    def tick(self) -> float | None:
        """Brings the view up to date; see `cpr_nb.display.ticker.Tickable`."""
        self.drain_messages()
        n_changed = sum(session.tick() for session in self._opened.values())
        changed = (self._table is not None and self._table.tick()) or n_changed > 0
        is_live = any(s.is_live for s in self._sessions.snapshots)
        self._pace_s = pace(self._pace_s, changed=changed) if is_live or changed else _IDLE_S
        return None if self.is_hidden else self._pace_s

    def handle_message(self, part: Any, message: dict[str, Any]) -> None:
        """Handles a message to the table, or to a session that was opened."""
        self._pace_s = 0.0
        if isinstance(part, SessionWidget):
            result = part.on_message(message, self._handle_action)
            if result is not None and result.root:
                self._add(result.root)
            return
        if message.get("type") == "open":
            for snapshot in self._sessions.snapshots:
                if snapshot.session_id == message.get("key"):
                    self._toggle(snapshot.paths.root)

    def _toggle(self, root: str) -> None:
        session = self._opened.pop(root, None)
        if session is None:
            self._add(root)
            return
        self._draw()
        session.close()

    def _add(self, root: str) -> None:
        session = self._opened[root] = SessionWidget(root)
        self.listen(session)
        self._draw()

    def _draw(self) -> None:
        if self._table is not None:
            self._box.children = [
                self._table.table,
                *(session.box for session in self._opened.values()),
            ]

    def on_error(self, error: Exception) -> None:
        """Shows why the view is no longer kept up to date."""
        for session in self._opened.values():
            session.stop(stopped_text(error))
