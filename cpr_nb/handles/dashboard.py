"""The public function `dashboard`: all sessions of a results directory, live."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from cpr_nb.handles.buttons import on_click
from cpr_nb.handles.session import Session
from cpr_nb.model.public import public
from cpr_nb.store import catalog

if TYPE_CHECKING:
    from cpr_nb.display.dashboard import Dashboard


@public
def dashboard(results_dir: str | os.PathLike[str] | None = None) -> Dashboard:
    """All sessions of the results directory, live in a notebook; a click opens one.

    Args:
        results_dir: The results directory; default the one that `cpr_nb.launch` would use.

    Returns:
        An object that a notebook displays; elsewhere its text has one line per session.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.dashboard()  # doctest: +SKIP
    """
    from cpr_nb.display.dashboard import Dashboard

    return Dashboard(catalog.results_dir(results_dir, os.environ), partial(on_click, Session))
