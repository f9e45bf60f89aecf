"""The live view of sessions in a notebook, and the static card where there are no widgets.

Everything happens in the ticker's thread. Messages of the browser are queued, for they may
arrive on any thread, and only after the cell that computes now.
"""

from __future__ import annotations

import time
from queue import SimpleQueue
from typing import Any

from cpr_nb.display import cards
from cpr_nb.display.clicks import deliver_at_once
from cpr_nb.display.display_handle import DisplayHandle
from cpr_nb.display.session_model import SessionModel
from cpr_nb.display.session_widget import ActionHandler, SessionWidget
from cpr_nb.display.ticker import pace, ticker
from cpr_nb.model.text import one_line
from cpr_nb.views import formatting

_CARD_EVERY_S = 5.0
_EMPTY = {"text/plain": "", "text/html": ""}


class View:
    """What all live views share: who sees them, and the messages of the browser."""

    def __init__(self, handle_action: ActionHandler) -> None:
        self._handle_action = handle_action
        self._queue: SimpleQueue[tuple[Any, dict[str, Any]]] = SimpleQueue()
        self._viewers: set[str] = set()
        self._holders: set[str] = set()
        self._was_seen = False
        self._pace_s = 0.0

    @property
    def is_hidden(self) -> bool:
        """Whether the browser showed it once and no longer does."""
        return self._was_seen and not self._viewers

    def listen(self, part: Any) -> None:
        """Queues the messages of the browser to a part of this view."""

        def on_message(_widget: object, message: object, _buffers: object) -> None:
            if isinstance(message, dict):
                self._queue.put((part, message))
                ticker.add(self)

        part.table.on_msg(on_message)
        deliver_at_once(part.table)

    def drain_messages(self) -> None:
        """Handles the messages that have arrived since the last call."""
        while not self._queue.empty():
            part, message = self._queue.get()
            kind, viewer = message.get("type"), str(message.get("id"))
            if kind == "shown":
                self._viewers.add(viewer)
                self._was_seen = True
                part.send_rows(is_loaded=True)
            elif kind == "hidden":
                self._viewers.discard(viewer)
                self._holders.discard(viewer)
            elif kind == "hold":
                (self._holders.add if message.get("on") else self._holders.discard)(viewer)
            else:
                self.handle_message(part, message)

    def handle_message(self, part: Any, message: dict[str, Any]) -> None:
        """Handles a message about what a part shows."""
        raise NotImplementedError

    def shows(self, root: str) -> bool:
        """Whether it shows the session of a folder."""
        raise NotImplementedError

    def tick(self) -> float | None:
        """Brings the view up to date; see `cpr_nb.display.ticker.Tickable`."""
        raise NotImplementedError

    def on_error(self, error: Exception) -> None:
        """Shows why the view is no longer kept up to date."""
        raise NotImplementedError


class LiveView(View):
    """A live session, and below it those that its buttons have started.

    Args:
        root: The session's folder.
        handle_action: Does the actions of its buttons.
        keep: Whether it stays as it is when the session has ended.
    """

    def __init__(self, root: str, handle_action: ActionHandler, *, keep: bool = False) -> None:
        from cpr_nb.display import widget

        super().__init__(handle_action)
        self._keep = keep
        self._sessions: list[SessionWidget] = []
        self._box = widget.box()
        self._display, self._static = DisplayHandle(), DisplayHandle()
        self._card, self._card_drawn_at = "", 0.0
        self._is_replaced = False
        self._add(root)

    def _add(self, root: str) -> None:
        session = SessionWidget(root)
        self.listen(session)
        self._sessions.append(session)
        self._is_replaced = False
        self._box.children = [*self._box.children, session.box]

    def display(self) -> None:
        """Shows it in the cell that runs, and keeps it up to date from then on."""
        snapshot = self._sessions[0].model.snapshot
        bundle = self._box._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        self._display.show(
            {**bundle, "text/plain": formatting.session_line(snapshot), "text/html": _PLACEHOLDER}
        )
        self._card, self._card_drawn_at = self._cards(), time.monotonic()
        self._static.show(self._bundle(static=True))
        ticker.add(self)

    def shows(self, root: str) -> bool:
        """Whether it shows the session of a folder."""
        return any(session.root == root for session in self._sessions)

    def tick(self) -> float | None:
        """Brings the view up to date; see `cpr_nb.display.ticker.Tickable`."""
        self.drain_messages()
        if self._is_replaced and self.is_hidden:
            self._close()
        if not self._sessions:
            return None
        changed = sum(session.tick() for session in self._sessions) > 0
        is_live = any(session.model.snapshot.is_live for session in self._sessions)
        self._draw_card(now=not is_live)
        if is_live and not self.is_hidden:
            self._pace_s = pace(self._pace_s, changed=changed)
            return self._pace_s
        if self._is_replaceable():
            self._replace()
        return None  # a message of the browser wakes it

    def _is_replaceable(self) -> bool:
        """Whether the static card may take the place of the widgets now."""
        if self._is_replaced or self._keep or self._holders:
            return False
        return all(session.model.has_ended for session in self._sessions)

    def handle_message(self, part: SessionWidget, message: dict[str, Any]) -> None:
        """Handles a message about what a part shows."""
        result = part.on_message(message, self._handle_action)
        if result is not None and result.root:
            self._add(result.root)
        self._pace_s = 0.0

    def on_error(self, error: Exception) -> None:
        """Shows why the view is no longer kept up to date."""
        for session in self._sessions:
            session.stop(stopped_text(error))

    def _draw_card(self, *, now: bool) -> None:
        if not now and time.monotonic() - self._card_drawn_at < _CARD_EVERY_S:
            return
        self._card_drawn_at = time.monotonic()
        card = self._cards()
        if card != self._card:
            self._card = card
            self._static.update(self._bundle(static=True))

    def _cards(self) -> str:
        return "".join(cards.session_card(s.model) for s in self._sessions)

    def _bundle(self, *, static: bool) -> dict[str, str]:
        text = "\n".join(formatting.session_line(s.model.snapshot) for s in self._sessions)
        html = f'<div class="cpr-still">{self._card}</div>' if static else self._card
        return {"text/plain": text, "text/html": html}

    def _replace(self) -> None:
        """Puts the static card in the place of the widgets: it needs no kernel."""
        self._is_replaced = True
        self._display.update(self._bundle(static=False))
        self._static.update(_EMPTY)

    def _close(self) -> None:
        """Closes the widgets, once the browser has removed them.

        A page that was reloaded no longer knows the display: it keeps them.
        """
        for session in self._sessions:
            session.close()
        self._sessions.clear()
        self._box.close()


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


_PLACEHOLDER = '<div class="cpr">A live view. What it showed last:</div>'


def stopped_text(error: Exception) -> str:
    """Returns what a view shows once it is no longer kept up to date."""
    reason = one_line(f"{type(error).__name__}: {error}")
    return f"This view has stopped ({reason}). Show it again to continue."


def show(
    root: str, handle_action: ActionHandler, *, widgets: bool | None = None, keep: bool = False
) -> None:
    """Shows a session in the cell that runs.

    Args:
        root: The session's folder.
        handle_action: Does the actions of its buttons.
        widgets: Whether to use widgets; None: if they are installed.
        keep: Whether the widgets stay when the session has ended.
    """
    if widgets is not False:
        try:
            LiveView(root, handle_action, keep=keep).display()
            return
        except ImportError:
            if widgets:
                raise
    StaticView(root).display()
