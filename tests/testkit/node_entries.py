"""Heads of sessions with nodes, as a runner writes them, for tests of what shows them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from cpr_nb.store.times import utc_iso


def node(name: str, state: str = "live", **fields: Any) -> dict[str, Any]:
    """One node with two slots.

    Args:
        name: Its name.
        state: Its state.
        **fields: Further fields.
    """
    return {"name": name, "host": f"{name}.example", "state": state, "slots": 2, **fields}


def silent(name: str, n_running: int, now_s: float | None = None, **fields: Any) -> dict[str, Any]:
    """A node that has been silent for 42 s, and whose tasks move in 18 s.

    Args:
        name: Its name.
        n_running: How many tasks it had when it was last heard of.
        now_s: The time; default now.
        **fields: Further fields.
    """
    now_s = time.time() if now_s is None else now_s
    times = {"silent_at": utc_iso(now_s - 42), "moves_at": utc_iso(now_s + 18)}
    return node(name, "silent", n_running=n_running, **times, **fields)


def add_nodes(folder: Path, *nodes: dict[str, Any], tasks: dict[str, str] | None = None) -> None:
    """Writes nodes into the status.json of a session.

    Args:
        folder: The session's folder.
        *nodes: The nodes.
        tasks: The node of each task, by the task's id.
    """
    path = folder / "status.json"
    status = json.loads(path.read_text())
    for task in status["tasks"]:
        if (name := (tasks or {}).get(task["transaction_id"])) is not None:
            task["node"] = name
    # The tasks come last: readers of the head stop there.
    fields = {key: value for key, value in status.items() if key != "tasks"}
    path.write_text(json.dumps({**fields, "nodes": list(nodes), "tasks": status["tasks"]}))
