"""Starts what runs for a task: its attempts, the user's own check, helpers of its worktree."""

from __future__ import annotations

import json
import os

from cpr_nb.model.credentials import API_KEY, VARIABLES
from cpr_nb.model.environment import TOKEN_VARIABLE
from cpr_nb.model.random_ids import new_uuid
from cpr_nb.runner import process
from cpr_nb.runner.attempt import Attempt, SideRun
from cpr_nb.runner.command import build_argv, cli_variables, permission_mode
from cpr_nb.runner.helper_job import Helpers
from cpr_nb.runner.kept_file import KeptFile
from cpr_nb.runner.local_process import LocalProcess
from cpr_nb.runner.off_limits import OffLimits, git_dir_of
from cpr_nb.runner.order import LocalMachine, Order
from cpr_nb.runner.own_folder import path_now
from cpr_nb.runner.spawning import HeldError, check_folder, remove, spawn
from cpr_nb.runner.transcript import find_transcript
from cpr_nb.store.bubblewrap import in_bubblewrap, socket_filter
from cpr_nb.store.conversation import begins_with_prompt
from cpr_nb.store.folder_id import folder_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from cpr_nb.runner.attempt import Process
    from cpr_nb.runner.remote.belongings import Belongings
    from cpr_nb.runner.remote.leasing import Cluster
    from cpr_nb.store.layout import SessionPaths

_TOKEN_NAME = TOKEN_VARIABLE.encode()


