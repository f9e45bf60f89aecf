"""Adds nodes to a session that runs."""

from __future__ import annotations

import os
import shlex

from cpr_nb.executors.placing import Joining
from cpr_nb.launching.cluster import add_cluster
from cpr_nb.launching.stored import read_own
from cpr_nb.model import states
from cpr_nb.model.errors import SessionNotUsable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.read import Snapshot


def add_nodes(snapshot: Snapshot, executor: Any, nodes: int | None, slots: int | None) -> list[str]:
    """Places further node agents for a session that runs.

    Args:
        snapshot: The session, just read.
        executor: The engine: a text, or a client of Dask.
        nodes: How many; None leaves that to the engine.
        slots: How many tasks each runs at once; None leaves that to it.

    Returns:
        What the user should know, such as a line for each node that could not be placed.

    Raises:
        InputError: If the engine can't be used from here.
        SessionNotUsable: If no node can join the session.
        LaunchError: If no node can be placed.
    """
    session_id, paths = snapshot.session_id, snapshot.paths
    spec = read_own(snapshot, "add nodes to").spec
    if "cluster" not in spec:
        raise SessionNotUsable(
            f"can't add nodes to {session_id}: it was launched without 'executor', so its tasks "
            "run on its own machine"
        )
    if snapshot.state not in states.LIVE_STATES or not os.path.exists(paths.join):
        raise SessionNotUsable(f"can't add nodes to {session_id}: it is {snapshot.state}")
    cluster = add_cluster(executor, nodes, slots)
    if cluster.engine is None:
        return [
            f"💡 start one yourself: cpr agent {shlex.quote(paths.join)}   (on the machine to add)"
        ]
    placed = cluster.engine.place(Joining(paths, session_id, cluster.slots), cluster.nodes)
    return placed.failures
