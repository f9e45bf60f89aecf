"""What an executor must do."""

from __future__ import annotations

import json
import os
import site
from collections.abc import Mapping, Sequence

from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.request_folder import make_folder
from cpr_nb.store.state_dir import check_state_dir, config_file, state_dir


class RunnerInput:
    """What a runner is given on its stdin: neither on the disk nor in its arguments.

    Args:
        task_env: Task id → variables of its own.
        sha256: The SHA-256 of the session.json that was checked; it runs no other.
        state_dir: The user's state directory, which agents must not reach; empty if there is none.
        config_dir: The folder of the user's own settings, which agents must not write.
        requests_dir: The folder in which interfaces leave requests.
        state_dir_id: The name of the state directory that holds that folder; empty if it is in the
            session's folder, because there is no state directory.
        library_dirs: The folders in which Python has installed libraries. A runner does without
            them, but its helpers don't.
        claim: The number of the newest claim to the session; a runner that sees a newer one leaves.
    """

    def __init__(
        self,
        task_env: Mapping[str, Mapping[str, str]],
        sha256: str,
        state_dir: str,
        config_dir: str,
        requests_dir: str,
        state_dir_id: str,
        library_dirs: Sequence[str] = (),
        claim: int = 0,
    ) -> None:
        self.task_env = task_env
        self.sha256 = sha256
        self.state_dir = state_dir
        self.config_dir = config_dir
        self.requests_dir = requests_dir
        self.state_dir_id = state_dir_id
        self.library_dirs = library_dirs
        self.claim = claim

    def as_json(self) -> bytes:
        """Its fields, as the runner reads them."""
        return json.dumps(vars(self)).encode()


def runner_input(
    paths: SessionPaths,
    session_id: str,
    sha256: str,
    task_env: Mapping[str, Mapping[str, str]],
    claim: int = 0,
) -> RunnerInput:
    """What a runner that is started by this process is given; makes the folder of its requests.

    Args:
        paths: The session's paths.
        session_id: Its id.
        sha256: The SHA-256 of session.json.
        task_env: Task id → variables of its own.
        claim: The number of the newest claim to the session.

    Raises:
        StateDirError: If others may write to the state directory.
        SessionNotUsable: If the id is none that cpr makes.
        ResultsDirError: If the folder of its requests can't be made.
    """
    folder, state_dir_id = make_folder(paths, session_id)
    state = state_dir() if check_state_dir() else ""
    config_dir = os.path.dirname(config_file())
    library_dirs = site.getsitepackages()
    return RunnerInput(
        task_env, sha256, state, config_dir, folder, state_dir_id, library_dirs, claim
    )


class Executor:
    """Starts the runners of sessions; everything else is in the session's folder.

    Example:
        session.json names its executor, so that any interface finds it again::

            class LocalExecutor(Executor):
                name = "local"
    """

    name = ""

    def start(
        self,
        paths: SessionPaths,
        lock_fd: int,
        environ: Mapping[str, str],
        runner_input: RunnerInput,
        *,
        mode: str = "",
    ) -> int:
        """Starts the session's runner, which takes over the lock.

        If an earlier runner of the session is gone, the new one continues from there.

        Args:
            paths: The session's paths; its folder is complete.
            lock_fd: The descriptor that holds the session's lock; the caller closes its copy.
            environ: The environment that tasks inherit.
            runner_input: What the runner is given on its stdin.
            mode: ``settle`` only carries out the requests that wait in its folder, and starts
                nothing; ``skipped`` runs the tasks that an ended session has skipped; ``unsaved``
                only saves the work of its tasks that is not saved.

        Returns:
            The runner's pid.

        Raises:
            LaunchError: If it did not come up.
        """
        raise NotImplementedError
