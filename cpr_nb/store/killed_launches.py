"""Folders of launches and imports that were killed before their session was complete."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os

from cpr_nb.store.files import is_locked
from cpr_nb.store.layout import NEW_PREFIX, SessionPaths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: How many entries of a results directory a launch looks at: ``cpr clean`` looks at all of them.
MOST_AT_A_LAUNCH = 500


@contextlib.contextmanager
def launching(results_dir: str) -> Iterator[None]:
    """While a session's folder is made and not locked yet: nobody takes it for a leftover.

    Args:
        results_dir: The results directory.
    """
    fd = os.open(results_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Whoever cleans at this moment has listed what was there, so it is no harm if this fails.
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(fd)


def remove_leftovers(
    results_dir: str, *, most: int | None = None, dry_run: bool = False
) -> list[str]:
    """Removes what killed launches have left in a results directory.

    Nothing happens while another launch makes its folder, or where the directory can't be locked.

    Args:
        results_dir: The results directory.
        most: How many of its entries are looked at; default all.
        dry_run: Remove nothing.

    Returns:
        The folders that were removed, or would be.

    Example:
        >>> remove_leftovers("/no/such/folder")
        []
    """
    try:
        with os.scandir(results_dir) as entries:
            first = itertools.islice(entries, most)
            names = sorted(entry.name for entry in first if entry.name.startswith(NEW_PREFIX))
        if not names:
            return []
        fd = os.open(results_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return []
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return [one for name in names if _remove(one := f"{results_dir}/{name}", dry_run=dry_run)]
    except OSError:
        return []
    finally:
        os.close(fd)


def _remove(folder: str, *, dry_run: bool) -> bool:
    """Removes a folder that holds what a launch or import writes, no more, and that nobody holds.

    Returns:
        Whether it was removed, or would be.
    """
    paths = SessionPaths(folder)
    written = (paths.session, paths.frame, paths.status)  # each under another name first
    known = {paths.lock, paths.log, paths.journal, *written, *(f"{path}.tmp" for path in written)}
    imported = paths.answer("").removesuffix(".txt")  # an import writes streams and answers, too
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        names = os.listdir(fd)
        found = [f"{folder}/{name}" for name in names]
        is_known = all(path in known or path.startswith(imported) for path in found)
        if os.fstat(fd).st_uid != os.geteuid() or not is_known or is_locked(paths):
            return False
        if not dry_run:
            for name in names:
                os.unlink(name, dir_fd=fd)
            os.rmdir(folder)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
