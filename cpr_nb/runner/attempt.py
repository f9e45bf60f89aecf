"""One attempt of one task, and the helper processes beside it: process, files, result."""

from __future__ import annotations

import json
import os

from cpr_nb.model.conversation_totals import has_totals_only, keep_own_share
from cpr_nb.model.credentials import PATIENT_REFUSALS, fixed_variable, without_wait
from cpr_nb.model.limits import ACCESS, Limit, limit_of_result
from cpr_nb.model.outcome import Exit
from cpr_nb.model.setup_report import init_problems, stderr_problems
from cpr_nb.model.text import one_line
from cpr_nb.runner.stream import Stream
from cpr_nb.store.result_line import last_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.events import RunFacts
    from cpr_nb.runner.leftovers import Leftovers
    from cpr_nb.runner.local_process import LocalProcess
    from cpr_nb.runner.message_pipe import MessagePipe
    from cpr_nb.runner.remote.remote_process import RemoteProcess, RemoteStdin
    from cpr_nb.store.layout import SessionPaths

    Process = LocalProcess | RemoteProcess

_TAIL_BYTES = 4096
# Too far below 0 to be a pid, or to name a group of processes.
_NO_PID = -(1 << 40)


class Attempt:
    """A running attempt.

    Args:
        process: Its process; its pid is `unseen_pid` if it is in a PID namespace that can't be
            seen from here.
        task: The task's number, from 0.
        task_id: The task's id.
        number: Which attempt it is, from 1.
        paths: The session's paths.
        with_tools: Whether it matters which tools run.
        credentials: The variables in its environment that bring a credential, each with whether
            its task alone has it.
        follows_stream: The stream of the run whose conversation the task continues a copy of.
        mode: The permission mode that was asked.
        strict_setup: Whether it must not run if the CLI's set-up is not as asked.

    Attributes:
        folder: The folder that it works in, if it can ask.
        setup_problem: What of that set-up is not as asked, if it must not run then.
        unprepared: Why a node could not make its checkout; None if it could.
    """

    __slots__ = (
        "_began",
        "_credentials",
        "_follows_stream",
        "_is_setup_known",
        "_mode",
        "_paths",
        "_strict_setup",
        "folder",
        "number",
        "process",
        "setup_problem",
        "stream",
        "task",
        "task_id",
        "terminated",
        "unprepared",
    )

    def __init__(
        self,
        process: Process,
        task: int,
        task_id: str,
        number: int,
        paths: SessionPaths,
        *,
        with_tools: bool = False,
        credentials: dict[str, bool] | None = None,
        mode: str = "",
        strict_setup: bool = False,
        follows_stream: str = "",
    ) -> None:
        self._credentials = credentials or {}
        self.process = process
        self.task = task
        self.task_id = task_id
        self.number = number
        self.terminated = False
        self.stream = self._open_stream(paths.stream(task_id, number), with_tools=with_tools)
        self.setup_problem = ""
        self.unprepared: tuple[str, str] | None = None
        self.folder = ""
        self._mode = mode
        self._strict_setup = strict_setup
        self._is_setup_known = self._began = False
        self._paths = paths
        self._follows_stream = follows_stream

    def _open_stream(self, path: str, *, with_tools: bool) -> Stream:
        return Stream(path, self.process.pid_here, with_tools=with_tools)

    @property
    def pipe(self) -> MessagePipe | RemoteStdin | None:
        """Its stdin, if it can ask and be spoken to; None: it had its prompt, and no more."""
        return self.process.stdin

    def terminate(self) -> None:
        """Asks its process to end; the CLI then cleans up its own shells."""
        self.process.terminate()

    def is_gone(self) -> bool:
        """Whether a process that is not our child has ended."""
        if self.process.pid > 0:
            return self.process.is_gone()
        # What only keeps its output open can't be ended from here: then its result decides.
        is_over = self.terminated and self.stream.background.turn_ended
        return is_over or not self.stream.is_open

    def kill_tree(self) -> int:
        """Kills what is left of its process tree; returns how many processes that were."""
        return self.process.kill_tree()

    @property
    def place_fields(self) -> dict[str, Any]:
        """What status.json says of where it ran: nothing if that was a process here of its own."""
        return {"node": self.process.node} if self.process.node else {}

    @property
    def is_unasked(self) -> bool:
        """Whether its process, which is gone, was not its own and never got its prompt."""
        return False

    def clean_up(self, leftovers: Leftovers, status: int | None) -> None:
        """Ends what is left of its process tree: at once if it was ended, else soon.

        Args:
            leftovers: Ends it soon.
            status: What wait() returned; None if nobody knows.
        """
        if self.terminated or status is None:
            self.kill_tree()
        else:
            self.process.sweep_later(leftovers)

    def collect(self, status: int | None) -> tuple[Exit, RunFacts]:
        """Returns how it ended, and what its stream says.

        Args:
            status: What wait() returned; None if it was not our child: nobody knows it then.
        """
        facts = self.stream.finish()
        if has_totals_only(facts):
            self._keep_own_share(facts)
        stderr = self._read_stderr()
        code = None if status is None else os.waitstatus_to_exitcode(status)
        signal_number = -code if code is not None and code < 0 else None
        exit_ = Exit(
            None if signal_number else code,
            signal=signal_number,
            result=facts.result,
            answered=facts.answered,
            trouble=facts.trouble,
            stderr=stderr,
            unprepared=self.unprepared,
        )
        return exit_, facts

    def has_just_begun(self) -> bool:
        """Whether its CLI has written its first event since this was asked last."""
        is_news = self.stream.first_init is not None and not self._began
        self._began |= is_news
        return is_news

    @property
    def awaits_setup(self) -> bool:
        """Whether it must not run if its set-up is not as asked, and that is not known yet."""
        return self._strict_setup and not self._is_setup_known

    def new_setup_problems(self) -> list[str]:
        """What the CLI says is not as asked in its set-up; once it has said so, and only once."""
        init = self.stream.first_init
        if self._is_setup_known or init is None:
            return []
        self._is_setup_known = True
        begin = _read_head(self._stderr_path())
        problems = [*init_problems(init, self._mode), *stderr_problems(begin)]
        if self._strict_setup:
            self.setup_problem = one_line("; ".join(problems))
        return problems

    def _keep_own_share(self, facts: RunFacts) -> None:
        """Takes from the figures what the conversation had used before this attempt."""
        conversation_id = (facts.result or {}).get("session_id")
        if self.number > 1:
            before = last_result(self._paths.stream(self.task_id, self.number - 1))
            if before is None or before.get("session_id") == conversation_id:
                keep_own_share(facts, before)
                return
        if self._follows_stream:
            keep_own_share(facts, last_result(self._follows_stream))

    @property
    def limit(self) -> Limit | None:
        """The limit that concerns every task, if it ended at one."""
        facts, stream_limit = self.stream.facts, self.stream.limit
        if stream_limit is not None and stream_limit.until_s is not None:
            return stream_limit  # to the second; the text of the result has only minutes
        result, retried = facts.result or {}, facts.api_retries > 0
        limit = limit_of_result(result, retried=retried, written_at_s=self.stream.written_at_s)
        limit = limit or stream_limit
        return self._without_wait(limit)

    def limit_so_far(self, limit: Limit | None) -> Limit | None:
        """What a limit that its stream reports means while it runs; None if it means nothing yet.

        Args:
            limit: The limit, as the stream reports it.
        """
        limit = self._without_wait(limit)
        refused_once = limit is not None and limit.kind == ACCESS
        few = self.stream.n_login_refusals < PATIENT_REFUSALS
        return None if refused_once and few else limit

    def _without_wait(self, limit: Limit | None) -> Limit | None:
        variable = fixed_variable(self.stream.facts.init, self._credentials)
        own = [name for name, is_own in self._credentials.items() if is_own]
        return without_wait(limit, variable, own)

    def _stderr_path(self) -> str:
        return self._paths.stderr(self.task_id, self.number)

    def _read_stderr(self) -> str:
        path = self._stderr_path()
        try:
            size_bytes = os.stat(path).st_size
            if not size_bytes:
                os.unlink(path)
                return ""
        except OSError:
            return ""
        return read_tail(path)


