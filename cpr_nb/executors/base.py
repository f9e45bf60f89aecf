"""What an executor must do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cpr_nb.store.layout import SessionPaths


class Executor(Protocol):
    """Starts the runners of sessions; everything else is in the session's folder.

    Example:
        session.json names its executor, so that any interface finds it again::

            class LocalExecutor:
                name = "local"
    """

    name: str

    def start(
        self,
        paths: SessionPaths,
        lock_fd: int,
        environ: Mapping[str, str],
        task_env: Mapping[str, Mapping[str, str]],
        *,
        mode: str = "",
    ) -> int:
        """Starts the session's runner, which takes over the lock.

        If an earlier runner of the session is gone, the new one continues from there.

        Args:
            paths: The session's paths; its folder is complete.
            lock_fd: The descriptor that holds the session's lock; the caller closes its copy.
            environ: The environment that tasks inherit.
            task_env: Task id → variables of its own.
            mode: ``settle`` only carries out the requests that wait in its folder, and starts
                nothing; ``skipped`` runs the tasks that an ended session has skipped.

        Returns:
            The runner's pid.

        Raises:
            LaunchError: If it did not come up.
        """
        ...
