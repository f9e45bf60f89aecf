"""A kernel with a LocalCluster of three processes: it launches, adds, prints what it saw, and ends.

Usage: python dask_launch.py [unseen | elsewhere] < TASKS

``unseen``: the workers see no folder of this machine; ``elsewhere``: nor are they on this machine.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from distributed import Client, LocalCluster

import cpr_nb as cpr
from cpr_nb.executors import dask, dask_worker


def n_nodes(session: cpr.Session) -> int:
    return len(session.refresh().head["nodes"])


def main(words: list[str]) -> dict[str, Any]:
    tasks = json.load(sys.stdin)
    if words:
        dask_worker.digest_of = lambda root: ""
    if words == ["elsewhere"]:
        dask._LOOPBACK = ()  # type: ignore[assignment]
    with (
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        try:
            session = cpr.launch(tasks, executor=client)
        except cpr.LaunchError as error:
            return {"refused": str(error)}
        while n_nodes(session) < 3:
            time.sleep(0.02)
        before = n_nodes(session)
        session.add_nodes(client)
        return {"path": str(session.path), "nodes": before, "again": n_nodes(session)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
