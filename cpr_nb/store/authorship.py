"""Who launched a session: checked before anything that its folder names is run or deleted.

A session that this user has not launched on this machine is *foreign*, whoever owns its folder: a
folder that came with a repository or out of an archive belongs to the user, too. Looking at it
needs no check.
"""

from __future__ import annotations

import json
import os
import stat

from cpr_nb.model.digest import hmac_sha256, sha256_of_file
from cpr_nb.model.errors import StateDirError
from cpr_nb.store import trusted
from cpr_nb.store.key import key_made_ns, read_key
from cpr_nb.store.seal import has_seal, is_sealed, marker
from cpr_nb.store.state_dir import can_make_state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from cpr_nb.store.layout import SessionPaths


#: Why a session is foreign that has this user's mark.
CHANGED = "its session.json was changed after the launch"


class Authorship:
    """Whose session a folder holds, and what it would run: from one and the same reading.

    Attributes:
        spec: The content of session.json; empty if it can't be read.
        sha256: The SHA-256 of its bytes; empty if it can't be read.
        why: Why it is foreign; empty if it is the user's own, or trusted.
    """

    __slots__ = ("sha256", "spec", "why")

    def __init__(self, spec: dict[str, Any], sha256: str, why: str) -> None:
        self.spec = spec
        self.sha256 = sha256
        self.why = why

    @property
    def is_ours(self) -> bool:
        """Whether this user has launched it on this machine, or trusts it."""
        return not self.why


def read_authorship(paths: SessionPaths) -> Authorship:
    """Reads session.json once, and checks its seal.

    Whoever acts on a session takes what it would run from here: a second reading could find
    something else.

    Args:
        paths: The session's paths.

    Raises:
        StateDirError: If the user's key can't be used.

    Example:
        >>> from cpr_nb.store.layout import SessionPaths
        >>> read_authorship(SessionPaths("/no/such/session-1")).why
        'its session.json can not be read'
    """
    data = _read(paths.session)
    if data is None:
        return Authorship({}, "", "its session.json can not be read")
    total: str = sha256_of_file(data).hexdigest()
    spec = _parse(data)
    return Authorship(spec, total, _why_foreign(data, total, spec, paths))


class Marks:
    """Tells the user's own sessions from foreign ones by the marks in their heads.

    That is a hint for lists and names, and opens no file of a session: whatever acts on a session
    asks `read_authorship`.

    Args:
        key: The user's key; None if there is none.
        trusted_ids: The ids of the sessions that the user trusts.
        can_tell: Whether a session without a valid mark is foreign; else nobody knows.
    """

    __slots__ = ("_can_tell", "_key", "_mark", "_trusted_ids")

    def __init__(self, key: bytes | None, trusted_ids: Collection[str], *, can_tell: bool) -> None:
        self._key = key
        self._mark = None if key is None else marker(key)
        self._trusted_ids = trusted_ids
        self._can_tell = can_tell

    def is_own(self, found: object, session_id: str) -> bool:
        """Whether the user has launched a session, or trusts it.

        Args:
            found: The mark in its head; None if it has none.
            session_id: Its id.
        """
        return session_id in self._trusted_ids or self.is_marked(found, session_id)

    def is_marked(self, found: object, session_id: str) -> bool:
        """Whether a mark was made with the user's key; see `is_own`."""
        return bool(found) and self._mark is not None and found == self._mark(session_id)

    def are_foreign(
        self, found: Sequence[str | None], session_ids: Sequence[str]
    ) -> list[bool | None]:
        """The same as `is_foreign` for many sessions.

        Args:
            found: The mark in the head of each, ``""`` if it has none; None for a session of
                claude-parallel-runner.pl.
            session_ids: Their ids.
        """
        if not self._can_tell:
            return [None] * len(session_ids)
        is_own = self.is_own
        return [
            None if mark is None else not is_own(mark, session_id)
            for mark, session_id in zip(found, session_ids, strict=True)
        ]

    def is_foreign(self, head: Mapping[str, Any], session_id: str) -> bool | None:
        """Whether it is foreign.

        None where nobody can tell, and for sessions that can't run again anyway: those of
        claude-parallel-runner.pl.

        Args:
            head: The head of its status.json.
            session_id: Its id.
        """
        if "schema_version" not in head or not self._can_tell:
            return None
        return not self.is_own(head.get("mark"), session_id)

    def seal(self, data: bytes) -> bytes:
        """What shows that whoever has kept which sessions are marked had the user's key, too."""
        return hmac_sha256(self._key or b"", b"cpr marks 1\0" + data)


def read_marks() -> Marks:
    """Reads the user's key and what they trust; a key that can't be used counts as none."""
    try:
        key = read_key()
        trusted_ids = frozenset(trusted.trusted(trusted.SESSION).values())
        can_tell = key is not None or can_make_state_dir()
    except StateDirError:
        return Marks(None, (), can_tell=False)
    return Marks(key, trusted_ids, can_tell=can_tell)


def _why_foreign(data: bytes, total: str, spec: Mapping[str, Any], paths: SessionPaths) -> str:
    key = read_key()
    session_id = paths.root.rpartition("/session-")[2]
    if spec.get("session_id") != session_id:
        return "its session.json is that of another session"
    if key is not None and is_sealed(data, key):
        return ""
    if trusted.is_trusted(trusted.SESSION, total):
        return ""
    if not has_seal(data):
        return _why_unsealed(spec, paths)
    if key is None:
        return "there is no key on this machine to check its seal"
    if Marks(key, (), can_tell=True).is_own(spec.get("mark"), session_id):
        return CHANGED
    return "sealed with another key: this machine was rebuilt, or it is somebody else's"


def _why_unsealed(spec: Mapping[str, Any], paths: SessionPaths) -> str:
    if "seal" in spec:
        return "launched where no state directory could be made, so it has no seal"
    made_ns = key_made_ns()
    try:
        # It only words the message: after a lost key, everything is older than the key.
        is_newer = made_ns is not None and os.lstat(paths.session).st_ctime_ns > made_ns
    except OSError:
        is_newer = True
    return "no seal" if is_newer else "no seal: launched by an older cpr, or by somebody else"


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            return file.read() if stat.S_ISREG(os.fstat(fd).st_mode) else None
        except OSError:
            return None


def _parse(data: bytes) -> dict[str, Any]:
    try:
        spec = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return spec if isinstance(spec, dict) else {}
