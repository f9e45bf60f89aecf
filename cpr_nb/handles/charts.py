"""The charts of a session, as methods of its handle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.handles.collection import SessionTasks

if TYPE_CHECKING:
    from cpr_nb.display.charts.svg import Chart
    from cpr_nb.store.read import Snapshot


class SessionCharts(SessionTasks):
    """The methods of a `Session` that draw it."""

    def timeline(self) -> Chart:
        """When each task ran, how many ran at once, and what it cost as time went on.

        Also of a session that runs: as of now.

        Returns:
            What a notebook shows; ``save("timeline.svg")`` writes it into a file.

        Raises:
            SessionNotUsable: If it is a legacy session: those have no times.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").timeline()  # doctest: +SKIP
        """
        from cpr_nb.display.charts.timeline import timeline

        return timeline(self._drawable("timeline"))

    def cost_chart(self) -> Chart:
        """What each task cost by the CLI's own estimate, the most expensive first.

        Returns:
            What a notebook shows; ``save("costs.svg")`` writes it into a file.

        Raises:
            SessionNotUsable: If it is a legacy session: those have no costs.

        Example:
            >>> import cpr_nb as cpr
            >>> cpr.attach("3f2a").cost_chart()  # doctest: +SKIP
        """
        from cpr_nb.display.charts.cost_chart import cost_chart

        return cost_chart(self._drawable("cost_chart"))

    def _drawable(self, chart: str) -> Snapshot:
        from cpr_nb.model.errors import SessionNotUsable

        snapshot = self.refresh().snapshot
        if snapshot.is_legacy:
            raise SessionNotUsable(
                f"can't draw the {chart} of {snapshot.session_id}: "
                "claude-parallel-runner.pl wrote this session, "
                "without times and costs of its tasks"
            )
        return snapshot