class Starter:
    """Starts what runs for the tasks of one session.

    Args:
        paths: The session's paths.
        root: The path by which others find its folder, unless it is moved.
        session: What session.json says of the session as a whole.
        environ: The environment that tasks inherit, encoded.
        task_env: Task id → variables of its own.
        machine: Starts what is ordered; None: this machine does.
        many_folders: Whether tasks run in different folders.
        state_dir: The user's state directory; empty if there is none.
        config_dir: The folder of the user's own settings; empty if there is none.
        library_dirs: The folders in which Python has installed libraries.

    Attributes:
        helpers: What the helpers of worktrees need.
    """

    def __init__(
        self,
        paths: SessionPaths,
        root: str,
        session: dict[str, Any],
        environ: dict[bytes, bytes],
        task_env: dict[str, dict[str, str]],
        *,
        machine: LocalMachine | Cluster | None = None,
        many_folders: bool = False,
        state_dir: str = "",
        config_dir: str = "",
        library_dirs: Sequence[str] = (),
    ) -> None:
        self.paths = paths
        self._root = root
        self.helpers = Helpers(session, root, state_dir, library_dirs)
        self._state_dir, self._config_dir = state_dir, config_dir
        self._session = session
        self._environ = {**environ, b"CPR_SESSION_ID": session["session_id"].encode()}
        self._task_env = task_env
        self._machine = machine or LocalMachine()
        # A node has an environment of its own: from here it gets what the user gave it.
        self._is_local = isinstance(self._machine, LocalMachine)
        names = [name.encode() for name in session.get("env_names", ()) if not self._is_local]
        own = {name: environ[name] for name in names if name in environ}
        own[b"CPR_SESSION_ID"] = self._environ[b"CPR_SESSION_ID"]
        self._inherited = self._environ if self._is_local else own
        self._many_folders = many_folders
        self._kept_off: tuple[str, str, OffLimits] | None = None  # the last folder's
        #: What every token of this session begins with, and none of a copy of it.
        self.mark = f"{session['session_id']}/{folder_id(paths.root)}/"

    def start(
        self,
        task: int,
        task_spec: dict[str, Any],
        number: int,
        conversation_id: str,
        prompt: str,
        worktree: dict[str, Any],
    ) -> Attempt:
        """Starts an attempt.

        Args:
            task: The task's number, from 0.
            task_spec: Its object in session.json.
            number: Which attempt, from 1.
            conversation_id: The conversation's id.
            prompt: What to say to an existing conversation; empty for a new one, which begins
                with the task's prompt.
            worktree: What is known about the task's worktree; empty if it has none.

        Raises:
            HeldError: If the machine can't start the process now.
            OSError: If it can't be started for another reason; nothing runs in either case.
        """
        task_id = task_spec["id"]
        token = self.token(task_id, number)
        argv, folder, variables = self._command(
            task_spec, conversation_id, worktree, resume=bool(prompt)
        )
        paths = self.paths.stream(task_id, number), self.paths.stderr(task_id, number)
        text, asks = prompt or task_spec["prompt"], self._session["options"].get("ask")
        environment = {**variables, **self._environment(task_id, token, worktree)}
        stdin, names = None if asks else text, {"task_id": task_id, "attempt": number}
        try:
            started = self._machine.start(
                Order(
                    *("attempt", token, argv, folder, environment, stdin, *paths),
                    names=names,
                    belongings=self._belongings(
                        task_spec, folder, conversation_id, goes_on=bool(prompt)
                    ),
                )
            )
        except HeldError:
            remove(paths)
            raise
        attempt = self.attempt(started, task, task_spec, number)
        if started.stdin is not None:
            attempt.folder = folder
            started.stdin.send_message(text)
        return attempt

    def start_shared(self, number: int, task_spec: dict[str, Any]) -> Process:
        """Starts a process that serves several tasks; its stdin stays open.

        Args:
            number: The process's number, from 1.
            task_spec: The object of one of its tasks in session.json.

        Raises:
            HeldError: If the machine can't start it now.
            OSError: If it can't be started for another reason; nothing runs in either case.
        """
        argv, folder, variables = self._command(task_spec, new_uuid(), {}, shared=True)
        paths = self.paths.process_stream(number), self.paths.process_stderr(number)
        token = self.process_token(number)
        environment = {**variables, **self._inherited, _TOKEN_NAME: token.encode()}
        try:
            return self._machine.start(
                Order(
                    *("shared", token, argv, folder, environment, None, *paths),
                    names={"process": number},
                    belongings=self._belongings(task_spec, folder, ""),
                )
            )
        except OSError:
            remove(paths)
            raise

    def attempt(
        self, process: Process, task: int, task_spec: dict[str, Any], number: int
    ) -> Attempt:
        """Returns the attempt whose process runs, started here or adopted."""
        options = self.attempt_options(task_spec)
        return Attempt(process, task, task_spec["id"], number, self.paths, **options)

    def attempt_options(self, task_spec: dict[str, Any]) -> dict[str, Any]:
        """What an `Attempt` has to know of its task's options."""
        options = self._options(task_spec)
        return {
            "with_tools": "silence_s" in options,
            "mode": permission_mode(options),
            "strict_setup": bool(options.get("strict_setup")),
            "follows_stream": task_spec.get("follows_stream", ""),
            "credentials": self._credentials(task_spec["id"]),
        }

    def start_check(
        self, task: int, task_spec: dict[str, Any], number: int, worktree: dict[str, Any]
    ) -> SideRun:
        """Starts the user's own check, in the task's folder and environment.

        That of a sandboxed task runs what its agent wrote, so it gets a sandbox, too.

        Args:
            task: The task's number, from 0.
            task_spec: Its object in session.json.
            number: Which attempt it checks.
            worktree: What is known about the task's worktree; empty if it has none.

        Raises:
            OSError: If it can't be started.
        """
        task_id, options = task_spec["id"], self._options(task_spec)
        token = f"{self.token(task_id, number)}/check{self._machine.mark_of_check()}"
        path, folder = self.paths.check(task_id), self._folder(options, worktree)
        argv, socket_program = ["/bin/sh", "-c", options["check"]], None
        if options.get("permissions") == "sandbox":
            off_limits = self._off_limits(options, worktree)
            search_path = os.fsdecode(self._own_environ(task_id).get(b"PATH", b""))
            hidden = off_limits.hidden()
            argv = in_bubblewrap(argv, folder, 3, off_limits.unwritable(), hidden, search_path)
            socket_program = socket_filter(os.uname().machine)
        environment = self._environment(task_id, token, worktree)
        started = self._machine.start(
            Order(
                *("check", token, argv, folder, environment, "", path),
                names={"task_id": task_id, "attempt": number},
                socket_program=socket_program,
                belongings=self._belongings(task_spec, folder, None),
            )
        )
        sandboxed = folder if socket_program else ""
        return SideRun("check", started, task, task_id, path=path, sandboxed=sandboxed)

    def start_helper(self, kind: str, task: int, task_spec: dict[str, Any], number: int) -> SideRun:
        """Starts a helper process for the task's worktree.

        Args:
            kind: ``prepare`` or ``harvest``.
            task: The task's number, from 0.
            task_spec: Its object in session.json.
            number: The attempt.

        Raises:
            OSError: If it can't be started.
        """
        task_id = task_spec["id"]
        token = f"{self.token(task_id, number)}/{kind}"
        job = self.helpers.job(task_spec)
        if kind == "prepare" and not self._machine.has_repository:
            job["options"].pop("setup", None)  # it runs where the agent does
        check_folder(job["cwd"])
        reply_fd = process.open_prompt(b"")
        try:
            pid = spawn(
                self.helpers.argv(kind),
                "/",
                {**self._own_environ(task_id), **self._environment(task_id, token, {})},
                lambda: process.open_prompt(json.dumps(job).encode()),
                lambda: os.dup(reply_fd),
                lambda: os.dup(2),
                is_helper=True,
            )
        except OSError:
            os.close(reply_fd)
            raise
        return SideRun(kind, LocalProcess(pid, token), task, task_id, reply_fd=reply_fd)

    def sends_config_folder(self, task_id: str) -> bool:
        """Whether the user gave a task a folder of the CLI's configuration, wherever it runs."""
        own = self._sent_environ(task_id)
        return b"CLAUDE_CONFIG_DIR" in own or b"HOME" in own

    def _belongings(
        self,
        task_spec: dict[str, Any],
        cwd: str,
        conversation_id: str | None,
        *,
        goes_on: bool = False,
    ) -> Belongings | None:
        """What goes along with a process to a node; None if it runs on this machine."""
        if self._is_local:
            return None
        from cpr_nb.runner.remote.belongings import belongings_of  # a few sessions need it

        return belongings_of(self, task_spec, cwd, conversation_id, goes_on=goes_on)

    def worktree_file(self, task_id: str) -> KeptFile:
        """The record of a task's worktree."""
        return KeptFile(self.paths.worktree(task_id))

    def token(self, task_id: str, number: int) -> str:
        """Returns what marks the whole process tree of an attempt."""
        return f"{self.mark}{task_id}@{number}"

    def agent_folders(self, task_spec: dict[str, Any]) -> list[str]:
        """The folders with files of subagents that a run of a task reads."""
        own = f"{self._folder(self._options(task_spec), {})}/.claude/agents"
        return [own, os.fsdecode(self._config_home(task_spec["id"])) + "/agents"]

    def process_token(self, number: int) -> str:
        """Returns what marks the whole process tree of a process that serves several tasks."""
        return f"{self.mark}process-{number}"

    def _command(
        self,
        task_spec: dict[str, Any],
        conversation_id: str,
        worktree: dict[str, Any],
        *,
        resume: bool = False,
        shared: bool = False,
    ) -> tuple[list[str], str, dict[bytes, bytes]]:
        """The arguments of a run, its folder, and the variables that go with its settings."""
        options = self._options(task_spec)
        folder = self._folder(options, worktree)
        user_only = "user" in (
            self._session.get("setting_sources"),
            task_spec.get("setting_sources"),
        )
        argv = build_argv(
            self._session["claude_path"],
            options,
            conversation_id,
            resume=resume,
            follows=task_spec.get("follows", ""),
            many_folders=self._many_folders,
            has_branch=bool(worktree.get("branch")),
            claude_version=self._session.get("claude_version"),
            user_only_in=folder if user_only else "",
            off_limits=self._off_limits(options, worktree),
            shared=shared,
            has_key=API_KEY in self._credentials(task_spec["id"]),
        )
        return argv, folder, cli_variables(options, user_only=user_only)

    def _options(self, task_spec: dict[str, Any]) -> dict[str, Any]:
        return {**self._session["options"], **task_spec.get("options", {})}

    def _folder(self, options: dict[str, Any], worktree: dict[str, Any]) -> str:
        return str(worktree.get("cwd") or options.get("cwd", self._session["cwd"]))

    def _off_limits(self, options: dict[str, Any], worktree: dict[str, Any]) -> OffLimits:
        """What the agent of a task is kept off."""
        folder, root = self._folder(options, worktree), path_now(self._root)
        if options.get("permissions") != "sandbox":  # there are only rules for tools
            if self._kept_off is None or self._kept_off[:2] != (folder, root):
                off_limits = OffLimits(folder, root, self._state_dir, self._config_dir)
                self._kept_off = folder, root, off_limits  # for the next task: it costs 0.1 ms
            return self._kept_off[2]
        git_dirs = [git_dir_of(self._folder(options, {})) or ""]
        if worktree:  # and the link to it, which some versions of the CLI let commands replace
            git_dirs += [worktree["common_dir"], f"{worktree['worktree']}/.git"]
        places = root, self._state_dir, self._config_dir
        return OffLimits(folder, *places, git_dirs=filter(None, git_dirs))

    def _environment(
        self, task_id: str, token: str, worktree: dict[str, Any]
    ) -> dict[bytes, bytes]:
        environment = self._sent_environ(task_id)
        for variable, name in ((b"CPR_BRANCH", "branch"), (b"CPR_PORT", "port")):
            if worktree.get(name):
                environment[variable] = str(worktree[name]).encode()
        environment[b"CPR_TASK_ID"] = task_id.encode()
        environment[_TOKEN_NAME] = token.encode()
        return environment

    def _credentials(self, task_id: str) -> dict[str, bool]:
        """The variables that bring its credential, each with whether the task alone has it."""
        own, environ = self._task_env.get(task_id, {}), self._sent_environ(task_id)
        return {name: name in own for name in VARIABLES if environ.get(name.encode())}

    def _sent_environ(self, task_id: str) -> dict[bytes, bytes]:
        return {**self._inherited, **_encoded(self._task_env.get(task_id, {}))}

    def _own_environ(self, task_id: str) -> dict[bytes, bytes]:
        return {**self._environ, **_encoded(self._task_env.get(task_id, {}))}

    def _config_home(self, task_id: str) -> bytes:
        """The folder of the CLI's own configuration."""
        env = self._own_environ(task_id)
        return env.get(b"CLAUDE_CONFIG_DIR") or env.get(b"HOME", b"") + b"/.claude"

    def config_folder(self, task_id: str) -> str:
        """The folder of the CLI's own configuration, as text."""
        return os.fsdecode(self._config_home(task_id))

    def has_conversation(self, task_id: str, conversation_id: str) -> bool:
        """Whether a conversation can be resumed: the CLI has its transcript from the prompt on.

        A run that was killed early leaves none, or one without its prompt.
        """
        path = self.transcript(task_id, conversation_id)
        return path is not None and begins_with_prompt(path)

    def transcript(self, task_id: str, conversation_id: str) -> bytes | None:
        """Returns the path of the CLI's own transcript of a conversation, or None."""
        return find_transcript(self._config_home(task_id), conversation_id)


def _encoded(variables: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
