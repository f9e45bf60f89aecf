"""The runner's start: ``python -I -S -X utf8 …/__main__.py FOLDER LOCK READY [MODE]``.

It runs as a file, not with ``-m``: that avoids the search of site-packages, so the runner starts
as fast as a bare Python. LOCK is the descriptor that holds the session's lock. READY is the one
on which the launcher waits for "ok" and our pid, or for what went wrong. On stdin comes a line of
JSON once the folder is complete; nothing comes if there will be no session. With the mode "settle"
the runner only carries out the waiting requests, and leaves. With "skipped" it runs the tasks that
an ended session has skipped. With "unsaved" it saves what a harvest of an ended session could not.
"""

from __future__ import annotations

import os
import sys


def main(argv: list[str]) -> int:
    """Runs one session.

    Args:
        argv: The session's folder, the descriptor of the lock, the descriptor to report on, and
            perhaps a mode.

    Returns:
        The exit code: 0 when every task has ended.
    """
    root, lock_fd, ready_fd = argv[0], int(argv[1]), int(argv[2])
    # What a launcher had open and let everyone inherit: a pipe would never end.
    os.closerange(max(lock_fd, ready_fd) + 1, os.sysconf("SC_OPEN_MAX"))
    os.set_inheritable(lock_fd, False)
    os.set_inheritable(ready_fd, False)
    if os.fork():
        os._exit(0)
    runner_input = sys.stdin.buffer.readline()
    if not runner_input:
        return 0  # the launcher has given up, and no session needs us
    mode, loop = argv[3:], None
    try:
        session = _open(root, lock_fd, runner_input, mode)
        if not session.is_first:  # whoever resumes it waits for what could stand in the way
            loop = _build(session, mode)
    except BaseException as error:
        os.write(ready_fd, f"{type(error).__name__}: {error}".encode())
        raise
    os.write(ready_fd, f"ok {os.getpid()}\n".encode())
    os.close(ready_fd)
    try:
        loop = loop or _build(session, mode)
    except BaseException as error:
        session.failed(f"{type(error).__name__}: {error}")
        raise
    try:
        loop.run()
    except BaseException as error:
        loop.abort(f"{type(error).__name__}: {error}")
        raise
    finally:
        session.start_next()
        if session.await_notices is not None:
            session.await_notices()
    return 0


# The types of these would have to be imported.


def _open(root: str, lock_fd: int, runner_input: bytes, mode: list[str]):  # type: ignore[no-untyped-def]
    # After the standard library, so that nothing in site-packages can stand in its place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from cpr_nb.runner.opening import OpenSession

    words = {word: True for word in mode if word != "settle"}
    return OpenSession(root, lock_fd, runner_input, **words)


def _build(session, mode: list[str]):  # type: ignore[no-untyped-def]
    from cpr_nb.runner import bootstrap

    return bootstrap.build(session, settle="settle" in mode)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
