"""Comments on a diff, written with the user's editor; what was written is never lost."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cpr_nb.cli.common import note
from cpr_nb.launching.review_comments import Comment, editor_text, read_edited
from cpr_nb.model.errors import InputError

if TYPE_CHECKING:
    from typing import TextIO

    from cpr_nb.display.patch_lines import PatchLine

_DEFAULT_EDITOR = "vi"


@contextlib.contextmanager
def edited_comments(lines: Sequence[PatchLine], name: str) -> Iterator[list[Comment]]:
    """Lets the user write comments between the lines of a patch.

    Args:
        lines: The lines of the patch.
        name: What the file is called.

    Yields:
        The comments, at least one.

    Raises:
        InputError: If there is no terminal or no editor, it fails, nothing was written, or the diff
            was changed. What was written then stays in a file, also if what follows fails.
    """
    screen = _screen()
    folder = tempfile.mkdtemp(prefix="cpr-review-")
    path = Path(folder, f"review-{name}.diff")
    original = editor_text(lines)
    path.write_text(original, "utf-8")
    try:
        _edit(str(path), os.environ, screen)
        comments = read_edited(path.read_text("utf-8", errors="replace"), lines)
        if not comments:
            raise InputError("no comment was written, so nothing is started", "--edit")
        yield comments
    except BaseException:
        if path.exists() and path.read_text("utf-8", errors="replace") != original:
            note(f"what you wrote is in {path}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _screen() -> TextIO:
    """The stream on which an editor can draw: in ``cpr diff --edit --json > file`` it is stderr.

    Raises:
        InputError: If nobody can type into an editor. It would wait for ever.
    """
    screen = next(
        (one for one in (sys.stdout, sys.stderr) if one is not None and one.isatty()), None
    )
    if screen is None or sys.stdin is None or not sys.stdin.isatty():
        raise InputError("an editor needs a terminal; here, use --comment FILE:LINE:TEXT", "--edit")
    return screen


def _edit(path: str, environ: Mapping[str, str], screen: TextIO) -> None:
    """Runs the user's editor until it ends."""
    command = environ.get("VISUAL") or environ.get("EDITOR") or _DEFAULT_EDITOR
    try:
        # As git does: the variable may hold arguments, and the user has set it.
        words = [*shlex.split(command), path]
        code = subprocess.run(words, check=False, stdout=screen).returncode  # noqa: S603
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"can't run {command}: {reason} (set EDITOR)", "--edit") from None
    if code:
        raise InputError(f"{command} ended with {code}, so nothing is started", "--edit")
