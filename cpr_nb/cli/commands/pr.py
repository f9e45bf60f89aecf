"""``cpr pr``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cpr_nb.cli.common import open_session, print_json, print_lines, print_text
from cpr_nb.cli.options import add_branches, add_json, add_session
from cpr_nb.cli.trusting import with_trust

if TYPE_CHECKING:
    from cpr_nb.worktrees.pull_requests import PullRequest

#: What became of a pull request → the sign before its line.
_SIGNS = {"opened": "✅", "exists": "– ", "planned": "📝", "skipped": "– ", "failed": "❌"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = (
        "Pushes the branches, never by force, and opens the pull requests with gh, the GitHub\n"
        "CLI, and its login. No branch gets a second one: what is new is only pushed.\n\n"
        "examples:\n"
        "  cpr pr 3f2a --dry-run                 show title and text of each\n"
        "  cpr pr 3f2a --task 3 --draft"
    )
    add_session(parser)
    add_branches(parser)
    parser.add_argument(
        "--base",
        metavar="BRANCH",
        help="the branch that they are to be merged into (default: the main checkout's branch)",
    )
    parser.add_argument("--draft", action="store_true", help="open them as drafts")
    parser.add_argument(
        "--dry-run", action="store_true", help="show their titles and texts; push and open nothing"
    )
    parser.add_argument(
        "--redact",
        action="store_true",
        help="leave prompts, answers and the check's command out of title and text",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Opens pull requests; returns 1 if one could not be opened."""
    requests = open_requests(args)
    if args.json:
        print_json([one._asdict() for one in requests])
    else:
        for one in requests:
            print_lines([request_line(one)])
            if one.state == "planned":
                print_text(f"\n# {one.title}\n\n{one.body}")
    return 1 if any(one.state == "failed" for one in requests) else 0


def open_requests(args: argparse.Namespace) -> list[PullRequest]:
    """Opens or plans the pull requests that the arguments ask for."""
    session = open_session(args)
    return with_trust(
        lambda: session.open_pull_requests(
            args.task,
            base=args.base,
            draft=args.draft,
            dry_run=args.dry_run,
            redact=args.redact,
        )
    )


def request_line(request: PullRequest) -> str:
    """Returns what became of the pull request of a branch."""
    pushed = f"pushed to {request.remote} ({request.remote_url}) and " if request.remote else ""
    words = {
        "opened": f"{request.url} into {request.base}",
        "exists": f"{request.url} ({request.why})",
        "planned": f"would be {pushed}opened into {request.base}",
        "skipped": f"no pull request: {request.why}",
        "failed": f"not opened: {request.why}",
    }[request.state]
    doubt = f" ({request.why})" if request.state == "planned" and request.why else ""
    return f"{_SIGNS[request.state]} {request.branch}: {words}{doubt}"
