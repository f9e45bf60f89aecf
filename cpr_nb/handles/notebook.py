"""How a session shows itself in a notebook."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from cpr_nb.handles.buttons import on_click
from cpr_nb.handles.control import SessionControl

if TYPE_CHECKING:
    from cpr_nb.display.widget import LiveWidget


class NotebookView(SessionControl):
    """The methods of a `Session` that show it."""

    def show(self, *, widgets: bool | None = None) -> None:
        """Shows it live in a notebook: all tasks, what they do now, their outputs, buttons.

        A cell that ends in a session shows it, too. The view stays when the session has ended, as
        long as the kernel lives; what is saved with the notebook is a static card.

        Args:
            widgets: Whether to use widgets; None uses them where they are installed. Without them
                a static card is refreshed.

        Raises:
            ImportError: If widgets are wanted and not installed.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").show()  # doctest: +SKIP
        """
        if not self._show(widgets=widgets):
            sys.stdout.write(f"{self!r}\n")

    def widget(self) -> LiveWidget:
        """The live view as one anywidget, for notebooks in which `show` can't place it by itself.

        Such as marimo: ``mo.ui.anywidget(s.widget())``. It is kept up to date as long as the
        session lives.

        Raises:
            ImportError: If anywidget is not installed.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").widget()  # doctest: +SKIP
        """
        from cpr_nb.display.live import LiveView

        root = self.refresh().snapshot.paths.root
        return LiveView(root, partial(on_click, type(self))).to_widget()

    def _show(self, *, widgets: bool | None) -> bool:
        """Shows it if there is a notebook."""
        from cpr_nb.display.display_handle import shell

        if shell() is None:
            return False
        from cpr_nb.display import live

        root = self.refresh().snapshot.paths.root
        live.show(root, partial(on_click, type(self)), widgets=widgets)
        return True

    def _ipython_display_(self) -> None:
        if not self._show(widgets=None):
            raise NotImplementedError  # IPython then takes the text

    def _repr_html_(self) -> str:
        from cpr_nb.display.cards import session_card
        from cpr_nb.display.session_model import SessionModel

        model = SessionModel(self.refresh().snapshot.paths.root)
        model.refresh()
        return session_card(model, opens=False)
