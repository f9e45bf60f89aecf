"""The folders of this user that no repository and no session brings along.

The state directory holds the key, what the user trusts, and the requests to runners. Its content
decides what is executed, so it must not lie where agents or other people can write.
"""

from __future__ import annotations

import os
import stat
import sys

from cpr_nb.model.errors import StateDirError

#: Names the state directory.
VARIABLE = "CPR_STATE_DIR"


def state_dir() -> str:
    """The state directory, an absolute path; it need not exist.

    ``CPR_STATE_DIR``, else the directory that the system has for such files: on Linux
    ``$XDG_STATE_HOME/cpr``, by default ``~/.local/state/cpr``.
    """
    chosen = os.environ.get(VARIABLE)
    return os.path.abspath(os.path.expanduser(chosen)) if chosen else _user_dir("state")


def config_file() -> str:
    """The user's own settings, an absolute path; the file need not exist.

    On Linux ``$XDG_CONFIG_HOME/cpr/config.toml``, by default ``~/.config/cpr/config.toml``.
    """
    return f"{_user_dir('config')}/config.toml"


def requests_dir(session_id: str, folder_id: str) -> str:
    """The folder in which interfaces leave requests for the runner of a session.

    Args:
        session_id: The session's id.
        folder_id: The identity of its folder: a copy of it has another runner.
    """
    return f"{state_dir()}/requests/{session_id}.{folder_id}"


def make_state_dir() -> bool:
    """Makes the state directory if it is missing; whether there is one now.

    Raises:
        StateDirError: If others may write to it.
    """
    folder = state_dir()
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
    except OSError:  # no HOME, or a disk that can only be read
        return os.path.isdir(folder) and check_state_dir()
    return check_state_dir()


def can_make_state_dir() -> bool:
    """Whether there is a state directory, or one could be made.

    Raises:
        StateDirError: If others may write to it.
    """
    if check_state_dir():
        return True
    folder = state_dir()
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    return folder != state_dir() and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def check_state_dir() -> bool:
    """Whether there is a state directory.

    Raises:
        StateDirError: If others may write to it.
    """
    folder = state_dir()
    try:
        status = os.stat(folder)
    except OSError:
        return False
    if not stat.S_ISDIR(status.st_mode):
        return False
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StateDirError(
            f"can't use the state directory {folder}: it belongs to another user, or others may "
            f"write to it (chmod 700, or set {VARIABLE} to another directory)"
        )
    return True


def _user_dir(kind: str) -> str:
    """What platformdirs says; on Linux without its 17 ms, by the same rule (a test compares)."""
    if not sys.platform.startswith("linux"):
        import platformdirs

        dirs = platformdirs.PlatformDirs("cpr", appauthor=False)
        return dirs.user_state_dir if kind == "state" else dirs.user_config_dir
    home = {"state": "~/.local/state", "config": "~/.config"}[kind]
    named = os.environ.get(f"XDG_{kind.upper()}_HOME", "").strip()
    return os.path.join(named or os.path.expanduser(home), "cpr")
