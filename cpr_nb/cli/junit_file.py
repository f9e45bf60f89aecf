"""The option ``--junit``: the outcomes of a session for a CI server, when its wait has ended."""

from __future__ import annotations

import argparse
import os
import shlex

from cpr_nb.cli.common import note
from cpr_nb.cli.render import program
from cpr_nb.model.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.launching.start import StartedSession


def add_junit(parser: argparse.ArgumentParser) -> None:
    """Adds the option."""
    parser.add_argument(
        "--junit",
        metavar="FILE",
        help="with --wait: write the outcomes as JUnit XML at the end, for CI; also if tasks fail, "
        "and after Ctrl-C as far as they are known",
    )


def check_junit(args: argparse.Namespace) -> None:
    """Refuses a file that could not be written, before anything is spent.

    Raises:
        InputError: If its folder is missing or can't be written to, or nobody waits.
    """
    if args.junit is None:
        return
    if not args.wait:
        words = "it is written at the end of the wait: give --wait, too, or use cpr export later"
        raise InputError(words, "--junit")
    from cpr_nb.exchange.exports import check_path

    check_path("junit", args.junit)
    source: str = getattr(args, "file", None) or ""  # the prompts of cpr run
    is_there = os.path.exists(source) and os.path.exists(args.junit)
    if is_there and os.path.samefile(source, args.junit):
        words = f"{args.junit} has the prompts, and would be overwritten: name another one"
        raise InputError(words, "--junit")


def write_junit(started: StartedSession, path: str) -> None:
    """Writes the file, and says what of the session it does not know."""
    from cpr_nb.handles.session import Session

    session = Session.from_started(started)
    session.export("junit", path)
    snapshot = session.snapshot
    n_open = len(session) - snapshot.count("completed")
    rest = ""
    if n_open:
        again = f"{program()} export {snapshot.short_id} --to junit -o {shlex.quote(path)}"
        rest = f"; {n_open} had not ended and count as skipped. To write it again: {again}"
    note(f"JUnit XML: {path}{rest}")
