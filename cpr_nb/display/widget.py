"""The widgets of the live view: ipywidgets around one anywidget table."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import anywidget
import ipywidgets
import traitlets

from cpr_nb.display.row_deltas import Column

_WEB = files("cpr_nb.display").joinpath("web")


def _read(*names: str) -> str:
    return "\n".join(_WEB.joinpath(name).read_text("utf-8") for name in names)


def _column_constants() -> str:
    return f"const {', '.join(f'{column.name} = {column.value}' for column in Column)};"


class Table(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """The table of tasks or sessions, with its filters, buttons and viewer.

    ``rows`` goes to the browser as a whole only at first. Then the changes that
    `cpr_nb.display.row_deltas.diff_rows` finds follow as messages, and both sides change the list
    in place.
    """

    _esm = f"{_column_constants()}\n{_read('base.js', 'markdown.js', 'viewer.js', 'table.js')}"
    _css = _read("card.css", "table.css")
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    meta: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)


def html() -> ipywidgets.HTML:
    """Returns a piece of HTML with the style of a card."""
    widget = ipywidgets.HTML()
    widget.add_class("cpr")
    return widget


def box(*children: Any) -> ipywidgets.VBox:
    """Returns the widgets below each other."""
    widget = ipywidgets.VBox(list(children))
    widget.add_class("cpr-box")
    return widget
