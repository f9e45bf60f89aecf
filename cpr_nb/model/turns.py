"""The turns of a run of the CLI, and whose words an event holds: the task's agent or a subagent.

A turn begins with an event ``system/init`` and ends with a result line. The result lines of turns
that leave an agent working come late. They have their number, ``result_index``, since 2.1.280.
"""

from __future__ import annotations

from cpr_nb.model.json_values import integer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The types of the events at which a turn begins or ends.
TURN_TYPES = ("system", "result")
#: What is shown where a turn after the first begins.
WAKE_TEXT = "another turn: something in the background has ended"
#: Stands in front of what a subagent says and does.
SUBAGENT_MARK = "↳ "


class TurnCounter:
    """Finds the turn of each event of one attempt.

    Example:
        >>> turns = TurnCounter()
        >>> [turns.turn_of("system", "init"), turns.turn_of("assistant")]
        [0, 0]
        >>> [turns.turn_of("system", "init"), turns.turn_of("result", result_index=0)]
        [1, 0]
    """

    __slots__ = ("_has_begun", "_n_results", "turn")

    def __init__(self) -> None:
        self.turn = 0  # the turn that goes on, from 0
        self._has_begun = False
        self._n_results = 0

    def turn_of(self, kind: str, subtype: object = None, result_index: object = None) -> int:
        """The turn of the next event."""
        if kind == "system" and subtype == "init":
            self.turn += self._has_begun
            self._has_begun = True
        if kind != "result":
            return self.turn
        index = integer(result_index)
        self._n_results += 1
        return self._n_results - 1 if index is None else index

    def begins(self, event: dict[str, Any]) -> bool:
        """Feeds an event; whether a turn after the first begins with it."""
        before = self.turn
        self.turn_of(event["type"], event.get("subtype"), event.get("result_index"))
        return self.turn > before


def subagent_mark(event: dict[str, Any]) -> str:
    """What stands in front of an event's words; empty for the task's own agent.

    Example:
        >>> subagent_mark({"type": "assistant", "parent_tool_use_id": "toolu_1"})
        '↳ '
    """
    return SUBAGENT_MARK if isinstance(event.get("parent_tool_use_id"), str) else ""
