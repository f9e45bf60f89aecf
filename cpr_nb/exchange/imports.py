"""Imports what other tools have logged, as sessions: which file is which, and where they go."""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path
from typing import Any

from cpr_nb.exchange.imported_session import ImportedSession, write_imported
from cpr_nb.model.errors import InputError
from cpr_nb.store.catalog import has_sessions

_BLOCK_BYTES = 1 << 20
# What tells the formats apart is near the beginning of a file.
_BEGINNING_BYTES = 1 << 16
#: The modules that read logs. Each has ``is_log(path, beginning) -> bool``,
#: ``read_log(paths, digest) -> ImportedSession``, and ``IS_ONE_FILE_A_TASK``: whether the files of
#: a folder are the tasks of one session.
READERS = ("inspect_reader", "atif_reader")


def import_path(path: str, results_dir: str) -> list[tuple[str, bool]]:
    """Imports a log, or all logs in a folder.

    Args:
        path: A file; or a folder, whose trajectories become the tasks of one session.
        results_dir: The results directory.

    Returns:
        The folder of each session, and whether it was written now: a log that was imported before
        is not imported again.

    Raises:
        InputError: If it can't be read, or is no log that is known.
        ResultsDirError: If a session can't be written.

    Example:
        >>> import_path("/no/such/log.eval", "/r")
        Traceback (most recent call last):
        cpr_nb.InputError: /no/such/log.eval: can't be read: No such file or directory
    """
    if not Path(path).is_dir():
        return [write_imported(results_dir, _read([path]))]
    by_reader: dict[str, list[str]] = {}
    try:
        files_inside = sorted(Path(path).iterdir())
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", path) from None
    for file in files_inside:
        if file.suffix in (".json", ".eval") and file.is_file():
            reader = _reader_of(str(file))
            if reader is not None:
                by_reader.setdefault(reader, []).append(str(file))
    sessions: list[tuple[str, bool]] = []
    for reader, files in by_reader.items():
        groups = [files] if _module(reader).IS_ONE_FILE_A_TASK else [[file] for file in files]
        sessions += [write_imported(results_dir, _read(group)) for group in groups]
    if not sessions and has_sessions(path):
        raise InputError("holds sessions of cpr: there is nothing to import (cpr list)", path)
    if not sessions:
        raise InputError("this folder holds no log of Inspect and no trajectory of ATIF", path)
    return sessions


def _read(paths: list[str]) -> ImportedSession:
    reader = _reader_of(paths[0])
    if reader is None:
        words = "it is no log of Inspect (.eval, .json), and no trajectory of ATIF (.json)"
        if paths[0].endswith(".jsonl"):
            words += "; of a transcript of Claude Code, name the folder"
        raise InputError(words, paths[0])
    imported: ImportedSession = _module(reader).read_log(paths, _digest(paths))
    return imported


def _reader_of(path: str) -> str | None:
    """The module that reads a file; None if none does."""
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(_BEGINNING_BYTES)
    except (OSError, ValueError) as error:  # ValueError: of a NUL in its name
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"can't be read: {reason}", path) from None
    for reader in READERS:
        if _module(reader).is_log(path, beginning):
            return reader
    return None


def _module(reader: str) -> Any:
    return importlib.import_module(f"cpr_nb.exchange.readers.{reader}")


def _digest(paths: list[str]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                total.update(block)
        total.update(os.fsencode(Path(path).name))
    return total.hexdigest()
