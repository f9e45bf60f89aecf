"""The seal of a session: it shows that this user has launched it, as it stands in session.json.

The last line of session.json is the seal: the HMAC of everything before it, so of every prompt,
option, folder and command. There is no path in it, so a folder that was moved stays the user's. A
mark in the head, also in status.json's, is a hint for lists: nothing is run because of it.
"""

from __future__ import annotations

import re

from cpr_nb.model.digest import hmac_halves, hmac_sha256, sha256_of_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_SEAL = rb'"seal":"([0-9a-f]{64})"\}\n'  # compiled when a session is read
_BEFORE = b"],\n"
_UNSEALED = b'"seal":null}\n'


def mark(key: bytes, session_id: str) -> str:
    """The mark of a session.

    Example:
        >>> mark(bytes(32), "s-1")
        '60b0552c89ef04940850109e31207fc7'
    """
    return marker(key)(session_id)


def marker(key: bytes) -> Callable[[str], str]:
    """Makes the marks of many sessions, each in a third of the time."""
    inner, outer = hmac_halves(key)
    inner.update(b"cpr mark 1\0")

    def make(session_id: str) -> str:
        first, last = inner.copy(), outer.copy()
        first.update(session_id.encode("utf-8", "replace"))
        last.update(first.digest())
        made: str = last.hexdigest()[:32]
        return made

    return make


def sealed(data: bytes, key: bytes | None) -> bytes:
    """The content of session.json with its seal.

    Args:
        data: Everything before the seal.
        key: The user's key; None if there is none: then nobody can tell who launched it.
    """
    return data + (_UNSEALED if key is None else b'"seal":"%s"}\n' % _seal(key, data))


def is_sealed(data: bytes, key: bytes) -> bool:
    """Whether the content of session.json has a seal that was made with this key."""
    before, match = _split(data)
    return match is not None and _are_equal(match.group(1), _seal(key, before))


def has_seal(data: bytes) -> bool:
    """Whether the content of session.json has a seal at all, whoever made it."""
    return _split(data)[1] is not None


def _split(data: bytes) -> tuple[bytes, re.Match[bytes] | None]:
    """What comes before the seal, and the seal."""
    start = data.rfind(_BEFORE) + len(_BEFORE)
    return data[:start], re.fullmatch(_SEAL, data[start:])


def _seal(key: bytes, data: bytes) -> bytes:
    return hmac_sha256(key, b"cpr session 1\0" + sha256_of_file(data).digest()).hex().encode()


def _are_equal(one: bytes, other: bytes) -> bool:
    from _operator import _compare_digest  # `hmac.compare_digest`, without OpenSSL

    return _compare_digest(one, other)
