"""Starts programs of ours that need a whole Python, which a runner is not."""

from __future__ import annotations

import os
import signal
import sys

from cpr_nb.store.state_dir import VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cpr_nb.store.layout import SessionPaths

#: Starts what is planned to come after a session, when that has ended.
STARTS_NEXT = "launching/next_program.py"
#: Sends one notice of a session.
SENDS_NOTICE = "notices/notice_program.py"


def start_program(
    program: str,
    environ: Mapping[bytes, bytes],
    own_names: Iterable[str],
    state_dir: str,
    paths: SessionPaths,
    *arguments: str,
) -> int:
    """Starts a program; it outlives us.

    Args:
        program: Which one.
        environ: Our environment, which it inherits.
        own_names: Variables that only this session was given: it does without them.
        state_dir: The user's state directory; empty for the usual one.
        paths: The session's paths; it writes to the runner's log.
        *arguments: What it is given.

    Returns:
        Its pid.

    Raises:
        OSError: If it can't be started.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    left_out = {os.fsencode(name) for name in own_names}
    env = {name: value for name, value in environ.items() if name not in left_out}
    if state_dir:
        env[VARIABLE.encode()] = os.fsencode(state_dir)
    argv = [sys.executable, "-I", "-X", "utf8", f"{package}/{program}", *arguments]
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    try:
        log_fd = os.open(paths.log, flags, 0o600)
    except OSError:  # a disk that is read-only now, for example
        log_fd = os.open(os.devnull, os.O_WRONLY)
    null_fd = os.open(os.devnull, os.O_RDWR)
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, fd, to) for to, fd in enumerate((null_fd, null_fd, log_fd))
        ]
        return os.posix_spawn(
            argv[0],
            argv,
            env,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGPIPE, signal.SIGXFSZ),
        )
    finally:
        os.close(log_fd)
        os.close(null_fd)


def start_notice(
    paths: SessionPaths,
    folder: str,
    kind: str,
    own_names: Iterable[str],
    state_dir: str,
    *words: str,
) -> int:
    """Starts the program that sends a notice, whose file is made before.

    Args:
        paths: The session's paths.
        folder: Its folder, absolute.
        kind: Which notice.
        own_names: Variables that only this session was given.
        state_dir: The user's state directory; empty for the usual one.
        *words: ``detached`` for a program that is nobody's child.

    Returns:
        Its pid.

    Raises:
        OSError: If it can't be started.
    """
    try:
        os.makedirs(paths.notices, 0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW
        os.close(os.open(paths.notice(kind), flags, 0o600))
    except OSError:
        pass  # a full disk is worth a notice, too
    arguments = (folder, kind, *words)
    return start_program(SENDS_NOTICE, os.environb, own_names, state_dir, paths, *arguments)
