"""The report of a session, as a method of its handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.handles.collection import SessionTasks

if TYPE_CHECKING:
    from cpr_nb.display.report.page import Report
    from cpr_nb.store.read import Snapshot


class SessionReport(SessionTasks):
    """The method of a `Session` that reports it."""

    def report(self, *, redact: bool = False) -> Report:
        """Everything about it on one static page, for people who have no Jupyter: to mail or print.

        Also of a session that runs: as of now.

        Args:
            redact: Whether to leave out prompts, answers, changes, and whatever else you or an
                agent have written.

        Returns:
            What a notebook shows; ``save("report.html")`` writes it into a file.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").report().save("report.html")  # doctest: +SKIP
            PosixPath('report.html')
        """
        from cpr_nb.display.report.page import session_report

        snapshot = self.refresh().snapshot
        return session_report(snapshot, _model_costs(snapshot), redact=redact)


def _model_costs(snapshot: Snapshot) -> dict[str, float]:
    """What each model has cost, where the streams tell."""
    from cpr_nb.frames.streams import TaskSelection
    from cpr_nb.frames.usage import usage_rows
    from cpr_nb.store.stream_list import list_streams

    tasks = list(enumerate(snapshot.tasks or ()))
    selection = TaskSelection(snapshot, tasks, list_streams(snapshot.paths.root), [])
    costs: dict[str, float] = {}
    for row in usage_rows(selection):
        if isinstance(row["model"], str) and row.get("cost_usd"):
            costs[row["model"]] = costs.get(row["model"], 0.0) + row["cost_usd"]
    return costs
