"""Launches that come after other sessions, for `cpr_nb.launch` and `cpr_nb.map`."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from cpr_nb.handles.core import print_line
from cpr_nb.handles.session import Session
from cpr_nb.launching.plan import dry_rows
from cpr_nb.model.text import visible_line

if TYPE_CHECKING:
    from cpr_nb.launching.after import LaterLaunch
    from cpr_nb.launching.study import Study


def later_launch(options: dict[str, Any], study: Study) -> LaterLaunch:
    """The launch that the keyword ``after`` makes one that comes later.

    Args:
        options: The keywords of the launch; ``after`` is removed.
        study: Those that decide which of its tasks run.

    Raises:
        InputError: If ``after`` can't be right.
    """
    from cpr_nb.launching.after import LaterLaunch
    from cpr_nb.launching.later_request import read_inputs

    return LaterLaunch(read_inputs(options.pop("after")), options, study.keywords)


def begin_later(
    later: LaterLaunch, *, reuse: bool, dry_run: bool
) -> Session | list[dict[str, Any]]:
    """Starts or plans it.

    Args:
        later: The launch, planned.
        reuse: Whether to attach to a session that did the same.
        dry_run: Whether to check it only.

    Returns:
        The session; with ``dry_run`` what would run, which is empty while the rows are not known.
    """
    for warning in later.plan.warnings:
        warnings.warn(visible_line(warning), stacklevel=3)  # at the caller of launch or map
    if dry_run:
        return dry_rows(later.plan) if later.has_begun else []
    session = Session.from_started(later.begin(reuse=reuse))
    if session.is_planned:
        from cpr_nb.views.planned_text import waits_for

        print_line(f"Session {session.snapshot.short_id} is planned: {waits_for(session.snapshot)}")
    return session
