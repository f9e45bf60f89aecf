"""Sends one notice: at least once, by few tries, and writes down what became of each."""

from __future__ import annotations

import fcntl
import os
import time

from cpr_nb.model import states
from cpr_nb.model.destinations import kept_destination
from cpr_nb.model.quick_json import loads
from cpr_nb.notices.notice_senders import NotSent, send
from cpr_nb.notices.notice_text import Notice, has_failed
from cpr_nb.store.files import is_locked, read_file
from cpr_nb.store.key import read_key
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_session
from cpr_nb.store.seal import is_sealed
from cpr_nb.store.times import utc_iso
from cpr_nb.store.write import dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.model.destinations import Destination

#: How long it waits after each try that failed: 25 minutes in all, then it gives up.
DELAYS_S = (0.5, 2.0, 8.0, 30.0, 120.0, 300.0, 1000.0)
_LOOK_EVERY_S = 0.05


class NoticeLog:
    """What became of one notice: a file that only the program writes which sends it.

    Where nothing can be written, a notice is sent all the same: that may be what it is about.

    Args:
        path: The file, which the runner has made.

    Raises:
        BlockingIOError: If another process sends the same notice.
    """

    def __init__(self, path: str) -> None:
        self.events: list[str] = []
        self._fd = -1
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW)
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.events += _events(os.pread(self._fd, 1_000_000, 0))
        except BlockingIOError:
            self.close()
            raise
        except OSError:
            pass

    @property
    def is_over(self) -> bool:
        """Whether it was sent, or given up."""
        return any(event in ("sent", "gave_up") for event in self.events)

    def write(self, event: str, **fields: object) -> None:
        """Appends a line, durably if that is possible."""
        self.events.append(event)
        line = dump({"at": utc_iso(time.time()), "event": event, **fields}) + b"\n"
        try:
            os.write(self._fd, line)
            os.fsync(self._fd)
        except OSError:
            pass

    def close(self) -> None:
        """Closes the file."""
        if self._fd >= 0:
            os.close(self._fd)


def deliver(root: str, kind: str) -> None:
    """Sends a notice of a session, unless it was sent; returns when it is over.

    Args:
        root: The session's folder.
        kind: ``on_done``, ``on_failed``, or ``on_waiting-`` and the reason.
    """
    paths = SessionPaths(root)
    option = kind.partition("-")[0]
    if option not in states.NOTICES or not kind.replace("_", "").replace("-", "").isalnum():
        return
    try:
        log = NoticeLog(paths.notice(kind))
    except BlockingIOError:
        return
    try:
        destination = None if log.is_over else _destination(paths, option)
        if destination is not None and option != states.ON_WAITING and not _await_end(paths):
            destination = None  # its runner is gone, and the next one starts us again
        if destination is not None:
            _try_all(log, destination, root, kind)
    finally:
        log.close()


def _destination(paths: SessionPaths, option: str) -> Destination | None:
    """Where the notice goes, if this user has launched the session on this machine."""
    data, key = read_file(paths.session), read_key()
    # Strictly: what the user only trusts was not launched by them, and sends nothing.
    if key is None or not is_sealed(data, key):
        return None
    spec = loads(data)
    if spec["session_id"] != paths.root.rpartition("/session-")[2]:
        return None
    return kept_destination(spec["options"].get(option))


def _await_end(paths: SessionPaths) -> bool:
    """Waits until the end is written down; whether it is."""
    while True:
        is_live = is_locked(paths)  # first: the end is written before the lock is free
        if read_session(paths.root, tasks=False).state in states.ENDED_STATES:
            return True
        if not is_live:
            return False
        time.sleep(_LOOK_EVERY_S)


def _try_all(log: NoticeLog, destination: Destination, root: str, kind: str) -> None:
    """Tries until it is accepted, or no try is left."""
    for number, delay_s in enumerate((*DELAYS_S, None), 1):
        snapshot = read_session(root)
        if kind == states.ON_FAILED and not has_failed(snapshot):
            log.write("not_needed")
            return
        why, is_final = _try(log, destination, snapshot, kind, number)
        if not why:
            log.write("sent")
            return
        if is_final or delay_s is None:
            log.write("gave_up", error=why, n_tries=number)
            return
        log.write("not_sent", error=why, again_in_s=delay_s)
        time.sleep(delay_s)


def _try(
    log: NoticeLog, destination: Destination, snapshot: Snapshot, kind: str, number: int
) -> tuple[str, bool]:
    """Tries once; returns why it was not sent, and whether no later try can help."""
    notice = Notice(snapshot, kind)
    log.write("sending", n_try=number, key=notice.key, to=destination.kind)
    try:
        send(destination, notice)
    except NotSent as error:
        return str(error), error.is_final
    except Exception as error:  # its message may hold a secret
        return f"unexpected {type(error).__name__}", False
    return "", False


def _events(data: bytes) -> list[str]:
    """The events in the lines of a log; the last line may be torn."""
    events = []
    for line in data.split(b"\n"):
        try:
            fields = loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, dict):
            events.append(str(fields.get("event")))
    return events
