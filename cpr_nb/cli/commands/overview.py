"""``cpr overview``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json
from cpr_nb.cli.render import ICONS
from cpr_nb.model import states
from cpr_nb.store import catalog
from cpr_nb.store.read import Snapshot
from cpr_nb.views.formatting import usd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: States that get a line only where a session is in them.
_RARE_STATES = (
    states.PLANNED,
    states.CANCELLED,
    states.IMPORTED,
    states.UNREACHABLE,
    states.INTERRUPTED,
    states.STALE,
    states.UNREADABLE,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints totals over all sessions."""
    sessions = catalog.list_sessions(results_dir(args))
    if args.json:
        print_json(overview_json(sessions))
        return 0
    print_lines(overview_lines(sessions))
    return 0


def overview_json(sessions: list[Snapshot]) -> dict[str, Any]:
    """Returns the same as JSON; a cost that is not known is null."""
    readable = [session for session in sessions if session.state != states.UNREADABLE]
    counts = {state: sum(s.state == state for s in sessions) for state in states.SESSION_STATES}
    return {
        "n_sessions": len(sessions),
        "states": {state: count for state, count in counts.items() if count},
        "n_questions": _n_questions(readable),
        "n_tasks": sum(session.count("total") for session in readable),
        "n_succeeded": sum(session.count("successful") for session in readable),
        "cost_usd": _cost_usd(readable),
    }


def overview_lines(sessions: list[Snapshot]) -> list[str]:
    """Returns what ``cpr overview`` prints."""
    readable = [session for session in sessions if session.state != states.UNREADABLE]
    return [
        "📊 Session Overview",
        "=" * 40,
        *_session_lines(sessions),
        *_question_lines(readable),
        "",
        *_task_lines(readable),
        *_cost_lines(readable),
        "",
        "Use --list to see all sessions",
    ]


def _session_lines(sessions: list[Snapshot]) -> list[str]:
    counts = {state: sum(s.state == state for s in sessions) for state in states.SESSION_STATES}
    return [
        f"Total Sessions: {len(sessions)}",
        f"  ⏳ Running: {sum(s.state in states.LIVE_STATES for s in sessions)}",
        f"  ✅ Completed: {counts[states.COMPLETED]}",
        f"  ❌ Errors: {counts[states.ERROR]}",
        *(
            f"  {ICONS[state]} {state.capitalize()}: {counts[state]}"
            for state in _RARE_STATES
            if counts[state]
        ),
    ]


def _question_lines(sessions: list[Snapshot]) -> list[str]:
    n_questions = _n_questions(sessions)
    return [f"  ◆ Questions: {n_questions}"] if n_questions else []


def _n_questions(sessions: list[Snapshot]) -> int:
    return sum(session.count("n_questions") for session in sessions if session.is_live)


def _task_lines(sessions: list[Snapshot]) -> list[str]:
    n_tasks = sum(session.count("total") for session in sessions)
    n_good = sum(session.count("successful") for session in sessions)
    lines = [f"Total Tasks: {n_tasks}", f"Successful Tasks: {n_good}"]
    return [*lines, f"Success Rate: {100 * n_good / n_tasks:.1f}%"] if n_tasks else lines


def _cost_lines(sessions: list[Snapshot]) -> list[str]:
    cost_usd = _cost_usd(sessions)
    return [] if cost_usd is None else [f"Cost: {usd(cost_usd)}"]


def _cost_usd(sessions: list[Snapshot]) -> float | None:
    costs = [session.head.get("cost_usd") for session in sessions]
    numbers = [cost for cost in costs if isinstance(cost, int | float)]
    return sum(numbers) if numbers else None
