"""Refuses a launch whose CLI can't start: a program that does not run, a damaged .claude.json.

The CLI in `-p` mode ends at once if its own file ``.claude.json`` is no JSON (measured, 2.0.45 to
2.1.332). The newest versions begin anew with one that is empty; older ones do not. Those from
2.1.71 to 2.1.316 then put their defaults in its place, and keep the damaged file elsewhere.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Mapping

from cpr_nb.launching.cli_settings import configuration_file
from cpr_nb.model.errors import ClaudeNotFound, InputError
from cpr_nb.model.spec import TaskSpec
from cpr_nb.model.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from cpr_nb.model.cli_versions import Version

#: Since this version an empty file is no error (measured: not in 2.1.316).
EMPTY_IS_GOOD_SINCE = (2, 1, 332)


def configuration_problem(environ: Mapping[str, str], version: Version | None) -> str:
    """Says that the CLI does not start because of this file, and why; empty if it does.

    Args:
        environ: The environment of the CLI.
        version: Its version; None if it does not say.
    """
    path = configuration_file(environ)
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            text = file.read()
    except OSError:
        return ""
    try:
        if text.strip("\0 \t\r\n") or (version is not None and version < EMPTY_IS_GOOD_SINCE):
            json.loads(text)
    except RecursionError:
        return ""
    except ValueError as error:
        return one_line(
            f"{path} is damaged ({error}), and the CLI does not start with it: mend its JSON, or "
            "move it aside (the CLI then begins with its defaults)"
        )
    return ""


def check_start(
    claude_path: str,
    version: Version | None,
    environ: Mapping[str, str],
    options: Mapping[str, Any],
    tasks: Iterable[TaskSpec],
) -> None:
    """Checks that the CLI can start: for each environment that a task has.

    Args:
        claude_path: The CLI.
        version: Its version; None if it does not say.
        environ: The environment that tasks inherit.
        options: The session's options.
        tasks: The tasks.

    Raises:
        ClaudeNotFound: If the program can't be run.
        InputError: If its file ``.claude.json`` is damaged.
    """
    if version is None:
        _check_program(claude_path, environ)
    inherited, seen = {**environ, **options.get("env", {})}, set()
    for own_env in [{}, *(task.options["env"] for task in tasks if "env" in task.options)]:
        own = {**inherited, **own_env}
        file = configuration_file(own)
        if file not in seen:
            seen.add(file)
            problem = configuration_problem(own, version)
            if problem:
                raise InputError(problem)


def _check_program(claude_path: str, environ: Mapping[str, str]) -> None:
    """Starts the CLI: what has no version may be no program."""
    try:
        pid = os.posix_spawn(  # the program that the user's tasks will be given to
            claude_path,
            [claude_path, "--version"],
            dict(environ),
            file_actions=[(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)],
        )
    except OSError as error:
        words = os.strerror(error.errno) if error.errno else error
        raise ClaudeNotFound(f"{claude_path} can't be started: {words}") from None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
