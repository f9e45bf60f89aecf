"""What helps against all denials of a task or a session, for every interface."""

from __future__ import annotations

from cpr_nb.model.denials import advise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class DenialSummary:
    """The advice on several denials, each once.

    Args:
        denials: The denials, with their reasons.

    Attributes:
        rules: The rules that would allow the calls.
        warnings: Rule → what else it allows.
        refusals: Tool and reason of the calls for which no rule can be advised.

    Example:
        >>> summary = DenialSummary([{"tool_name": "Bash", "message": "Hook error: no"}])
        >>> summary.rules, summary.notes()
        ([], ['No rule to advise. Bash: Hook error: no'])
    """

    __slots__ = ("refusals", "rules", "warnings")

    def __init__(self, denials: Iterable[dict[str, Any]]) -> None:
        rules, refusals = dict[str, None](), dict[str, None]()
        self.warnings: dict[str, str] = {}
        for denial in denials:
            advice = advise(denial)
            rules.update(dict.fromkeys(advice.rules))
            self.warnings.update(advice.warnings)
            if not advice.rules:
                refusals[f"{denial.get('tool_name', '')}: {advice.reason}"] = None
        self.rules = list(rules)
        self.refusals = list(refusals)

    def words(self) -> str:
        """The rules, and the reasons where none helps, in a row."""
        return ", ".join([*self.rules, *self.refusals])

    def notes(self) -> list[str]:
        """What a person should know beside the rules, a line each."""
        return [
            *(f"{rule} {warning}." for rule, warning in self.warnings.items()),
            *(f"No rule to advise. {refusal}" for refusal in self.refusals),
        ]
