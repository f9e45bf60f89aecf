"""Starts what runs for a task: its attempts, and the user's own check."""

from __future__ import annotations

import os

from cpr_nb.runner import process
from cpr_nb.runner.attempt import Attempt, CheckRun
from cpr_nb.runner.command import TOKEN_VARIABLE, build_argv
from cpr_nb.runner.messages import ASK_FOR_STRUCTURE, GO_ON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.store.layout import SessionPaths

_TOKEN_NAME = TOKEN_VARIABLE.encode()
#: Behind an attempt's token: marks the tree of its check.
CHECK_SUFFIX = "/check"


class Starter:
    """Starts attempts of one session's tasks.

    Args:
        paths: The session's paths.
        asked: The head of session.json.
        environ: The environment that tasks inherit, encoded.
        task_env: Task id → variables of its own.
        many_folders: Whether tasks run in different folders.
    """

    def __init__(
        self,
        paths: SessionPaths,
        asked: dict[str, Any],
        environ: dict[bytes, bytes],
        task_env: dict[str, dict[str, str]],
        *,
        many_folders: bool = False,
    ) -> None:
        self._paths = paths
        self._asked = asked
        self._environ = {**environ, b"CPR_SESSION_ID": asked["session_id"].encode()}
        self._task_env = task_env
        self._many_folders = many_folders

    def start(
        self,
        task: int,
        asked: dict[str, Any],
        number: int,
        conversation_id: str,
        words: str,
    ) -> Attempt:
        """Starts an attempt.

        Args:
            task: The task's number, from 0.
            asked: Its object in session.json.
            number: Which attempt, from 1.
            conversation_id: The conversation's id.
            words: What to say to the conversation if it exists already; empty for a new one,
                which begins with the task's prompt.

        Raises:
            OSError: If the process can't be started; nothing runs then.
        """
        task_id, options = asked["id"], self._options(asked)
        token = self.token(task_id, number)
        fds: list[int] = []
        try:
            fds.append(process.open_prompt((words or asked["prompt"]).encode()))
            fds.append(_create(self._paths.stream(task_id, number)))
            fds.append(_create(self._paths.stderr(task_id, number)))
            pid = process.spawn(
                build_argv(
                    self._asked["claude_path"],
                    options,
                    conversation_id,
                    resume=bool(words),
                    many_folders=self._many_folders,
                ),
                cwd=options.get("cwd", self._asked["cwd"]),
                env=self._environment(task_id, token),
                stdin=fds[0],
                stdout=fds[1],
                stderr=fds[2],
            )
        finally:
            for fd in fds:
                os.close(fd)
        return self.attempt(pid, task, asked, number)

    def attempt(
        self, pid: int, task: int, asked: dict[str, Any], number: int, pidfd: int | None = None
    ) -> Attempt:
        """The attempt whose process runs, started here or (with ``pidfd``) adopted."""
        return Attempt(
            pid,
            self.token(asked["id"], number),
            task,
            asked["id"],
            number,
            self._paths,
            with_tools="silence_s" in self._options(asked),
            pidfd=pidfd,
        )

    def start_check(self, task: int, asked: dict[str, Any], number: int) -> CheckRun:
        """Starts the user's own check, in the task's folder and environment.

        Args:
            task: The task's number, from 0.
            asked: Its object in session.json.
            number: Which attempt it checks.

        Raises:
            OSError: If it can't be started.
        """
        task_id, options = asked["id"], self._options(asked)
        token = self.token(task_id, number) + CHECK_SUFFIX
        path = self._paths.check(task_id)
        fds: list[int] = []
        try:
            fds.append(os.open(os.devnull, os.O_RDONLY))
            fds.append(_create(path))
            pid = process.spawn(
                ["/bin/sh", "-c", options["check"]],
                cwd=options.get("cwd", self._asked["cwd"]),
                env=self._environment(task_id, token),
                stdin=fds[0],
                stdout=fds[1],
                stderr=fds[1],
            )
        finally:
            for fd in fds:
                os.close(fd)
        return CheckRun(pid, token, task, task_id, path)

    def token(self, task_id: str, number: int) -> str:
        """What marks the whole tree of an attempt."""
        return f"{self._asked['session_id']}/{task_id}@{number}"

    def _options(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {**self._asked["options"], **asked.get("options", {})}

    def _environment(self, task_id: str, token: str) -> dict[bytes, bytes]:
        environment = self._own_environ(task_id)
        environment[b"CPR_TASK_ID"] = task_id.encode()
        environment[_TOKEN_NAME] = token.encode()
        return environment

    def _own_environ(self, task_id: str) -> dict[bytes, bytes]:
        return {**self._environ, **_encoded(self._task_env.get(task_id, {}))}

    def has_conversation(self, task_id: str, conversation_id: str) -> bool:
        """Whether the CLI has written a transcript, so that a conversation can be resumed.

        Until then its id is unused: a run that was killed early leaves none.
        """
        return self.transcript(task_id, conversation_id) is not None

    def transcript(self, task_id: str, conversation_id: str) -> bytes | None:
        """The path of the CLI's own transcript of a conversation, or None."""
        env = self._own_environ(task_id)
        home = env.get(b"CLAUDE_CONFIG_DIR") or env.get(b"HOME", b"") + b"/.claude"
        projects = home + b"/projects/"
        name = b"/" + conversation_id.encode("utf-8", "replace") + b".jsonl"
        try:
            paths = [projects + folder + name for folder in os.listdir(projects)]
        except OSError:
            return None
        return next((path for path in paths if os.path.isfile(path)), None)


_WORDS = {
    GO_ON: "Your work on this was interrupted. Go on from where you stopped, and finish it.",
    ASK_FOR_STRUCTURE: "Your answer lacks the structured output. Give the same answer again by "
    "calling the StructuredOutput tool.",
}


def asked_again(resume: str) -> str:
    """What to say to a conversation that is resumed."""
    return _WORDS[resume]


def _create(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)


def _encoded(variables: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
