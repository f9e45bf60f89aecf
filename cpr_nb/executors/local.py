"""Tasks run on this machine, as children of a detached runner."""

from __future__ import annotations

from collections.abc import Mapping

from cpr_nb.runner.detach import start_runner
from cpr_nb.store.layout import SessionPaths


class LocalExecutor:
    """The default: one detached runner process a session, on this machine."""

    name = "local"

    def start(
        self,
        paths: SessionPaths,
        lock_fd: int,
        environ: Mapping[str, str],
        task_env: Mapping[str, Mapping[str, str]],
        *,
        settle: bool = False,
    ) -> int:
        """See `cpr_nb.executors.base.Executor.start`."""
        return start_runner(paths, lock_fd, environ, task_env, settle=settle)
