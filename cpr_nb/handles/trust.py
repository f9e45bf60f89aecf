"""The public function `trust`: shows what a session or a repository could run, and asks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from cpr_nb.handles.core import print_line
from cpr_nb.launching.repository_trust import Repository
from cpr_nb.launching.trust import ForeignSessions
from cpr_nb.model.errors import ForeignSession, InputError, NotTrusted
from cpr_nb.model.public import public
from cpr_nb.store import catalog
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.read import read_session


class Claim(NamedTuple):
    """Something that could run as the user, and may be trusted.

    Args:
        name: What it is called.
        lines: What it could run; empty if it needs no trust.
        question: What to ask whoever has read that.
        is_trusted: Whether the user trusts it already.
        trust: Trusts what was shown.
        forget: Trusts it no longer; returns whether it was trusted.
    """

    name: str
    lines: list[str]
    question: str
    is_trusted: bool
    trust: Callable[[], None]
    forget: Callable[[], int]


@public
def trust(
    what: str | os.PathLike[str] | None = None,
    *,
    results_dir: str | os.PathLike[str] | None = None,
    yes: bool = False,
    forget: bool = False,
) -> bool:
    """Shows what a foreign session or a repository could run as you, and asks whether to trust it.

    A session is foreign if this user has not launched it on this machine. Looking at it needs no
    trust. What changes after the question is not trusted.

    Args:
        what: A session (its id, the first characters of its id, its name, its folder), a results
            directory for all foreign sessions that are in it now, or a folder of a repository.
            Default: the repository of the current folder.
        results_dir: Where to find the session; default the one that `cpr_nb.launch` would use.
        yes: Whether to trust it without a question.
        forget: Whether to trust it no longer.

    Returns:
        Whether it is trusted now.

    Raises:
        InputError: If nobody can answer, or there is no such folder.
        SessionNotFound: If there is no such session.
        SessionNotUsable: If nobody can run the session.
        StateDirError: If it can't be written down.

    Example:
        >>> import cpr_nb as cpr
        >>> cpr.trust("3f2a", yes=True)  # doctest: +SKIP
    """
    claim = find_claim(what, results_dir)
    return decide(claim, print_line, yes=yes, forget=forget)


def decide(claim: Claim, show: Callable[[str], None], *, yes: bool, forget: bool) -> bool:
    """Shows what something could run, and asks; see `trust`.

    Args:
        claim: What it is about.
        show: Shows a line to the person.
        yes: Whether to trust it without a question.
        forget: Whether to trust it no longer.

    Returns:
        Whether it is trusted now.

    Raises:
        InputError: If nobody can answer.
    """
    if forget:
        show(f"{claim.name} is {'no longer' if claim.forget() else 'not'} trusted")
        return False
    if not claim.lines:
        show(f"{claim.name} names nothing that needs your trust")
        return True
    for line in claim.lines:
        show(line)
    if claim.is_trusted:
        show("you trust this already (cpr trust --forget takes it back)")
        return True
    if not yes and not can_ask():
        raise InputError(
            "nobody can answer here: --yes (yes=True) trusts it without a question", "trust"
        )
    if not yes and not confirm(claim.question):
        return False
    claim.trust()
    return True


def find_claim(
    what: str | os.PathLike[str] | None, results_dir: str | os.PathLike[str] | None
) -> Claim:
    """What a person means by a word after ``cpr trust``; see `trust`."""
    word = os.fspath(what) if what is not None else "."
    folder = os.path.abspath(os.path.expanduser(word))
    if os.path.basename(folder).startswith(SESSION_PREFIX) and os.path.isdir(folder):
        return _of_session(folder)
    if os.path.isdir(folder):
        is_results = what is not None and folder == catalog.results_dir(results_dir, os.environ)
        if is_results or any(catalog.session_names(folder)):
            return _of_sessions(ForeignSessions.of_results_dir(folder), folder)
        return _of_repository(folder)
    if "/" in word:
        raise InputError(f"there is no folder {word}", "trust")
    directory = catalog.results_dir(results_dir, os.environ)
    return _of_session(catalog.find_session(directory, word))


def claim_of(error: ForeignSession | NotTrusted) -> Claim:
    """What an action was refused for."""
    if isinstance(error, ForeignSession):
        return _of_session(error.folder)
    return _of_repository(error.folder)


def _of_session(folder: str) -> Claim:
    snapshot = read_session(folder, tasks=False)
    name = f"session {snapshot.session_id[:8]}"
    return _of_sessions(ForeignSessions.of_session(snapshot), name)


def _of_sessions(sessions: ForeignSessions, name: str) -> Claim:
    lines = sessions.lines()
    return Claim(name, lines, sessions.question, not len(sessions), sessions.trust, sessions.forget)


def _of_repository(folder: str) -> Claim:
    repository = Repository(folder, os.environ)
    lines = repository.lines()
    if lines:
        change = " (changed since you trusted it)" if repository.has_changed else ""
        head = f"{repository.top} can run on this machine, as you{change}:"
        lines = [head, *(f"  {line}" for line in lines)]
    question = "Trust it? It is asked again when one of these changes."
    return Claim(
        repository.top, lines, question, repository.is_trusted, repository.trust, repository.forget
    )


# -- asking -----------------------------------------------------------------------------------


def can_ask() -> bool:
    """Whether a person sees a question and can answer it."""
    kernel = _kernel()
    if kernel is not None:
        return bool(getattr(kernel, "_allow_stdin", False))  # not where a program runs the cells
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def confirm(question: str) -> bool:
    """Asks a question; everything but a clear yes means no."""
    if _kernel() is not None:
        answer = input(f"{question} [y/N] ")
    else:
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline()
    return answer.strip().lower() in ("y", "yes")


def _kernel() -> Any:
    """The kernel of the notebook in which this process runs; None if it runs in none."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None)
