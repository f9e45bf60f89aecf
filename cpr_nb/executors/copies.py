"""A session's folder and its copies: while one of them is at work, no other one runs."""

from __future__ import annotations

from pathlib import Path

from cpr_nb.model.errors import SessionNotUsable
from cpr_nb.model.text import one_line
from cpr_nb.runner.process import find_marked
from cpr_nb.store.files import is_locked, is_shared, open_regular, read_json
from cpr_nb.store.folder_id import FIELD, folder_id, is_folder_id
from cpr_nb.store.layout import SessionPaths, attempt_of, process_of
from cpr_nb.store.request_folder import has_other_runner


def check_copies(paths: SessionPaths, session_id: str, verb: str) -> None:
    """Refuses a session that works in another folder, or to resume a copy beside its original.

    Args:
        paths: The session's paths.
        session_id: Its id.
        verb: What the caller wants to do with it, for the error.

    Raises:
        SessionNotUsable: If it has a runner there, or agents that live, or is to be resumed there.
    """
    try:
        own = folder_id(paths.root)
    except OSError as error:
        raise SessionNotUsable(f"can't {verb} {session_id}: {error.strerror}") from None
    recorded, folder = _recorded(paths)
    own_ids = {own, recorded} if _id_of(folder) == own else {own}  # another machine's number
    is_copy = recorded not in own_ids and recorded == _id_of(folder) != ""
    original = SessionPaths(folder) if is_copy else None
    marked = find_marked(f"{session_id}/")
    others = [token for token in marked if token.split("/")[1] not in own_ids]
    if others or has_other_runner(session_id, own_ids) or (original and _works(original)):
        where = f": {one_line(folder, 300)}" if original else ""
        seen = f" (process {marked[others[0]][0]})" if others else ""
        raise SessionNotUsable(
            f"can't {verb} {session_id}: it is at work in another folder{where}{seen}, and one of "
            "the two is a copy; wait for its end there, or cancel it there first"
        )
    if original and verb == "resume":
        raise SessionNotUsable(
            f"can't resume {session_id}: this folder is a copy of {one_line(folder, 300)}, "
            "which is still there; resume that one, or remove it first"
        )


def _recorded(paths: SessionPaths) -> tuple[str, str]:
    """The identity and the path of its folder, as the newest runner knew them; else empty.

    Anybody may have written that: at worst, a session is refused.
    """
    runner = read_json(paths.runner)
    recorded, folder = runner.get(FIELD), runner.get("folder")
    if not (is_folder_id(recorded) and isinstance(folder, str) and Path(folder).is_absolute()):
        return "", ""
    return str(recorded), folder


def _id_of(folder: str) -> str:
    """The identity of a folder; empty if it is not there."""
    try:
        return folder_id(folder) if folder else ""
    except (OSError, ValueError):  # renamed or removed; or nothing that can be a path
        return ""


def _works(original: SessionPaths) -> bool:
    """Whether a folder has a runner, or an agent, which may be where it can't be seen."""
    return bool(is_locked(original)) or any(
        (attempt_of(file.name) or process_of(file.name)) and _is_open(str(file))
        for file in Path(original.root).iterdir()
    )


def _is_open(stream: str) -> bool:
    try:
        with open_regular(stream) as file:
            return is_shared(file.fileno())
    except OSError:
        return False
