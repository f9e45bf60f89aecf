"""Starts a runner that outlives whoever starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

from cpr_nb.model.errors import LaunchError
from cpr_nb.runner import __file__ as _package_file
from cpr_nb.runner.process import open_prompt
from cpr_nb.store.layout import SessionPaths

_MAIN = os.path.join(os.path.dirname(os.path.abspath(_package_file)), "__main__.py")


def start_runner(
    paths: SessionPaths,
    lock_fd: int,
    environ: Mapping[str, str],
    task_env: Mapping[str, Mapping[str, str]],
    *,
    settle: bool = False,
) -> int:
    """Starts the detached runner of a session and waits until it is up.

    It gets a session (``setsid``) and the lock's descriptor, and none of our terminal, so it
    survives our exit, SIGHUP and a closed terminal.

    Args:
        paths: The session's paths.
        lock_fd: The descriptor that holds the session's lock.
        environ: The environment of the runner, which its tasks inherit.
        task_env: Task id → variables of its own.
        settle: Only carry out the requests that wait.

    Returns:
        The runner's pid.

    Raises:
        LaunchError: If it did not come up, with what it said.
    """
    log_fd = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    secrets_fd = open_prompt(json.dumps(task_env).encode())
    ready_fd, tell_fd = os.pipe()
    argv = [sys.executable, "-I", "-S", "-X", "utf8", _MAIN]
    argv += [paths.root, str(lock_fd), str(tell_fd), *(["settle"] if settle else [])]
    try:
        process = subprocess.Popen(  # noqa: S603 - our own program
            argv,
            cwd="/",
            env=environ,
            stdin=secrets_fd,
            stdout=log_fd,
            stderr=log_fd,
            start_new_session=True,
            pass_fds=(lock_fd, tell_fd),
        )
    except OSError as error:
        os.close(ready_fd)
        raise LaunchError(f"can't start the runner {sys.executable}: {error}") from error
    finally:
        for fd in (log_fd, secrets_fd, tell_fd):
            os.close(fd)
    with open(ready_fd, "rb") as ready:
        said = ready.read().decode("utf-8", "replace")
    process.wait()  # it forked: the runner is nobody's child, so it leaves no zombie with us
    word, _, pid = said.partition(" ")
    if word != "ok":
        raise LaunchError(
            f"the runner did not come up: {said or 'it said nothing'}; see {paths.log}", paths.log
        )
    return int(pid)
