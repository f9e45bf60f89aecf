"""Finds the results directory, lists its sessions, and finds one by id or name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from cpr_nb.model import states
from cpr_nb.model.errors import (
    AmbiguousSession,
    InputError,
    ResultsDirError,
    SessionNotFound,
)
from cpr_nb.store.authorship import Marks, read_marks
from cpr_nb.store.head_cache import read_heads
from cpr_nb.store.layout import NEW_PREFIX, SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.settings_files import repository_table, upwards, user_table

#: The shortest prefix of an id that names a session.
MIN_PREFIX = 4


def results_dir(option: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str:
    """The results directory to use, as an absolute path; it need not exist.

    In this order: the option, ``CPR_RESULTS_DIR``, ``[tool.cpr] results_dir`` of the
    nearest ``pyproject.toml``, ``results_dir`` of the user's own settings, the nearest
    ``results`` folder upwards that holds a session (up to the repository's root or the home
    folder), ``./results``.

    Args:
        option: The option, or None if it is not set.
        environ: The environment.

    Returns:
        The path.

    Example:
        >>> results_dir("/tmp/r", {})
        '/tmp/r'
    """
    return _named_dir(option, environ) or _nearest_dir()


def new_session_dir(option: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str:
    """The results directory for a new session; see `results_dir`.

    Raises:
        InputError: If it is a link that nobody has named: a cloned repository could lead new
            sessions anywhere.
    """
    named = _named_dir(option, environ)
    return named or check_no_link(_nearest_dir())


def check_no_link(directory: str) -> str:
    """Returns a results directory that nobody has named.

    Raises:
        InputError: If it is a link.
    """
    if os.path.islink(directory):
        import shlex  # only here

        raise InputError(
            f"{directory} is a symbolic link, so it is used only if you name it: "
            f"--results-dir {shlex.quote(directory)} (results_dir=…), or CPR_RESULTS_DIR",
            "results_dir",
        )
    return directory


def _named_dir(option: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> str | None:
    """The results directory that somebody has named."""
    chosen = option or environ.get("CPR_RESULTS_DIR")
    if chosen:
        return os.path.abspath(os.path.expanduser(os.fspath(chosen)))
    path, table = repository_table(_current_folder())
    if "results_dir" in table:
        return beside(path, table["results_dir"])
    own = user_table().get("results_dir")
    return None if own is None else os.path.abspath(os.path.expanduser(str(own)))


def _nearest_dir() -> str:
    here = _current_folder()
    home = os.path.realpath(os.path.expanduser("~"))
    for folder in upwards(here):
        candidate = os.path.join(folder, "results")
        if _holds_session(candidate):
            return candidate
        if os.path.exists(os.path.join(folder, ".git")) or os.path.realpath(folder) == home:
            break
    return os.path.join(here, "results")


def beside(path: str, folder: str) -> str:
    """The absolute path of a folder that a file names: relative to the file, not to us."""
    return os.path.abspath(os.path.join(os.path.dirname(path), os.path.expanduser(folder)))


def _current_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise InputError("the current folder no longer exists: cd to another") from None


def session_names(directory: str) -> Iterator[str]:
    """The names of the sessions' folders in a results directory, in any order.

    Raises:
        ResultsDirError: If it can't be read; one that does not exist has no sessions.
    """
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith(SESSION_PREFIX) and _is_dir(entry):
                    yield entry.name
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ResultsDirError(
            f"can't read the results directory {directory}: {error.strerror}"
        ) from error


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def has_sessions(folder: str) -> bool:
    """Whether it is a session of cpr, or has one directly inside."""
    try:
        with os.scandir(folder) as entries:
            return is_session(folder) or any(is_session(entry.path) for entry in entries)
    except OSError:
        return False


def is_session(folder: str) -> bool:
    """Whether a folder is a session of cpr, complete or not."""
    if not folder.rpartition("/")[2].startswith((SESSION_PREFIX, NEW_PREFIX)):
        return False
    paths = SessionPaths(folder)
    return os.path.exists(paths.status) or os.path.exists(paths.session)


def _holds_session(directory: str) -> bool:
    try:
        return any(session_names(directory))
    except ResultsDirError:
        return False


def list_sessions(directory: str) -> list[Snapshot]:
    """Reads the heads of all sessions, the newest first; those of ended sessions only once.

    Args:
        directory: The results directory; one that does not exist has no sessions.

    Returns:
        A snapshot of each, without its tasks; a foreign folder counts as ``unreadable``.
    """
    sessions = read_heads(directory, session_names(directory))
    sessions.sort(key=_age, reverse=True)
    return sessions


def _age(session: Snapshot) -> tuple[int, str, str]:
    # claude-parallel-runner.pl writes whole seconds only. The folders differ only in the id.
    created_at = session.head.get("created_at")
    return session.count("start_time"), str(created_at or ""), session.paths.root


def newest_session(directory: str) -> Snapshot | None:
    """The session that is meant where none is named; None if there is none.

    One of the user's own before a foreign one, a live one before one that has ended, the newest.
    """
    marks = read_marks()
    sessions = list_sessions(directory)
    sessions = [one for one in sessions if _is_own(marks, one)] or sessions
    live = (session for session in sessions if session.is_live)
    return next(live, None) or next(iter(sessions), None)


def find_session(directory: str, reference: str) -> str:
    """Finds a session by its id, a unique prefix of at least four characters, name, or path.

    The user's own sessions go before foreign ones, so that nobody can put theirs in the place of
    one.

    Args:
        directory: The results directory.
        reference: The id, prefix, name or path.

    Returns:
        The session's folder.

    Raises:
        SessionNotFound: If nothing matches.
        AmbiguousSession: If several sessions match; it lists them.
    """
    folder, slash, name = reference.rstrip("/").rpartition("/")
    if slash and name.startswith(SESSION_PREFIX) and os.path.isdir(reference):
        return os.path.join(os.path.abspath(folder or "/"), name)
    matches = _matching_ids(directory, reference)
    if len(matches) == 1:
        return f"{directory}/{SESSION_PREFIX}{matches[0]}"
    if matches:
        more = ", …" if len(matches) > 8 else ""
        shown = ", ".join(sorted(matches)[:8])
        raise AmbiguousSession(
            f"{reference!r} matches {len(matches)} sessions: {shown}{more}", sorted(matches)
        )
    short = " (a prefix needs 4 characters)" if 0 < len(reference) < MIN_PREFIX else ""
    raise SessionNotFound(
        f"Session {reference} not found or no status available{short}: {directory}"
    )


def _matching_ids(directory: str, reference: str) -> list[str]:
    """The ids of the sessions that match: by whole id, else by prefix, else by name."""
    marks = read_marks()
    ids = [name.removeprefix(SESSION_PREFIX) for name in session_names(directory)]
    begin = reference.removeprefix(SESSION_PREFIX)
    matches = [i for i in ids if len(begin) >= MIN_PREFIX and i.startswith(begin)]
    if begin in ids:
        matches = [begin]
    heads = [read_session(f"{directory}/{SESSION_PREFIX}{i}", tasks=False) for i in matches]
    own = [session.session_id for session in heads if _is_own(marks, session)]
    if own or not reference:
        return own or matches
    named = [one for one in list_sessions(directory) if one.head.get("name") == reference]
    # One that was imported, such as an export of an own one, has the name that it had elsewhere.
    launched = [one for one in named if one.state != states.IMPORTED]
    own = [one.session_id for one in launched or named if _is_own(marks, one)]
    return own or matches or [one.session_id for one in launched or named]


def _is_own(marks: Marks, session: Snapshot) -> bool:
    return marks.is_own(session.head.get("mark"), session.session_id)
