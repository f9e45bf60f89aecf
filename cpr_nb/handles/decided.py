"""What a session with ``stop_when="decided"`` has decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpr_nb.handles.collection import SessionTasks

if TYPE_CHECKING:
    from cpr_nb.model.decision import Decision


class DecidedComparison(SessionTasks):
    """The part of a `Session` that concerns its early end."""

    @property
    def decision(self) -> Decision | None:
        """What is decided so far; None for a session without ``stop_when``.

        Its intervals hold however often one looks, and are about the rows in the order in which
        they were drawn, up to the first one that has not ended. Print it for a sentence a level.

        Example:
            >>> import cpr_nb as cpr
            >>> print(cpr.attach("3f2a").decision)  # doctest: +SKIP
        """
        from cpr_nb.model.decision import read_decision

        return read_decision(self.refresh().head)
