"""The live view of sessions in a notebook, and the static card where there are no widgets.

Everything happens in the ticker's thread: what the browser asks is queued, for its message
may come on any thread, and only after the cell that computes now.
"""

from __future__ import annotations

import sys
import time
from queue import SimpleQueue
from typing import Any

from cpr_nb.display import cards
from cpr_nb.display.display_handle import Place
from cpr_nb.display.session_model import Pane
from cpr_nb.display.session_widget import Ask, Part
from cpr_nb.display.ticker import pace, ticker
from cpr_nb.model.text import one_line
from cpr_nb.views import formatting

_CARD_S = 5.0
_EMPTY = {"text/plain": "", "text/html": ""}


class View:
    """What a live view is, whatever it shows: who looks at it, what was asked."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._queue: SimpleQueue[tuple[Any, dict[str, Any]]] = SimpleQueue()
        self._viewers: set[str] = set()
        self._holders: set[str] = set()
        self._was_seen = False
        self._pace_s = 0.0

    @property
    def is_hidden(self) -> bool:
        """Whether the browser has shown it once, and does so no more."""
        return self._was_seen and not self._viewers

    def listen(self, part: Any) -> None:
        """Takes what comes from the browser for a part of this view."""

        def heard(_widget: object, message: object, _buffers: object) -> None:
            if isinstance(message, dict):
                self._queue.put((part, message))
                ticker.add(self)

        part.table.on_msg(heard)

    def hear(self) -> None:
        """Does what was asked since the last time."""
        while not self._queue.empty():
            part, message = self._queue.get()
            verb, viewer = message.get("do"), str(message.get("id"))
            if verb == "shown":
                self._viewers.add(viewer)
                self._was_seen = True
                part.send_rows(is_seen=True)
            elif verb == "hidden":
                self._viewers.discard(viewer)
                self._holders.discard(viewer)
            elif verb == "hold":
                (self._holders.add if message.get("on") else self._holders.discard)(viewer)
            else:
                self.take(part, message)

    def take(self, part: Any, message: dict[str, Any]) -> None:
        """Takes a message that concerns what is shown."""
        raise NotImplementedError

    def tick(self) -> float | None:
        """Looks once; see `cpr_nb.display.ticker.Shown`."""
        raise NotImplementedError

    def fail(self, error: Exception) -> None:
        """Is told why it will not be looked after any more."""
        raise NotImplementedError


class LiveView(View):
    """A session live, and below it those that its buttons have made.

    Args:
        root: The session's folder.
        ask: What asks something of it.
        keep: Whether it stays as it is when the session has ended.
    """

    def __init__(self, root: str, ask: Ask, *, keep: bool = False) -> None:
        from cpr_nb.display import widget

        super().__init__(ask)
        self._keep = keep
        self._parts: list[Part] = []
        self._box = widget.box()
        self._place, self._still = Place(), Place()
        self._card, self._card_at = "", 0.0
        self._is_replaced = False
        self._add(root)

    def _add(self, root: str) -> None:
        part = Part(root)
        self.listen(part)
        self._parts.append(part)
        self._is_replaced = False
        self._box.children = [*self._box.children, part.box]

    def display(self) -> None:
        """Shows it in the cell that runs, and looks after it from then on."""
        snapshot = self._parts[0].pane.snapshot
        bundle = self._box._repr_mimebundle_()
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        self._place.show(
            {**bundle, "text/plain": formatting.on_one_line(snapshot), "text/html": _PLACEHOLDER}
        )
        self._card, self._card_at = self._cards(), time.monotonic()
        self._still.show(self._bundle(still=True))
        ticker.add(self)

    def tick(self) -> float | None:
        """Looks once; see `cpr_nb.display.ticker.Shown`."""
        self.hear()
        if self._is_replaced and self.is_hidden:
            self._close()
        if not self._parts:
            return None
        changed = sum(part.tick() for part in self._parts) > 0
        is_alive = any(part.pane.snapshot.is_live for part in self._parts)
        self._draw_card(now=not is_alive)
        if is_alive and not self.is_hidden:
            self._pace_s = pace(self._pace_s, changed=changed)
            return self._pace_s
        has_ended = all(part.pane.has_ended for part in self._parts)
        if has_ended and not (self._is_replaced or self._keep or self._holders):
            self._replace()
        return None  # what the browser says wakes it

    def take(self, part: Part, message: dict[str, Any]) -> None:
        """Takes a message that concerns what is shown."""
        asked = part.hear(message, self._ask)
        if asked is not None and asked.root:
            self._add(asked.root)
        self._pace_s = 0.0

    def fail(self, error: Exception) -> None:
        """Is told why it will not be looked after any more."""
        for part in self._parts:
            part.stop(f"This view has stopped ({type(error).__name__}: {error}); show it again.")

    def _draw_card(self, *, now: bool) -> None:
        if not now and time.monotonic() - self._card_at < _CARD_S:
            return
        self._card_at = time.monotonic()
        card = self._cards()
        if card != self._card:
            self._card = card
            self._still.update(self._bundle(still=True))

    def _cards(self) -> str:
        return "".join(cards.card(part.pane, _after(part.pane)) for part in self._parts)

    def _bundle(self, *, still: bool) -> dict[str, str]:
        text = "\n".join(formatting.on_one_line(part.pane.snapshot) for part in self._parts)
        html = f'<div class="cpr-still">{self._card}</div>' if still else self._card
        return {"text/plain": text, "text/html": html}

    def _replace(self) -> None:
        """Leaves the static card where the widgets were: it needs no kernel."""
        self._is_replaced = True
        self._place.update(self._bundle(still=False))
        self._still.update(_EMPTY)

    def _close(self) -> None:
        """Ends the widgets, once the browser has taken them away.

        A page that was loaded anew does not know the place any more: it keeps them.
        """
        for part in self._parts:
            part.close()
        self._parts.clear()
        self._box.close()


class StillView:
    """A session as a static card that is refreshed, where there are no widgets.

    Args:
        root: The session's folder.
    """

    def __init__(self, root: str) -> None:
        self._pane = Pane(root)
        self._pane.look()
        self._place = Place()
        self._told: dict[str, str] = {}

    def display(self) -> None:
        """Shows it in the cell that runs, and looks after it until the session ends."""
        self._told = self._bundle()
        self._place.show(self._told)
        if self._pane.snapshot.is_live:
            ticker.add(self)

    def tick(self) -> float | None:
        """Looks once; see `cpr_nb.display.ticker.Shown`."""
        self._pane.look()
        bundle = self._bundle()
        if bundle != self._told:
            self._told = bundle
            self._place.update(bundle)
        return 1.0 if self._pane.snapshot.is_live else None

    def fail(self, error: Exception) -> None:
        """Is told why it will not be looked after any more."""
        self._place.update({"text/plain": f"This view has stopped: {one_line(str(error))}"})

    def _bundle(self) -> dict[str, str]:
        card = cards.card(self._pane, _after(self._pane))
        return {"text/plain": formatting.on_one_line(self._pane.snapshot), "text/html": card}


_PLACEHOLDER = '<div class="cpr">A live view; what it showed last:</div>'


def _after(pane: Pane) -> str:
    """What to type next, for the last line of a card."""
    return ", s.show() opens the outputs" if pane.has_ended and pane.rows else ""


def is_deaf() -> bool:
    """Whether this kernel is one that does not deliver what a thread sends to a widget."""
    ipykernel = sys.modules.get("ipykernel")
    return tuple(getattr(ipykernel, "version_info", ())[:2]) == (7, 0)


def show(root: str, ask: Ask, *, widgets: bool | None = None, keep: bool = False) -> None:
    """Shows a session in the cell that runs.

    Args:
        root: The session's folder.
        ask: What asks something of it.
        widgets: Whether to use widgets; None for where they are installed and can be updated.
        keep: Whether the widgets stay when the session has ended.
    """
    if not is_deaf() if widgets is None else widgets:
        try:
            LiveView(root, ask, keep=keep).display()
            return
        except ImportError:
            if widgets:
                raise
    StillView(root).display()
