"""What all live views share: the widget, its place in the notebook, the messages of the browser.

The output of the cell is plain HTML: an empty mount, and below it a static card. The widget is not
displayed: its code finds the mount in the page and draws there, once the kernel has sent something.
So a notebook that is reopened or converted has the card, and nothing that misses a kernel.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cpr_nb.display.clicks import deliver_at_once
from cpr_nb.display.display_handle import DisplayHandle, shell
from cpr_nb.display.ticker import pace, ticker
from cpr_nb.model.text import one_line

if TYPE_CHECKING:
    from cpr_nb.display.widget import LiveWidget

_CARD_EVERY_S = 10.0
# A view takes about this share of a core at most: the more it has to read, the less often it does.
_MOST_OF_A_CORE, _LONGEST_REST_S = 0.008, 0.5
_SILENCE_S = 5.0  # then an empty message: a view that receives nothing says so
# What is sent before the browser has loaded the code is lost, and a busy kernel does not hear that
# it has: send all again.
_RESEND_AFTER_S = (0.2, 0.7, 2.0, 6.0, 15.0)


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


#: Does the action of a button: the session's folder, the verb, the id of a task or "", and of an
#: answer to an agent the question's key, the decision and why.
ActionHandler = Callable[..., ActionResult]


class Part(Protocol):
    """A table of a view: the tasks of a session, or the sessions of a directory."""

    def state(self) -> dict[str, Any]:
        """All that the browser must know of it."""
        ...

    def changes(self) -> dict[str, Any] | None:
        """What has changed since the last call; None if nothing has."""
        ...


class View(ABC):
    """A live view.

    Args:
        handle_action: Does the actions of its buttons.
    """

    def __init__(self, handle_action: ActionHandler) -> None:
        from cpr_nb.display import widget

        self._handle_action = handle_action
        self._queue: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._viewers: set[str] = set()
        self._was_seen = self._is_closing = False
        self._pace_s = 0.0
        self._n_parts = 0
        self._parts: dict[str, Part] = {}
        self._static: DisplayHandle | None = None
        self._has_card = False  # in the widget itself
        self._card: dict[str, str] = {}
        self._created_at = self._card_drawn_at = self._sent_at = time.monotonic()
        self._resend_after_s = list(_RESEND_AFTER_S)
        self.view_id = uuid.uuid4().hex[:16]
        #: The widget: it is not displayed, unless `to_widget` has given it to somebody.
        self.widget = widget.LiveWidget(view_id=self.view_id)
        self.widget.on_msg(self._on_message)
        deliver_at_once(self.widget)

    # -- what the kinds of views have of their own ---------------------------------------------

    @property
    @abstractmethod
    def is_live(self) -> bool:
        """Whether something of what it shows may still change by itself."""

    @abstractmethod
    def shows(self, root: str) -> bool:
        """Whether it shows the session of a folder."""

    @abstractmethod
    def card(self) -> dict[str, str]:
        """The static card, as HTML and as text."""

    @abstractmethod
    def handle_message(self, part: Part, message: dict[str, Any]) -> None:
        """Handles a message about what a part shows."""

    # -- its place in the notebook -------------------------------------------------------------

    def display(self) -> None:
        """Shows it in the cell that runs, and keeps it up to date from then on."""
        mount = {"text/html": f'<div class="cpr-view-{self.view_id}"></div>'}
        DisplayHandle().show(mount if _can_mount() else self._displayed_widget())
        self._static, self._card = DisplayHandle(), self._wrapped_card()
        self._static.show(self._card)
        _close_earlier_views(self)
        self.start()

    def _displayed_widget(self) -> dict[str, Any]:
        """Returns the widget to display. Without its kernel, VS Code shows this HTML: none."""
        found = self.widget._repr_mimebundle_()
        bundle = found[0] if isinstance(found, tuple) else found or {}
        return {**bundle, "text/plain": "", "text/html": ""}

    def start(self) -> None:
        """Keeps it up to date from now on."""
        ticker.add(self)

    def to_widget(self) -> LiveWidget:
        """The widget for a notebook that displays it itself; a page without a kernel has the card.

        It is kept up to date from now on.
        """
        self._has_card = True
        self._draw_card(now=True)
        self.start()
        return self.widget

    def close(self) -> None:
        """Takes it out of the page; the static card stays."""
        self._is_closing = True
        ticker.add(self)

    def _wrapped_card(self) -> dict[str, str]:
        card = self.card()
        html = f'<div class="cpr-card-of-{self.view_id}">{card["text/html"]}</div>'
        return {**card, "text/html": html}

    def _draw_card(self, *, now: bool) -> None:
        is_due = now or time.monotonic() - self._card_drawn_at > _CARD_EVERY_S
        if not is_due:
            return
        self._card_drawn_at = time.monotonic()
        if self._has_card:
            self.widget.card = self.card()["text/html"]
        if self._static is None:
            return
        card = self._wrapped_card()
        if card != self._card:
            self._card = card
            self._static.update(card)

    # -- its parts -----------------------------------------------------------------------------

    def add_part(self, part: Part) -> None:
        """Shows a part below the others."""
        self._n_parts += 1
        self._parts[f"p{self._n_parts}"] = part
        self._resend_after_s.insert(0, 0.0)

    def remove_part(self, part: Part) -> None:
        """No longer shows a part."""
        self._parts = {name: other for name, other in self._parts.items() if other is not part}
        self._resend_after_s.insert(0, 0.0)

    def send(self, part: Part, message: dict[str, Any]) -> None:
        """Sends a message about a part to the browser."""
        for name, other in self._parts.items():
            if other is part:
                self._send({"part": name, **message})

    def _send(self, message: dict[str, Any]) -> None:
        self._sent_at = time.monotonic()
        self.widget.send({**message, "now": time.time()})

    # -- keeping it up to date -----------------------------------------------------------------

    @property
    def is_hidden(self) -> bool:
        """Whether the browser showed it once and no longer does."""
        return self._was_seen and not self._viewers

    def tick(self) -> float | None:
        """Brings the view up to date; see `cpr_nb.display.ticker.Tickable`."""
        if self._is_closing:
            self._parts.clear()
            self.widget.layout.close()
            self.widget.close()
            return None
        began_s = time.thread_time()
        self._drain_messages()
        has_changed = self._send_changes()
        self._resend()
        self._draw_card(now=not self.is_live)
        if self.is_live and not self.is_hidden:
            self._pace_s = pace(self._pace_s, changed=has_changed)
            rest_s = (time.thread_time() - began_s) / _MOST_OF_A_CORE
            return max(self._pace_s, min(rest_s, _LONGEST_REST_S))
        return 0.5 if self._resend_after_s else None  # a message of the browser wakes it

    def _send_changes(self) -> bool:
        has_changed = False
        for part in list(self._parts.values()):
            changes = part.changes()
            if changes is not None:
                has_changed = has_changed or "rows" in changes
                self.send(part, changes)
        return has_changed

    def _resend(self) -> None:
        after_s, age_s = self._resend_after_s, time.monotonic() - self._created_at
        if after_s and age_s >= after_s[0]:
            while after_s and age_s >= after_s[0]:
                after_s.pop(0)
            self._send(
                {"parts": [{"id": name, **part.state()} for name, part in self._parts.items()]}
            )
        elif time.monotonic() - self._sent_at > _SILENCE_S:
            self._send({})

    def _on_message(self, _widget: object, message: object, _buffers: object) -> None:
        """Queues it: it may come on any thread, and is handled in the ticker's."""
        if isinstance(message, dict):
            self._queue.put(message)
            ticker.add(self)

    def _drain_messages(self) -> None:
        while not self._queue.empty():
            message = self._queue.get()
            kind, viewer = message.get("type"), str(message.get("id"))
            if kind == "loaded":
                self._resend_after_s = [0.0]  # once more, and never again
            elif kind == "shown":
                self._viewers.add(viewer)
                self._was_seen = True
            elif kind == "hidden":
                self._viewers.discard(viewer)
            elif part := self._parts.get(str(message.get("part"))):
                self.handle_message(part, message)
                self._pace_s = 0.0

    def on_error(self, error: Exception) -> None:
        """Shows why the view is no longer kept up to date."""
        for part in self._parts.values():
            self.send(part, {"stopped": stopped_text(error)})


def stopped_text(error: Exception) -> str:
    """Returns what a view shows once it is no longer kept up to date."""
    reason = one_line(f"{type(error).__name__}: {error}")
    return f"This view has stopped ({reason}). Show it again to continue."


def _can_mount() -> bool:
    """Whether the frontend creates a widget that no output displays: these two do not."""
    return "VSCODE_PID" not in os.environ and "google.colab" not in sys.modules


_views_of_cells: dict[str, tuple[str, list[View]]] = {}


def _close_earlier_views(view: View) -> None:
    """Closes the views of the same cell that an earlier run of it has shown: they are gone."""
    parent = shell().kernel.get_parent()
    cell_id = parent.get("metadata", {}).get("cellId")
    if cell_id is None:
        return
    run_id = parent.get("header", {}).get("msg_id")
    earlier_run_id, views = _views_of_cells.get(cell_id, (run_id, []))
    if earlier_run_id != run_id:
        for earlier in views:
            earlier.close()
        views = []
    _views_of_cells[cell_id] = (run_id, [*views, view])
