"""Asks the person at the terminal whether they trust what a repository could run."""

from __future__ import annotations

import os
import sys

from cpr_nb.cli.common import note
from cpr_nb.model.errors import NotTrusted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from cpr_nb.launching.repository_trust import Repository

    T = TypeVar("T")


def with_trust(plan: Callable[[], T]) -> T:
    """Plans a launch; where that needs trust and a person can answer, they are asked first.

    Args:
        plan: What to do.

    Raises:
        NotTrusted: If nobody can answer, or they say no.
    """
    try:
        return plan()
    except NotTrusted as error:
        if not can_ask():
            raise
        from cpr_nb.launching.repository_trust import Repository

        repository = Repository(error.folder, os.environ)
        note(*repository_lines(repository))
        if not confirm(REPOSITORY_QUESTION):
            raise
        repository.trust()
    return plan()


REPOSITORY_QUESTION = "Trust it? It is asked again when one of these changes."


def repository_lines(repository: Repository) -> list[str]:
    """What a repository could run, for the person who decides."""
    change = " (changed since you trusted it)" if repository.has_changed else ""
    head = f"{repository.top} can run on this machine, as you{change}:"
    return [head, *(f"  {line}" for line in repository.lines())]


def can_ask() -> bool:
    """Whether a person sees a question and can answer it."""
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def confirm(question: str) -> bool:
    """Asks a question on the terminal; everything but a clear yes means no."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
