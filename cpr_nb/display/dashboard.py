"""All sessions of a results directory, live."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from cpr_nb.display import cards, row_deltas
from cpr_nb.display.display_handle import Place, shell
from cpr_nb.display.live import View
from cpr_nb.display.session_widget import Ask, Part
from cpr_nb.display.ticker import pace, ticker
from cpr_nb.model import states
from cpr_nb.store.catalog import list_sessions
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.views import formatting
from cpr_nb.views.notice import notice

if TYPE_CHECKING:
    from cpr_nb.display.row_deltas import Change, Row
    from cpr_nb.display.widget import Table

_GROUPS = [
    [states.RUNNING, [states.STARTING, states.RUNNING], True],
    [states.WAITING, [states.WAITING], False],
    [states.PAUSED, [states.PAUSED], False],
    [states.INTERRUPTED, [states.INTERRUPTED, states.STALE], False],
    [states.COMPLETED, [states.COMPLETED], True],
    [states.CANCELLED, [states.CANCELLED], False],
    [states.ERROR, [states.ERROR, states.UNREADABLE], False],
]
_IDLE_S = 2.0
_N_TEXT = 50


class Sessions:
    """Follows the sessions of a directory: of those that have ended, nothing is read again.

    Args:
        directory: The results directory; it need not exist.

    Example:
        >>> Sessions("/no/such/results").look()
        []
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._seen: tuple[int, int] | None = None
        self.snapshots: list[Snapshot] = []
        self.rows: list[Row] = []

    def look(self) -> list[Change] | None:
        """Reads what is new.

        Returns:
            What has changed in `rows`; None if there are other sessions than before.
        """
        try:
            stat = os.stat(self._directory)  # noqa: PTH116 - plain paths, as in the store
            seen: tuple[int, int] | None = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            seen = None
        if seen != self._seen:
            self._seen = seen
            self.snapshots = list_sessions(self._directory)
            self.rows = [self._row(snapshot) for snapshot in self.snapshots]
            return None
        fresh = {}
        for index, snapshot in enumerate(self.snapshots):
            if snapshot.state not in states.ENDED_STATES:
                self.snapshots[index] = read_session(snapshot.paths.root, tasks=False)
                fresh[index] = self._row(self.snapshots[index])
        told = row_deltas.changes(self.rows, fresh)
        row_deltas.apply(self.rows, told)
        return told

    @staticmethod
    def _row(snapshot: Snapshot) -> Row:
        return row_deltas.session_row(snapshot, notice(snapshot))


class _Table:
    """The table of sessions, as a part of a view."""

    def __init__(self, sessions: Sessions) -> None:
        from cpr_nb.display import widget

        self._sessions = sessions
        self.table: Table = widget.Table()
        self.table.meta = {
            "kind": "sessions",
            "short": "",
            "commands": {},
            "words": formatting.LOOKS,
            "groups": _GROUPS,
            "empty": "No sessions yet.",
        }
        self.send_rows()

    def send_rows(self, *, is_seen: bool = False) -> None:
        """Sends all rows."""
        if self.table.rows is self._sessions.rows:
            self.table.send_state("rows")
        else:
            self.table.rows = self._sessions.rows

    def tick(self) -> bool:
        """Brings the table up to date; whether anything has changed."""
        told = self._sessions.look()
        if told is None:
            self.send_rows()
        elif told:
            self.table.send({"rows": told, "now": time.time()})
        return told is None or bool(told)


class Dashboard(View):
    """All sessions of a results directory; evaluated in a notebook, they are shown live.

    Args:
        directory: The results directory.
        ask: What asks something of a session.
    """

    def __init__(self, directory: str, ask: Ask) -> None:
        super().__init__(ask)
        self._directory = directory
        self._sessions = Sessions(directory)
        self._table: _Table | None = None
        self._open: dict[str, Part] = {}
        self._box: Any = None

    def __repr__(self) -> str:
        self._sessions.look()
        told = [formatting.on_one_line(s) for s in self._sessions.snapshots[:_N_TEXT]]
        n_more = len(self._sessions.snapshots) - len(told)
        more = [f"{n_more} more: cpr.sessions_df()"] if n_more else []
        return "\n".join([*told, *more]) or f"<no sessions in {self._directory}>"

    def _repr_html_(self) -> str:
        self._sessions.look()
        return cards.sessions(self._sessions.rows, self._directory)

    def _ipython_display_(self) -> None:
        if shell() is None:
            raise NotImplementedError  # IPython then takes the text
        try:
            from cpr_nb.display import widget
        except ImportError:
            raise NotImplementedError from None
        self._sessions.look()
        self._table = _Table(self._sessions)
        self.listen(self._table)
        self._box = widget.box(self._table.table)
        bundle = self._box._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        texts = {"text/plain": repr(self), "text/html": self._repr_html_()}
        Place().show({**bundle, **texts})
        ticker.add(self)

    def tick(self) -> float | None:
        """Looks once; see `cpr_nb.display.ticker.Shown`."""
        self.hear()
        n_changed = sum(part.tick() for part in self._open.values())
        changed = (self._table is not None and self._table.tick()) or n_changed > 0
        is_alive = any(s.is_live for s in self._sessions.snapshots)
        self._pace_s = pace(self._pace_s, changed=changed) if is_alive or changed else _IDLE_S
        return None if self.is_hidden else self._pace_s

    def take(self, part: Any, message: dict[str, Any]) -> None:
        """Takes a message: of the table, or of a session that was opened."""
        self._pace_s = 0.0
        if isinstance(part, Part):
            asked = part.hear(message, self._ask)
            if asked is not None and asked.root:
                self._add(asked.root)
            return
        if message.get("do") == "open":
            for snapshot in self._sessions.snapshots:
                if snapshot.session_id == message.get("key"):
                    self._toggle(snapshot.paths.root)

    def _toggle(self, root: str) -> None:
        part = self._open.pop(root, None)
        if part is None:
            self._add(root)
            return
        self._draw()
        part.close()

    def _add(self, root: str) -> None:
        part = self._open[root] = Part(root)
        self.listen(part)
        self._draw()

    def _draw(self) -> None:
        if self._table is not None:
            self._box.children = [self._table.table, *(p.box for p in self._open.values())]

    def fail(self, error: Exception) -> None:
        """Is told why it will not be looked after any more."""
        why = f"This view has stopped ({type(error).__name__}: {error}); show it again."
        for part in self._open.values():
            part.stop(why)
