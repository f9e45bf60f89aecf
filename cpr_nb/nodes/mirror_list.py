"""The mirrors of repositories that a node keeps, and the commits that it need not be sent again."""

from __future__ import annotations

import os

#: What a mirror keeps: a ref for each commit that tasks began with.
BASES = "refs/cpr/bases/"


def mirror_path(root: str, name: str) -> str:
    """The bare repository that mirrors one at home.

    Args:
        root: Our folder on this machine.
        name: What stands for the repository, on all nodes.
    """
    return f"{root}/mirrors/{name}.git"


def known_commits(root: str) -> dict[str, list[str]]:
    """The mirrors by name, each with the commits that it has.

    Args:
        root: Our folder on this machine.

    Example:
        >>> known_commits("/no/such/folder")
        {}
    """
    try:
        names = [name.removesuffix(".git") for name in os.listdir(f"{root}/mirrors")]
    except OSError:
        return {}
    return {name: _names(f"{mirror_path(root, name)}/{BASES}") for name in names}


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
