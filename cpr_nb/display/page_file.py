"""A page that is written into a file, which may not be a link."""

from __future__ import annotations

import os
from pathlib import Path

from cpr_nb.model.errors import InputError


def write_page(path: str | os.PathLike[str], html: str) -> Path:
    """Writes a page into a file, which is replaced if it is there.

    Args:
        path: The file.
        html: The page.

    Returns:
        The file.

    Raises:
        InputError: If it can't be written, or is a link: a repository may bring one that leads to
            a file of the user's.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(html)
    except OSError as error:
        is_link = Path(path).is_symlink()
        reason = "it is a link, name the file itself" if is_link else error.strerror
        raise InputError(f"can't write the page to {path}: {reason}") from None
    return Path(path)
