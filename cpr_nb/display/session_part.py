"""One session in a live view, and what the buttons of its table do."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cpr_nb.display.output import OutputFollower
from cpr_nb.display.session_head import session_head
from cpr_nb.display.session_model import SessionModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cpr_nb.display.mounted_view import ActionHandler, ActionResult
    from cpr_nb.display.output import Message

_HEAD_EVERY_S = 1.0
_OF_AN_ANSWER = ("question", "decision", "why")


class SessionPart:
    """One session, followed.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.model = SessionModel(root)
        self.model.refresh()
        self._head = session_head(self.model)
        self._head_read_at = time.monotonic()
        self._output: OutputFollower | None = None
        self._key = ""  # of the row whose output is shown

    def state(self) -> dict[str, Any]:
        """All that the browser must know of it."""
        return {"kind": "tasks", "rows": self.model.rows, "head": self._head}

    def changes(self) -> dict[str, Any] | None:
        """What has changed since the last call; None if nothing has."""
        message: dict[str, Any] = {}
        state = self.model.snapshot.state
        changes = self.model.refresh()
        if changes is None:
            message["all"] = self.model.rows
        if changes:
            message["rows"] = changes
        now = time.monotonic()
        if now - self._head_read_at > _HEAD_EVERY_S or state != self.model.snapshot.state:
            self._head_read_at = now
            head = session_head(self.model)
            if head != self._head:
                message["head"] = self._head = head
        if self._output is not None:
            with suppress(LookupError):  # its session was removed
                snapshot = self.model.source(self._key)[0]
                if output := self._messages(self._output.poll(snapshot)):
                    message["output"] = output
        return message or None

    def on_message(
        self, message: dict[str, Any], handle_action: ActionHandler
    ) -> tuple[dict[str, Any] | None, ActionResult | None]:
        """Handles a message of the browser.

        Returns:
            What to answer it, and the result if the message is the action of a button.
        """
        kind, key = message.get("type"), str(message.get("key", ""))
        if kind == "action":
            verb = str(message.get("verb"))
            names = _OF_AN_ANSWER if verb == "answer" else ()
            result = handle_action(
                self.root, verb, key, *(str(message.get(name, "")) for name in names)
            )
            payload = {"text": result.text, "code": result.code, "bad": result.bad}
            return {"result": payload}, result
        output: list[Message] = []
        if kind == "open":
            output = self._open(key)
        elif kind == "close":
            self._output = None
        elif kind == "more" and self._output:
            offset = message.get("offset")
            offset = offset if isinstance(offset, int) else 0
            output = self._messages(self._output.next_piece(str(message.get("name")), offset))
        elif kind == "earlier" and self._output:
            output = self._messages(self._output.earlier_steps())
        return ({"output": output} if output else None), None

    def _open(self, key: str) -> list[Message]:
        self._output, self._key = None, key
        with suppress(LookupError):
            snapshot, index = self.model.source(key)
            self._output = OutputFollower(snapshot, index, snapshot.session_id[:8])
            return self._messages(self._output.poll(snapshot))
        return []

    def _messages(self, messages: Iterable[Message]) -> list[Message]:
        return [{"key": self._key, **message} for message in messages]
