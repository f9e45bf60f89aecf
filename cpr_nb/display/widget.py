"""The widgets of the live view: ipywidgets around one anywidget table."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anywidget
import ipywidgets
import traitlets

_WEB = files("cpr_nb.display").joinpath("web")


def _read(*names: str) -> str:
    return "\n".join(_WEB.joinpath(name).read_text("utf-8") for name in names)


class Table(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """The table of tasks or sessions, with its filters, buttons and viewer.

    ``rows`` goes to the browser as a whole only at first; then `cpr_nb.display.row_deltas.changes`
    follow as messages, and the list is changed in place on both sides.
    """

    _esm = _read("base.js", "viewer.js", "table.js")
    _css = _read("card.css", "table.css")
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    meta: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)


def html() -> ipywidgets.HTML:
    """A piece of HTML, styled as a card is."""
    widget = ipywidgets.HTML()
    widget.add_class("cpr")
    return widget


def box(*children: Any) -> ipywidgets.VBox:
    """The widgets below each other."""
    widget = ipywidgets.VBox(list(children))
    widget.add_class("cpr-box")
    return widget
