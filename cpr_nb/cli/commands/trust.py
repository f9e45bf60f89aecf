"""``cpr trust``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cpr_nb.cli.common import note, print_lines
from cpr_nb.cli.trusting import REPOSITORY_QUESTION, can_ask, confirm, repository_lines
from cpr_nb.launching.repository_trust import Repository
from cpr_nb.model.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.add_argument(
        "what", metavar="FOLDER", nargs="?", help="a folder in the repository (default: this one)"
    )
    parser.add_argument("--yes", action="store_true", help="trust it without a question")
    parser.add_argument("--forget", action="store_true", help="trust it no longer")


def run(args: argparse.Namespace) -> int:
    """Shows what a repository could run, and asks whether to trust it."""
    folder = args.what or "."
    if not Path(folder).is_dir():
        raise InputError(f"there is no folder {folder}")
    return trust_repository(Repository(folder, os.environ), args)


def trust_repository(repository: Repository, args: argparse.Namespace) -> int:
    """Shows what a repository could run; trusts it, or no longer. Returns 1 after a no."""
    if args.forget:
        was_trusted = repository.forget()
        note(f"{repository.top} is {'no longer' if was_trusted else 'not'} trusted")
        return 0
    if not repository.lines():
        print_lines([f"{repository.top} names nothing that needs your trust"])
        return 0
    print_lines(repository_lines(repository))
    if repository.is_trusted:
        note("you trust this already (cpr trust --forget takes it back)")
        return 0
    if not args.yes and not can_ask():
        raise InputError("nobody can answer here: cpr trust --yes trusts it without a question")
    if not args.yes and not confirm(REPOSITORY_QUESTION):
        return 1
    repository.trust()
    return 0
