"""The addresses of webhooks and the commands of notices, kept in the state directory.

No session's folder holds them: it has a reference. Agents can't read the state directory. The same
destination has the same reference, so a retry or a planned session needs no file of its own.
"""

from __future__ import annotations

import json
import os

from cpr_nb.model.destinations import COMMAND, Destination, kept_destination
from cpr_nb.model.digest import hmac_sha256
from cpr_nb.store.files import read_file
from cpr_nb.store.state_dir import check_state_dir, state_dir
from cpr_nb.store.write import write_new


def with_reference(destination: Destination, key: bytes) -> Destination:
    """A destination as a session's folder names it; it still has its secret.

    Args:
        destination: The destination.
        key: The user's key.

    Example:
        >>> made = Destination("webhook", "webhook", "https://example.org/T0/B1")
        >>> with_reference(made, bytes(32))
        'webhook:1bc4edded83468a1b36e45795685c2a8'
    """
    if destination.secret is None:
        return destination
    data = json.dumps([destination.kind, destination.secret]).encode()
    reference = hmac_sha256(key, b"cpr notice 1\0" + data)[:16].hex()
    kind, variable = destination.kind, destination.variable
    shown = f"{kind}:{reference}" + (f":{variable}" if variable else "")
    return Destination(shown, kind, destination.secret, variable)


def keep(destination: Destination) -> None:
    """Keeps what a destination stands for, so that only this user can read it.

    Args:
        destination: One with a reference; without a secret, nothing is to be kept.

    Raises:
        OSError: If it can't be written.
        StateDirError: If others may write to the state directory.
    """
    if destination.secret is None or not check_state_dir():
        return
    path = _path(destination)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    if read_kept(destination) is None:
        write_new(path, json.dumps([destination.secret]).encode(), durable=True)


def read_kept(destination: Destination) -> str | list[str] | None:
    """What a destination stands for; None if it is not kept here.

    Args:
        destination: One with a reference.
    """
    if kept_destination(str(destination)) is None or ":" not in destination:
        return None
    try:
        (secret,) = json.loads(read_file(_path(destination)))
    except (OSError, ValueError, TypeError):
        return None
    if isinstance(secret, str):
        return secret
    is_argv = destination.kind == COMMAND and isinstance(secret, list) and secret
    return secret if is_argv and all(isinstance(word, str) for word in secret) else None


def _path(destination: Destination) -> str:
    kind, reference = destination.split(":")[:2]
    return f"{state_dir()}/notices/{kind}-{reference}.json"
