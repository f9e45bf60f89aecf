"""``cpr list``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.common import print_json, print_lines, results_dir
from cpr_nb.cli.options import add_json
from cpr_nb.cli.render import ICONS, WAIT_ICON, format_date, session_start
from cpr_nb.model import states
from cpr_nb.store import catalog
from cpr_nb.store.authorship import Marks, read_marks
from cpr_nb.store.read import Snapshot
from cpr_nb.views.formatting import plural, reused, usd
from cpr_nb.views.notice import runner_warnings
from cpr_nb.views.rows import session_duration_s
from cpr_nb.views.work_left import n_worktrees_left


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Lists all sessions, the newest first."""
    directory = results_dir(args)
    sessions = catalog.list_sessions(directory)
    if args.json:
        from cpr_nb.views.rows import session_row

        marks = read_marks()
        print_json([session_row(session, marks=marks) for session in sessions])
    else:
        print_lines(list_lines(sessions, directory))
    return 0


def list_lines(sessions: list[Snapshot], directory: str) -> list[str]:
    """Returns what ``cpr list`` prints."""
    if not sessions:
        return [f"No sessions found in {directory}"]
    lines, marks = ["All Sessions:", "=" * 60], read_marks()
    for session in sessions:
        lines += [*_entry(session, marks), ""]
    return [
        *lines,
        "Use --status SESSION_ID to see details",
        "Use --results SESSION_ID to see output",
    ]


def _entry(session: Snapshot, marks: Marks) -> list[str]:
    name = session.head.get("name")
    title = f"{ICONS.get(session.state, WAIT_ICON)} {session.session_id[:8]} [{session.state}]"
    if session.state == states.UNREADABLE:
        return [title, f"   {session.paths.root}: {session.problem or 'not a session'}"]
    if marks.is_foreign(session.head, session.session_id):
        title += " (foreign)"
    return [
        f"{title} {name}" if name else title,
        f"   Started: {format_date(session_start(session))}",
        f"   Progress: {' - '.join(_figures(session))}",
    ]


def _figures(session: Snapshot) -> list[str]:
    """Progress and duration, and what claude-parallel-runner.pl does not know."""
    count = session.count
    figures = [f"{count('completed')}/{count('total')} tasks ({count('successful')} successful)"]
    duration_s = session_duration_s(session)
    if not session.is_live and duration_s is not None:
        figures.append(f"Duration: {int(duration_s)}s")
    if session.is_legacy:
        return figures
    if text := reused(session):
        figures.append(text)
    if count("n_failed"):
        figures.append(f"{count('n_failed')} failed")
    if count("n_skipped"):
        figures.append(f"{count('n_skipped')} skipped")
    if n_unsaved := count("n_unsaved"):
        figures.append(f"⚠ {n_unsaved} not yet saved")
    if n_kept := count("n_kept") and n_worktrees_left(session):
        figures.append(f"⚠ {plural(n_kept, 'worktree')} kept")
    if warnings := runner_warnings(session):
        figures.append(f"⚠ {plural(len(warnings), 'warning')}")
    cost = usd(session.head.get("cost_usd"))
    return [*figures, cost] if cost else figures
