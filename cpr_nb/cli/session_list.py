"""What ``cpr list`` prints: each session in three lines, the newest first.

There may be 10,000, so each becomes its text as soon as it has been read, and what is said of an
ended one is kept for the next list (`cpr_nb.store.list_cache`).
"""

from __future__ import annotations

import os
import time

from cpr_nb import __version__
from cpr_nb.cli.render import ICONS, WAIT_ICON, format_date, session_start
from cpr_nb.model import states
from cpr_nb.model.text import visible_line
from cpr_nb.store import cache_files
from cpr_nb.store.authorship import read_marks
from cpr_nb.store.catalog import session_names
from cpr_nb.store.layout import SESSION_PREFIX, SessionPaths
from cpr_nb.store.read import Snapshot, ended_head, read_session
from cpr_nb.views.durations import session_duration_s
from cpr_nb.views.formatting import plural, reused, usd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from cpr_nb.store.authorship import Marks
    from cpr_nb.store.list_cache import ListCache, Row

    # What orders a session among others as `catalog.list_sessions` does, its icon and its text.
    _Entry = tuple[int, str, str, str, str]

#: From so many sessions on two processes read them: a second one takes as long as 500 sessions.
N_FOR_TWO = 2000
#: Reads faster than this are not worth keeping.
WORTH_S = 0.05
_UNMARKED = {"schema_version": 1}  # the head of a session of ours without a mark
_N_AT_ONCE = 500  # sessions that are written at once


def list_texts(directory: str) -> Iterator[str]:
    """Yields what ``cpr list`` prints, in pieces.

    Args:
        directory: The results directory; one that does not exist has no sessions.
    """
    folders = list(session_names(directory))
    if not folders:
        yield f"No sessions found in {visible_line(directory)}\n"
        return
    entries = _Reading(directory, read_marks()).entries_of(folders)
    entries.sort(reverse=True)
    yield f"All Sessions:\n{'=' * 60}\n"
    for start in range(0, len(entries), _N_AT_ONCE):
        some = entries[start : start + _N_AT_ONCE]
        yield "".join([f"{icon} {text}" for *_, icon, text in some])
    yield "Use --status SESSION_ID to see details\nUse --results SESSION_ID to see output\n"


class _Reading:
    """Reads the sessions of a results directory.

    Args:
        directory: The results directory.
        marks: What tells foreign sessions.
    """

    def __init__(self, directory: str, marks: Marks) -> None:
        self._directory = directory
        self._marks = marks
        self._settled_ns = cache_files.settled_before_ns(cache_files.now_ns())
        self._entries: list[_Entry] = []

    def entries_of(self, folders: list[str]) -> list[_Entry]:
        """Returns the text of each session behind what orders it among others.

        Args:
            folders: The names of the sessions' folders.
        """
        from cpr_nb.store.list_cache import ListCache  # not where there is nothing

        cache = ListCache(self._directory, __version__, self._marks.seal)
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            kept = cache.rows_of(frozenset(folders), fd)
            known = {row[2] for row in kept}
            for row in kept:
                self._add(*row[:-1])
            began_s = time.perf_counter()
            fresh = self._read_fresh([name for name in folders if name not in known], fd, cache)
            took_s = time.perf_counter() - began_s
        finally:
            os.close(fd)
        if fresh and took_s >= WORTH_S:
            cache.save([*kept, *fresh])
        return self._entries

    def _read_fresh(self, folders: list[str], directory_fd: int, cache: ListCache) -> list[Row]:
        """Reads sessions; returns what may be kept. Where there are many, two processes read."""
        n_own, pid, received = len(folders), 0, -1
        if n_own >= N_FOR_TWO and (os.cpu_count() or 1) > 1:
            n_own //= 2
            received, sent = os.pipe()
            pid = os.fork()
            if not pid:
                self._send(folders[n_own:], directory_fd, cache, sent)
            os.close(sent)
        rows = self._rows_of(folders[:n_own], directory_fd)
        if not pid:
            return rows
        with open(received, "rb") as pipe:
            others = cache.unpacked(pipe.read())
        os.waitpid(pid, 0)
        for row in others:
            self._add(*row[:-1])
        known = {row[2] for row in others}
        left = [name for name in folders[n_own:] if name not in known]
        return [*rows, *others, *self._rows_of(left, directory_fd)]

    def _send(self, folders: list[str], directory_fd: int, cache: ListCache, sent: int) -> None:
        """In the other process: reads sessions, sends what may be kept, and ends."""
        try:
            rows = self._rows_of(folders, directory_fd)
            with open(sent, "wb") as pipe:
                pipe.write(cache.packed(rows) if rows else b"")
        finally:
            os._exit(0)  # what has not arrived is read by the one who waits

    def _rows_of(self, folders: list[str], directory_fd: int) -> list[Row]:
        from cpr_nb.store.list_cache import is_keepable

        rows = (self._read(folder, directory_fd) for folder in folders)
        return [row for row in rows if row is not None and is_keepable(row)]

    def _read(self, folder: str, directory_fd: int) -> Row | None:
        """Reads a session; returns what may be kept for the next list."""
        root = f"{self._directory}/{folder}"
        read = ended_head(f"{folder}/status.json", directory_fd)
        if read is None:
            session = read_session(root, tasks=False)
        else:
            state = str(read[0]["overall_status"])
            session = Snapshot(SessionPaths(root), read[0], None, state, stat=read[1])
        head, start = session.head, session.count("start_time")
        created_at, label = str(head.get("created_at") or ""), _label(head.get("name"))
        is_marked = session.is_legacy or self._marks.is_marked(head.get("mark"), session.session_id)
        if session.state == states.UNREADABLE:
            icon, text = ICONS[session.state], _unreadable_text(session)
            self._entries.append((start, created_at, folder, icon, text))
            return None
        figures = visible_line(" - ".join(_figures(session)))
        shown_start = session_start(session)
        self._add(shown_start, created_at, folder, session.state, is_marked, label, figures)
        if start != shown_start or session.state not in states.ENDED_STATES:
            return None
        if session.stat is None or session.count("n_kept"):
            return None  # its worktrees may vanish at any time
        [signature] = cache_files.signatures([session.stat])
        if max(signature[2:]) >= self._settled_ns:
            return None
        row = (start, created_at, folder, session.state, is_marked, label, figures, signature)
        return row

    def _add(
        self,
        start: float | None,
        created_at: str,
        folder: str,
        state: str,
        is_marked: bool,
        label: str,
        figures: str,
    ) -> None:
        session_id = folder[len(SESSION_PREFIX) :]
        foreign = ""
        if not is_marked and self._marks.is_foreign(_UNMARKED, session_id):
            foreign = " (foreign)"
        title = f"{session_id[:8]} [{state}]{foreign}{label}"
        if not (title.isascii() and title.isprintable()):
            title = visible_line(title)
        text = f"{title}\n   Started: {format_date(start)}\n   Progress: {figures}\n\n"
        icon = ICONS.get(state, WAIT_ICON)  # apart: it would double the size of the text
        self._entries.append((start if type(start) is int else 0, created_at, folder, icon, text))


