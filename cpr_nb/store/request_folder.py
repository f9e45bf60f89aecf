"""Where the requests to the runner of a session lie: in the state directory, if there is one.

Agents can't write there, so what they leave in their session's folder controls nothing.
"""

from __future__ import annotations

import errno
import os
import stat

from cpr_nb.model.digest import hmac_sha256
from cpr_nb.model.errors import ResultsDirError, SessionNotUsable, StateDirError
from cpr_nb.model.random_ids import is_uuid
from cpr_nb.store import requests
from cpr_nb.store.files import read_json
from cpr_nb.store.folder_id import FIELD as FOLDER_FIELD
from cpr_nb.store.folder_id import folder_id, is_folder_id
from cpr_nb.store.key import own_key, read_key
from cpr_nb.store.state_dir import requests_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from cpr_nb.store.layout import SessionPaths

#: The field of runner.json that names the state directory in which that runner listens.
FIELD = "state_dir_id"
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def state_dir_id(key: bytes) -> str:
    """A short name of a state directory, which tells nothing of its key.

    Example:
        >>> state_dir_id(bytes(32))
        '9da6a9ddcbe137bb'
    """
    return hmac_sha256(key, b"cpr state directory 1\0")[:8].hex()


def make_folder(paths: SessionPaths, session_id: str) -> tuple[str, str]:
    """Makes the folder of the requests to a runner that is about to start.

    Args:
        paths: The session's paths.
        session_id: Its id.

    Returns:
        The folder, and the name of the state directory that holds it. Without a state directory
        it is in the session's folder, and the name is empty.

    Raises:
        StateDirError: If the state directory can't be used.
        ResultsDirError: If the session's folder can't be written.
        SessionNotUsable: If the id is none that cpr makes.
    """
    key = own_key()
    if key is not None:
        folder = _in_state_dir(paths, _checked(session_id))
        try:
            _make(os.path.dirname(folder))
            _make(folder)
            return folder, state_dir_id(key)
        except OSError as error:
            if error.errno not in _READ_ONLY:  # unlike a volume that holds nothing but a key
                raise StateDirError(f"can't make {folder}: {error.strerror or error}") from None
    try:
        _make(paths.requests)
    except OSError as error:
        raise ResultsDirError(f"can't make {paths.requests}: {error.strerror or error}") from None
    return paths.requests, ""


def remove_request_folder(paths: SessionPaths, session_id: str) -> None:
    """Removes the folder of the requests to a runner that did not start."""
    requests.remove_folder(_in_state_dir(paths, _checked(session_id)), with_requests=True)


def has_other_runner(session_id: str, own_ids: Collection[str]) -> bool:
    """Whether a runner works on the session in another folder, for which it reads requests.

    Args:
        session_id: The session's id.
        own_ids: The identities of its folder that is not meant.
    """
    above = os.path.dirname(requests_dir(session_id, ""))
    try:
        names = os.listdir(above)
    except OSError:
        return False
    others = (name for name in names if name.startswith(f"{session_id}."))
    return any(
        requests.has_reader(f"{above}/{name}")
        for name in others
        if name.removeprefix(f"{session_id}.") not in own_ids
    )


def leave_request(
    paths: SessionPaths, session_id: str, verb: str, name: str, value: str = ""
) -> None:
    """Leaves a request where the live runner of a session looks for it.

    Args:
        paths: The session's paths.
        session_id: Its id.
        verb: What the caller wants to do with the session, for the error.
        name: The request, such as ``cancel``.
        value: Its value.

    Raises:
        SessionNotUsable: If its runner would not see it.
        StateDirError: If the state directory can't be used.
    """
    folder = _folder_of_runner(paths, session_id, verb)
    try:
        requests.leave(folder, name, value)
    except OSError as error:
        raise SessionNotUsable(
            f"can't {verb} {session_id[:8]}: {folder} can't be written: {error.strerror}"
        ) from None


def _folder_of_runner(paths: SessionPaths, session_id: str, verb: str) -> str:
    """The folder in which the live runner looks for requests.

    An agent may have forged runner.json. At worst the request is refused here: a folder in the
    state directory counts more, and nobody reads what lies in the session's folder beside it.
    """
    runner, key = read_json(paths.runner), read_key()
    own = ""
    if key is not None and is_uuid(session_id):
        own = _in_state_dir(paths, session_id, runner.get(FOLDER_FIELD))
    named = runner.get(FIELD)
    if own and (named == state_dir_id(key or b"") or (not named and os.path.isdir(own))):
        return own
    if not named:  # there was no state directory, or its runner is one of the version before
        return paths.requests
    raise SessionNotUsable(
        f"can't {verb} {session_id[:8]}: its runner on {runner.get('host')} listens in another "
        "state directory; run cpr there, or share CPR_STATE_DIR"
    )


def _in_state_dir(paths: SessionPaths, session_id: str, recorded: object = None) -> str:
    """The folder of the requests to a session's runner in the state directory.

    Args:
        paths: The session's paths.
        session_id: Its id.
        recorded: The identity of its folder as its runner says it: on another machine, which
            shares this state directory, the folder may have another one.

    Raises:
        SessionNotUsable: If the session's folder is not there.
    """
    try:
        own = requests_dir(session_id, folder_id(paths.root))
    except OSError as error:
        raise SessionNotUsable(f"{paths.root}: {error.strerror}") from None
    if os.path.isdir(own) or not is_folder_id(recorded):
        return own
    return requests_dir(session_id, str(recorded))


def _checked(session_id: str) -> str:
    """The id, which becomes the name of a folder."""
    if not is_uuid(session_id):
        raise SessionNotUsable(f"can't start a runner for {session_id!r}: that is no id of cpr's")
    return session_id


def _make(folder: str) -> None:
    """Makes a folder for its owner only, unless there is one.

    Raises:
        OSError: If it can't be made, or something else is in its place.
    """
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        status = os.lstat(folder)
        is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not is_own or status.st_mode & 0o022:
            raise NotADirectoryError(errno.ENOTDIR, "it is no folder of yours alone") from None
