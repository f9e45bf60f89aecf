"""A free port for each task that runs."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import zlib

from cpr_nb.model.errors import WorktreeError
from cpr_nb.worktrees.records import read_mark

# Below the ports that systems give to outgoing connections, so that no connection takes one later.
FIRST_PORT, LAST_PORT = 20_000, 32_000


def ports_in_use(common_dir: str) -> set[int]:
    """The ports of the repository's worktrees."""
    folder = f"{common_dir}/worktrees"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return {int(read_mark(f"{folder}/{name}").get("port", 0)) for name in names}


def own_port(common_dir: str, admin_dir: str, branch: str) -> int:
    """The port of a worktree: the one in its mark, or a new one."""
    port = int(read_mark(admin_dir).get("port", 0))
    return port or choose_port(common_dir, branch)


def choose_port(common_dir: str, branch: str) -> int:
    """A port that no other worktree of the repository has and nobody listens on.

    The caller holds the repository's lock. A branch gets the same port again if it can.

    Raises:
        WorktreeError: If no port is free.
    """
    in_use = ports_in_use(common_dir)
    n_ports = LAST_PORT - FIRST_PORT
    start = zlib.crc32(os.fsencode(f"{common_dir}\0{branch}"))
    for offset in range(n_ports):
        port = FIRST_PORT + (start + offset) % n_ports
        if port not in in_use and _is_free(port):
            return port
    raise WorktreeError(f"no port from {FIRST_PORT} to {LAST_PORT} is free for CPR_PORT")


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, ""), (socket.AF_INET6, "::")):
        with contextlib.ExitStack() as stack:
            try:
                probe = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            except OSError:  # no IPv6 here
                continue
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                    return False
    return True
