"""The lines of a patch: which file each is about, and its number there."""

from __future__ import annotations

import ast
from typing import NamedTuple

from cpr_nb.model.errors import InputError

_FILE_HEADER = "diff --git "


class PatchLine(NamedTuple):
    """One line of a patch.

    Args:
        text: The line as it stands in the patch, without its end.
        path: The file that it is about; empty before the first one.
        old_number: Its number in that file before the change; None if it is not in it.
        new_number: Its number in that file now; None if it is not in it.
    """

    text: str
    path: str
    old_number: int | None = None
    new_number: int | None = None

    @property
    def is_content(self) -> bool:
        """Whether it is a line of the file, and no header."""
        return self.old_number is not None or self.new_number is not None


def patch_lines(patch: str) -> list[PatchLine]:
    r"""Reads a patch as git writes it.

    Args:
        patch: The patch.

    Returns:
        All its lines, in order.

    Raises:
        InputError: If it is no patch of git.

    Example:
        >>> patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n"
        >>> patch_lines(patch)[-1]
        PatchLine(text='+new', path='x', old_number=None, new_number=1)
    """
    from unidiff.errors import UnidiffParseError
    from unidiff.patch import PatchSet

    try:
        files = list(PatchSet(patch))
    except UnidiffParseError as error:
        raise InputError(f"can't be read: {error}", "the patch") from None
    numbers = {
        line.diff_line_no: (line.source_line_no, line.target_line_no)
        for file in files
        for hunk in file
        for line in hunk
        if line.diff_line_no is not None
    }
    paths = iter([_plain_name(file.path) for file in files])
    lines, path = [], ""
    for number, text in enumerate(patch.removesuffix("\n").split("\n"), 1):
        if text.startswith(_FILE_HEADER):  # a line of a file begins with a sign
            path = next(paths, "")
        lines.append(PatchLine(text, path, *numbers.get(number, (None, None))))
    return lines


def _plain_name(name: str) -> str:
    """The name of a file, also where git quotes it as C does: Python's literals read the same."""
    if not (name.startswith('"') and name.endswith('"')):
        return name
    characters = name.encode("utf-8", "surrogateescape").decode("latin-1")
    literal = characters.encode("ascii", "backslashreplace").decode("ascii")
    try:
        plain: bytes = ast.literal_eval(f"b{literal}")
    except (ValueError, SyntaxError):
        return name
    return plain.decode("utf-8", "replace")
