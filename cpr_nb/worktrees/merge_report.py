"""What merging reports: what was merged, skipped and pushed, and where it stopped."""

from __future__ import annotations

from typing import NamedTuple


class Merged(NamedTuple):
    """A branch that was merged: its task, and the commit that holds both sides."""

    session_id: str
    task_id: str
    branch: str
    commit: str


class Skipped(NamedTuple):
    """A branch that did not need merging, or is merged only on request, and why.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: Its branch.
        why: One line for the user.
        is_refused: Whether it is left out until the user asks for it.
    """

    session_id: str
    task_id: str
    branch: str
    why: str
    is_refused: bool = False


class Stopped(NamedTuple):
    """Where merging stopped.

    Args:
        session_id: The task's session.
        task_id: The task.
        branch: The branch that could not be merged; no part of it was.
        files: The files in conflict; empty if it stopped for another reason.
        why: One line for the user.
        command: What to run by hand; after it, merging can continue with the rest.
    """

    session_id: str
    task_id: str
    branch: str
    files: tuple[str, ...]
    why: str
    command: str


class Destination(NamedTuple):
    """Where a branch is pushed to.

    Args:
        remote: The name of the remote.
        url: Its address, without a password.
        branch: The name of the branch there.
    """

    remote: str
    url: str
    branch: str


class Pushed(NamedTuple):
    """What became of a push.

    Args:
        to: Where the branch went.
        commit: The commit that it is on.
        is_new: Whether the remote has something new now; in a dry run, None.
        why: Why it was not pushed; empty if it is there.
    """

    to: Destination
    commit: str
    is_new: bool | None
    why: str = ""


class MergeReport(NamedTuple):
    """What merging has done, or would do.

    Args:
        into: The branch that was merged into.
        before: Its commit before.
        after: Its commit now; in a dry run, the same as before.
        merged: The branches that were merged, in order.
        skipped: The branches that did not need merging, or are merged only on request.
        stopped: Where it stopped; None if everything was merged.
        left: The branches that come after the one where it stopped.
        is_dry_run: Whether the target was left alone.
        pushed: What became of the push; None if none was asked for.
    """

    into: str
    before: str
    after: str
    merged: tuple[Merged, ...]
    skipped: tuple[Skipped, ...]
    stopped: Stopped | None
    left: tuple[str, ...]
    is_dry_run: bool
    pushed: Pushed | None = None
