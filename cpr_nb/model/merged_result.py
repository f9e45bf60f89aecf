"""The result lines of one attempt, and the one result that they add up to.

A run of the CLI writes one result line at the end of each of its turns: that of the prompt, and
one for each time that it is woken because a command or an agent in the background has ended.
docs/outcomes.md has the rule and what it was measured on.
"""

from __future__ import annotations

from cpr_nb.model.denial_reasons import denials_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How much a line counts: a turn in which no model was asked, one that failed, an answer.
_NO_TURN, _FAILED, _ANSWER = range(3)
#: Figures that count from the start of the run: the last line has them in full.
_CUMULATIVE = ("total_cost_usd", "modelUsage", "duration_api_ms")


def is_good(result: dict[str, Any]) -> bool:
    """Whether a result line reports no error.

    Old versions write ``is_error: false`` where a limit stopped the run; ``subtype`` tells.

    Example:
        >>> is_good({"subtype": "error_max_turns", "is_error": False})
        False
    """
    subtype = result.get("subtype")
    is_error = isinstance(subtype, str) and subtype.startswith("error")
    return result.get("is_error") is False and not is_error


class Results:
    """Adds up result lines.

    Attributes:
        merged: The result of the attempt, in the form of a result line; None before the first.
            Its denials are those of all lines, ``structured_output`` is that of the last line that
            has one, ``num_turns`` the sum. How it ended is what the first turn says in which a
            model was asked: later turns answer notifications, not the prompt. If that turn ended
            with an answer, all else is what the last answer says.
        trouble: The line of the last turn that failed after an answer.

    Example:
        >>> results = Results()
        >>> results.add({"is_error": False, "num_turns": 2, "result": "Done."})
        >>> results.add({"is_error": True, "num_turns": 1, "result": "API Error: 400"})
        >>> results.merged
        {'is_error': False, 'num_turns': 3, 'result': 'Done.'}
    """

    __slots__ = ("_rank", "merged", "trouble")

    def __init__(self) -> None:
        self.merged: dict[str, Any] | None = None
        self.trouble: dict[str, Any] | None = None
        self._rank = _NO_TURN

    def add(self, line: dict[str, Any]) -> None:
        """Adds a result line; they come in order."""
        rank, before = _rank_of(line), self.merged
        if before is None:
            self.merged, self._rank = line, rank
            return
        if self._rank == _ANSWER and rank == _FAILED:
            self.trouble = line
        is_newer = self._rank == _NO_TURN or self._rank == rank == _ANSWER
        self.merged = {**(line if is_newer else before), **_added_up(before, line)}
        if is_newer and rank == self._rank and not _text_of(line) and _text_of(before):
            self.merged["result"] = before["result"]
        if self._rank == _NO_TURN:
            self._rank = rank

    @property
    def has_answer(self) -> bool:
        """Whether the prompt has an answer; no later turn undoes that."""
        return self._rank == _ANSWER


def _rank_of(line: dict[str, Any]) -> int:
    if not is_good(line):
        return _FAILED
    return _NO_TURN if line.get("num_turns") == 0 else _ANSWER


def _text_of(line: dict[str, Any]) -> str:
    text = line.get("result")
    return text if isinstance(text, str) else ""


def _added_up(before: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    """The fields that depend on both, those before and the new line."""
    fields = {name: line[name] for name in _CUMULATIVE if name in line}
    denials = _union(denials_of(before), denials_of(line))
    if denials:
        fields["permission_denials"] = denials
    structure = line.get("structured_output")
    structure = before.get("structured_output") if structure is None else structure
    if structure is not None:
        fields["structured_output"] = structure
    turns = [result["num_turns"] for result in (before, line) if _is_count(result.get("num_turns"))]
    if turns:
        fields["num_turns"] = sum(turns)
    return fields


def _union(denials: list[dict[str, Any]], more: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The denials of both; a call that is in both counts once."""
    ids = [denial["tool_use_id"] for denial in denials if denial.get("tool_use_id") is not None]
    return denials + [denial for denial in more if denial.get("tool_use_id") not in ids]


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
