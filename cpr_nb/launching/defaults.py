"""The defaults that differ in notebooks."""

from __future__ import annotations

import sys

#: Whether a launch attaches to the session that does the same (`cpr_nb.launching.begin`),
#: because "Run All" must not pay twice.
reuse = False


def attaches() -> bool:
    """Whether a launch attaches where the caller has not said it: in notebooks.

    The extension sets `reuse`. marimo has no extension, and runs a cell again whenever what it
    depends on has changed.
    """
    marimo = sys.modules.get("marimo")
    app_meta = getattr(marimo, "app_meta", None)
    return reuse or (app_meta is not None and app_meta().mode in ("edit", "run"))
