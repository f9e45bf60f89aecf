"""What a pull request says about a task: its prompt, its answer, its checks and its cost."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cpr_nb.model import states
from cpr_nb.model.json_values import number
from cpr_nb.model.record import task_state
from cpr_nb.model.text import one_line, visible
from cpr_nb.views.durations import task_duration_s
from cpr_nb.views.formatting import clock, plural, usd

TITLE_CHARS = 72
#: GitHub takes 65,536 characters in all.
BODY_CHARS = 60_000
TEXT_CHARS = 20_000
_MOST_FOLLOW_UPS = 100
_LINE_CHARS = 100


class PromptCost(NamedTuple):
    """One prompt of a conversation, and what the work on it cost.

    Args:
        prompt: The prompt.
        cost_usd: Its cost by the CLI's own estimate; None if that is unknown.
    """

    prompt: str
    cost_usd: float | None


def pull_request_text(
    prompts: Sequence[PromptCost],
    answer: str,
    check: str | None,
    fields: Mapping[str, Any],
    task: str,
    *,
    redact: bool = False,
) -> tuple[str, str]:
    """Returns the title and the text of the pull request of a task.

    What the user and the agent have written is in code blocks: none of it mentions a person, closes
    an issue or loads an image.

    Args:
        prompts: The prompts of the conversation, the first one first; at least one.
        answer: The last answer.
        check: The command that checks the answer; None if there is none.
        fields: What status.json says of the task.
        task: What the task is called, for the last line.
        redact: Leave out the prompts, the answer and the command that checks it.

    Example:
        >>> prompts = [PromptCost("Fix it.", 0.2)]
        >>> title, body = pull_request_text(prompts, "Done.", None, {}, "task 1")
        >>> title
        'Fix it.'
        >>> "USD 0.20 estimate" in body
        True
        >>> title, body = pull_request_text(prompts, "Done.", None, {}, "task 1", redact=True)
        >>> title, "Done." in body
        ('Changes of task 1', False)
    """
    if redact:
        return (
            f"Changes of {one_line(task)}",
            f"{_redacted(prompts, check, fields)}\n\n{_last(task)}",
        )
    limit = TEXT_CHARS
    body = _body(prompts, answer, check, fields, limit)
    while len(body) > BODY_CHARS and limit > 1:
        limit //= 2
        body = _body(prompts, answer, check, fields, limit)
    title = one_line(prompts[0].prompt, TITLE_CHARS) or task
    return title, f"{body}\n\n{_last(task)}"


def _last(task: str) -> str:
    """The last line of the text."""
    return f"Made by Claude Code, started by cpr: {one_line(task)}.\n"


def _redacted(prompts: Sequence[PromptCost], check: str | None, fields: Mapping[str, Any]) -> str:
    """The text but its last line, without anything that the user or the agent has written."""
    outcome = "No check was set." if check is None else f"{_outcome(fields)}."
    return f"### Checks\n\n{outcome}\n\n### Figures\n\n{_figures(prompts, fields)}"


def _body(
    prompts: Sequence[PromptCost],
    answer: str,
    check: str | None,
    fields: Mapping[str, Any],
    limit: int,
) -> str:
    """The text but its last line; of each part of it at most ``limit`` characters."""
    parts = [("Prompt", _block(prompts[0].prompt, limit))]
    if n_left_out := max(0, len(prompts) - 1 - _MOST_FOLLOW_UPS):
        parts.append(("Earlier follow-ups", f"{n_left_out:,} are not shown."))
    shown = prompts[1 + n_left_out :]
    parts += [("Follow-up", _block(more.prompt, limit)) for more in shown]
    parts += [("Answer", _block(answer, limit) if answer.strip() else "There is none.")]
    parts += [("Checks", _checks(check, fields, limit)), ("Figures", _figures(prompts, fields))]
    return "\n\n".join(f"### {heading}\n\n{text}" for heading, text in parts)


def _block(text: str, limit: int) -> str:
    """A text as a code block, in lines that fit."""
    shown = visible(text.strip())
    if len(shown) > limit:
        shown = f"{shown[:limit]}…\n[{len(shown) - limit:,} more characters]"
    rows = [row for line in shown.split("\n") for row in _wrapped(line)]
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown)), 3)
    return "\n".join([f"{fence}text", *rows, fence])


def _wrapped(line: str) -> list[str]:
    if len(line) <= _LINE_CHARS:
        return [line]
    return textwrap.wrap(
        line, _LINE_CHARS, break_long_words=False, replace_whitespace=False, tabsize=4
    ) or [""]


def _checks(check: str | None, fields: Mapping[str, Any], limit: int) -> str:
    if check is None:
        return "No check was set."
    return f"{_outcome(fields)}:\n\n{_block(check, limit)}"


def _outcome(fields: Mapping[str, Any]) -> str:
    """How the check ended."""
    if task_state(dict(fields))[1] == states.SUCCEEDED:
        return "Passed"
    return f"Did not pass ({one_line(str(fields.get('reason', 'unknown')))})"


def _figures(prompts: Sequence[PromptCost], fields: Mapping[str, Any]) -> str:
    costs = [one.cost_usd for one in prompts]
    total = sum(cost for cost in costs if cost is not None)
    cost = usd(total) if None not in costs else "cost unknown"
    n_files, n_added, n_deleted = (
        int(number(fields.get(name)) or 0)
        for name in ("n_files_changed", "lines_added", "lines_deleted")
    )
    n_denials = int(number(fields.get("n_denials")) or 0)
    figures = [
        f"{plural(n_files, 'file')}, +{n_added} -{n_deleted}",
        one_line(str(fields.get("model") or "")),
        clock(task_duration_s(dict(fields))),
        f"{plural(n_denials, 'tool call')} denied" if n_denials else "",
        cost if len(prompts) == 1 else f"{cost} for {len(prompts)} prompts",
    ]
    return " · ".join(filter(None, figures))
