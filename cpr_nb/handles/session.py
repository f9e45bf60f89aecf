"""`Session`: the public handle on a session, composed of the parts below it."""

from __future__ import annotations

import os

from cpr_nb.handles.best import SessionBest
from cpr_nb.handles.charts import SessionCharts
from cpr_nb.handles.comparing import SessionComparing
from cpr_nb.handles.decided import DecidedComparison
from cpr_nb.handles.exporting import SessionExport
from cpr_nb.handles.forecasting import SessionForecasts
from cpr_nb.handles.graded import SessionGrades
from cpr_nb.handles.later_rows import SessionPlans
from cpr_nb.handles.notebook import NotebookView
from cpr_nb.handles.publishing import SessionPullRequests
from cpr_nb.handles.report import SessionReport
from cpr_nb.handles.reused import ReusedRows
from cpr_nb.handles.tables import SessionTables
from cpr_nb.model.public import public
from cpr_nb.store import catalog


@public
class Session(
    ReusedRows,
    SessionPlans,
    SessionBest,
    SessionGrades,
    SessionComparing,
    SessionPullRequests,
    SessionReport,
    SessionExport,
    SessionForecasts,
    SessionCharts,
    SessionTables,
    DecidedComparison,
    NotebookView,
):
    """A handle on a session, also one that claude-parallel-runner.pl wrote.

    It is a view of the session's folder. Dropping it, interrupting a wait or restarting the
    kernel never touches the work.

    Args:
        path: The session's folder.

    Example:
        >>> import cpr_nb as cpr
        >>> session = cpr.attach("3f2a")  # doctest: +SKIP
        >>> session.wait()  # doctest: +SKIP
        >>> [task.text for task in session if task.ok]  # doctest: +SKIP
    """


@public
def attach(session: str, results_dir: str | os.PathLike[str] | None = None) -> Session:
    """Opens an existing session: from another kernel, another day, or a legacy one.

    Args:
        session: Its id, a unique prefix of at least four characters, or its name.
        results_dir: The results directory; default the one that `cpr_nb.launch` would use.

    Returns:
        The session.

    Raises:
        SessionNotFound: If there is none.
        AmbiguousSession: If several match.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.attach("3f2a").state  # doctest: +SKIP
    """
    directory = catalog.results_dir(results_dir, os.environ)
    return Session(catalog.find_session(directory, session))
