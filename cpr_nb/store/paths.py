"""Paths as a session keeps them: absolute, with links left as they are."""

from __future__ import annotations

import os


def absolute_path(path: str | os.PathLike[str]) -> str:
    """The absolute form of a path, ``~`` expanded; what ``..`` means is left to the system.

    Example:
        >>> absolute_path("/srv/./shop//../other/")
        '/srv/shop/../other'
    """
    whole = os.path.join(os.getcwd(), os.path.expanduser(path))
    return "/" + "/".join(part for part in whole.split("/") if part not in ("", "."))
