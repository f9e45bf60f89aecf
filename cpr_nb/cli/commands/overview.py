"""``cpr overview``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import print_lines, results_dir
from cpr_nb.cli.render import ICONS
from cpr_nb.model import states
from cpr_nb.store import catalog
from cpr_nb.store.read import Snapshot
from cpr_nb.views.formatting import usd

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
    """It has none of its own."""


def run(args: argparse.Namespace) -> int:
    """Prints totals over all sessions."""
    print_lines(overview_lines(catalog.list_sessions(results_dir(args))))
    return 0


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
    n_questions = sum(session.count("n_questions") for session in sessions if session.is_live)
    return [f"  ◆ Questions: {n_questions}"] if n_questions else []


def _task_lines(sessions: list[Snapshot]) -> list[str]:
    n_tasks = sum(session.count("total") for session in sessions)
    n_good = sum(session.count("successful") for session in sessions)
    lines = [f"Total Tasks: {n_tasks}", f"Successful Tasks: {n_good}"]
    return [*lines, f"Success Rate: {100 * n_good / n_tasks:.1f}%"] if n_tasks else lines


def _cost_lines(sessions: list[Snapshot]) -> list[str]:
    costs = [session.head.get("cost_usd") for session in sessions]
    numbers = [cost for cost in costs if isinstance(cost, int | float)]
    return [f"Cost: {usd(sum(numbers))}"] if numbers else []
