"""Shared processes that have ended: their files go once every task has all of its stream."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.runner.shared.recovered import RecoveredProcess
    from cpr_nb.runner.shared.shared_process import SharedProcess


class EndedProcesses:
    """The processes whose files are still to be removed.

    Args:
        leftovers: Gets what they may have left behind.
        recovered: The processes that earlier runners started, if those may have left anything.
    """

    def __init__(self, leftovers: Leftovers, recovered: Iterable[RecoveredProcess]) -> None:
        self._leftovers = leftovers
        self._processes: list[SharedProcess | RecoveredProcess] = [*recovered]

    def add(self, process: SharedProcess) -> None:
        """A process has ended."""
        process.process.sweep_later(self._leftovers)
        self._processes.append(process)
        self.remove_files()

    def remove_files(self) -> None:
        """Removes the files of those whose tasks all have their streams in files of their own."""
        self._processes = [process for process in self._processes if not process.discard()]
