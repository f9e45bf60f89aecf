"""Asked again, it is not paid for again: a launch attaches to the session that did the same.

A launch is known by its identity (`cpr_nb.model.identity`), in session.json and in the head of
status.json; a retry and a follow-up also by the tasks that they go on from.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.session import Session
from cpr_nb.launching import defaults
from cpr_nb.model import states
from cpr_nb.model.errors import InputError
from cpr_nb.store import catalog
from cpr_nb.store.files import read_json
from cpr_nb.views.lineage import earlier, steps

if TYPE_CHECKING:
    from cpr_nb.launching.plan import LaunchPlan


def take(options: dict[str, Any]) -> bool:
    """Takes ``reuse`` and ``fresh`` out of the keywords of a launch.

    Args:
        options: The keywords.

    Returns:
        Whether to attach to a session that did the same.

    Raises:
        InputError: If one of them is neither True nor False.

    Example:
        >>> take({"fresh": True}), take({"reuse": True})
        (False, True)
    """
    return is_wanted(options.pop("reuse", None), options.pop("fresh", None))


def is_wanted(reuse: bool | None, fresh: bool | None) -> bool:
    """Whether to attach, by what a launch was given; None for nothing."""
    for name, value in (("reuse", reuse), ("fresh", fresh)):
        if value not in (None, True, False):
            raise InputError(f"must be True or False, not {value!r}", name)
    return not fresh and (defaults.reuse if reuse is None else bool(reuse))


def start(planned: LaunchPlan, *, reuse: bool) -> Session:
    """Starts what was planned, or attaches to the session that did it and says so.

    Args:
        planned: The plan.
        reuse: Whether to attach.
    """
    session, is_new = start_or_find(planned, reuse=reuse)
    if not is_new:
        _print_line(told(session))
    return session


def _print_line(line: str) -> None:
    """Prints a line: into the cell's output in a notebook, to stderr elsewhere."""
    stream = sys.stdout if "IPython" in sys.modules else sys.stderr
    if stream is not None:
        stream.write(f"{line}\n")


def start_or_find(planned: LaunchPlan, *, reuse: bool) -> tuple[Session, bool]:
    """Starts what was planned, or attaches to the session that did it.

    Args:
        planned: The plan.
        reuse: Whether to attach.

    Returns:
        The session, and whether it is new.
    """
    if not reuse:
        return planned.start(), True
    with _alone(Path(planned.results_dir).parent):
        found = find(planned)
        return (planned.start(), True) if found is None else (found, False)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two kernels that ask for the same at once: the second looks when the first has started."""
    while not folder.is_dir():
        folder = folder.parent
    fd = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def find(planned: LaunchPlan) -> Session | None:
    """The newest session that was asked the same, whatever became of it."""
    for head in catalog.list_sessions(planned.results_dir):
        if head.head.get("identity") == planned.identity:
            found = Session(head.paths.root)
            numbers = _numbers(found, planned)
            if numbers is not None:
                _hand_over(planned, found, numbers)
                return found
    return None


def _numbers(found: Session, planned: LaunchPlan) -> list[int] | None:
    """Of each task that is wanted the number of the one there that does it, from 0.

    None if one of them is not done there, nor what it came of.
    """
    if not planned.goes_on_from:
        return list(range(len(found))) if len(found) == len(planned.tasks) else None
    there = enumerate(steps(found.snapshot))
    known = {(step.parent, step.asked.get("said")): number for number, step in there}
    origins = earlier(str(found.path.parent), planned.goes_on_from)
    numbers = []
    for mine, spec in zip(origins, planned.tasks, strict=True):
        keys = [(ids, spec.origin.get("said")) for ids in mine]
        fits = [known[key] for key in keys if key in known]
        if not fits:
            return None
        numbers.append(fits[0])
    return numbers


def _hand_over(planned: LaunchPlan, found: Session, numbers: list[int]) -> None:
    """Gives the handle what only this process knows."""
    tasks = found.tasks
    if numbers == list(range(len(tasks))):
        found.frame = planned.frame
    for number, spec in zip(numbers, planned.tasks, strict=True):
        if spec.task_id in planned.answer_types:
            found.answer_types[tasks[number].id] = planned.answer_types[spec.task_id]


def told(session: Session, again: str = "fresh=True") -> str:
    """One line: what it is attached to, and whether the repository has changed since.

    Args:
        session: The session.
        again: What would run it again.
    """
    count, n_tasks = session.snapshot.count, len(session)
    line = f"attached to {session.id[:8]}: {count('n_succeeded')} of {n_tasks} succeeded"
    if session.snapshot.state not in states.ENDED_STATES:
        line += f", it is {session.snapshot.state}"
    if session.snapshot.state == states.INTERRUPTED:
        line += "; .resume() goes on with it"
    then = read_json(session.paths.runner)
    now = _repository(str(session.head.get("cwd", "")))
    if then.get("git_tree") and now and then["git_tree"] != now["git_tree"]:
        before, after = str(then.get("git_commit"))[:7], now["git_commit"][:7]
        line += f"; the repository changed since ({before} → {after})"
    return f"{line}; {again} runs it again"


def _repository(cwd: str) -> dict[str, str]:
    """Commit and tree that a folder's repository is at; empty if it is in none."""
    import subprocess

    words = ["git", "rev-parse", "HEAD", "HEAD^{tree}"]
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):  # no folder, no git, no repository
        return {}
    return dict(zip(("git_commit", "git_tree"), done.stdout.split(), strict=True))
