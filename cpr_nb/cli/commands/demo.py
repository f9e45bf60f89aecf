"""``cpr demo``: five tasks with the real CLI, offline, without an account."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cpr_nb.cli.common import note, print_json, print_lines
from cpr_nb.cli.options import add_json

if TYPE_CHECKING:
    from cpr_nb.handles.session import Session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument("--claude-path", metavar="PATH", help="the Claude Code CLI to run")
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Runs five tasks; returns 0 if four succeeded and the fifth failed, as they should."""
    from cpr_nb.handles.session import Session
    from cpr_nb.launching.plan import plan_launch
    from cpr_nb.launching.start import start
    from cpr_nb.offline import demo
    from cpr_nb.offline.scripted_api import ScriptedApi, cli_environment
    from cpr_nb.store.catalog import check_no_link
    from cpr_nb.store.create import make_results_dir
    from cpr_nb.store.programs import find_claude

    claude = find_claude(args.claude_path, os.environ)
    results_dir = Path(args.results_dir or check_no_link("results")).absolute()
    make_results_dir(str(results_dir))
    workplace = results_dir / "demo"
    workplace.mkdir(exist_ok=True)
    (workplace / "hello.py").unlink(missing_ok=True)  # left by an earlier demo
    with ScriptedApi(demo.SCRIPT) as api, tempfile.TemporaryDirectory() as home:
        planned = plan_launch(
            demo.PROMPTS,
            {
                "results_dir": results_dir,
                "claude_path": claude,
                "cwd": workplace,
                "name": "demo",
                "max_parallel": 3,
            },
            environ=cli_environment(api.url, home, path=os.environ.get("PATH")),
        )
        session = Session.from_started(start(planned))
        lines = [
            f"🚀 Started session: {session.id}",
            f"📂 Results directory: {session.path}",
            f"   5 tasks, 3 at once, with the real CLI {claude}",
            f"   and a scripted API on {api.url}: no account, nothing leaves this machine",
            "",
        ]
        if not args.json:
            print_lines(lines)
        code = _follow(session, quiet=args.json)
    return code if code else _verdict(session, workplace, args)


def _follow(session: Session, *, quiet: bool) -> int:
    from rich.console import Console

    from cpr_nb.cli.view import watch
    from cpr_nb.handles.wait_line import hidden

    try:
        if quiet:
            with hidden():
                session.wait()
        else:
            watch(session, Console(highlight=False))
    except KeyboardInterrupt:
        note("the demo is being cancelled, because its API ends now")
        session.cancel()
        session.wait()
        return 130
    return 0


def _verdict(session: Session, workplace: Path, args: argparse.Namespace) -> int:
    from cpr_nb.cli.render import program
    from cpr_nb.offline import demo

    problems = [
        f"  task {task.id}: {task.outcome}, {task.reason}: {task.error}"
        for task in session
        if (task.outcome, task.reason) != demo.EXPECTED[task.id]
    ]
    hello = workplace / "hello.py"
    if not hello.is_file() or demo.GREETING not in hello.read_text("utf-8"):
        problems.append(f"  {hello} was not edited")
    if args.json:
        ids = {"session_id": session.id, "path": str(session.path)}
        print_json({**ids, "problems": [problem.strip() for problem in problems]})
        return 1 if problems else 0
    if problems:
        print_lines(
            ["", "❌ The demo did not go as it should:", *problems, f"  see {session.path}"]
        )
        return 1
    short, command = session.id[:8], program()
    print_lines(
        [
            "",
            "✅ Four tasks succeeded and the fifth failed, as they should.",
            "",
            "To see what the agents answered, and what they did:",
            f"  {command} results {short}",
            f"  {command} logs {short}",
            "To see the session task by task, and its files:",
            f"  {command} status {short}",
            f"  ls {_short_path(session.path)}",
            f"  cat {_short_path(hello)}",
            "",
            "To run prompts of your own, with your account:",
            '  echo \'{"prompts": ["…", "…"]}\' | ' + command,
        ]
    )
    return 0


def _short_path(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
