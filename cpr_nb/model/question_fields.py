"""Questions that agents ask: what a CLI's request says, the rules that would answer it, answers."""

from __future__ import annotations

import json

from cpr_nb.model.denials import advise, folder_rules
from cpr_nb.model.digest import sha256
from cpr_nb.model.json_values import text_or_none
from cpr_nb.model.text import one_line, visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import Any

#: Allow this one call.
ONCE = "once"
#: Allow it, and whatever its rules allow in this session from now on.
SESSION = "session"
#: Refuse it; the agent goes on without it.
DENY = "deny"
DECISIONS = (ONCE, SESSION, DENY)

#: How long a question waits for an answer, in seconds, unless the option says otherwise.
ASK_S = 600.0
#: How much of a call is shown. Whoever allows a longer one is shown how much is missing.
TARGET_CHARS = 20_000
_TEXT_CHARS = 500
_KEY_CHARS = 16

_WRITES, _READS = "wants to write a file", "wants to read a file"
#: Tool → what it wants, and the field of its input that says where or what exactly.
_WANTS = {
    "Bash": ("wants to run a command", "command"),
    "WebFetch": ("wants to fetch a page", "url"),
    "WebSearch": ("wants to search the web", "query"),
    "Write": (_WRITES, "file_path"),
    "Edit": (_WRITES, "file_path"),
    "NotebookEdit": (_WRITES, "notebook_path"),
    "Read": (_READS, "file_path"),
    "Grep": ("wants to search files", "path"),
    "Glob": ("wants to list files", "path"),
    "Task": ("wants to start a subagent", "prompt"),
    "Agent": ("wants to start a subagent", "prompt"),
}


def question_fields(request: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """What is stored of a question, from the CLI's request.

    Args:
        request: The CLI's ``can_use_tool``.
        folder: The folder that the agent works in.

    Example:
        >>> call = {"tool_name": "Bash", "input": {"command": "pytest -q"}}
        >>> asked = {**call, "decision_reason": "This command requires approval"}
        >>> fields = question_fields({**asked, "permission_suggestions": [{}]}, "/w")
        >>> fields["wants"], fields["target"], fields["rules"]
        ('wants to run a command', 'pytest -q', ['Bash(pytest:*)'])
    """
    tool, tool_input = text_or_none(request.get("tool_name")) or "", request.get("input")
    inputs = tool_input if isinstance(tool_input, dict) else {}
    wants, field = _WANTS.get(tool, (f"wants to use {one_line(tool, 100)}", ""))
    exact = text_or_none(inputs.get(field))
    says = text_or_none(inputs.get("description")) or text_or_none(request.get("description"))
    rules, warnings = _rules(request, inputs)
    return {
        "tool": one_line(tool, 100),
        "wants": wants,
        "target": _bounded(json.dumps(inputs, ensure_ascii=False) if exact is None else exact),
        "says": one_line(says or "", _TEXT_CHARS) if says != exact else "",
        "because": one_line(text_or_none(request.get("decision_reason")) or "", _TEXT_CHARS),
        "runs_in": one_line(folder, _TEXT_CHARS),
        "rules": rules,
        "rule_warning": "; ".join(warnings[rule] for rule in rules if rule in warnings),
    }


def _bounded(text: str) -> str:
    more = len(text) - TARGET_CHARS
    shown = visible(text[:TARGET_CHARS])
    return f"{shown}\n… {more} more characters are not shown" if more > 0 else shown


def question_key(task_id: str, fields: Mapping[str, Any]) -> str:
    """The id of a question: a hash of all that a person is shown of it.

    It is stored nowhere. So whoever answers what a forged file shows answers no question.

    Args:
        task_id: The task that asks.
        fields: What is stored of the question.
    """
    text = json.dumps([task_id, fields], sort_keys=True)
    return str(sha256(text.encode()).hexdigest())[:_KEY_CHARS]


def is_covered(fields: Mapping[str, Any], rules: Collection[str]) -> bool:
    """Whether these rules allow what a question asks for.

    Example:
        >>> is_covered({"rules": ["Bash(pytest:*)"]}, {"Bash(pytest:*)", "Read"})
        True
        >>> is_covered({"rules": []}, {"Read"})
        False
    """
    needed = fields["rules"]
    return bool(needed) and all(rule in rules for rule in needed)


def rule_update(rules: Iterable[str]) -> dict[str, Any]:
    """The rules as the CLI takes them with an answer: for its process, and no file.

    Example:
        >>> rule_update(["Bash(pytest:*)"])["rules"]
        [{'toolName': 'Bash', 'ruleContent': 'pytest:*'}]
    """
    listed = []
    for rule in rules:
        tool, has_content, content = rule.removesuffix(")").partition("(")
        listed.append({"toolName": tool, **({"ruleContent": content} if has_content else {})})
    return {"type": "addRules", "rules": listed, "behavior": "allow", "destination": "session"}


def _rules(request: Mapping[str, Any], inputs: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """The rules that would allow a call, and what else they allow; none if the CLI names none.

    Where a hook or a rule of the user's asks, the CLI suggests nothing: they ask each time.
    """
    suggestions = request.get("permission_suggestions")
    if not isinstance(suggestions, list) or not suggestions:
        return [], {}
    if request.get("blocked_path") or "outside" in str(request.get("decision_reason")):
        return list(dict.fromkeys(_suggested_rules(suggestions, request, inputs))), {}
    denial = {
        "tool_name": request.get("tool_name"),
        "tool_input": inputs,
        "message": request.get("decision_reason"),
        "decision_reason_type": request.get("decision_reason_type"),
    }
    advice = advise(denial)
    return advice.rules, advice.warnings


def _suggested_rules(
    suggestions: list[Any], request: Mapping[str, Any], inputs: Mapping[str, Any]
) -> Iterable[str]:
    """The rules for a call that reaches a path outside, as the CLI suggests them."""
    for suggestion in suggestions:
        fields = suggestion if isinstance(suggestion, dict) else {}
        for folder in _list(fields.get("directories")):
            yield from folder_rules(str(folder), writes=request.get("tool_name") != "Read")
        for rule in _list(fields.get("rules")):
            content = text_or_none(rule.get("ruleContent")) if isinstance(rule, dict) else None
            # A command that is the whole rule would never be asked again in the same words.
            if content and content != inputs.get("command") and rule.get("toolName") != "Bash":
                yield f"{one_line(str(rule.get('toolName')), 100)}({one_line(content)})"


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
