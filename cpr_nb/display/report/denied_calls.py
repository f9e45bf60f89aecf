"""What agents were denied: each rule that would have allowed it, with an example."""

from __future__ import annotations

from typing import NamedTuple

from cpr_nb.display.report.entries import Entry
from cpr_nb.model.activity import tool_target
from cpr_nb.model.denials import advise
from cpr_nb.model.text import one_line

_MAX_ROWS, _MAX_TASKS = 50, 12


class DeniedCalls(NamedTuple):
    """Tool calls that one rule would have allowed, or for which there is none.

    Args:
        rule: The rule, or the tool where no rule helps.
        why: Why no rule helps; what else the rule would allow.
        example: What one of the calls was about.
        tasks: The numbers of the tasks.
        n_calls: How many calls.
    """

    rule: str
    why: str
    example: str
    tasks: str
    n_calls: int


def denied_calls(entries: list[Entry], *, redact: bool) -> list[DeniedCalls]:
    """Returns what was denied, the most frequent first.

    Args:
        entries: The tasks of a session.
        redact: Whether to name only the tools.

    Example:
        >>> denied_calls([], redact=False)
        []
    """
    calls: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for entry in entries:
        for denial in entry.denials:
            tool = one_line(str(denial.get("tool_name", "")), 80)
            target = "" if redact else tool_target(denial.get("tool_input"))
            for key in [(tool, "")] if redact else _rules(denial, tool):
                calls.setdefault(key, []).append((entry.num, target))
    ranked = sorted(calls.items(), key=lambda item: -len(item[1]))
    return [_row(rule, why, found) for (rule, why), found in ranked[:_MAX_ROWS]]


def _rules(denial: dict[str, object], tool: str) -> list[tuple[str, str]]:
    advice = advise(denial)
    if not advice.rules:
        return [(tool, f"No rule to advise: {one_line(advice.reason, 200)}")]
    return [(one_line(rule, 200), advice.warnings.get(rule, "")) for rule in advice.rules]


def _row(rule: str, why: str, calls: list[tuple[int, str]]) -> DeniedCalls:
    nums = list(dict.fromkeys(num for num, _ in calls))
    more = f" and {len(nums) - _MAX_TASKS} more" if len(nums) > _MAX_TASKS else ""
    tasks = ", ".join(f"#{num}" for num in nums[:_MAX_TASKS]) + more
    return DeniedCalls(rule, why, calls[0][1], tasks, len(calls))