def unseen_pid(task: int) -> int:
    """What stands for the pid of a task's process that can't be seen: no signal can go to it."""
    return _NO_PID - task


class SideRun:
    """What runs for a task beside its agent: the user's check, or a helper of its worktree.

    Args:
        kind: ``check``, ``prepare`` or ``harvest``.
        process: Its process.
        task: The task's number, from 0.
        task_id: The task's id.
        path: The file with its output, if it is a check.
        reply_fd: The descriptor that has its reply, if it is a helper; closed by `reply`.
        sandboxed: The folder in which it runs in a sandbox; empty without one.
    """

    __slots__ = (
        *("_reply_fd", "kind", "path", "process", "sandboxed"),
        *("task", "task_id", "terminated"),
    )

    def __init__(
        self,
        kind: str,
        process: Process,
        task: int,
        task_id: str,
        *,
        path: str = "",
        reply_fd: int = -1,
        sandboxed: str = "",
    ) -> None:
        self.kind = kind
        self.sandboxed = sandboxed
        self.process = process
        self.task = task
        self.task_id = task_id
        self.path = path
        self._reply_fd = reply_fd
        self.terminated = False

    def terminate(self) -> None:
        """Asks it to end."""
        self.process.terminate()

    def kill_tree(self) -> int:
        """Kills what is left of its process tree; returns how many processes that were."""
        return self.process.kill_tree()

    def error(self, status: int) -> str:
        """Why a check did not pass, in one line; empty if it did.

        Args:
            status: What wait() returned.
        """
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return ""
        how = f"exit {code}" if code > 0 else f"ended by signal {-code}"
        lines = [line for line in read_tail(self.path).splitlines() if line.strip()]
        return one_line(f"the check failed ({how}): {lines[-1] if lines else 'no output'}")

    def reply(self) -> dict[str, Any]:
        """The helper's reply: an object with ``ok``, which is false if there was none."""
        with open(self._reply_fd, "rb") as file:
            file.seek(0)
            data = file.read()
        try:
            reply = json.loads(data)
        except ValueError:
            reply = None
        if isinstance(reply, dict) and isinstance(reply.get("ok"), bool):
            return reply
        return {"ok": False, "error": f"its {self.kind} ended without an answer; see runner.log"}


def _read_head(path: str) -> str:
    """The beginning of a text file; empty if it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def read_tail(path: str, begin: int = 0) -> str:
    """Returns the end of a text file; empty if it can't be read.

    Args:
        path: The file.
        begin: From where on it matters, in bytes.
    """
    try:
        with open(path, "rb") as file:
            file.seek(max(begin, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""
