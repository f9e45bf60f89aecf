"""Asks git which commit the work starts from; the reply comes while the tasks run."""

from __future__ import annotations

import os
import signal
import time

from cpr_nb.runner import process


class GitQuestion:
    """One question to git.

    Args:
        cwd: The folder to ask about.
    """

    def __init__(self, cwd: str) -> None:
        self.pid = 0  # 0: not running
        fd = process.open_prompt(b"")
        null = os.open(os.devnull, os.O_RDWR)
        try:
            argv = ["git", "rev-parse", "HEAD", "HEAD^{tree}"]
            env = {**os.environb, b"GIT_OPTIONAL_LOCKS": b"0"}
            self.pid = process.spawn(argv, cwd=cwd, env=env, stdin=null, stdout=fd, stderr=null)
            self._fd = fd
        except OSError:  # no git here
            os.close(fd)
        finally:
            os.close(null)

    def reply(self, status: int) -> dict[str, str]:
        """Returns its reply, now that it has ended with this wait status."""
        self.pid = 0
        os.lseek(self._fd, 0, os.SEEK_SET)
        lines = os.read(self._fd, 4096).decode("ascii", "replace").split()
        os.close(self._fd)
        if status == 0 and len(lines) == 2:
            return {"git_commit": lines[0], "git_tree": lines[1]}
        return {}

    def wait(self) -> dict[str, str]:
        """Waits for its reply, but not for ever: it should be done by now."""
        for _ in range(200):
            done, status = os.waitpid(self.pid, os.WNOHANG)
            if done:
                return self.reply(status)
            time.sleep(0.01)
        process.signal_process(self.pid, signal.SIGKILL)
        return self.reply(os.waitpid(self.pid, 0)[1])
