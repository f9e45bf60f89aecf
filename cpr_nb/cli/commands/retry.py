"""``cpr retry``."""

from __future__ import annotations

import argparse

from cpr_nb.cli.commands.run import add_wait_options, start
from cpr_nb.cli.common import open_session
from cpr_nb.cli.options import add_json, add_launch_options, add_session, launch_options
from cpr_nb.cli.study_options import Launch
from cpr_nb.cli.trusting import with_trust


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    add_session(parser)
    parser.add_argument(
        "--all-tasks", action="store_true", help="also rerun the tasks that succeeded"
    )
    add_launch_options(parser)
    add_wait_options(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Reruns the tasks that did not succeed, as a new session."""
    return start(plan(args), args)


def plan(args: argparse.Namespace) -> Launch:
    """Plans the retry and checks it, without spending anything."""
    session = open_session(args)
    from cpr_nb.launching.rerun import plan_retry

    source, options = session.rerun_source(), launch_options(args)
    return Launch(with_trust(lambda: plan_retry(source, all_tasks=args.all_tasks, options=options)))
