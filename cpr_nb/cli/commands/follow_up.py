"""``cpr follow-up``."""

from __future__ import annotations

import argparse
import sys

from cpr_nb.cli.commands.run import add_wait_options, start
from cpr_nb.cli.common import open_session
from cpr_nb.cli.options import add_json, add_launch_options, add_session, launch_options
from cpr_nb.cli.study_options import Launch
from cpr_nb.cli.trusting import with_trust
from cpr_nb.model.errors import InputError

_STDIN = "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.epilog = (
        "examples:\n"
        '  cpr follow-up 3f2a "Now write the tests."            to each task that succeeded\n'
        '  cpr follow-up 3f2a --task 3 "Use the fixture." --wait\n'
        "  cpr follow-up 3f2a --task 3 - < notes.md"
    )
    add_session(parser)
    parser.add_argument("prompt", metavar="PROMPT", help="what to say; - reads it from stdin")
    parser.add_argument(
        "--task",
        metavar="TASK",
        action="append",
        help="only to the agent of this task, by number or id; may be repeated (default: to those "
        "of all tasks that succeeded)",
    )
    add_launch_options(parser)
    add_wait_options(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Continues conversations of tasks, as a new session."""
    return start(plan(args), args)


def plan(args: argparse.Namespace) -> Launch:
    """Plans the follow-up and checks it, without spending anything."""
    session, prompt, options = open_session(args), _read_prompt(args), launch_options(args)
    from cpr_nb.launching.rerun import plan_rerun

    return Launch(with_trust(lambda: plan_rerun(session.to_follow_up(prompt, args.task), options)))


def _read_prompt(args: argparse.Namespace) -> str:
    if args.prompt != _STDIN:
        return str(args.prompt)
    if sys.stdin is None:
        raise InputError("there is no standard input to read it from", "PROMPT")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is not UTF-8: byte {error.start} is wrong", "stdin") from None
