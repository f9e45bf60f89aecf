"""The public function that imports sessions from the logs of other tools."""

from __future__ import annotations

import os

from cpr_nb.handles.session import Session
from cpr_nb.model.public import public
from cpr_nb.store import catalog


@public
def import_sessions(
    path: str | os.PathLike[str], results_dir: str | os.PathLike[str] | None = None
) -> list[Session]:
    """Imports what another tool has logged, so that every table and view here shows it.

    An imported session is ``imported``: it ran elsewhere, and nothing of it runs here. The same
    log is imported once; one that has grown replaces what was imported of it.

    Args:
        path: A log of Inspect (``.eval`` or ``.json``), a trajectory of ATIF (``.json``), or a
            folder of them. The trajectories in a folder become the tasks of one session.
        results_dir: The results directory; default the one that `cpr_nb.launch` would use.

    Returns:
        The sessions.

    Raises:
        InputError: If it can't be read, or is no log that is known.
        ResultsDirError: If a session can't be written.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.import_sessions("logs/review.eval")[0].results_df()  # doctest: +SKIP
    """
    from cpr_nb.exchange.imports import import_path

    directory = catalog.results_dir(results_dir, os.environ)
    return [Session(root) for root, _ in import_path(os.fspath(path), directory)]
