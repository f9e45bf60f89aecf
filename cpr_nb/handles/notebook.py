"""How a session shows itself in a notebook."""

from __future__ import annotations

import sys
from functools import partial

from cpr_nb.handles.buttons import on_click
from cpr_nb.handles.control import SessionControl
from cpr_nb.model import states


class NotebookView(SessionControl):
    """The methods of a `Session` that show it."""

    def show(self, *, widgets: bool | None = None) -> None:
        """Shows it live in a notebook: all tasks, what they do now, their outputs, buttons.

        A cell that ends in a session shows it, too. When the session has ended, a static card
        replaces those widgets. What this method shows stays open, so that the outputs can be read.

        Args:
            widgets: Whether to use widgets; None uses them where they are installed. Without them
                a static card is refreshed.

        Raises:
            ImportError: If widgets are wanted and not installed.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").show()  # doctest: +SKIP
        """
        if not self._show(widgets=widgets, keep=True):
            sys.stdout.write(f"{self!r}\n")

    def _show(self, *, widgets: bool | None, keep: bool) -> bool:
        """Shows it if there is a notebook."""
        from cpr_nb.display.display_handle import shell

        if shell() is None:
            return False
        from cpr_nb.display import live

        root = self.refresh().snapshot.paths.root
        live.show(root, partial(on_click, type(self)), widgets=widgets, keep=keep)
        return True

    def _ipython_display_(self) -> None:
        snapshot = self.refresh().snapshot
        may_change = snapshot.is_live or snapshot.state == states.INTERRUPTED
        if not (may_change and self._show(widgets=None, keep=False)):
            raise NotImplementedError  # IPython then takes the text, or the card below

    def _repr_html_(self) -> str:
        from cpr_nb.display.cards import session_card
        from cpr_nb.display.session_model import SessionModel

        model = SessionModel(self.refresh().snapshot.paths.root)
        model.refresh()
        return session_card(model, opens=False)
