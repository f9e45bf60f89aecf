"""Fingerprints of files: whether one is still as set-up left it."""

from __future__ import annotations

import hashlib
import os
import stat


def fingerprint(path: str) -> str:
    """A file's fingerprint: it changes with content, kind, and whether it can be executed."""
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return f"link {os.fsencode(os.readlink(path)).hex()}"
        if not stat.S_ISREG(mode):
            return "folder" if stat.S_ISDIR(mode) else "other"
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return "gone"
    return f"{'x' if mode & stat.S_IXUSR else '-'} {content}"
