"""A task's changes as a patch: as text, and with colours in a notebook."""

from __future__ import annotations

from html import escape

from cpr_nb.model.text import visible, visible_line
from cpr_nb.views.formatting import plural

#: How many lines of a patch a notebook shows; the rest is in the file.
MAX_HTML_LINES = 4000

# The beginning of a line → its style; the first match counts.
_STYLES = (
    (("+++ ", "--- "), "font-weight:600"),
    (("diff ", "index ", "new file", "deleted file", "rename ", "similarity "), "opacity:.6"),
    (("@@",), "color:var(--jp-info-color1,#0969da)"),
    (("+",), "background:rgba(46,160,67,.18)"),
    (("-",), "background:rgba(248,81,73,.18)"),
)
_BLOCK = (
    "font-family:var(--jp-code-font-family,monospace);font-size:12px;line-height:1.45;"
    "white-space:pre;overflow:auto;max-height:40em;margin:0"
)


class Diff:
    r"""What a task changed, as a patch.

    Args:
        patch: The patch; empty if nothing was changed.
        path: The file that contains it, for ``git apply``.

    Example:
        >>> print(Diff("+one\n", "/r/task-a.patch"))
        +one
        <BLANKLINE>
    """

    def __init__(self, patch: str, path: str) -> None:
        self.patch = patch
        self.path = path

    def __str__(self) -> str:
        return self.patch

    def __repr__(self) -> str:
        return visible(self.patch) or "(nothing changed)"

    def __bool__(self) -> bool:
        return bool(self.patch)

    def _repr_html_(self) -> str:
        lines = self.patch.splitlines()
        if not lines:
            return "<em>nothing changed</em>"
        shown = "\n".join(_line(line) for line in lines[:MAX_HTML_LINES])
        n_more = len(lines) - MAX_HTML_LINES
        html = f'<pre style="{_BLOCK}">{shown}</pre>'
        if n_more <= 0:
            return html
        return f"{html}<p>{plural(n_more, 'more line')}: {escape(visible_line(self.path))}</p>"


def _line(line: str) -> str:
    style = next((style for beginnings, style in _STYLES if line.startswith(beginnings)), "")
    # An agent wrote it: none of it may be markup.
    text = escape(visible(line)) or " "
    return f'<span style="display:inline-block;min-width:100%;{style}">{text}</span>'
