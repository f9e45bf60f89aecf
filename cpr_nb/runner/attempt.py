"""One attempt of one task: its files, its process, and what came of it."""

from __future__ import annotations

import os
import signal

from cpr_nb.model.activity import Activity
from cpr_nb.model.events import RunFacts, parse_line
from cpr_nb.model.outcome import Exit
from cpr_nb.runner import process
from cpr_nb.runner.command import TOKEN_VARIABLE, build_argv
from cpr_nb.runner.messages import ASK_FOR_STRUCTURE, GO_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cpr_nb.store.layout import SessionPaths

_STDERR_TAIL_BYTES = 4096
_TOKEN_NAME = TOKEN_VARIABLE.encode()


class Attempt:
    """A running attempt.

    Args:
        pid: Its process.
        token: What marks its whole tree.
        task: The task's number, from 0.
        task_id: The task's id.
        number: Which attempt it is, from 1.
        paths: The session's paths.
        started_at: When it started (a clock that never goes back).
    """

    __slots__ = (
        "_heard_at",
        "_heard_size_bytes",
        "_paths",
        "number",
        "pid",
        "started_at",
        "stopped",
        "task",
        "task_id",
        "token",
    )

    def __init__(
        self,
        pid: int,
        token: str,
        task: int,
        task_id: str,
        number: int,
        paths: SessionPaths,
        started_at: float,
    ) -> None:
        self.pid = pid
        self.token = token
        self.task = task
        self.task_id = task_id
        self.number = number
        self.started_at = started_at
        self.stopped = False
        self._paths = paths
        self._heard_at = started_at
        self._heard_size_bytes = 0

    def kill_tree(self) -> int:
        """Ends whatever of its tree still lives; returns how many processes that were."""
        process.kill_group(self.pid)
        return process.sweep([self.token])

    def listen(self, now: float) -> tuple[float, bool]:
        """When it wrote last, as far as we saw, and whether one of its tools runs."""
        path = self._paths.stream(self.task_id, self.number)
        activity = Activity()
        try:
            size_bytes = os.stat(path).st_size
            if size_bytes != self._heard_size_bytes:
                self._heard_size_bytes, self._heard_at = size_bytes, now
                return now, False
            with open(path, "rb") as stream:
                for line in stream:
                    event = parse_line(line)
                    if event is not None:
                        activity.feed(event)
        except OSError:
            pass  # somebody removed it: then nothing is heard
        return self._heard_at, activity.tool_running

    def collect(self, status: int) -> tuple[Exit, RunFacts]:
        """What is known of it now that its process has ended.

        Args:
            status: What wait() gave.
        """
        code = os.waitstatus_to_exitcode(status)
        facts = self._read_stream()
        stderr = self._read_stderr()
        by_signal = code < 0
        exit_ = Exit(
            None if by_signal else code,
            signal=-code if by_signal else None,
            result=facts.result,
            stderr=stderr,
        )
        return exit_, facts

    def _read_stream(self) -> RunFacts:
        facts = RunFacts()
        try:
            for line in _lines(self._paths.stream(self.task_id, self.number)):
                facts.feed(line)
        except OSError:
            pass  # somebody removed it: then nothing is known
        return facts

    def _read_stderr(self) -> str:
        path = self._paths.stderr(self.task_id, self.number)
        try:
            size_bytes = os.stat(path).st_size
            if not size_bytes:
                os.unlink(path)
                return ""
            with open(path, "rb") as file:
                file.seek(max(0, size_bytes - _STDERR_TAIL_BYTES))
                return file.read().decode("utf-8", "replace")
        except OSError:
            return ""


class Starter:
    """Starts attempts of one session's tasks.

    Args:
        paths: The session's paths.
        asked: The head of session.json.
        environ: The environment that tasks inherit, encoded.
        task_env: Task id → variables of its own.
    """

    def __init__(
        self,
        paths: SessionPaths,
        asked: dict[str, Any],
        environ: dict[bytes, bytes],
        task_env: dict[str, dict[str, str]],
    ) -> None:
        self._paths = paths
        self._asked = asked
        self._environ = {**environ, b"CPR_SESSION_ID": asked["session_id"].encode()}
        self._task_env = task_env

    def start(
        self,
        task: int,
        asked: dict[str, Any],
        number: int,
        conversation_id: str,
        words: str,
        now: float,
    ) -> Attempt:
        """Starts an attempt.

        Args:
            task: The task's number, from 0.
            asked: Its object in session.json.
            number: Which attempt, from 1.
            conversation_id: The conversation's id.
            words: What to say to the conversation if it exists already; empty for a new one,
                which begins with the task's prompt.
            now: The time, on a clock that never goes back.

        Raises:
            OSError: If the process can't be started; nothing runs then.
        """
        task_id = asked["id"]
        options = {**self._asked["options"], **asked.get("options", {})}
        token = f"{self._asked['session_id']}/{task_id}@{number}"
        env = {
            **self._own_environ(task_id),
            b"CPR_TASK_ID": task_id.encode(),
            _TOKEN_NAME: token.encode(),
        }
        fds: list[int] = []
        try:
            fds.append(process.open_prompt((words or asked["prompt"]).encode()))
            fds.append(_create(self._paths.stream(task_id, number)))
            fds.append(_create(self._paths.stderr(task_id, number)))
            pid = process.spawn(
                build_argv(
                    self._asked["claude_path"], options, conversation_id, resume=bool(words)
                ),
                cwd=options.get("cwd", self._asked["cwd"]),
                env=env,
                stdin=fds[0],
                stdout=fds[1],
                stderr=fds[2],
            )
        finally:
            for fd in fds:
                os.close(fd)
        return Attempt(pid, token, task, task_id, number, self._paths, now)

    def _own_environ(self, task_id: str) -> dict[bytes, bytes]:
        return {**self._environ, **_encoded(self._task_env.get(task_id, {}))}

    def has_conversation(self, task_id: str, conversation_id: str) -> bool:
        """Whether the CLI has written a transcript, so that a conversation can be resumed.

        Until then its id is unused: a run that was killed early leaves none.
        """
        env = self._own_environ(task_id)
        home = env.get(b"CLAUDE_CONFIG_DIR") or env.get(b"HOME", b"") + b"/.claude"
        projects = home + b"/projects/"
        name = b"/" + conversation_id.encode() + b".jsonl"
        try:
            return any(os.path.isfile(projects + folder + name) for folder in os.listdir(projects))
        except OSError:
            return False


_WORDS = {
    GO_ON: "Your work on this was interrupted. Go on from where you stopped, and finish it.",
    ASK_FOR_STRUCTURE: "Your answer lacks the structured output. Give the same answer again by "
    "calling the StructuredOutput tool.",
}


def asked_again(resume: str) -> str:
    """What to say to a conversation that is resumed."""
    return _WORDS[resume]


def _lines(path: str) -> Iterator[bytes]:
    """The lines of a file; a small one is read at once, which costs a third of ``open()``."""
    fd = os.open(path, os.O_RDONLY)
    head = b""
    try:
        head = os.read(fd, 65536)
        whole = len(head) < 65536
    finally:
        os.close(fd)
    if whole:
        yield from head.split(b"\n")
        return
    with open(path, "rb") as file:
        yield from file


def _create(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)


def _encoded(variables: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def terminate(attempt: Attempt) -> None:
    """Asks the attempt's process to end; the CLI then cleans up its own shells."""
    process.signal_process(attempt.pid, signal.SIGTERM)
