"""Tasks run on this machine, as children of a detached runner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from cpr_nb.executors.base import RunnerInput
from cpr_nb.model.errors import LaunchError
from cpr_nb.runner import __file__ as _package_file
from cpr_nb.runner.process import is_stopped, open_prompt, pid_namespace
from cpr_nb.store.files import read_json
from cpr_nb.store.layout import SessionPaths

_MAIN = Path(_package_file).absolute().parent / "__main__.py"


class LocalExecutor:
    """The default: one detached runner process per session, on this machine."""

    name = "local"

    def start(
        self,
        paths: SessionPaths,
        lock_fd: int,
        environ: Mapping[str, str],
        runner_input: RunnerInput,
        *,
        mode: str = "",
    ) -> int:
        """Starts a runner that outlives us, and waits until it is up; see `Executor.start`.

        It gets a session of its own (``setsid``) and the lock's descriptor, but none of our
        terminal, so it survives our exit, SIGHUP and a closed terminal.
        """
        ready_fd, write_fd = os.pipe()
        try:
            runner = _spawn(paths, lock_fd, write_fd, environ, runner_input, mode)
        except OSError as error:
            os.close(ready_fd)
            raise LaunchError(f"can't start the runner {sys.executable}: {error}") from error
        finally:
            os.close(write_fd)
        with os.fdopen(ready_fd, "rb") as ready:
            reply = ready.read().decode("utf-8", "replace")
        runner.wait()  # it forked: the runner is nobody's child, so it leaves no zombie with us
        word, _, pid = reply.partition(" ")
        if word != "ok":
            raise LaunchError(
                f"the runner did not come up: {reply or 'no reply'}; see {paths.log}",
                paths.log,
            )
        return int(pid)


def stopped_runner(paths: SessionPaths) -> int | None:
    """The pid of a session's runner if it stands still (SIGSTOP), so that it reads no request.

    Args:
        paths: The session's paths. Anyone may have written its runner.json: this is only a hint.
    """
    runner = read_json(paths.runner)
    pid, started, boot = (runner.get(name) for name in ("pid", "start_time", "boot_id"))
    if runner.get("pid_namespace") != pid_namespace():
        return None  # its pid means nothing here
    if not (
        isinstance(pid, int) and pid > 0 and isinstance(started, str) and isinstance(boot, str)
    ):
        return None
    return pid if is_stopped(pid, started, boot) else None


def _spawn(
    paths: SessionPaths,
    lock_fd: int,
    ready_fd: int,
    environ: Mapping[str, str],
    runner_input: RunnerInput,
    mode: str,
) -> subprocess.Popen[bytes]:
    """Starts the runner's process; it reports on ``ready_fd`` when it is up.

    Raises:
        OSError: If it can't be started.
    """
    log_fd = os.open(paths.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    input_fd = open_prompt(json.dumps(runner_input._asdict()).encode())
    argv = [sys.executable, "-I", "-S", "-X", "utf8", str(_MAIN)]
    argv += [paths.root, str(lock_fd), str(ready_fd), *([mode] if mode else [])]
    try:
        return subprocess.Popen(  # noqa: S603 - our own program
            argv,
            cwd="/",
            env=environ,
            stdin=input_fd,
            stdout=log_fd,
            stderr=log_fd,
            start_new_session=True,
            pass_fds=(lock_fd, ready_fd),
        )
    finally:
        os.close(log_fd)
        os.close(input_fd)
