"""The signatures of the files that rows were made of: whether the rows still count."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from cpr_nb.store import cache_files
from cpr_nb.store.cache_files import ABSENT, Signature

Integers = np.ndarray[Any, np.dtype[np.int64]]

_WIDTH = len(ABSENT)
_fields = attrgetter("st_ino", "st_size", "st_mtime_ns", "st_ctime_ns")
# An `os.stat_result` has half a kB: those of so many sessions are in memory at a time.
_CHUNK_SESSIONS = 256


class Digest(NamedTuple):
    """The state of files of a session.

    Args:
        digest: Changes with every change of one of them.
        settled: Whether a later change of any of them will show in it.
        n_bytes: Their total size.
    """

    digest: str
    settled: bool
    n_bytes: int


def signatures_of(paths: Sequence[str]) -> Integers:
    """The signatures of the files at many paths, one row per file."""
    try:
        numbers = np.fromiter(
            chain.from_iterable(map(_fields, map(os.stat, paths))), np.int64, _WIDTH * len(paths)
        )
    except (OSError, ValueError, OverflowError):  # one does not exist, or has odd numbers
        numbers = np.array(cache_files.signatures_of(paths), np.int64)
    return numbers.reshape(-1, _WIDTH)


def digest_files(root: str, names: str) -> Digest:
    """Digests the signatures of files of a session.

    Args:
        root: The session's folder.
        names: The files' names, with ``/`` between them; ``.`` is the folder itself.
    """
    settled_ns = cache_files.settled_before_ns(cache_files.now_ns())
    paths = [f"{root}/{name}" for name in names.split("/")]
    return digest_signatures(cache_files.signatures_of(paths), settled_ns)


def digest_signatures(signatures: Sequence[Signature], settled_ns: int) -> Digest:
    """Digests signatures.

    Args:
        signatures: The signatures.
        settled_ns: See `cache_files.settled_before_ns`.
    """
    packed = struct.pack(f"<{_WIDTH * len(signatures)}q", *chain.from_iterable(signatures))
    settled = all(signature[2] < settled_ns for signature in signatures)
    return Digest(_digest(packed), settled, sum(signature[1] for signature in signatures))


def are_unchanged(
    directory: str, folders: Sequence[str], files: Sequence[str], digests: Sequence[str]
) -> list[bool]:
    """Whether files of many sessions are as they were.

    Args:
        directory: The results directory.
        folders: The sessions' folders.
        files: The names of the files of each, as in `digest_files`; empty if there are none.
        digests: The digest of each session's files, as they were.
    """
    sessions = zip(folders, files, digests, strict=True)
    unchanged: list[bool] = []
    while chunk := list(islice(sessions, _CHUNK_SESSIONS)):
        now = _digests(directory, [(folder, names) for folder, names, _ in chunk])
        unchanged += [
            not names or digest == new for (_, names, digest), new in zip(chunk, now, strict=True)
        ]
    return unchanged


def _digests(directory: str, sessions: list[tuple[str, str]]) -> Iterator[str]:
    names = [files.split("/") if files else [] for _, files in sessions]
    folders = [f"{directory}/{folder}/" for folder, _ in sessions]
    paths = [folder + name for folder, files in zip(folders, names, strict=True) for name in files]
    packed = memoryview(signatures_of(paths).astype("<i8").tobytes())
    start = 0
    for files in names:
        end = start + len(files) * _WIDTH * 8
        yield _digest(packed[start:end])
        start = end


def _digest(packed: bytes | memoryview) -> str:
    return hashlib.blake2b(packed, digest_size=16).hexdigest()
