"""The heads of ended sessions, kept so that a second listing is cheap.

One file, rewritten as a whole. An entry counts only for a session whose status.json has not
changed; see `cpr_nb.store.cache_files`.
"""

from __future__ import annotations

import json
import time
import zlib

from cpr_nb.model import states
from cpr_nb.store import cache_files
from cpr_nb.store.layout import SessionPaths
from cpr_nb.store.read import Snapshot, read_session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    # Folder → the signature of its status.json, and the head.
    _Entries = dict[str, tuple[cache_files.Signature, dict[str, Any]]]

#: Reads faster than this are not worth caching.
WORTH_S = 0.05
_NAME = "heads"
_MAGIC = b"cpr_nb heads 1 "


def read_heads(directory: str, names: Iterable[str]) -> list[Snapshot]:
    """Reads the heads of sessions; those of ended sessions only once.

    Args:
        directory: The results directory.
        names: The sessions' folders.

    Returns:
        A snapshot of each, without its tasks, in the same order.
    """
    all_names, settled_ns = list(names), cache_files.settled_before_ns(cache_files.now_ns())
    entries = _unchanged(directory, _load(directory), all_names)
    sessions: list[Snapshot] = []
    fresh: _Entries = {}
    took_s = 0.0
    for name in all_names:
        root = f"{directory}/{name}"
        if name in entries:
            head = entries[name][1]
            sessions.append(Snapshot(SessionPaths(root), head, None, head["overall_status"]))
            continue
        began_s = time.perf_counter()
        snapshot = read_session(root, tasks=False)
        took_s += time.perf_counter() - began_s
        sessions.append(snapshot)
        if snapshot.stat is not None and snapshot.state in states.ENDED_STATES:
            [signature] = cache_files.signatures([snapshot.stat])
            if signature[2] < settled_ns:
                fresh[name] = (signature, snapshot.head)
    if fresh and took_s >= WORTH_S:
        _save(directory, {**entries, **fresh})
    return sessions


def _unchanged(directory: str, entries: _Entries, names: Sequence[str]) -> _Entries:
    """The entries of these sessions whose status.json is still the same."""
    cached = [name for name in names if name in entries]
    now = cache_files.signatures_of([f"{directory}/{name}/status.json" for name in cached])
    return {
        name: entries[name]
        for name, signature in zip(cached, now, strict=True)
        if signature == entries[name][0]
    }


def _load(directory: str) -> _Entries:
    file = cache_files.open_own(directory, _NAME)
    if file is None:
        return {}
    try:
        with file:
            data = file.read()
        begin, _, body = data.partition(b"\n")
        if begin != _MAGIC + b"%08x" % zlib.crc32(body):
            raise ValueError("torn, or foreign")
        return _parse_groups(json.loads(body))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}  # the next save replaces it


def _parse_groups(groups: list[Any]) -> _Entries:
    entries: _Entries = {}
    for keys, names, inodes, sizes, mtimes, ctimes, *columns in groups:
        signatures = zip(inodes, sizes, mtimes, ctimes, strict=True)
        rows = zip(*columns, strict=True)
        for name, signature, row in zip(names, signatures, rows, strict=True):
            head = dict(zip(keys, row, strict=True))
            if head.get("overall_status") in states.ENDED_STATES:
                entries[name] = (signature, head)
    return entries


def _save(directory: str, entries: _Entries) -> None:
    # By column, for heads with the same keys: this is parsed in a third of the time.
    groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for name, (signature, head) in entries.items():
        groups.setdefault(tuple(head), []).append((name, *signature, *head.values()))
    columns = [[keys, *zip(*rows, strict=True)] for keys, rows in groups.items()]
    body = json.dumps(columns, separators=(",", ":")).encode()
    cache_files.save(directory, _NAME, [_MAGIC, b"%08x\n" % zlib.crc32(body), body])
