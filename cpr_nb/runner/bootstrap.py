"""Builds the loop from the session's spec, what earlier runners left, and our own identity."""

from __future__ import annotations

import json
import os
import sys
import time

from cpr_nb.model.random_ids import chance, new_uuid
from cpr_nb.runner import process
from cpr_nb.runner.budget import Budget, bound_of
from cpr_nb.runner.disk_monitor import DiskMonitor
from cpr_nb.runner.governor import LOGIN_WAIT_S
from cpr_nb.runner.growth import Growth
from cpr_nb.runner.history import History, read_history
from cpr_nb.runner.loop import Loop
from cpr_nb.runner.machine_holds import MACHINE_WAIT_S
from cpr_nb.runner.own_folder import HERE, enter
from cpr_nb.runner.recorder import Recorder
from cpr_nb.runner.recovery import Recovery
from cpr_nb.runner.request_inbox import RequestInbox
from cpr_nb.runner.schedule import Schedule
from cpr_nb.runner.session_spec import SessionSpec
from cpr_nb.runner.starter import Starter
from cpr_nb.store import requests
from cpr_nb.store.folder_id import FIELD as FOLDER_FIELD
from cpr_nb.store.folder_id import folder_id
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.times import utc_iso
from cpr_nb.store.whereabouts import Whereabouts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cpr_nb.runner.transitions import IllegalTransition


def prepare(
    root: str,
    lock_fd: int,
    runner_input: bytes,
    *,
    settle: bool = False,
    skipped: bool = False,
    unsaved: bool = False,
) -> Loop:
    """Builds the loop for a session's folder.

    Args:
        root: The session's folder.
        lock_fd: The descriptor that holds the session's lock.
        runner_input: What came on stdin: JSON (`cpr_nb.executors.base.RunnerInput`). The values of
            variables must be neither on the disk nor in the arguments, and the folder must not say
            what may run.
        settle: Only carry out the requests that wait.
        skipped: The session has ended; run its skipped tasks.
        unsaved: The session has ended; only save the work of tasks that is not saved.

    Returns:
        The loop, ready to run.

    Raises:
        ChangedError: If session.json is not what its launcher has checked.
        OSError: If the folder is not there any more.
    """
    given = json.loads(runner_input)
    paths = enter(root, lock_fd)
    spec = SessionSpec(paths.session, given["sha256"])
    is_first = not os.path.exists(paths.runner)
    history = read_history(paths)
    if skipped:
        history.reopen()
    numbers: dict[str, int] = {}
    runner = _runner(spec, given, root)
    bases = _bases(spec, history, numbers)
    recorder = Recorder(paths, spec.session, bases, runner, history, keeps_end=unsaved)
    if skipped:
        recorder.journal("reopened")
    starter = _starter(paths, root, spec, given)
    recovery = Recovery(paths, history, numbers, spec, starter, may_save=not settle)
    recorder.warn(*recovery.warnings)
    for task_id, number in numbers.items():
        if number in recovery.restored:
            recorder.restore_task(number, history.tasks[task_id])
    if not is_first:
        recorder.flush(0.0)  # from now on everybody sees that a runner works on it
    return Loop(
        _inbox(given["requests_dir"], root, paths, recorder),
        spec,
        recorder,
        starter,
        history,
        recovery,
        _schedule(spec, history, recovery, recorder),
        DiskMonitor(paths, lock_fd, given["claim"]),
        settle=settle,
    )


def _inbox(folder: str, root: str, paths: SessionPaths, recorder: Recorder) -> RequestInbox:
    """The requests of interfaces; a folder of them in the session's folder is moved with it."""
    requests_dir = paths.requests if folder == SessionPaths(root).requests else folder
    requests.show_reader(requests_dir)
    return RequestInbox(requests_dir, recorder)


def _starter(paths: SessionPaths, root: str, spec: SessionSpec, given: dict[str, Any]) -> Starter:
    """What starts processes for the tasks."""
    return Starter(
        paths,
        root,
        spec.session,
        dict(os.environb),
        given["task_env"],
        many_folders=spec.many_folders,
        state_dir=given["state_dir"],
        config_dir=given["config_dir"],
        library_dirs=given["library_dirs"],
    )


def _schedule(
    spec: SessionSpec, history: History, recovery: Recovery, recorder: Recorder
) -> Schedule:
    """The state machine, with what earlier runners had begun restored."""
    max_parallel = history.max_parallel
    budget = Budget(spec.session["options"].get("budget_usd"), bound_of(spec.plans))
    budget.remember(recovery.figures)
    first = spec.session.get("first_parallel") if max_parallel is None else None
    return Schedule(
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
        on_illegal=lambda error: _log_illegal(recorder.task_id(error.task), error),
    )


def _bases(
    spec: SessionSpec, history: History, numbers: dict[str, int]
) -> Iterator[dict[str, Any]]:
    """Yields the tasks' unchanging fields; puts those with a history into ``numbers``."""
    for base in spec.read_tasks():
        if base["transaction_id"] in history.tasks:
            numbers[base["transaction_id"]] = base["task_num"] - 1
        yield base


def _log_illegal(task_id: str, error: IllegalTransition) -> None:
    """Writes to runner.log, which is our stderr."""
    print(f"{utc_iso(time.time())} task {task_id}: {error}", file=sys.stderr, flush=True)


def _runner(spec: SessionSpec, given: dict[str, Any], root: str) -> dict[str, Any]:
    """What runner.json says of this process."""
    pid, here = os.getpid(), Whereabouts.here(HERE)
    return {
        "pid": pid,
        "started_at": utc_iso(time.time()),
        "start_time": process.start_time(pid),
        "boot_id": here.boot_id,
        "host": here.host,
        "file_system": here.file_system,
        "pid_namespace": process.pid_namespace(),
        "folder": root,
        FOLDER_FIELD: folder_id(HERE),
        "executor": spec.session.get("executor"),
        **({"state_dir_id": given["state_dir_id"]} if given["state_dir_id"] else {}),
    }
