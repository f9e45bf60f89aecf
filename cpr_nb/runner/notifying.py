"""A recorder of a session whose notices somebody wants: it has each sent when its time has come."""

from __future__ import annotations

import os
import sys
import time

from cpr_nb.model import limits, states
from cpr_nb.model.states import ON_DONE, ON_FAILED, ON_WAITING, QUESTION
from cpr_nb.runner.own_programs import start_notice
from cpr_nb.runner.recorder import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from cpr_nb.runner.history import History
    from cpr_nb.runner.instructions import ReportState
    from cpr_nb.store.layout import SessionPaths

#: How long a runner stays after the end, so that a container does not end before the notice.
_STAY_S = 5.0
_LOOK_EVERY_S = 0.02


class NotifyingRecorder(Recorder):
    """Also starts the program that sends a notice, once for each.

    The empty file of a notice is made before its program is started: a later runner finds it, and
    starts the program again unless the notice was sent.

    Args:
        paths: As for `Recorder`.
        session: As for `Recorder`.
        bases: As for `Recorder`.
        runner: As for `Recorder`.
        history: As for `Recorder`.
        keeps_end: As for `Recorder`.
        state_dir: The user's state directory; empty for the usual one.
    """

    def __init__(
        self,
        paths: SessionPaths,
        session: dict[str, Any],
        bases: Iterable[dict[str, Any]],
        runner: dict[str, Any],
        history: History,
        *,
        keeps_end: bool = False,
        state_dir: str = "",
    ) -> None:
        super().__init__(paths, session, bases, runner, history, keeps_end=keeps_end)
        self._notices = self.head["notices"]
        self._own_names = session.get("env_names", ())
        self._state_dir = state_dir
        self._begun: set[str] = set()
        self._pids: list[int] = []
        self._keeps_end = keeps_end
        for kind in self._unfinished():
            self._send(kind)

    def report_state(self, report: ReportState, until_s: float | None) -> None:
        """Records the session's own state; the first wait for each reason is worth a notice."""
        super().report_state(report, until_s)
        # Whoever gave a time knows that it waits for it.
        if report.state == states.WAITING and report.reason != limits.TIME:
            self._send_waiting(report.reason)

    def asks(self, task: int, questions: list[dict[str, Any]]) -> None:
        """Records which questions of a task are open."""
        super().asks(task, questions)
        if questions:
            self._send_waiting(QUESTION)

    def end(self, state: str, error: str = "") -> None:
        """Records the end of the session.

        The program waits for the end that we write: if we are killed then, it is there already.
        """
        for name in (ON_DONE, ON_FAILED):
            if name in self._notices and not self._keeps_end:
                self._send(name)
        super().end(state, error)

    def await_notices(self) -> None:
        """Waits for the programs that still send, but not for long."""
        give_up_at = time.monotonic() + _STAY_S
        for pid in self._pids:
            while _runs(pid) and time.monotonic() < give_up_at:
                time.sleep(_LOOK_EVERY_S)

    def _send_waiting(self, reason: str) -> None:
        kind = f"{ON_WAITING}-{reason}"
        if ON_WAITING in self._notices and kind not in self._begun:
            self.write_durably()  # what sends it reads there what the session waits for
            self._send(kind)

    def _unfinished(self) -> list[str]:
        """The notices about waits that earlier runners have begun; the end is still to come."""
        try:
            names = os.listdir(self._paths.notices)
        except OSError:
            return []
        kinds = [name.removesuffix(".jsonl") for name in names if name.endswith(".jsonl")]
        waits = sorted(kind for kind in kinds if kind.startswith(f"{ON_WAITING}-"))
        return [kind for kind in waits if not _is_over(self._paths.notice(kind))]

    def _send(self, kind: str) -> None:
        """Starts the program that sends a notice, unless this runner has done so."""
        if kind in self._begun:
            return
        self._begun.add(kind)
        try:
            own_names, state_dir = self._own_names, self._state_dir
            pid = start_notice(self._paths, os.getcwd(), kind, own_names, state_dir)
            self._pids.append(pid)
        except OSError as error:
            print(f"notice {kind}: {error.strerror}", file=sys.stderr, flush=True)
            self.warn(f"the notice {kind} can't be sent: {error.strerror}")


def _is_over(path: str) -> bool:
    """Whether a notice was sent or given up; if this can't be told, what sends it looks again."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return False
    return b'"event":"sent"' in data or b'"event":"gave_up"' in data


def _runs(pid: int) -> bool:
    """Whether a child of ours still runs; the loop may have reaped it."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:
        return False
