"""Where a node agent has its join file from: a path, or its stdin."""

from __future__ import annotations

import os

from cpr_nb.nodes.join_file import JoinFile, JoinFileError


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
        if self._path:
            try:
                with open(self._path, encoding="utf-8") as file:
                    self.text = file.read()
            except OSError as error:
                raise JoinFileError(f"{error.strerror}: {self._path}") from None
        return JoinFile.parse(self.text)
