"""Who launched a session: checked before anything that its folder names is run or deleted.

A session that this user has not launched on this machine is *foreign*, whoever owns its folder: a
folder that came with a repository or out of an archive belongs to the user, too. Looking at it
needs no check.
"""

from __future__ import annotations

import json
import os
import stat

from cpr_nb.model.errors import StateDirError
from cpr_nb.store import trusted
from cpr_nb.store.digest import sha256
from cpr_nb.store.key import read_key
from cpr_nb.store.seal import has_seal, is_sealed, mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cpr_nb.store.layout import SessionPaths


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
    total: str = sha256(data).hexdigest()
    spec = _parse(data)
    return Authorship(spec, total, _why_foreign(data, total, spec))


def is_own(head: Mapping[str, Any], session_id: str, key: bytes | None) -> bool:
    """Whether a session has the user's mark: a hint for lists, on which nothing may rest.

    Args:
        head: The head of its status.json, or its session.json.
        session_id: Its id.
        key: The user's key, read once for many sessions.
    """
    return key is not None and head.get("mark") == mark(key, session_id)


def _why_foreign(data: bytes, total: str, spec: Mapping[str, Any]) -> str:
    key = read_key()
    if key is not None and is_sealed(data, key):
        return ""
    if trusted.is_trusted(trusted.SESSION, total):
        return ""
    if not has_seal(data):
        if "seal" not in spec:
            return "it was launched by an older cpr, before seals, or not by cpr"
        return "it was launched where no state directory could be made, so it has no seal"
    if key is None:
        return "there is no key on this machine to check its seal"
    if is_own(spec, str(spec.get("session_id")), key):
        return "its session.json was changed after the launch"
    return "it is sealed with another key: this machine was rebuilt, or it is somebody else's"


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


def read_key_or_none() -> bytes | None:
    """The user's key for looking: one that can't be used counts as none."""
    try:
        return read_key()
    except StateDirError:
        return None
