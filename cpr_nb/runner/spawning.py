"""Starts a process with descriptors that are opened for it, and closed again here."""

from __future__ import annotations

import os

from cpr_nb.model.machine_causes import cause_of
from cpr_nb.runner import process
from cpr_nb.store.files import share_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cpr_nb.model.machine_causes import MachineCause


class HeldError(OSError):
    """The machine can't start something now; that is not the fault of what was to start.

    Attributes:
        cause: Why.
    """

    def __init__(self, cause: MachineCause) -> None:
        super().__init__(cause.words)
        self.cause = cause


class NoNodeError(HeldError):
    """No node can take something now."""


def check_folder(folder: str) -> None:
    """Checks that a folder is there.

    Raises:
        HeldError: If it can't be entered.
    """
    try:
        os.listdir(folder)
    except OSError as error:
        raise HeldError(cause_of(error, "", folder)) from error


def spawn(
    argv: list[str],
    cwd: str,
    env: dict[bytes, bytes],
    stdin: Callable[[], int],
    stdout: Callable[[], int],
    stderr: Callable[[], int] | None,
    fourth: bytes | None = None,
    *,
    is_helper: bool = False,
) -> int:
    """Starts a process with descriptors that are opened for it; None: stderr is stdout.

    Raises:
        HeldError: If the machine can't start it now.
        OSError: If it can't be started for another reason.
    """
    fds: list[int] = []
    try:
        fds.append(stdin())
        fds.append(stdout())
        fds.append(stderr() if stderr is not None else os.dup(fds[1]))
        if fourth is not None:
            fds.append(process.open_prompt(fourth))
        return process.spawn(
            argv,
            cwd=cwd,
            env=env,
            stdin=fds[0],
            stdout=fds[1],
            stderr=fds[2],
            fourth=fds[3] if fourth is not None else None,
        )
    except OSError as error:
        cause = cause_of(error, argv[0], cwd, of_helper=is_helper)
        if cause.kind:
            raise HeldError(cause) from error
        raise
    finally:
        for fd in fds:
            os.close(fd)


def create(path: str) -> int:
    """Creates the file that a process writes to, or empties it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)


def remove(paths: Iterable[str]) -> None:
    """Removes the files of a process that was not started."""
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            pass  # it was not created


def create_stream(path: str) -> int:
    """Creates an agent's output: its lock shows that the agent lives, wherever it can't be seen.

    Raises:
        OSError: If it can't be created.
    """
    fd = create(path)
    share_lock(fd)
    return fd
