"""What runs in a worker of Dask: it starts a node agent there, and returns at once."""

from __future__ import annotations

import os
import re
import socket

from cpr_nb.executors.placing import agent_argv, last_line_of
from cpr_nb.store.layout import NODE_LOG_PREFIX, SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def describe(root: str, session_digest: str, dask_worker: Any = None) -> dict[str, Any]:
    """What the engine wants to know of a worker before it starts an agent there.

    Args:
        root: The session's folder.
        session_digest: The SHA-256 of session.json, if the worker sees that folder.
        dask_worker: The worker; Dask fills it in.

    Returns:
        Its host, name and threads, and whether it sees the session's folder.
    """
    return {
        "host": socket.gethostname(),
        "name": str(dask_worker.name),
        "n_threads": int(dask_worker.state.nthreads),
        "sees_folder": bool(session_digest) and digest_of(root) == session_digest,
    }


def digest_of(root: str) -> str:
    """The SHA-256 of a session's session.json; empty if it can't be read."""
    import hashlib

    try:
        with open(SessionPaths(root).session, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


def start_agent(
    root: str, agents: Mapping[str, Mapping[str, Any]], keys: str, dask_worker: Any = None
) -> str:
    """Starts a node agent that outlives the worker.

    Args:
        root: The session's folder.
        agents: Worker's address → ``name`` and ``slots`` of its agent.
        keys: The content of the join file; empty if the worker sees the file itself.
        dask_worker: The worker; Dask fills it in.

    Returns:
        The path of the agent's log.
    """
    import subprocess
    import tempfile

    agent = agents[dask_worker.address]
    argv = agent_argv("-" if keys else SessionPaths(root).join, agent["name"], agent["slots"])
    if keys:
        log_fd, log = tempfile.mkstemp(prefix="cpr-agent-", suffix=".log")
    else:
        log = f"{root}/{NODE_LOG_PREFIX}{re.sub(r'[^A-Za-z0-9._-]', '_', agent['name'])}.log"
        log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    keys_fd, write_fd = os.pipe()
    os.write(write_fd, keys.encode())  # a pipe holds far more
    os.close(write_fd)
    try:
        subprocess.Popen(  # noqa: S603 - our own program
            argv,
            cwd="/",  # the worker's own folder goes with the worker
            stdin=keys_fd,
            stdout=log_fd,
            stderr=log_fd,
            start_new_session=True,
        )
    finally:
        os.close(keys_fd)
        os.close(log_fd)
    return log


def read_last_line(logs: Mapping[str, str], dask_worker: Any = None) -> str:
    """The last line of the log of a worker's agent.

    Args:
        logs: Worker's address → the path of that log.
        dask_worker: The worker; Dask fills it in.
    """
    return last_line_of(logs[dask_worker.address])
