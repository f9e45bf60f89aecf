"""Files by which node agents find out whether they see what this machine has."""

from __future__ import annotations

import os

from cpr_nb.model.random_ids import new_uuid
from cpr_nb.runner.off_limits import git_dir_of
from cpr_nb.runner.remote.belongings import CONFIG, REPOSITORY
from cpr_nb.store.conversation import config_home

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


class Probes:
    """The probes of a session; their files are there while its runner is.

    Args:
        session_id: The session.
        cwd: Its folder.
    """

    __slots__ = ("_cwd", "_name", "_paths")

    def __init__(self, session_id: str, cwd: str) -> None:
        self._cwd = cwd
        self._name = f"cpr-probe-{session_id}"
        self._paths: list[str] = []

    def place(self) -> list[dict[str, Any]]:
        """Makes the files; returns what node agents look for.

        What can't be made counts as something that no node sees.
        """
        self.remove()
        probes = [{"name": "cwd", "path": self._cwd, "nonce": ""}]
        folder, git_dir = config_home(os.environ), git_dir_of(self._cwd)
        # A node looks in the folder that its own CLI has.
        probes += self._place(CONFIG, f"{folder}/.{self._name}", f".{self._name}")
        if git_dir:
            path = f"{git_dir}/{self._name}"
            probes += self._place(REPOSITORY, path, path)
        return probes

    def _place(self, name: str, path: str, sought: str) -> list[dict[str, Any]]:
        nonce = new_uuid()
        try:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)  # as the CLI itself does
            fd = os.open(path, _NEW_FILE, 0o600)
        except OSError:
            return []
        self._paths.append(path)
        with os.fdopen(fd, "w") as file:
            file.write(nonce)
        return [{"name": name, "path": sought, "nonce": nonce}]

    def remove(self) -> None:
        """Removes the files."""
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                pass
        self._paths = []
