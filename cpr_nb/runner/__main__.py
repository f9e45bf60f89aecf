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
    os.set_inheritable(lock_fd, False)
    os.set_inheritable(ready_fd, False)
    if os.fork():
        os._exit(0)
    given = sys.stdin.buffer.readline()
    if not given:
        return 0  # the launcher has given up, and no session needs us
    try:
        loop = _prepare(root, lock_fd, given, dict.fromkeys(argv[3:], True))
    except BaseException as error:
        os.write(ready_fd, f"{type(error).__name__}: {error}".encode())
        raise
    os.write(ready_fd, f"ok {os.getpid()}\n".encode())
    os.close(ready_fd)
    try:
        loop.run()
    except BaseException as error:
        loop.abort(f"{type(error).__name__}: {error}")
        raise
    return 0


def _prepare(root: str, lock_fd: int, given: bytes, words: dict[str, bool]):  # type: ignore[no-untyped-def]
    # Its type would have to be imported.
    # After the standard library, so that nothing in site-packages can stand in its place.
    sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from cpr_nb.runner import bootstrap

    return bootstrap.prepare(root, lock_fd, given, **words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
