"""Watches whether the session can be written, and is still ours: disk, folder, lock, claims."""

from __future__ import annotations

import os
import sys

from cpr_nb.store.claims import BEAT_S, has_claim
from cpr_nb.store.files import hold_lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from cpr_nb.store.layout import SessionPaths

#: With less than this free nothing starts: what runs needs room for its streams.
LEAST_FREE_BYTES = 16 << 20
_POLL_EVERY_S = 1.0
#: A folder that is gone for this long was removed; before that it may be a network's hiccup.
_GONE_AFTER_S = 3.0


class DiskMonitor:
    """Watches one session's folder.

    Args:
        paths: The session's paths.
        lock_fd: The descriptor that holds the session's lock.
        claim: The number of the claim with which the runner was started; 0 if there was none.

    Attributes:
        reason: Why nothing can be written, as the last poll saw it; empty if all is well.
    """

    def __init__(self, paths: SessionPaths, lock_fd: int, claim: int = 0) -> None:
        self._paths = paths
        self._lock_fd = lock_fd
        self._claim = claim
        self._next_beat_at = self._next_claim_at = 0.0
        self.reason = ""
        self._next_poll_at = 0.0
        self._gone_since: float | None = None
        self.is_gone = False  # the session's folder was removed

    def poll(self, now: float, trouble: str) -> str | None:
        """Checks the disk, at most once a second.

        Args:
            now: Seconds of a clock that never goes back.
            trouble: Why something could not be written just now; empty if everything was.

        Returns:
            Why nothing can be written, empty if it can be again, or None if nothing changed.
        """
        # Trouble is reported at once, but its end is not: otherwise each attempt to write would
        # follow the one before without a pause.
        if now < self._next_poll_at and (self.reason or not trouble):
            return None
        self._next_poll_at = now + _POLL_EVERY_S
        reason = self._problem(now) or trouble
        if reason == self.reason or (reason and self.reason):
            return None
        self.reason = reason
        return reason

    def has_new_owner(self, now: float) -> bool:
        """Whether somebody took the session over, who could not see this runner.

        Args:
            now: Seconds of a clock that never goes back; it is checked once a second.
        """
        if now < self._next_claim_at:
            return False
        self._next_claim_at = now + _POLL_EVERY_S
        if not has_claim(self._paths, self._claim + 1):
            return False
        print("another runner has taken the session over", file=sys.stderr, flush=True)
        return True

    def _problem(self, now: float) -> str:
        try:
            disk = os.statvfs(self._paths.root)
            os.getcwd()  # which still is there when it is removed, but has no name
        except OSError as error:
            if self._gone_since is None:
                self._gone_since = now
            self.is_gone = now - self._gone_since >= _GONE_AFTER_S
            return f"its folder: {error.strerror}"
        self._gone_since = None
        self._keep_lock()
        self._beat(now)
        if disk.f_flag & os.ST_RDONLY:
            return "the disk is read-only"
        if disk.f_bavail * disk.f_frsize < LEAST_FREE_BYTES:
            return f"only {disk.f_bavail * disk.f_frsize / 1e6:.1f} MB are free on the disk"
        return ""

    def _beat(self, now: float) -> None:
        """Shows machines that can't see the lock that this runner lives."""
        if now >= self._next_beat_at:
            self._next_beat_at = now + BEAT_S
            try:
                os.utime(self._lock_fd)
            except OSError:
                pass  # nothing can be written: that is noticed elsewhere

    def _keep_lock(self) -> None:
        """Makes a new lock if someone removed ours: it shows that this runner lives."""
        try:
            os.stat(self._paths.lock, follow_symlinks=False)
        except FileNotFoundError:
            try:
                new_fd = hold_lock(self._paths.lock)
            except OSError:
                return  # the next poll tries again
            os.dup2(new_fd, self._lock_fd, inheritable=False)
            os.close(new_fd)
        except OSError:
            return
