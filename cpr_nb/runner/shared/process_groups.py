"""Which tasks may share a process: those that agree in everything that a process fixes."""

from __future__ import annotations

from cpr_nb.runner.shared.sizing import Sizing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

#: The tools that leave nothing behind for the next task. Any other one, known or not, is the end
#: of its process.
HARMLESS_TOOLS = frozenset(
    (
        *("Read", "Write", "Edit", "NotebookEdit", "Glob", "Grep", "LS", "Bash"),
        *("WebFetch", "WebSearch", "StructuredOutput", "ToolSearch"),
    )
)
#: How many processes in a row may end before they serve a task.
_BAD_STARTS = 2


def unusual_tool(names: Iterable[str]) -> str:
    """The first tool that is not harmless; empty if all are."""
    return min((name for name in names if name not in HARMLESS_TOOLS), default="")


class Group:
    """The tasks that share processes with each other.

    Args:
        n_left: How many tasks were not given to a process yet.
        n_cores: The cores that may be used.

    Attributes:
        sizing: How many processes it has.
        is_refused: Whether its tasks have a process of their own after all.
    """

    __slots__ = ("is_refused", "n_bad_starts", "n_left", "sizing")

    def __init__(self, n_left: int, n_cores: int) -> None:
        self.n_left = n_left
        self.sizing = Sizing(n_cores)
        self.is_refused = False
        self.n_bad_starts = 0

    def bad_start(self) -> bool:
        """A process ended before it served a task; returns whether that is too often."""
        self.n_bad_starts += 1
        return self.n_bad_starts >= _BAD_STARTS
