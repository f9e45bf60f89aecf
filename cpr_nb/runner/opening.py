"""Opens a session: what a runner does before its launcher is told that it is up.

Nothing here loads more than it needs, for somebody waits. The rest is loaded once they go on.
"""

from __future__ import annotations

import os
import time

from cpr_nb.model.quick_json import loads
from cpr_nb.model.record import notices_of
from cpr_nb.model.states import ENDED_STATES
from cpr_nb.runner import process
from cpr_nb.runner.history import read_history
from cpr_nb.runner.own_folder import HERE, enter
from cpr_nb.runner.recorder import Recorder
from cpr_nb.runner.session_spec import SessionSpec
from cpr_nb.store import requests
from cpr_nb.store.folder_id import FIELD as FOLDER_FIELD
from cpr_nb.store.folder_id import folder_id
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.times import utc_iso
from cpr_nb.store.whereabouts import Whereabouts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any


class OpenSession:
    """A session whose runner we are: from now on everybody sees that.

    Args:
        root: The session's folder.
        lock_fd: The descriptor that holds the session's lock.
        runner_input: What came on stdin: JSON (`cpr_nb.executors.base.RunnerInput`). The values of
            variables must be neither on the disk nor in the arguments, and the folder must not say
            what may run.
        skipped: The session has ended; its skipped tasks are to run.
        unsaved: The session has ended, and its end stays as it was.

    Attributes:
        await_notices: Waits for notices that are being sent; None if nobody wants any.
        is_first: Whether no runner has worked on it before.
        numbers: Task id → number, for each task with a history.

    Raises:
        ChangedError: If session.json is not what its launcher has checked.
        OSError: If the folder is not there any more.
    """

    def __init__(
        self,
        root: str,
        lock_fd: int,
        runner_input: bytes,
        *,
        skipped: bool = False,
        unsaved: bool = False,
    ) -> None:
        self.root, self.lock_fd = root, lock_fd
        self.given: dict[str, Any] = loads(runner_input)
        self.paths = enter(root, lock_fd)
        self.spec = SessionSpec(self.paths.session, self.given["sha256"])
        self.is_first = not os.path.exists(self.paths.runner)
        self.history = read_history(self.paths)
        if skipped:
            self.history.reopen()
        self.numbers: dict[str, int] = {}
        self.await_notices: Callable[[], None] | None = None
        self.recorder = self._recorder(keeps_end=unsaved)
        if skipped:
            self.recorder.journal("reopened")
        folder = self.given["requests_dir"]
        is_inside = folder == SessionPaths(root).requests  # then it is moved with the session
        self.requests_dir: str = self.paths.requests if is_inside else folder
        requests.show_reader(self.requests_dir)

    def failed(self, error: str) -> None:
        """Says in status.json why nothing was started; whoever resumes the session tries again."""
        self.recorder.head["notice"] = f"its runner failed at its start: {error}"
        self.recorder.flush(0.0)

    def start_next(self) -> None:
        """If the session has ended, has those started that are planned to come after it."""
        has_ended = self.recorder.head["overall_status"] in ENDED_STATES
        if not has_ended or not os.path.isdir(self.paths.next_sessions):
            return
        from cpr_nb.runner.own_programs import STARTS_NEXT, start_program  # few need it

        own_names, state_dir = self.spec.session.get("env_names", ()), self.given["state_dir"]
        start_program(STARTS_NEXT, os.environb, own_names, state_dir, self.paths, os.getcwd())

    def _recorder(self, *, keeps_end: bool) -> Recorder:
        """What writes down what happens, and sends notices if somebody wants any."""
        session, runner, history = self.spec.session, self._runner(), self.history
        if not notices_of(session["options"]):
            return Recorder(
                self.paths, session, self._bases(), runner, history, keeps_end=keeps_end
            )
        from cpr_nb.runner.notifying import NotifyingRecorder  # few sessions need it

        recorder = NotifyingRecorder(
            *(self.paths, session, self._bases(), runner, history),
            keeps_end=keeps_end,
            state_dir=self.given["state_dir"],
        )
        self.await_notices = recorder.await_notices
        return recorder

    def _bases(self) -> Iterator[dict[str, Any]]:
        """Yields the tasks' unchanging fields; puts those with a history into ``numbers``."""
        for base in self.spec.read_tasks():
            if base["transaction_id"] in self.history.tasks:
                self.numbers[base["transaction_id"]] = base["task_num"] - 1
            yield base

    def _runner(self) -> dict[str, Any]:
        """What runner.json says of this process."""
        pid, here, state_dir_id = os.getpid(), Whereabouts.here(HERE), self.given["state_dir_id"]
        return {
            "pid": pid,
            "started_at": utc_iso(time.time()),
            "start_time": process.start_time(pid),
            "boot_id": here.boot_id,
            "host": here.host,
            "file_system": here.file_system,
            "pid_namespace": process.pid_namespace(),
            "folder": self.root,
            FOLDER_FIELD: folder_id(HERE),
            "executor": self.spec.session.get("executor"),
            **({"state_dir_id": state_dir_id} if state_dir_id else {}),
        }
