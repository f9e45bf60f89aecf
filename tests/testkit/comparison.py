"""Reads a results directory again and again, and compares with a first reading."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import cpr_nb as cpr
from cpr_nb.frames import row_cache
from cpr_nb.store.layout import CACHE

#: Files get times in the past, each its own, as if time went by: what is young is never kept.
LONG_AGO_S = 1_000_000_000


@contextmanager
def everything_is_kept() -> Iterator[None]:
    """Within it everything is worth keeping, in many small files that are joined soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_cache, "MIN_READ_S", 0.0)
        patch.setattr(row_cache, "PACK_BYTES", 6000)
        patch.setattr(row_cache, "MAX_SMALL", 2)
        yield


class Clock:
    """Times for files."""

    def __init__(self) -> None:
        self.now_s = LONG_AGO_S

    def settle(self, *paths: Path) -> None:
        for path in paths:
            self.now_s += 1
            os.utime(path, (self.now_s, self.now_s))

    def settle_session(self, folder: Path) -> None:
        self.settle(*(path for path in folder.iterdir() if path.is_file()), folder)


def read_table(results: Path, table: str, **how: Any) -> tuple[pd.DataFrame, list[str]]:
    """Returns a table, and what can't be read."""
    df, problems = getattr(cpr, table)(results, strict=False, **how)
    return df, sorted(str(problem).replace(str(results), "") for problem in problems)


def compare(results: Path, table: str, **how: Any) -> None:
    """Reads a table of the directory, and of a copy of it that was never read before."""
    now, problems = read_table(results, table, **how)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(results, copy, ignore=lambda *_: [CACHE], symlinks=True)
        fresh, fresh_problems = read_table(copy, table, **how)
    if "path" in now:
        now["path"] = now["path"].str.replace(str(results), str(copy))
    live = now["state"].isin(["running", "interrupted"]) if "state" in now else None
    if live is not None and "duration_s" in now:  # it grows meanwhile
        now.loc[live, "duration_s"] = fresh.loc[live, "duration_s"] = 0.0
    pd.testing.assert_frame_equal(now, fresh)
    assert problems == fresh_problems
