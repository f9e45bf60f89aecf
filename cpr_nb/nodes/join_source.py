"""Where a node agent has its join file from: a path, or its stdin."""

from __future__ import annotations

import os
import stat

from cpr_nb.nodes.join_file import JoinFile, JoinFileError

_WHERE = "the join file of a session is join.json in its folder, for as long as it runs"
_EVERYBODY = (
    "everybody on this machine can read it, and whoever does may join the session: chmod 600 it, "
    "or give it on stdin (cpr agent -)"
)


class JoinSource:
    """Where the join file comes from: a path, which is read again each time, or a text.

    Args:
        path: The path; empty if it came on stdin.
        text: What came on stdin.
    """

    def __init__(self, path: str, text: str) -> None:
        self._path, self.text = path, text

    @property
    def is_removed(self) -> bool:
        """Whether the file is not there any more."""
        return bool(self._path) and not os.path.exists(self._path)

    def read(self) -> JoinFile:
        """The join file as it is now.

        Raises:
            JoinFileError: If there is none.
        """
        if not self._path:
            return JoinFile.parse(self.text)
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                    raise JoinFileError(f"{self._path}: {_EVERYBODY}")
                self.text = file.read()
        except OSError as error:
            raise JoinFileError(f"{self._path}: {error.strerror}; {_WHERE}") from None
        try:
            return JoinFile.parse(self.text)
        except JoinFileError as error:
            raise JoinFileError(f"{self._path}: {error}; {_WHERE}") from None
