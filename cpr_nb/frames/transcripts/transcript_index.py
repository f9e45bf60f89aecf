"""The index of a folder of transcripts: what was read of each file, so that only news are read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from cpr_nb.frames.transcripts.index_file import IndexFile
from cpr_nb.frames.transcripts.index_update import IndexUpdate, changed_files
from cpr_nb.frames.transcripts.transcript_files import list_transcripts

#: What was read faster than this is read again, rather than kept.
MIN_READ_S = 0.05


class TranscriptIndex(NamedTuple):
    """What is known of a folder.

    Args:
        folder: The folder.
        files: One row per file.
        messages: One row per answer and file that has it.
        calls: One row per call and file that has it.
        nodes: One row per line with an identifier.
        n_read_bytes: How many bytes were read for it now.
    """

    folder: str
    files: pd.DataFrame
    messages: pd.DataFrame
    calls: pd.DataFrame
    nodes: pd.DataFrame
    n_read_bytes: int


def read_index(folder: str, environ: Mapping[str, str]) -> TranscriptIndex:
    """Reads what is new in a folder.

    Args:
        folder: The folder, as a real path.
        environ: The environment, for the user's cache folder.
    """
    began_s = time.monotonic()
    kept = IndexFile(folder, environ)
    tables: Mapping[str, pd.DataFrame] = kept.tables()
    found = list_transcripts(folder)
    changes, n_read_bytes = changed_files(tables["files"], found), 0
    if changes is not None:
        tables, n_read_bytes = IndexUpdate(folder, tables, changes).run()
        if time.monotonic() - began_s >= MIN_READ_S:
            kept.save(tables)
    return TranscriptIndex(folder, **tables, n_read_bytes=n_read_bytes)
