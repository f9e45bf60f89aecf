"""Tasks run on this machine, as children of a detached runner."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from cpr_nb.executors.base import Executor, RunnerInput
from cpr_nb.model.errors import LaunchError
from cpr_nb.runner import __file__ as _package_file
from cpr_nb.runner.process import is_stopped, pid_namespace
from cpr_nb.store.files import read_json
from cpr_nb.store.layout import SessionPaths

_MAIN = os.path.join(os.path.dirname(os.path.abspath(_package_file)), "__main__.py")


class LocalExecutor(Executor):
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
        """Starts a runner that outlives us, and waits until it is up; see `Executor.start`."""
        return StartingRunner(paths.root, paths.log, lock_fd, environ, mode).go_on(runner_input)

    def begin(
        self, root: str, log: str, lock_fd: int, environ: Mapping[str, str]
    ) -> StartingRunner:
        """Starts a runner while its session's folder is still being made.

        Args:
            root: The path that the folder will have.
            log: What becomes the runner's stdout and stderr.
            lock_fd: The descriptor that holds the session's lock.
            environ: The environment that tasks inherit.

        Raises:
            LaunchError: If Python can't be started.
        """
        return StartingRunner(root, log, lock_fd, environ)


class StartingRunner:
    """A runner that waits for its input; until then, its session's folder may still be made.

    Python needs ten milliseconds before it can do anything: long enough for that. The runner gets
    a session of its own (``setsid``) and the lock's descriptor, but none of our terminal, so it
    survives our exit, SIGHUP and a closed terminal.

    Args:
        root: The path that the session's folder will have.
        log: What becomes the runner's stdout and stderr.
        lock_fd: The descriptor that holds the session's lock.
        environ: The environment that tasks inherit.
        mode: As for `Executor.start`.

    Raises:
        LaunchError: If Python can't be started.
    """

    def __init__(
        self, root: str, log: str, lock_fd: int, environ: Mapping[str, str], mode: str = ""
    ) -> None:
        self._log = f"{root}/{os.path.basename(log)}"
        log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        input_fd, self._input_fd = os.pipe()
        self._ready_fd, write_fd = os.pipe()
        argv = [sys.executable, "-I", "-S", "-X", "utf8", _MAIN, root]
        try:
            self._pid = _spawn(argv, [mode], environ, (input_fd, log_fd, log_fd, lock_fd, write_fd))
        except OSError as error:
            os.close(self._ready_fd)
            os.close(self._input_fd)
            raise LaunchError(f"can't start the runner {sys.executable}: {error}") from error
        finally:
            for fd in (log_fd, input_fd, write_fd):
                os.close(fd)

    def go_on(self, runner_input: RunnerInput) -> int:
        """Gives the runner its input and waits until it is up.

        Args:
            runner_input: Its input; the session's folder is complete.

        Returns:
            Its pid.

        Raises:
            LaunchError: If it does not come up.
        """
        try:
            with os.fdopen(self._input_fd, "wb") as file:
                file.write(runner_input.as_json() + b"\n")
        except BrokenPipeError:
            pass  # it has ended; what it said tells why
        with os.fdopen(self._ready_fd, "rb") as ready:
            reply = ready.readline()
            if not reply.startswith(b"ok"):
                reply += ready.read()
        self._reap()
        answer = reply.decode("utf-8", "replace").strip()
        word, _, pid = answer.partition(" ")
        if word != "ok":
            raise LaunchError(
                f"the runner did not come up: {answer or 'no reply'}; see {self._log}", self._log
            )
        return int(pid)

    @contextmanager
    def ended_on_error(self) -> Iterator[None]:
        """If the block fails, the runner gets no input, and so ends without doing anything."""
        try:
            yield
        except BaseException:  # such as Ctrl-C
            os.close(self._input_fd)
            os.close(self._ready_fd)
            self._reap()
            raise

    def _reap(self) -> None:
        # It forked: the runner is nobody's child, so it leaves no zombie with us.
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass  # something in this process reaps every child


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


def _spawn(argv: list[str], more: list[str], environ: Mapping[str, str], fds: Sequence[int]) -> int:
    """Starts a program in a session of its own, with these descriptors as 0, 1, 2 and so on.

    Without ``subprocess``, which takes the command as long to load as Python to start.
    """
    # Above all targets, for one descriptor must not replace another before that has its place.
    copies = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 2 * len(fds)) for fd in fds]
    try:
        return os.posix_spawn(
            argv[0],
            [*argv, *map(str, range(3, len(fds))), *filter(None, more)],
            environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate(copies)],
            setsid=True,
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),  # what Python ignores
        )
    finally:
        for fd in copies:
            os.close(fd)
