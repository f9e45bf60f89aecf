"""Comments on lines of a task's changes, and the prompt that a follow-up makes of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cpr_nb.display.patch_lines import PatchLine
from cpr_nb.model.errors import InputError
from cpr_nb.model.text import one_line, shorten

#: How many lines stand above the one that a comment is about.
CONTEXT_LINES = 3

_COMMENT = re.compile(r"(.+?):(-?\d+):(.*)", re.DOTALL)
#: Begins the lines above the diff that are no comments.
_NOTE_SIGN = "#"
_NOTE = (
    "# Write each comment below the line that it is about, on lines of its own.\n"
    "# Leave the lines of the diff as they are. Without a comment, nothing is started.\n"
)
_REQUEST = "Please work on these review comments about your changes."


class Comment(NamedTuple):
    """What a reviewer says about a task's changes.

    Args:
        text: What is said.
        above: The lines of the patch that end with the one it is about; empty if it is about all.
    """

    text: str
    above: tuple[PatchLine, ...] = ()


def parse_comments(texts: Iterable[str], lines: Sequence[PatchLine]) -> list[Comment]:
    """Reads comments as the command takes them.

    Args:
        texts: Each ``FILE:LINE:TEXT``. LINE is the number in the file as it is now; with a minus,
            that of a removed line in the file as it was.
        lines: The lines of the patch.

    Raises:
        InputError: If one of them can't be read, or is about a line that the patch does not show.

    Example:
        >>> lines = [PatchLine("+new", "x.py", None, 1)]
        >>> parse_comments(["x.py:1:Why?"], lines)[0].text
        'Why?'
    """
    return [_parse_comment(text, lines) for text in texts]


def _parse_comment(words: str, lines: Sequence[PatchLine]) -> Comment:
    where = f"comment {one_line(words, 60)!r}"
    match = _COMMENT.fullmatch(words)
    if match is None or not match[3].strip():
        raise InputError("must be FILE:LINE:TEXT, such as 'app.py:12:Why twice?'", where)
    path, number = match[1].removeprefix("./"), int(match[2])
    paths = list(dict.fromkeys(line.path for line in lines if line.path))
    if path not in paths:
        raise InputError(
            f"{path} is not among the changed files: {shorten(paths) or 'none'}", where
        )
    for index, line in enumerate(lines):
        is_removed = line.new_number is None and line.old_number is not None
        shown = -(line.old_number or 0) if is_removed else line.new_number
        if line.path == path and line.is_content and shown == number:
            return Comment(match[3].strip(), _ending_with(lines, index))
    raise InputError(
        f"the diff of {path} does not show line {number}; it shows {_shown_numbers(lines, path)}",
        where,
    )


def _ending_with(lines: Sequence[PatchLine], index: int) -> tuple[PatchLine, ...]:
    """A line, after those above it in the same part of the file; of a header, it alone."""
    start = index
    while lines[index].is_content and start > 0 and index - start < CONTEXT_LINES:
        if not lines[start - 1].is_content:
            break
        start -= 1
    return tuple(lines[start : index + 1])


def _shown_numbers(lines: Sequence[PatchLine], path: str) -> str:
    """The numbers of the lines that a patch shows of a file, as ranges."""
    ranges: list[list[int]] = []
    for line in lines:
        if line.path == path and line.new_number is not None:
            if ranges and ranges[-1][1] == line.new_number - 1:
                ranges[-1][1] = line.new_number
            else:
                ranges.append([line.new_number, line.new_number])
    return shorten([f"{a}" if a == b else f"{a}-{b}" for a, b in ranges]) or "none"


def review_prompt(comments: Sequence[Comment]) -> str:
    """What the agent reads.

    Args:
        comments: At least one.

    Example:
        >>> print(review_prompt([Comment("Why?", (PatchLine("+new", "x.py", None, 1),))]))
        Please work on these review comments about your changes.
        <BLANKLINE>
        x.py, line 1:
        ```diff
        +new
        ```
        Why?
    """
    return "\n\n".join([_REQUEST, *map(_comment_text, comments)])


def _comment_text(comment: Comment) -> str:
    if not comment.above:
        return comment.text
    about = comment.above[-1]
    if not about.is_content:
        return f"{about.path}:\n{comment.text}" if about.path else comment.text
    place = f"line {about.new_number}"
    if about.new_number is None:
        place = f"line {about.old_number} before your changes"
    shown = "\n".join(line.text for line in comment.above)
    # A fence that no line of the file ends.
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown)), 3)
    return f"{about.path}, {place}:\n{fence}diff\n{shown}\n{fence}\n{comment.text}"


def editor_text(lines: Sequence[PatchLine]) -> str:
    """The patch as a reviewer edits it, with a word on how."""
    return "\n".join([_NOTE, *(line.text for line in lines), ""])


def read_edited(text: str, lines: Sequence[PatchLine]) -> list[Comment]:
    r"""Reads the comments that a reviewer has written between the lines of a patch.

    Args:
        text: What the editor saved.
        lines: The lines of the patch.

    Returns:
        The comments, in order.

    Raises:
        InputError: If a line of the patch is no longer there, so nobody knows what the comments
            below it are about.

    Example:
        >>> lines = [PatchLine("+new", "x.py", None, 1)]
        >>> read_edited("# a note\n+new\nWhy?\n", lines)[0].text
        'Why?'
    """
    written, n_above = _between(text, lines, keeps_blanks=True)
    if n_above < len(lines):  # some editors remove the blanks at the ends of lines
        written, n_above = _between(text, lines, keeps_blanks=False)
    if n_above < len(lines):
        gone = one_line(lines[n_above].text, 60)
        raise InputError(
            f"the line {gone!r} of the diff was changed or removed: leave them all as they are",
            "the comments",
        )
    texts = {above: "\n".join(rows).strip() for above, rows in written.items()}
    return [
        Comment(said, _ending_with(lines, above - 1) if above else ())
        for above, said in texts.items()
        if said
    ]


def _between(
    text: str, lines: Sequence[PatchLine], *, keeps_blanks: bool
) -> tuple[dict[int, list[str]], int]:
    """What stands between the lines of a patch, by how many are above; and how many there are."""
    written: dict[int, list[str]] = {}
    n_above = 0
    for row in text.split("\n"):
        expected = lines[n_above].text if n_above < len(lines) else None
        if expected is not None and not keeps_blanks:
            row, expected = row.rstrip(), expected.rstrip()
        if row == expected:
            n_above += 1
        elif n_above or not row.startswith(_NOTE_SIGN):
            written.setdefault(n_above, []).append(row)
    return written, n_above
