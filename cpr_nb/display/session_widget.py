"""The widgets of one session, and the actions of their buttons."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from cpr_nb.display import cards
from cpr_nb.display.output import OutputFollower
from cpr_nb.display.session_model import SessionModel
from cpr_nb.model import states
from cpr_nb.views import formatting

if TYPE_CHECKING:
    from cpr_nb.display.output import Message
    from cpr_nb.display.widget import Table

_HEAD_EVERY_S = 1.0
_SILENCE_S = 5.0  # then an empty message: a view that receives nothing says so
# A message that arrives before the browser has loaded the table is lost: send all rows again.
_RESEND_AFTER_S = (1.0, 4.0, 15.0)
#: With more tasks the table's mosaic takes the place of the bar (MANY in table.js).
_MAX_IN_BAR = 40
# The chips that filter: name, the states that they show, whether they are shown at zero.
_GROUPS = [
    [states.SUCCEEDED, [states.SUCCEEDED], True],
    [states.FAILED, list(states.FAILURES), False],
    [states.CANCELLED, [states.CANCELLED], False],
    [states.SKIPPED, [states.SKIPPED], False],
    [states.RUNNING, [states.RUNNING, states.RETRYING], True],
    [states.PENDING, [states.PENDING], True],
]
# Of these groups, those that a retry runs again, and those that a cancel ends.
_RETRYABLE = [states.FAILED, states.CANCELLED, states.SKIPPED]
_UNFINISHED = [states.RUNNING, states.PENDING]


class ActionResult(NamedTuple):
    """What became of the action of a button.

    Args:
        text: For the person, one line.
        code: What to type, if anything.
        root: The folder of a session that was created.
        bad: Whether the action was refused.
    """

    text: str
    code: str = ""
    root: str = ""
    bad: bool = False


#: Does the action of a button: the session's folder, the verb, the id of a task or "".
ActionHandler = Callable[[str, str, str], ActionResult]


class SessionWidget:
    """The widgets of one session.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        from cpr_nb.display import widget

        self.root = root
        self.model = SessionModel(root)
        self.model.refresh()
        self._head_drawn_at = self._sent_at = 0.0
        self._created_at = time.monotonic()
        self._resend_after_s = list(_RESEND_AFTER_S)
        self._output: OutputFollower | None = None
        self._key = ""  # of the row whose output is shown
        self._progress, self._figures = widget.html(), widget.html()
        self.table: Table = widget.Table()
        self.table.rows = self.model.rows
        self._draw_head()
        self.box = widget.box(self._progress, self._figures, self.table)

    def tick(self) -> bool:
        """Brings the widgets up to date; returns whether anything has changed."""
        state = self.model.snapshot.state
        changes = self.model.refresh()
        if changes is None:
            self.send_rows()
        elif changes or time.monotonic() - self._sent_at > _SILENCE_S:
            self._sent_at = time.monotonic()
            self.table.send({"rows": changes, "now": time.time()})
        self._resend_rows()
        is_head_due = time.monotonic() - self._head_drawn_at > _HEAD_EVERY_S
        if is_head_due or state != self.model.snapshot.state:
            self._draw_head()
        if self._output is not None:
            with suppress(LookupError):  # its session was removed
                self._send_output(self._output.poll(self.model.source(self._key)[0]))
        return bool(changes) or changes is None

    def send_rows(self, *, is_loaded: bool = False) -> None:
        """Sends all rows.

        Args:
            is_loaded: Whether the browser has loaded the table: it loses nothing from now on.
        """
        if is_loaded:
            self._resend_after_s.clear()
        if self.table.rows is not self.model.rows:
            self.table.rows = self.model.rows
        self.table.send_state("rows")

    def _resend_rows(self) -> None:
        after_s = self._resend_after_s
        if after_s and time.monotonic() - self._created_at > after_s[0]:
            after_s.pop(0)
            self.send_rows()

    def _draw_head(self) -> None:
        model = self.model
        self._head_drawn_at = time.monotonic()
        self._progress.value = cards.head_html(model, bar=len(model.rows) <= _MAX_IN_BAR)
        self._figures.value = cards.figures_html(model)
        self.table.meta = {
            "kind": "tasks",
            "short": model.short,
            "live": model.snapshot.is_live,
            "commands": model.commands(),
            "retryable": _RETRYABLE,
            "unfinished": _UNFINISHED,
            "styles": formatting.STATE_STYLES,
            "groups": _GROUPS,
            "empty": model.snapshot.problem or "No tasks.",
        }

    def stop(self, reason: str) -> None:
        """Says why the view is no longer kept up to date."""
        self._figures.value = cards.notice_html(reason)

    def on_message(
        self, message: dict[str, Any], handle_action: ActionHandler
    ) -> ActionResult | None:
        """Handles a message of the browser.

        Returns:
            The result, if the message is the action of a button.
        """
        kind, key = message.get("type"), str(message.get("key", ""))
        if kind == "action":
            result = handle_action(self.root, str(message.get("verb")), key)
            payload = {"text": result.text, "code": result.code, "bad": result.bad}
            self.table.send({"result": payload})
            return result
        if kind == "open":
            self._open(key)
        elif kind == "close":
            self._output = None
        elif kind == "more" and self._output:
            offset = message.get("offset")
            offset = offset if isinstance(offset, int) else 0
            self._send_output(self._output.next_piece(str(message.get("name")), offset))
        elif kind == "earlier" and self._output:
            self._send_output(self._output.earlier_steps())
        return None

    def _open(self, key: str) -> None:
        self._output, self._key = None, key
        with suppress(LookupError):
            snapshot, index = self.model.source(key)
            self._output = OutputFollower(snapshot, index, snapshot.session_id[:8])
            self._send_output(self._output.poll(snapshot))

    def _send_output(self, messages: Iterable[Message]) -> None:
        assert self._output is not None  # noqa: S101 - only its own messages come here
        for message in messages:
            self.table.send({"output": {"key": self._key, **message}})

    def close(self) -> None:
        """Closes the widgets."""
        for widget in (self.table, self._progress, self._figures, self.box):
            widget.close()
