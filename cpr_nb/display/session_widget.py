"""The widgets of one session, and what they ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.display import cards
from cpr_nb.display.output import Output
from cpr_nb.display.session_model import Pane
from cpr_nb.model import states
from cpr_nb.views import formatting

if TYPE_CHECKING:
    from cpr_nb.display.widget import Table

_HEAD_S = 1.0
_SILENT_S = 5.0  # a word at least: a view that hears nothing says so
# A message that comes before the browser has loaded the table is lost: then all rows again.
_AGAIN_S = (1.0, 4.0, 15.0)
_GROUPS = [
    [states.SUCCEEDED, [states.SUCCEEDED], True],
    [states.FAILED, list(states.FAILURES), False],
    [states.CANCELLED, [states.CANCELLED], False],
    [states.SKIPPED, [states.SKIPPED], False],
    [states.RUNNING, [states.RUNNING, states.RETRYING], True],
    [states.PENDING, [states.PENDING], True],
]


class Asked(NamedTuple):
    """What became of something that was asked by a button.

    Args:
        text: For the person, one line.
        code: What to type, if there is something.
        root: The folder of a session that was made.
        bad: Whether it was refused.
    """

    text: str
    code: str = ""
    root: str = ""
    bad: bool = False


#: Asks something of a session: its folder, the verb, the id of a task or "".
Ask = Callable[[str, str, str], Asked]


class Part:
    """The widgets of one session.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        from cpr_nb.display import widget

        self.root = root
        self.pane = Pane(root)
        self.pane.look()
        self._head_at = self._told_at = 0.0
        self._began = time.monotonic()
        self._again = list(_AGAIN_S)
        self._output: Output | None = None
        self._progress, self._figures = widget.html(), widget.html()
        self.table: Table = widget.Table()
        self.table.rows = self.pane.rows
        self._draw_head()
        self.box = widget.box(self._progress, self._figures, self.table)

    def tick(self) -> bool:
        """Brings the widgets up to date; whether anything has changed."""
        state = self.pane.snapshot.state
        told = self.pane.look()
        if told is None:
            self.send_rows()
        elif told or time.monotonic() - self._told_at > _SILENT_S:
            self._told_at = time.monotonic()
            self.table.send({"rows": told, "now": time.time()})
        self._send_again()
        if time.monotonic() - self._head_at > _HEAD_S or state != self.pane.snapshot.state:
            self._draw_head()
        if self._output is not None:
            self._tell(self._output.look(self.pane.snapshot))
        return bool(told) or told is None

    def send_rows(self, *, is_seen: bool = False) -> None:
        """Sends all rows.

        Args:
            is_seen: Whether the browser has asked for them: it loses nothing from now on.
        """
        if is_seen:
            self._again.clear()
        if self.table.rows is not self.pane.rows:
            self.table.rows = self.pane.rows
        self.table.send_state("rows")

    def _send_again(self) -> None:
        if self._again and time.monotonic() - self._began > self._again[0]:
            self._again.pop(0)
            self.send_rows()

    def _draw_head(self) -> None:
        pane = self.pane
        self._head_at = time.monotonic()
        self._progress.value = cards.head(pane, bar=len(pane.rows) <= 40)
        self._figures.value = cards.figures(pane)
        self.table.meta = {
            "kind": "tasks",
            "short": pane.short,
            "live": pane.snapshot.is_live,
            "commands": pane.commands(),
            "again": [*states.FAILURES, states.CANCELLED, states.SKIPPED],
            "words": formatting.LOOKS,
            "groups": _GROUPS,
            "empty": pane.snapshot.problem or "No tasks.",
        }

    def stop(self, why: str) -> None:
        """Says that the view does not go on."""
        self._figures.value = cards.note(why)

    def hear(self, message: dict[str, Any], ask: Ask) -> Asked | None:
        """Does what the browser asks."""
        verb, key = message.get("do"), str(message.get("key", ""))
        if verb == "open":
            self._open(key)
        elif verb == "close":
            self._output = None
        elif verb == "more" and self._output:
            at = message.get("at")
            self._tell(
                self._output.more(str(message.get("name")), at if isinstance(at, int) else 0)
            )
        elif verb == "earlier" and self._output:
            self._tell(self._output.earlier())
        elif verb == "ask":
            asked = ask(self.root, str(message.get("verb")), key)
            self.table.send({"told": {"text": asked.text, "code": asked.code, "bad": asked.bad}})
            return asked
        return None

    def _open(self, key: str) -> None:
        self._output = None
        for index, row in enumerate(self.pane.rows):
            if row[0] == key:
                self._output = Output(self.pane.snapshot, index, self.pane.short)
                self._tell(self._output.look(self.pane.snapshot))

    def _tell(self, messages: Any) -> None:
        assert self._output is not None  # noqa: S101 - only its own messages come here
        for message in messages:
            self.table.send({"view": {"key": self._output.key, **message}})

    def close(self) -> None:
        """Ends the widgets."""
        for widget in (self.table, self._progress, self._figures, self.box):
            widget.close()
