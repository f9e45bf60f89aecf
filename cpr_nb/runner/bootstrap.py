"""Builds the loop of a session that is open: from its spec, and what earlier runners left."""

from __future__ import annotations

import os
import sys
import time

import cpr_nb.model.denial_summary  # noqa: F401 - needed late: an upgrade may replace it
from cpr_nb.model.limits import RESERVE, TIME, Limit
from cpr_nb.model.random_ids import chance, new_uuid
from cpr_nb.runner.budget import Budget, bound_of
from cpr_nb.runner.disk_monitor import DiskMonitor
from cpr_nb.runner.governor import LOGIN_WAIT_S
from cpr_nb.runner.growth import Growth
from cpr_nb.runner.loop import Loop
from cpr_nb.runner.machine_holds import MACHINE_WAIT_S
from cpr_nb.runner.recovery import Recovery
from cpr_nb.runner.request_inbox import RequestInbox
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.session_spec import RULE_KEYS
from cpr_nb.runner.starter import Starter
from cpr_nb.store.times import parse_iso, utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.runner.history import History
    from cpr_nb.runner.opening import OpenSession
    from cpr_nb.runner.recorder import Recorder
    from cpr_nb.runner.remote.leasing import Cluster
    from cpr_nb.runner.rules.session_rules import SessionRules
    from cpr_nb.runner.session_spec import SessionSpec
    from cpr_nb.runner.transitions import IllegalTransition


def build(session: OpenSession, *, settle: bool = False) -> Loop:
    """Builds the loop of a session.

    Args:
        session: The session.
        settle: Only carry out the requests that wait.

    Returns:
        The loop, ready to run.
    """
    recorder, history = session.recorder, session.history
    cluster = _cluster(session)
    starter = _starter(session, cluster)
    recovery = Recovery(
        *(session.paths, history, session.numbers, session.spec, starter),
        may_save=not settle,
        cluster=cluster,
    )
    recorder.warn(*recovery.warnings)
    for task_id, number in session.numbers.items():
        if number in recovery.restored:
            recorder.restore_task(number, history.tasks[task_id])
    if not session.is_first:
        recorder.flush(0.0)  # from now on everybody sees that a runner works on it
    rules = _rules(session)
    return Loop(
        RequestInbox(session.requests_dir, recorder, rules),
        session.spec,
        recorder,
        starter,
        history,
        recovery,
        _schedule(session.spec, history, recovery, recorder, rules),
        DiskMonitor(session.paths, session.lock_fd, session.given["claim"]),
        settle=settle,
        cluster=cluster,
        rules=rules,
    )


def _rules(session: OpenSession) -> SessionRules | None:
    """What decides which of the tasks need not run; None if they all are to run."""
    if session.spec.session.keys().isdisjoint(RULE_KEYS):
        return None
    from cpr_nb.runner.rules.session_rules import SessionRules  # a few sessions need it

    rules = SessionRules(session.spec, session.recorder)
    rules.restore(session.history, session.numbers)
    return rules


def _cluster(session: OpenSession) -> Cluster | None:
    """The nodes that the session's tasks run on; None if they run on this machine."""
    if "cluster" not in session.spec.session:
        return None
    from cpr_nb.runner.remote.leasing import Cluster  # a few sessions need it

    paths, given = session.paths, session.given
    rival_path = paths.claim(given["claim"] + 1)
    return Cluster(
        session.spec.session, session.recorder, paths.join, rival_path, given["library_dirs"]
    )


def _starter(session: OpenSession, cluster: Cluster | None) -> Starter:
    """What starts processes for the tasks."""
    given = session.given
    return Starter(
        session.paths,
        session.root,
        session.spec.session,
        dict(os.environb),
        given["task_env"],
        machine=cluster,
        many_folders=session.spec.many_folders or cluster is not None,
        state_dir=given["state_dir"],
        config_dir=given["config_dir"],
        library_dirs=given["library_dirs"],
    )


def _schedule(
    spec: SessionSpec,
    history: History,
    recovery: Recovery,
    recorder: Recorder,
    rules: SessionRules | None,
) -> Schedule:
    """The state machine, with what earlier runners had begun restored."""
    max_parallel = history.max_parallel
    budget = Budget(spec.session["options"].get("budget_usd"), bound_of(spec.plans))
    budget.remember(recovery.figures)
    first = spec.session.get("first_parallel") if max_parallel is None else None
    schedule = Schedule(
        spec.plans,
        max_parallel=spec.session["max_parallel"] if max_parallel is None else max_parallel,
        new_id=new_uuid,
        chance=chance,
        budget=budget,
        groups=spec.groups,
        restored=recovery.restored,
        login_wait_s=spec.session.get("login_wait_s") or LOGIN_WAIT_S,
        machine_wait_s=spec.session.get("machine_wait_s") or MACHINE_WAIT_S,
        growth=Growth(first, spec.session["max_parallel"]) if first else None,
        has_worked=history.has_worked,
        order=spec.session.get("order"),
        on_illegal=lambda error: _log_illegal(recorder.task_id(error.task), error),
    )
    if first_limits := _first_limits(spec.session["options"]):
        schedule.wait_first(first_limits)
    if rules is not None:
        schedule.follow_rules(rules.held())
    return schedule


def _first_limits(options: dict[str, Any]) -> list[Limit]:
    """What the session waits for before its first task."""
    first = []
    until_s = parse_iso(options.get("not_before"))
    if until_s is not None and until_s > time.time():
        first.append(Limit(TIME, until_s))
    if options.get("reserve") is not None:
        first.append(Limit(RESERVE))
    return first


def _log_illegal(task_id: str, error: IllegalTransition) -> None:
    """Writes to runner.log, which is our stderr."""
    print(f"{utc_iso(time.time())} task {task_id}: {error}", file=sys.stderr, flush=True)
