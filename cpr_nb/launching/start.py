"""Starts a planned launch: its folder is made durable, then its runner is started."""

from __future__ import annotations

import os
import time

from cpr_nb.executors.base import runner_input
from cpr_nb.executors.local import LocalExecutor
from cpr_nb.launching.branch_check import check_branches
from cpr_nb.launching.setting_sources import USER_ONLY
from cpr_nb.model.destinations import NOTICE_OPTIONS
from cpr_nb.model.errors import LaunchError
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.model.record import first_head, schema_version
from cpr_nb.store.create import NewSession
from cpr_nb.store.key import own_key
from cpr_nb.store.layout import SESSION_PREFIX
from cpr_nb.store.request_folder import remove_request_folder
from cpr_nb.store.seal import mark
from cpr_nb.store.times import utc_iso

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.launching.cluster import ClusterPlan
    from cpr_nb.launching.plan import LaunchPlan
    from cpr_nb.model.spec import TaskSpec
    from cpr_nb.store.layout import SessionPaths


class StartedSession:
    """The session that carries out a plan, and what only this process knows about it.

    Args:
        root: The session's folder, absolute.
        is_new: Whether it was started now; otherwise the launch attached to it.
        frame: The user's frame, one row per task, if there is one.
        answer_types: Task id → the Python type of its answer, where a type was given.
        node_lines: What the user should know of its nodes, such as one that could not be placed.
    """

    __slots__ = ("answer_types", "frame", "is_new", "node_lines", "root")

    def __init__(
        self,
        root: str,
        is_new: bool,
        frame: Any,
        answer_types: dict[str, Any],
        node_lines: Sequence[str] = (),
    ) -> None:
        self.root = root
        self.is_new = is_new
        self.frame = frame
        self.answer_types = answer_types
        self.node_lines = list(node_lines)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return os.path.basename(self.root).removeprefix(SESSION_PREFIX)


def start(plan: LaunchPlan, session_id: str | None = None) -> StartedSession:
    """Creates the session's folder and starts its runner.

    Args:
        plan: What to start.
        session_id: The id of the new session, where another one must know it before.

    Returns:
        The session; its runner is up.

    Raises:
        InputError: If a task can't get its branch, because an earlier one has left it.
        ResultsDirError: If the results directory can't be written.
        LaunchError: If the runner does not come up, or no node can join; no session is left behind.
        StateDirError: If the user's key can't be used.
    """
    check_branches(plan)
    executor = LocalExecutor()
    session_id, key = session_id or new_uuid(), own_key()
    spec = new_spec(plan, session_id, key)
    tasks = [task_fields(plan, task) for task in plan.tasks]
    head = first_head(spec, len(tasks))
    environ = {**plan.environ, **plan.options.get("env", {})}
    task_env = {t.task_id: t.options["env"] for t in plan.tasks if "env" in t.options}
    with NewSession(plan.results_dir, session_id) as new:
        runner = executor.begin(new.paths.root, new.log, new.lock_fd, environ)
        with runner.ended_on_error():
            sha256 = new.complete(spec, tasks, head, plan.frame_json, plan.reused, key=key)
            given = runner_input(new.paths, session_id, sha256, task_env)
        new.may_run = True
        try:
            runner.go_on(given)
        except LaunchError:
            remove_request_folder(new.paths, session_id)
            new.abandon()
            raise
    lines = _place_nodes(plan, plan.cluster, new.paths, session_id) if plan.cluster else []
    for follow in plan.on_start:
        follow(session_id)
    return StartedSession(new.paths.root, True, plan.frame, plan.answer_types, lines)


def _place_nodes(
    plan: LaunchPlan, cluster: ClusterPlan, paths: SessionPaths, session_id: str
) -> list[str]:
    """Places the node agents of the session; a plain launch does without the module."""
    from cpr_nb.launching.node_placing import JoinFile, place_first

    cwd = plan.options["cwd"] if any(_is_plain(plan, task) for task in plan.tasks) else ""
    return place_first(paths, session_id, cluster, JoinFile(), cwd)


def _is_plain(plan: LaunchPlan, task: TaskSpec) -> bool:
    """Whether a task works in the session's own folder, which a node then needs."""
    options = {**plan.options, **task.options}
    return not options.get("worktree") and options["cwd"] == plan.options["cwd"]


def new_spec(plan: LaunchPlan, session_id: str, key: bytes | None) -> dict[str, Any]:
    """What session.json says about the session as a whole; keeps where its notices go.

    Args:
        plan: The plan.
        session_id: The id of the session.
        key: The user's key; None if there is none.
    """
    now = time.time()
    if not plan.options.keys().isdisjoint(NOTICE_OPTIONS):
        from cpr_nb.launching.notice_options import keep_notices  # few sessions send any

        keep_notices(plan.options)
    options = {k: v for k, v in plan.options.items() if k not in ("env", "name", "cwd")}
    return {
        "session_id": session_id,
        "schema_version": schema_version(options, plan.study),
        "name": plan.options.get("name"),
        "created_at": utc_iso(now),
        "start_time": int(now),
        "cwd": plan.options["cwd"],
        "options": options,
        "env_names": sorted(plan.options.get("env", {})),
        "own_environment": plan.own_environment,
        "max_parallel": plan.max_parallel,
        **({"first_parallel": plan.first_parallel} if plan.first_parallel else {}),
        "login_wait_s": plan.login_wait_s,
        "machine_wait_s": plan.machine_wait_s,
        "claude_path": plan.claude_path,
        "claude_version": plan.claude_version,
        "executor": plan.cluster.spec.name if plan.cluster else LocalExecutor.name,
        **({"cluster": plan.cluster.as_json()} if plan.cluster else {}),
        "parent_session_id": plan.parent_session_id,
        "identity": plan.identity,
        **({"n_reused": len(plan.reused)} if plan.reused else {}),
        **plan.study,
        **({"launched_by": plan.launched_by} if plan.launched_by else {}),
        "warnings": plan.setup_warnings,
        **(USER_ONLY if len(plan.user_only) == len(plan.tasks) else {}),
        "mark": mark(key, session_id) if key is not None else None,
    }


def task_fields(plan: LaunchPlan, task: TaskSpec) -> dict[str, Any]:
    """What session.json says about a task; of environment variables only their names.

    Args:
        plan: The plan.
        task: One of its tasks.
    """
    options = {k: v for k, v in task.options.items() if k != "env"}
    spec: dict[str, Any] = {"id": task.task_id, "prompt": task.prompt, "options": options}
    spec |= task.origin
    if plan.task_identities[task.task_id]:
        spec["identity"] = plan.task_identities[task.task_id]
    if "env" in task.options:
        spec["env_names"] = sorted(task.options["env"])
    if task.task_id in plan.user_only and len(plan.user_only) < len(plan.tasks):
        spec |= USER_ONLY
    if task.task_id in plan.checkouts:
        spec["checkout"] = plan.checkouts[task.task_id]
    return spec
