"""Temporary folders on the file system of a repository."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

from cpr_nb.worktrees.lock import own_folder


@contextlib.contextmanager
def scratch(common_dir: str, label: str) -> Iterator[str]:
    """A folder for temporary files, on the file system of the repository.

    Args:
        common_dir: The repository's common git directory.
        label: Whose folder it is: what a killed process has left under this label is removed.
    """
    own = own_folder(common_dir)
    drop_scratch(common_dir, label)
    with tempfile.TemporaryDirectory(
        prefix=f"scratch-{label}-", dir=own, ignore_cleanup_errors=True
    ) as folder:
        yield folder


def drop_scratch(common_dir: str, label: str) -> None:
    """Removes what a killed process has left under a label."""
    own = own_folder(common_dir)
    for name in os.listdir(own):
        if name.startswith(f"scratch-{label}-"):
            shutil.rmtree(f"{own}/{name}", ignore_errors=True)