def _label(name: object) -> str:
    """The name of a session as it follows its state."""
    return f" {name}" if name else ""


def _unreadable_text(session: Snapshot) -> str:
    title = visible_line(f"{session.session_id[:8]} [{session.state}]")
    problem = visible_line(f"{session.paths.root}: {session.problem or 'not a session'}")
    return f"{title}\n   {problem}\n\n"


def _figures(session: Snapshot) -> list[str]:
    """Progress and duration, and what claude-parallel-runner.pl does not know."""
    head, count = session.head, session.count
    if session.state == states.PLANNED:
        from cpr_nb.views.planned_text import waits_for  # few sessions are

        return [waits_for(session, counts=True) or "starts now"]
    figures = [f"{count('completed')}/{count('total')} tasks ({count('successful')} successful)"]
    duration_s = session_duration_s(session)
    if duration_s is not None and not session.is_live:
        figures.append(f"Duration: {int(duration_s)}s")
    if session.is_legacy:
        return figures
    if text := reused(session):
        figures.append(text)
    if session.is_live and (n_questions := count("n_questions")):
        figures.append(f"◆ {plural(n_questions, 'question')}")
    if session.is_live and "nodes" in head:
        figures += _nodes(session)
    if n_failed := count("n_failed"):
        figures.append(f"{n_failed} failed")
    if n_skipped := count("n_skipped"):
        figures.append(f"{n_skipped} skipped")
    if n_unsaved := count("n_unsaved"):
        figures.append(f"⚠ {n_unsaved} not yet saved")
    if count("n_kept"):
        figures += _kept_worktrees(session)
    if "warnings" in head or session.is_newer:
        figures += _warnings(session)
    cost = usd(head.get("cost_usd"))
    return [*figures, cost] if cost else figures


def _nodes(session: Snapshot) -> list[str]:
    from cpr_nb.views.node_line import n_connected_text  # few sessions have any

    return n_connected_text(session)


def _kept_worktrees(session: Snapshot) -> list[str]:
    from cpr_nb.views.work_left import n_worktrees_left  # few sessions have any

    n_kept = session.count("n_kept")
    return [f"⚠ {plural(n_kept, 'worktree')} kept"] if n_worktrees_left(session) else []


def _warnings(session: Snapshot) -> list[str]:
    from cpr_nb.views.notice import runner_warnings  # few sessions have any

    warnings = runner_warnings(session)
    return [f"⚠ {plural(len(warnings), 'warning')}"] if warnings else []
