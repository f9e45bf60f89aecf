"""The one widget of a live view: an anywidget whose code is the files in ``web``."""

from __future__ import annotations

import json
from importlib.resources import files

import anywidget
import traitlets

from cpr_nb.display import state_groups
from cpr_nb.display.row_deltas import Column
from cpr_nb.views.formatting import STATE_STYLES

_WEB = files("cpr_nb.display").joinpath("web")
_SCRIPTS = ("base", "head", "questions", "markdown", "viewer", "tools", "table", "part", "mount")


def _read(*names: str) -> str:
    return "\n".join(_WEB.joinpath(name).read_text("utf-8") for name in names)


def _constants() -> str:
    """What Python and the browser must agree about, as JavaScript."""
    values = {column.name: column.value for column in Column} | {
        "STYLES": STATE_STYLES,
        "GROUPS": {"tasks": state_groups.TASK_GROUPS, "sessions": state_groups.SESSION_GROUPS},
        "RETRYABLE": state_groups.RETRYABLE,
        "UNFINISHED": state_groups.UNFINISHED,
    }
    return "\n".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())


class LiveWidget(anywidget.AnyWidget):  # type: ignore[misc, unused-ignore]
    """What draws a view in the browser, wherever the notebook has a mount of its id.

    All that it shows comes as custom messages. Its state has only the code and the id, so that a
    notebook that is saved with the state of its widgets keeps nothing that could go stale.
    """

    _esm = "\n".join([_constants(), _read(*(f"{name}.js" for name in _SCRIPTS))])
    _css = _read("card.css", "table.css")
    #: The static card, for a page without a kernel that displays the widget itself; else empty.
    card: traitlets.Unicode[str, str | bytes] = traitlets.Unicode().tag(sync=True)
    view_id: traitlets.Unicode[str, str | bytes] = traitlets.Unicode().tag(sync=True)
