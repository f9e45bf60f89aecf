"""What a live view shows above the tasks of a session, as JSON for the browser."""

from __future__ import annotations

import re

from cpr_nb.model import states
from cpr_nb.model.text import one_line
from cpr_nb.store.authorship import read_marks
from cpr_nb.views import formatting
from cpr_nb.views.decision_lines import decision_lines
from cpr_nb.views.figure_texts import ESTIMATE_HINT, figure_pieces
from cpr_nb.views.grade_lines import grade_lines
from cpr_nb.views.node_line import node_pieces
from cpr_nb.views.nodes import nodes_of, silent_nodes
from cpr_nb.views.questions import open_questions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.display.session_model import SessionModel

_MAX_WARNINGS = 3
_NO_TASKS = {states.PLANNED: "Its tasks are known when what it waits for has ended."}
_CAUSE = re.compile(r"(.{3,80}?)(?:: |\. |; )(?=\S)")


def session_head(model: SessionModel) -> dict[str, Any]:
    """Returns the state, the figures, the notices and the possible actions of a session."""
    snapshot, figures = model.snapshot, model.figures
    return {
        "state": snapshot.state,
        "live": snapshot.is_live,
        "name": one_line(str(snapshot.head.get("name") or ""), 80),
        "short": model.short,
        "folder": one_line(formatting.short_path(snapshot.paths.root), 200),
        "foreign": read_marks().is_foreign(snapshot.head, snapshot.session_id),
        "figures": figure_pieces(figures, snapshot),
        "has_nodes": bool(nodes_of(snapshot)),
        "nodes": [piece._asdict() for piece in node_pieces(snapshot)],
        "silent": sorted(silent_nodes(snapshot)),
        "estimate_hint": ESTIMATE_HINT if figures.is_estimate else "",
        "notices": _notices(model),
        "questions": _questions(model),
        "commands": model.commands(),
        "empty": snapshot.problem or _NO_TASKS.get(snapshot.state, "No tasks."),
    }


def _questions(model: SessionModel) -> list[dict[str, Any]]:
    """Returns the open questions of its agents, whose head says whether there are any."""
    if not model.snapshot.count("n_questions"):
        return []
    return [question._asdict() for question in open_questions(model.snapshot)]


def _notices(model: SessionModel) -> list[list[str]]:
    """Returns what a person should know: the cause, what follows from it, a command."""
    notices = []
    if text := model.notice():
        notices.append([*split_cause(one_line(text, 500)), ""])
    notices += [[*split_cause(line), ""] for line in decision_lines(model.snapshot)]
    notices += [[*split_cause(line), ""] for line in grade_lines(model.snapshot)]
    text, command = model.denial_notice()
    if text:
        notices.append([*split_cause(one_line(text, 500)), one_line(command, 2000)])
    warnings = model.warnings()
    notices += [[*split_cause(warning), ""] for warning in warnings[:_MAX_WARNINGS]]
    if n_more := len(warnings[_MAX_WARNINGS:]):
        notices.append([f"{formatting.plural(n_more, 'more warning')}:", "", "s.warnings"])
    return notices


def split_cause(text: str) -> tuple[str, str]:
    """Returns the beginning of a notice as a sentence, and the rest.

    Example:
        >>> split_cause("paused: no more tasks are started")
        ('Paused.', 'no more tasks are started')
        >>> split_cause("the disk is full")
        ('The disk is full', '')
    """
    match = _CAUSE.match(text)
    if match is None:
        return text[:1].upper() + text[1:], ""
    return f"{text[:1].upper()}{match[1][1:]}.", text[match.end() :]
