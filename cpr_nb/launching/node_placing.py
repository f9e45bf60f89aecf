"""Places the node agents of a session whose runner is up, and waits until the first one joins."""

from __future__ import annotations

import os
import shlex
import time

from cpr_nb.executors import placing
from cpr_nb.executors.placing import Joining, Placed
from cpr_nb.model.errors import CprError, LaunchError
from cpr_nb.store import requests
from cpr_nb.store.files import is_locked, read_json
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import read_session
from cpr_nb.store.request_folder import leave_request, remove_request_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from cpr_nb.launching.cluster import ClusterPlan

#: How long a launch waits for the first node. A node agent that finds no way leaves after as long.
JOIN_S = 30.0
#: How long the runner may take until nodes can join, and a cancelled session until it has ended.
_RUNNER_S = 20.0
_LOOK_S = 0.05
#: What a node may do later than it should.
_LATE_S = 3.0
_CWD = "cwd"


class JoinFile:
    """The join file of a session, which its runner writes anew when it starts.

    Args:
        before: The file that an earlier runner has left; see `state_of`.
    """

    def __init__(self, before: tuple[int, int] | None = None) -> None:
        self._before = before

    @staticmethod
    def state_of(paths: SessionPaths) -> tuple[int, int] | None:
        """What changes when it is written anew; None if there is none."""
        try:
            stat = os.stat(paths.join)
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino

    def wait(self, paths: SessionPaths) -> None:
        """Waits until nodes can join.

        Args:
            paths: The session's paths; its runner is up.

        Raises:
            LaunchError: If they never can.
        """

        def is_decided() -> bool:
            return self.state_of(paths) not in (None, self._before) or not is_locked(paths)

        _wait_until(is_decided, _RUNNER_S)
        if self.state_of(paths) in (None, self._before):
            why = placing.last_line_of(paths.log) or "its runner gives no reason"
            raise LaunchError(f"no node can join the session: {why}", paths.log)


def place_first(
    paths: SessionPaths, session_id: str, cluster: ClusterPlan, join_file: JoinFile, cwd: str
) -> list[str]:
    """Places the node agents of a new session; if none can ever join, nothing is left of it.

    Args:
        paths: The session's paths; its runner is up.
        session_id: Its id.
        cluster: What its launch has asked for.
        join_file: Its join file.
        cwd: The folder that tasks need on a node; empty if none does.

    Returns:
        What the user should know: a line for each node that could not be placed, and so on.

    Raises:
        LaunchError: If no node can join. Nothing was spent, and no session is left behind.
    """
    try:
        join_file.wait(paths)
        if cluster.engine is None:
            return [
                f"💡 no node is there yet: cpr agent {shlex.quote(paths.join)}   (on each machine)"
            ]
        joining = Joining(paths, session_id, cluster.slots)
        placed = cluster.engine.place(joining, cluster.nodes)
        lines = _await_first(paths, cluster, placed, cwd)
        _check_folder(paths, cwd)
    except BaseException:  # such as Ctrl-C
        if _undo(paths, session_id):
            raise
        return []  # a task runs: a node has joined at the last moment
    return [*placed.failures, *lines]


def place_again(
    paths: SessionPaths, session_id: str, cluster: ClusterPlan, join_file: JoinFile
) -> None:
    """Places the node agents of a session that is resumed, as far as they are gone.

    Those that live come back by themselves. Without any, the session waits for nodes, and says so.

    Args:
        paths: The session's paths; its runner is up.
        session_id: Its id.
        cluster: What its launch has asked for.
        join_file: Its join file.

    Raises:
        LaunchError: If no node can be placed; the session waits for nodes.
    """
    if cluster.engine is None:
        return
    join_file.wait(paths)
    joining = Joining(paths, session_id, cluster.slots)
    n_missing = cluster.engine.n_missing(joining, cluster.nodes)
    if n_missing != 0:
        cluster.engine.place(joining, n_missing)


def _await_first(paths: SessionPaths, cluster: ClusterPlan, placed: Placed, cwd: str) -> list[str]:
    """Waits until a node has joined that has the folder; not for one that a queue holds.

    Returns:
        What the user should know.

    Raises:
        LaunchError: If none joins.
    """
    state = placing.STARTED
    next_look = time.monotonic() + 1.0

    def is_decided() -> bool:
        nonlocal state, next_look
        joined = _joined(paths)
        if len(joined) >= placed.n_placed or not all(_lacks(node, cwd) for node in joined):
            return True
        if time.monotonic() >= next_look:  # it costs a command
            state = placed.state()
            next_look = time.monotonic() + 1.0
        return state != placing.STARTED

    _wait_until(is_decided, JOIN_S + _LATE_S)
    if _joined(paths):
        return []
    if state == placing.QUEUED:
        jobs = "node agent waits" if placed.n_placed == 1 else "node agents wait"
        return [f"💡 {placed.n_placed} {jobs} in the queue of {cluster.spec.name}"]
    words = [*dict.fromkeys(placed.last_words()), *placed.failures]
    raise LaunchError(_refusal(paths, words))


def _refusal(paths: SessionPaths, words: list[str]) -> str:
    join = read_json(paths.join)
    addresses = join.get("addresses")
    where = ", ".join(map(str, addresses)) if isinstance(addresses, list) else ""
    why = f" ({'; '.join(words)})" if words else ""
    return (
        f"no node has reached the runner of the session at {where or 'this machine'}, port "
        f"{join.get('port')}, within {JOIN_S:g} s{why}: launch it on a machine that the nodes can "
        "dial, such as the cluster's login node, or lay a tunnel and start cpr agent with "
        "--address HOST:PORT there (docs/nodes.md)"
    )


def _joined(paths: SessionPaths) -> list[dict[str, Any]]:
    """What status.json says of the nodes that have joined."""
    nodes = read_session(paths.root, tasks=False).head.get("nodes")
    every = nodes if isinstance(nodes, list) else []
    return [n for n in every if isinstance(n, dict) and n.get("state") in ("live", "no_login")]


def _check_folder(paths: SessionPaths, cwd: str) -> None:
    """Refuses a session whose folder is on none of the nodes that have joined."""
    joined = _joined(paths)
    if joined and all(_lacks(node, cwd) for node in joined):
        names = ", ".join(str(node.get("name")) for node in joined)
        raise LaunchError(
            f"cwd: there is no folder {cwd} on {names}: tasks need it on every node; choose one "
            "that is there, or a shared one"
        )


def _lacks(node: dict[str, Any], cwd: str) -> bool:
    """Whether a node has said that it lacks a folder that tasks need."""
    sees = node.get("sees")
    return bool(cwd) and isinstance(sees, dict) and sees.get(_CWD) is False


def _undo(paths: SessionPaths, session_id: str) -> bool:
    """Ends a session without nodes and removes it.

    Returns:
        False if one of its tasks has begun after all: then it goes on.
    """
    try:
        leave_request(paths, session_id, "cancel", requests.cancel_name(None))
    except CprError:
        pass  # its runner has ended
    if not _wait_until(lambda: not is_locked(paths), _RUNNER_S):
        return True  # it ends, but nobody waits for that any longer
    if any(task.get("attempts") for task in read_session(paths.root).tasks or ()):
        return False
    import shutil

    remove_request_folder(paths, session_id)
    shutil.rmtree(paths.root, ignore_errors=True)
    return True


def _wait_until(condition: Callable[[], object], timeout_s: float) -> bool:
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(_LOOK_S)
    return True
