"""Runs the runner's own ``__main__`` on a machine that has few processes.

``python -I -S -X utf8 few_processes.py FILE MAIN ARGUMENT…``: while FILE is there, it says how many
children the runner may have; the next one is refused as the kernel does (EAGAIN).
"""

from __future__ import annotations

import errno
import os
import runpy
import sys
from typing import Any


def main() -> None:
    """Replaces what starts a process."""
    most_file, sys.argv = sys.argv[1], sys.argv[2:]
    real = os.posix_spawnp

    def spawn(path: Any, *args: Any, **more: Any) -> int:
        try:
            with open(most_file) as file:  # noqa: PTH123 - no more is loaded than must be
                most = int(file.read())
        except FileNotFoundError:
            return real(path, *args, **more)
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123
            if len(file.read().split()) >= most:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)
        return real(path, *args, **more)

    os.posix_spawnp = spawn  # type: ignore[assignment]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
