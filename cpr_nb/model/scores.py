"""Scores of tasks: a number for each answer, by a column, a check, a grade or a function."""

from __future__ import annotations

from cpr_nb.model import states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

COLUMN, CHECK, GRADE, FUNCTION = KINDS = ("column", "check", "grade", "function")
#: The fields of a task that has been scored: the number, or why it has none.
SCORE, SCORE_ERROR = "score", "score_error"
#: No score comes near it, and sums stay finite.
_LARGEST = 1e15


def score_number(value: object) -> float | None:
    """The value if it can be a score: true is 1, false is 0; None if it is no finite number.

    Example:
        >>> score_number(True), score_number(-2.5), score_number("3"), score_number(float("nan"))
        (1.0, -2.5, None, None)
    """
    if not isinstance(value, bool | int | float):
        return None
    return float(value) if -_LARGEST <= value <= _LARGEST else None


def end_score(
    spec: Mapping[str, Any], outcome: str, reason: str, structure: object
) -> dict[str, Any]:
    """What the end of a task says of its score: its fields, empty if it says nothing.

    A failure has no score. What it counts as is for those to say who compare.

    Args:
        spec: What session.json says of the score.
        outcome: One of `cpr_nb.model.states.OUTCOMES`.
        reason: One of `cpr_nb.model.states.REASONS`.
        structure: The structured answer, if there is one.

    Example:
        >>> end_score({"kind": "check"}, "failed", "check_failed", None)
        {'score': 0.0}
        >>> end_score({"kind": "column", "name": "n"}, "succeeded", "completed", {"n": 3})
        {'score': 3.0}
    """
    succeeded = outcome == states.SUCCEEDED
    if spec.get("kind") == CHECK and (succeeded or reason == "check_failed"):
        return {SCORE: float(succeeded)}
    if spec.get("kind") == COLUMN and succeeded:
        name = str(spec.get("name"))
        value = structure.get(name) if isinstance(structure, dict) else None
        return checked_score(spec, value, f"the answer has no number in {name!r}")
    return {}


def checked_score(spec: Mapping[str, Any], value: object, otherwise: str) -> dict[str, Any]:
    """The fields of a task whose score is this value.

    Args:
        spec: What session.json says of the score.
        value: The value.
        otherwise: Why there is no score if the value is no number.

    Example:
        >>> checked_score({"minimum": 0, "maximum": 1}, 7, "")
        {'score_error': '7 is not from 0 to 1'}
    """
    score = score_number(value)
    if score is None:
        return {SCORE_ERROR: otherwise}
    low, high = spec.get("minimum"), spec.get("maximum")
    if (low is not None and score < low) or (high is not None and score > high):
        low_words = "" if low is None else f" from {low:g}"
        high_words = "" if high is None else f" to {high:g}"
        return {SCORE_ERROR: f"{score:g} is not{low_words}{high_words}"}
    return {SCORE: score}
